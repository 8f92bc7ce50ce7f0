"""A heap of things to do at a time. Pure: whoever owns it says what time it is."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

NEVER_NS = 2**63 - 1


class Timer:
    """One thing to do. Cancelling only marks it; the heap forgets it later."""

    __slots__ = ("action", "arguments", "at_ns", "live")

    def __init__(self, at_ns: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.at_ns = at_ns
        self.action = action
        self.arguments = arguments
        self.live = True


class Timers:
    """Fires in the order of time; at the same time, in the order in which they were set."""

    __slots__ = ("_dead", "_heap", "_sequence")

    def __init__(self) -> None:
        # The sequence breaks ties, so that two timers are never compared themselves.
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._dead = 0

    def __len__(self) -> int:
        """Timers that may still fire."""
        return len(self._heap) - self._dead

    @property
    def next_ns(self) -> int:
        """When the next one fires, at the earliest; NEVER_NS if none will."""
        heap = self._heap
        while heap and not heap[0][2].live:
            heapq.heappop(heap)
            self._dead -= 1
        return heap[0][0] if heap else NEVER_NS

    def set(self, at_ns: int, action: Callable[..., None], *arguments: Any) -> Timer:
        timer = Timer(at_ns, action, arguments)
        self._sequence += 1
        heapq.heappush(self._heap, (at_ns, self._sequence, timer))
        return timer

    def cancel(self, timer: Timer) -> None:
        """A timer that has fired, or is cancelled already, is let be."""
        if not timer.live:
            return
        timer.live = False
        timer.arguments = ()
        self._dead += 1
        # Asks set a time-out and cancel it a moment later, thousands of times a second: do not keep the
        # dead for long.
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].live]
            heapq.heapify(self._heap)
            self._dead = 0

    def fire(self, now_ns: int) -> None:
        """Do what is due. What these actions set for now or earlier waits for the next call: no endless
        loop."""
        newest = self._sequence
        while self.next_ns <= now_ns and self._heap[0][1] <= newest:
            timer = heapq.heappop(self._heap)[2]
            timer.live = False
            timer.action(*timer.arguments)
