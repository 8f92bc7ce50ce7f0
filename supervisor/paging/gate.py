"""When one channel may be tried: at most so many pages a minute, and rarely while it is dead. Pure.

After `failures_max` failed attempts in a row the channel counts as dead: it is tried once after `cool_s`, then
after twice that, and so on up to `cool_max_s`. One success, and it is as good as new. Nothing is thrown away
here: whoever asks keeps its pages until it may send.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0


class Gate:
    """One channel's rate cap and breaker. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        a_minute_max: int = 20,
        failures_max: int = 5,
        cool_s: float = 30.0,
        cool_max_s: float = 600.0,
    ) -> None:
        self._a_minute_max = a_minute_max
        self._failures_max = failures_max
        self._cool_first_s = cool_s
        self._cool_max_s = cool_max_s
        self._failures = 0
        self._cool_s = cool_s
        self._closed_until_s = float("-inf")
        self._sent_s: deque[float] = deque()

    @property
    def is_dead(self) -> bool:
        return self._failures >= self._failures_max

    def wait_s(self, now_s: float) -> float:
        """How long until a page may be tried; 0 is now."""
        while self._sent_s and now_s - self._sent_s[0] >= WINDOW_S:
            self._sent_s.popleft()
        capped_s = WINDOW_S - (now_s - self._sent_s[0]) if len(self._sent_s) >= self._a_minute_max else 0.0
        return max(capped_s, self._closed_until_s - now_s, 0.0)

    def took(self, now_s: float) -> bool:
        """The provider took a page. True: the channel was dead, and lives again."""
        was_dead = self.is_dead
        self._failures, self._cool_s, self._closed_until_s = 0, self._cool_first_s, float("-inf")
        self._sent_s.append(now_s)
        return was_dead

    def failed(self, now_s: float) -> bool:
        """An attempt failed. True: with this one the channel is dead."""
        was_dead = self.is_dead
        self._failures += 1
        if self.is_dead:
            self._closed_until_s = now_s + self._cool_s
            self._cool_s = min(2 * self._cool_s, self._cool_max_s)
        return self.is_dead and not was_dead
