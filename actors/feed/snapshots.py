"""When to ask for a depth snapshot: at once the first time, then ever more slowly, and never too often.

A snapshot of 1000 levels costs 50 of the 6000 weight that Binance grants an address each minute, and the
moment when many books are lost together is the moment when orders need that weight. Pure; time comes in.
"""

from __future__ import annotations

from collections import deque

from actors.feed.config import FeedConfig


class SnapshotPacing:
    """Doubling waits, a budget per minute, and one question at a time. All times are monotonic seconds."""

    def __init__(self, config: FeedConfig, spread: float = 0.0) -> None:
        """`spread` (0 to 1) lengthens the waits by up to a half, so that many feeds do not ask in step."""
        self._config = config
        self._stretch = 1.0 + spread / 2
        self._wait_s = config.snapshot_wait_min_s
        self._next_s = float("-inf")
        self._asked_s: deque[float] = deque()
        self.waiting_since_s: float | None = None

    def due(self, now_s: float) -> bool:
        """Whether to ask now, if a snapshot is wanted."""
        if self.waiting_since_s is not None:
            return False
        asked = self._asked_s
        while asked and asked[0] <= now_s - 60.0:
            asked.popleft()
        return now_s >= self._next_s and len(asked) < self._config.snapshots_per_minute_max

    def asked(self, now_s: float) -> None:
        self.waiting_since_s = now_s
        self._asked_s.append(now_s)

    def timed_out(self, now_s: float) -> bool:
        since = self.waiting_since_s
        return since is not None and now_s - since >= self._config.snapshot_timeout_s

    def failed(self, now_s: float, retry_after_s: float = 0.0) -> None:
        """No answer, a refusal, or a snapshot that could not be joined. Earliest again after the doubled
        wait, or after what the venue demands if that is longer."""
        self.waiting_since_s = None
        self._next_s = now_s + max(self._wait_s * self._stretch, retry_after_s)
        self._wait_s = min(self._wait_s * 2, self._config.snapshot_wait_max_s)

    def succeeded(self, now_s: float) -> None:
        self.waiting_since_s = None
        self._wait_s = self._config.snapshot_wait_min_s
        # A book that is lost as soon as it is joined must not ask as fast as it can be answered.
        self._next_s = now_s + self._wait_s * self._stretch
