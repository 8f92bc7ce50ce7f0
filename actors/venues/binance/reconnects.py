"""When to connect again: doubling waits with jitter, and never more attempts than the venue allows.

Source: Binance spot API documentation, "Websocket limits": 300 attempts in 5 minutes for each address; who
exceeds it is banned, and that ban would hit the order connections of this host as well. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

WINDOW_S = 300.0


class Reconnects:
    """Times are monotonic seconds; `chance` gives numbers from 0 to 1."""

    def __init__(self, *, min_s: float, max_s: float, attempts_max: int, chance: Callable[[], float]) -> None:
        self._min_s = self._wait_s = min_s
        self._max_s = max_s
        self._attempts_max = attempts_max
        self._chance = chance
        self._attempts: deque[float] = deque(maxlen=attempts_max)
        self._not_before_s = float("-inf")

    def due(self, now_s: float) -> bool:
        attempts = self._attempts
        spent = len(attempts) == self._attempts_max and attempts[0] > now_s - WINDOW_S
        return now_s >= self._not_before_s and not spent

    def attempted(self, now_s: float) -> None:
        self._attempts.append(now_s)

    def failed(self, now_s: float, retry_after_s: float = 0.0) -> None:
        """`retry_after_s`: what the venue demands; it is honoured if it is longer than our own wait."""
        wait_s = self._wait_s * (0.5 + self._chance())
        self._not_before_s = now_s + max(wait_s, retry_after_s)
        self._wait_s = min(self._wait_s * 2, self._max_s)

    def settled(self) -> None:
        """A connection has lasted; the next trouble is a new one."""
        self._wait_s = self._min_s
