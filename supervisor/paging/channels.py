"""Channels that take a page: Apprise's services, each on its own, so that one that hangs holds no other.

What was measured of Apprise and is heeded here: its shared thread pool is used up by calls that never return,
so each channel has threads of its own (`service_timeout=0` makes Apprise run in ours); an object that is used
again waits out a throttle of seconds, so each page gets a fresh one; an URL that it does not understand is
reported by a False that is easy to miss, so it is checked at the start.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
import trio
from msgspec import Meta

from supervisor.config import Wrong
from supervisor.paging.messages import Page, Severity
from supervisor.paging.routes import Route, unrouted_severity
from supervisor.secret import Secret, SecretError
from supervisor.telemetry.redaction import hide

if TYPE_CHECKING:
    from apprise import AppriseAsset

# Calls under way in one channel. One that hangs keeps its thread; the other still delivers.
THREADS = 2
_SOURCES = ("env:", "credential:", "file:")


class ChannelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[paging.channels]] entry."""

    # As in `urls`.
    url: str
    # Names of your own, for `escalate_to` and `nightdesk page test --tag`.
    tags: tuple[str, ...] = ()
    # What goes here: "page" (somebody must look now), "notice" (worth knowing today), "log".
    severities: tuple[str, ...] = ("page", "notice")

    def __post_init__(self) -> None:
        try:
            check(resolve(self.url))
        except ValueError as error:
            raise Wrong("url", f"url: {error}") from None
        known = [severity.value for severity in Severity]
        for at, name in enumerate(self.severities):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                meant = f" (did you mean {near[0]!r}?)" if near else ""
                raise Wrong(
                    f"severities[{at}]", f"unknown severity {name!r}: there are {', '.join(known)}{meant}"
                )
        if not self.severities:
            raise Wrong("severities", "empty: nothing would ever go there; name one, or remove the channel")

    @property
    def takes(self) -> frozenset[Severity]:
        return frozenset(Severity(name) for name in self.severities)


class PagingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[paging]"""

    # Where pages go: Apprise URLs such as "ntfy://topic", or, because an URL mostly holds a token, where to
    # read one from: "env:NAME", "file:PATH" (mode 0600) or "credential:NAME". None: pages appear in the log
    # and the live view only.
    urls: tuple[str, ...] = ()
    # [[paging.channels]]: the same with a choice of what goes there; may stand beside `urls`.
    channels: tuple[ChannelConfig, ...] = ()
    # One matter is paged at once and then at most this often, with a count.
    every_s: Annotated[float, Meta(ge=1)] = 60.0
    # A provider that has not answered by then counts as one failed attempt. Detection takes seconds; a page
    # has 30.
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 8.0
    # A page that nobody acknowledges is sent again after so long, with all others like it in one,
    escalate_after_s: Annotated[float, Meta(ge=10)] = 60.0
    # so many times (0: never),
    escalate_times: Annotated[int, Meta(ge=0, le=20)] = 3
    # to the channels with one of these tags; none named: to every channel, whatever its severities.
    escalate_to: tuple[str, ...] = ()
    # Providers refuse, or drop without a word, what comes faster; Telegram takes 20 a minute in a group.
    a_minute_max: Annotated[int, Meta(ge=1, le=600)] = 20

    def __post_init__(self) -> None:
        for at, url in enumerate(self.urls):
            try:
                check(resolve(url))
            except ValueError as error:
                raise Wrong(f"urls[{at}]", f"urls[{at}]: {error}") from None
        unrouted = unrouted_severity(self.routes) if self.routes else None
        if unrouted is not None:
            raise Wrong(
                "channels",
                f"no channel takes severity {unrouted.value!r}: such pages would go nowhere; add it to the "
                "severities of one of [[paging.channels]]",
            )
        tags = sorted({tag for route in self.routes for tag in route.tags})
        for at, tag in enumerate(self.escalate_to):
            if tag not in tags:
                raise Wrong(
                    f"escalate_to[{at}]",
                    f"escalate_to: no channel has the tag {tag!r}; there are {', '.join(tags) or 'none'}",
                )

    @property
    def routes(self) -> tuple[Route, ...]:
        """Of the channels, in their order: first `urls`, then [[paging.channels]]."""
        plain = [Route(name=_name(at, resolve(url))) for at, url in enumerate(self.urls, start=1)]
        return (
            *plain,
            *(
                Route(name=_name(at, resolve(each.url)), tags=each.tags, severities=each.takes)
                for at, each in enumerate(self.channels, start=len(plain) + 1)
            ),
        )


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
        self.name = _name(number, url)
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
    urls = [resolve(url) for url in (*config.urls, *(each.url for each in config.channels))]
    for url in urls:
        hide(url.reveal())
    return tuple(AppriseChannel(number, url) for number, url in enumerate(urls, start=1))


def _name(number: int, url: Secret) -> str:
    return f"{number}:{url.reveal().partition('://')[0]}"


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
