"""The daily loss: P&L since the journalled start of the UTC day, and the latch that it trips.

Pure. The start and the trip are records of the journal (kind `risk_day`), so that a restart neither forgives
a loss nor forgets that the day is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

KIND = "risk_day"


class DayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Journalled under `<day>/start` and `<day>/tripped`."""

    day: str
    pnl: float
    """Of the desk since its first fill, in quote, at that moment."""
    is_trip: bool = False

    @property
    def key(self) -> str:
        return f"{self.day}/{'tripped' if self.is_trip else 'start'}"


def day_of(wall_ns: int) -> str:
    """The UTC day as ISO 8601."""
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).date().isoformat()


class DayLoss:
    """`pnl` is cumulative since the first fill ever; only its change within a day counts."""

    def __init__(self, loss_max: float) -> None:
        self._loss_max = loss_max
        self.day = ""
        self.start_pnl = 0.0
        self.pnl = 0.0
        self.is_tripped = False
        # The start is on disk: without that, a crash would begin the day again at the loss.
        self.is_durable = False
        # Why the journal's records cannot be understood; "" when they can.
        self.unreadable = ""

    def restore(self, records: Iterable[DayRecord]) -> None:
        """From the journal, oldest first."""
        for record in records:
            if record.is_trip:
                self.is_tripped = self.is_tripped or record.day == self.day
            elif record.day != self.day:
                self.day, self.start_pnl, self.is_tripped = record.day, record.pnl, False
            self.is_durable = True

    def on_pnl(self, pnl: float, wall_ns: int) -> list[DayRecord]:
        """What must be journalled now: the start of a new day, the trip of the limit. At most once each."""
        self.pnl = pnl
        day = day_of(wall_ns)
        new: list[DayRecord] = []
        # A clock that was set back does not begin an older day again.
        if day > self.day:
            self.day, self.start_pnl, self.is_tripped, self.is_durable = day, pnl, False, False
            new.append(DayRecord(day=day, pnl=pnl))
        if not self.is_tripped and self.loss > self._loss_max:
            self.is_tripped = True
            new.append(DayRecord(day=self.day, pnl=pnl, is_trip=True))
        return new

    def on_durable(self, key: str) -> None:
        if key == f"{self.day}/start":
            self.is_durable = True

    @property
    def loss(self) -> float:
        """Since the start of the day; negative is a gain."""
        return self.start_pnl - self.pnl
