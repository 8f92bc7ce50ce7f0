"""Channels that take a page: Apprise's services, each on its own, so that one that hangs holds no other.

What was measured of Apprise and is heeded here: its shared thread pool is used up by calls that never return,
so each channel has threads of its own (`service_timeout=0` makes Apprise run in ours); an object that is used
again waits out a throttle of seconds, so each page gets a fresh one; an URL that it does not understand is
reported by a False that is easy to miss, so it is checked at the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
import trio
from msgspec import Meta

from supervisor.config import Wrong
from supervisor.paging.messages import Page
from supervisor.secret import Secret, SecretError
from supervisor.telemetry.redaction import hide

if TYPE_CHECKING:
    from apprise import AppriseAsset

# Calls under way in one channel. One that hangs keeps its thread; the other still delivers.
THREADS = 2
_SOURCES = ("env:", "credential:", "file:")


class PagingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[paging]"""

    # Where pages go: Apprise URLs such as "ntfy://topic", or, because an URL mostly holds a token, where to
    # read one from: "env:NAME", "file:PATH" (mode 0600) or "credential:NAME". None: pages appear in the log
    # and the live view only.
    urls: tuple[str, ...] = ()
    # One matter is paged at once and then at most this often, with a count.
    every_s: Annotated[float, Meta(ge=1)] = 60.0
    # A provider that has not answered by then counts as one failed attempt. Detection takes seconds; a page
    # has 30.
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 8.0

    def __post_init__(self) -> None:
        for at, url in enumerate(self.urls):
            try:
                check(resolve(url))
            except ValueError as error:
                raise Wrong(f"urls[{at}]", f"urls[{at}]: {error}") from None


class Channel(Protocol):
    """Somewhere a page can go. `send` raises ChannelError; the caller bounds its time."""

    name: str

    async def warm(self) -> None: ...
    async def send(self, page: Page) -> None: ...


class ChannelError(Exception):
    """The provider did not take the page; in words, without its URL."""


class AppriseChannel:
    """One Apprise URL. Its name is its number and scheme: "1:ntfy"."""

    def __init__(self, number: int, url: Secret) -> None:
        self._url = url
        self.name = f"{number}:{url.reveal().partition('://')[0]}"
        self._threads = trio.CapacityLimiter(THREADS)

    async def warm(self) -> None:
        """Load Apprise and the service's plugin: the first page must not wait for that."""
        await trio.to_thread.run_sync(check, self._url, limiter=self._threads)

    async def send(self, page: Page) -> None:
        # Left behind when our caller's time is over; its thread counts against this channel alone.
        await trio.to_thread.run_sync(self._notify, page, limiter=self._threads, abandon_on_cancel=True)

    def _notify(self, page: Page) -> None:
        import apprise

        service = apprise.Apprise(asset=_asset())
        service.add(self._url.reveal())
        result = service.notify(title=page.title, body=page.text, notify_type=apprise.NotifyType.FAILURE)
        # Only an outright success is true. "Nobody matched" and "some failed" are not.
        if not result:
            raise ChannelError(f"Apprise says {result.status.name}; its own words are in the log")


def channels(config: PagingConfig) -> tuple[Channel, ...]:
    """The channels of a config, whose URLs are from now on masked in logs."""
    urls = [resolve(url) for url in config.urls]
    for url in urls:
        hide(url.reveal())
    return tuple(AppriseChannel(number, url) for number, url in enumerate(urls, start=1))


def resolve(url: str) -> Secret:
    """The URL, read from where it is kept. Raises ValueError."""
    if url.startswith(_SOURCES) and "://" not in url:
        return Secret.load(url)
    if "://" not in url:
        raise SecretError(
            "not an URL; write an Apprise URL such as ntfy://topic, or env:NAME, file:PATH, credential:NAME"
        )
    return Secret(url)


def check(url: Secret) -> None:
    """Raise ValueError unless Apprise understands the URL. The first call takes a second: it loads
    Apprise."""
    import apprise

    if not apprise.Apprise(asset=_asset()).add(url.reveal()):
        scheme = url.reveal().partition("://")[0]
        raise ValueError(
            f"Apprise does not understand this {scheme}:// URL (it is not shown, it may hold a token); its "
            "form is in Apprise's page on that service; try it with: apprise -b test 'URL'"
        )


def _asset() -> AppriseAsset:
    import apprise

    # 0: in the calling thread, never in Apprise's own pool.
    return apprise.AppriseAsset(service_timeout=0)
