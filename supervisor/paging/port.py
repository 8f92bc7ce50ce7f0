"""The pages port: folds incidents into pages and hands each to every channel, in parallel, with retries.

What must outlive a crash of the port is in the `Pager`: what was reported and what waits to be sent. A page
leaves its channel's queue only once it was taken, so a crash can double it and cannot lose it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import trio

from supervisor.paging.channels import Channel, ChannelError
from supervisor.paging.messages import Incident, Page, Paged, PageDelivered, PageFailed
from supervisor.paging.rules import Fold, incident_of

if TYPE_CHECKING:
    from supervisor.message import Message
    from supervisor.port import PortLink

# Incidents not yet looked at, and pages waiting in one channel. The oldest go first: the newest say how it is
# now.
WAITING_MAX = 1_000
QUEUE_MAX = 100
# After these many attempts, with these waits between them, a channel gives up on a page.
WAITS_S = (0.5, 1.0, 2.0, 4.0)

Rule = Callable[["Message", int], Incident | None]


class Pager:
    """What outlives the port. A subscriber of the runtime: call it with each event.

    `rules` are the program's own, tried after the supervisor's: (event, wall_ns) -> Incident or None. `watch`
    is asked each second for incidents that consist in time passing (a position without a stop for too long):
    (wall_ns) -> incidents.
    """

    def __init__(
        self,
        fold: Fold,
        *,
        wall_ns: Callable[[], int],
        command: str,
        rules: Iterable[Rule] = (),
        watch: Callable[[int], Iterable[Incident]] = lambda _wall_ns: (),
    ) -> None:
        self.fold = fold
        self.pages = 0
        self._wall_ns = wall_ns
        self._command = command
        self._rules = tuple(rules)
        self._watch = watch
        self._waiting: deque[Incident] = deque(maxlen=WAITING_MAX)
        self._queues: dict[str, deque[Page]] = {}
        self._wake: Callable[[], None] = lambda: None

    def __call__(self, event: Message) -> None:
        incident = self._incident(event)
        if incident is not None:
            self._waiting.append(incident)
            self._wake()

    def on_waiting(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is something new; replaces the one before it."""
        self._wake = wake

    def queue(self, channel: str) -> deque[Page]:
        """The pages that wait for this channel."""
        return self._queues.setdefault(channel, deque(maxlen=QUEUE_MAX))

    def ready_pages(self, now_s: float) -> list[Page]:
        """Everything that must be sent now."""
        self._waiting.extend(self._watch(self._wall_ns()))
        pages = self.fold.due(now_s)
        while self._waiting:
            page = self.fold.offer(self._waiting.popleft(), now_s)
            if page is not None:
                pages.append(page)
        self.pages += len(pages)
        return pages

    def _incident(self, event: Message) -> Incident | None:
        if isinstance(event, Incident):
            return event
        wall_ns = self._wall_ns()
        found = incident_of(event, wall_ns, self._command)
        for rule in self._rules:
            found = found or rule(event, wall_ns)
        return found


class PagesPort:
    """Sends the pager's pages. Also takes an `Incident` that it is told."""

    def __init__(self, pager: Pager, channels: tuple[Channel, ...], *, timeout_s: float = 8.0) -> None:
        self._pager = pager
        self._channels = channels
        self._timeout_s = timeout_s

    async def run(self, link: PortLink) -> None:
        for channel in self._channels:
            await channel.warm()
        news = _Bell()
        self._pager.on_waiting(news.ring)
        bells = {channel.name: _Bell() for channel in self._channels}
        async with trio.open_nursery() as nursery:
            for channel in self._channels:
                nursery.start_soon(self._deliver_all, link, channel, bells[channel.name])
            nursery.start_soon(self._take_told, link)
            link.ready()
            while True:
                for page in self._pager.ready_pages(trio.current_time()):
                    link.publish(Paged(page=page, channels=len(self._channels)))
                    for channel in self._channels:
                        self._pager.queue(channel.name).append(page)
                        bells[channel.name].ring()
                # Looked at each second even if nothing rings: folded pages fall due, and the watch looks at
                # time passing.
                with trio.move_on_after(1.0):
                    await news.wait()

    async def _take_told(self, link: PortLink) -> None:
        while True:
            self._pager(await link.receive())

    async def _deliver_all(self, link: PortLink, channel: Channel, bell: _Bell) -> None:
        queue = self._pager.queue(channel.name)
        while True:
            while queue:
                page = queue[0]
                link.publish(await self._deliver(channel, page))
                # It may have been pushed out by newer ones meanwhile.
                if queue and queue[0] is page:
                    queue.popleft()
            await bell.wait()

    async def _deliver(self, channel: Channel, page: Page) -> PageDelivered | PageFailed:
        started_s = trio.current_time()
        reason = ""
        for attempt, wait_s in enumerate((0.0, *WAITS_S), start=1):
            await trio.sleep(wait_s)
            with trio.move_on_after(self._timeout_s):
                try:
                    await channel.send(page)
                except ChannelError as error:
                    reason = str(error)
                    continue
                took_s = trio.current_time() - started_s
                return PageDelivered(
                    page_id=page.page_id, channel=channel.name, took_s=took_s, attempts=attempt
                )
            reason = f"no answer within {self._timeout_s:.0f} s"
        return PageFailed(page_id=page.page_id, channel=channel.name, reason=reason)


class _Bell:
    """Wakes one waiter; rung while nobody waits, it wakes the next one at once."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()
