"""One channel's worker: sends what waits for it, in its own time, and says what became of it.

A page leaves the queue once its outcome is in the outbox, so a crash can double it and cannot lose it. While the
channel is dead its pages wait, and one of them tries now and then whether it lives again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import trio

from supervisor.paging.channels import Channel, ChannelError
from supervisor.paging.gate import Gate
from supervisor.paging.messages import Page, PageDelivered, PageFailed, Severity

if TYPE_CHECKING:
    from supervisor.message import Message

# After these many attempts, with these waits between them, a channel gives up on a page.
WAITS_S = (0.5, 1.0, 2.0, 4.0)


class Office(Protocol):
    """What a courier needs of the pager."""

    async def settle(self, outcome: PageDelivered | PageFailed) -> None: ...
    def channel_died(self, channel: str, reason: str) -> None: ...
    def channel_lives(self, channel: str) -> None: ...


class Courier:
    """`queue` is shared with whoever fills it; ring after that."""

    def __init__(
        self, channel: Channel, queue: deque[Page], office: Office, gate: Gate, *, timeout_s: float
    ) -> None:
        self._channel = channel
        self._queue = queue
        self._office = office
        self._gate = gate
        self._timeout_s = timeout_s
        self._has_lived = False
        self._bell = Bell()
        self.ring = self._bell.ring

    async def run(self, publish: Callable[[Message], None]) -> None:
        while True:
            while self._queue:
                wait_s = self._gate.wait_s(trio.current_time())
                if wait_s > 0:
                    await trio.sleep(wait_s)
                    continue
                page = _next(self._queue)
                outcome = await self._deliver(page)
                if outcome is None:
                    continue
                publish(outcome)
                await self._office.settle(outcome)
                # It may have been pushed out by newer ones meanwhile.
                if page in self._queue:
                    self._queue.remove(page)
            await self._bell.wait()

    async def _deliver(self, page: Page) -> PageDelivered | PageFailed | None:
        """None: the channel was dead and still is; the page waits for better times."""
        started_s = trio.current_time()
        reason = ""
        was_dead = self._gate.is_dead
        for attempt, wait_s in enumerate((0.0, *WAITS_S), start=1):
            await trio.sleep(wait_s)
            reason = await self._attempt(page)
            now_s = trio.current_time()
            if not reason:
                self._lives(now_s)
                took_s = now_s - started_s
                name = self._channel.name
                return PageDelivered(page_id=page.page_id, channel=name, took_s=took_s, attempts=attempt)
            if self._gate.failed(now_s):
                self._office.channel_died(self._channel.name, reason)
            if was_dead:
                return None
        return PageFailed(page_id=page.page_id, channel=self._channel.name, reason=reason)

    async def _attempt(self, page: Page) -> str:
        """Empty if the provider took it, else why not."""
        with trio.move_on_after(self._timeout_s):
            try:
                await self._channel.send(page)
            except ChannelError as error:
                return str(error)
            return ""
        return f"no answer within {self._timeout_s:.0f} s"

    def _lives(self, now_s: float) -> None:
        if self._gate.took(now_s) or not self._has_lived:
            self._has_lived = True
            self._office.channel_lives(self._channel.name)


class Bell:
    """Wakes one waiter; rung while nobody waits, it wakes the next one at once."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()


def _next(queue: deque[Page]) -> Page:
    """The oldest page that somebody must look at now, or the oldest there is."""
    return next((page for page in queue if page.severity is Severity.PAGE), queue[0])
