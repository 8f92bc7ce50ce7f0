"""What time it is at the venue, and how sure we are of it.

Each exchange of a question and the venue's time bounds the difference of the two clocks by half its round
trip; the best recent one counts (the choice of NTP's clock filter: the shortest round trip has the least room
for error).

The difference is kept to our *monotonic* clock. A step of the wall clock therefore moves no signature, and
after the machine was suspended or its virtual machine paused our venue time is late: the venue refuses what
is signed, until the time has been asked again. That is the safe direction. The difference to the wall clock
is measured beside it, for the operator.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

SAMPLES_MAX = 16
# An old sample is worth less: two quartz clocks drift apart by some 50 parts per million each.
DRIFT_PPM = 100.0
# The venue cuts its time to whole milliseconds: the mean of what it cut off, and the most that it is wrong by
# after that.
_CUT_NS = 500_000
# A round trip longer than this measures the queue, not the clock.
ROUND_TRIP_MAX_NS = 5_000_000_000


class Sample(NamedTuple):
    offset_ns: int  # venue time minus monotonic time
    wall_offset_ns: int  # venue time minus our wall clock
    half_ns: int
    at_ns: int  # monotonic, when the answer came


class VenueClock:
    """Pure. One for each venue, shared by the ports that sign for it and outliving their restarts."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)
        self._best: Sample | None = None

    @property
    def measured(self) -> bool:
        return self._best is not None

    def sample(self, sent_ns: int, received_ns: int, venue_ms: int, received_wall_ns: int) -> bool:
        """Take in one exchange; False when it says nothing (an absurd round trip)."""
        trip = received_ns - sent_ns
        if not 0 <= trip <= ROUND_TRIP_MAX_NS:
            return False
        half = trip // 2
        venue_ns = venue_ms * 1_000_000 + _CUT_NS
        sample = Sample(
            offset_ns=venue_ns - (received_ns - half),
            wall_offset_ns=venue_ns - (received_wall_ns - half),
            half_ns=half + _CUT_NS,
            at_ns=received_ns,
        )
        if self._contradicted(sample):
            # Our monotonic clock stood still (suspended), or the venue's was set: what was measured before is
            # void.
            self._samples.clear()
        self._samples.append(sample)
        self._best = min(self._samples, key=lambda kept: self._doubt_ns(kept, received_ns))
        return True

    def venue_ns(self, now_ns: int, wall_ns: int) -> int:
        """Venue time, in ns since the epoch; our wall clock as long as nothing was measured."""
        best = self._best
        return wall_ns if best is None else now_ns + best.offset_ns

    def offset_ms(self) -> float:
        """Venue time minus our wall clock, by the newest sample (the wall clock may have been stepped since
        the best)."""
        return self._samples[-1].wall_offset_ns / 1e6 if self._samples else 0.0

    def uncertainty_ms(self, now_ns: int) -> float:
        """By how much `venue_ns` may be wrong either way; infinite as long as nothing was measured."""
        best = self._best
        return float("inf") if best is None else self._doubt_ns(best, now_ns) / 1e6

    @staticmethod
    def _doubt_ns(sample: Sample, now_ns: int) -> float:
        return sample.half_ns + max(0, now_ns - sample.at_ns) * DRIFT_PPM / 1e6

    def _contradicted(self, sample: Sample) -> bool:
        best = self._best
        if best is None:
            return False
        apart = abs(sample.offset_ns - best.offset_ns)
        return apart > sample.half_ns + self._doubt_ns(best, sample.at_ns)
