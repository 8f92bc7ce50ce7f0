"""The venue's one clock: steady time for the engine, and the time that clients are told.

The engine needs a time that never goes back, so it counts a monotonic source from one wall-clock reading.
What clients are told (serverTime, the timing rule) can be moved away from it, which is the fault "wrong
clock".
"""

from __future__ import annotations

import time
from collections.abc import Callable


class VenueClock:
    """Microseconds since the epoch. `monotonic_ns` and `start_us` are given by tests, else read once here."""

    def __init__(
        self, monotonic_ns: Callable[[], int] = time.monotonic_ns, start_us: int | None = None
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._from_ns = monotonic_ns()
        self._start_us = time.time_ns() // 1000 if start_us is None else start_us
        self._offset_us = 0
        self._offset_until_us: int | None = None

    def now_us(self) -> int:
        """The engine's time: never goes back, and goes on while the process is stopped."""
        return self._start_us + (self._monotonic_ns() - self._from_ns) // 1000

    def set_offset(self, offset_us: int, until_us: int | None = None) -> None:
        """Tell clients a time that is off by this much, for ever or until the engine's time `until_us`."""
        self._offset_us = offset_us
        self._offset_until_us = until_us

    def offset_us(self) -> int:
        if self._offset_until_us is not None and self.now_us() >= self._offset_until_us:
            self._offset_us, self._offset_until_us = 0, None
        return self._offset_us

    def told_us(self) -> int:
        """The time that clients are told and judged by."""
        return self.now_us() + self.offset_us()
