"""Order book imbalance: join the side whose cumulative size outweighs the other's.

Source: depth imbalance over the first levels of the book is the plainest of the short-horizon predictors of
the next price move (R. Cont, A. Kukanov, S. Stoikov, "The Price Impact of Order Book Events", Journal of
Financial Econometrics 12, 2014: price changes follow the imbalance of supply and demand at the best quotes).
It says nothing about fees: at a taker's 0.1 % most of its signals cost more than they bring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from actors.messages import Book, Side
from actors.strategy.config import TripConfig
from actors.strategy.protocol import Wish
from actors.strategy.trip import TripStrategy


class ImbalanceConfig(TripConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[strategy.imbalance]`"""

    # How deep to look. Fewer levels see only the touch, which flickers; more see orders too far away to
    # trade. A book that is shorter than this on either side is no signal.
    levels: int = 10

    # How many times the other side's size the heavy side must show.
    ratio: float = 2.5

    # A held side whose size falls below this many times the other's has lost its reason, and is left. 1.0: as
    # soon as the other side is the heavier one. 0 never leaves for this reason.
    exit_ratio: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.levels <= 1000:
            raise ValueError(f"levels = {self.levels}: must be from 1 to 1000")
        if not self.ratio > 1:
            raise ValueError(f"ratio = {self.ratio}: must be above 1, or both sides are heavy at once")
        if not 0 <= self.exit_ratio < self.ratio:
            raise ValueError(
                f"exit_ratio = {self.exit_ratio}: must be from 0 to below ratio = {self.ratio}, or an entry "
                "would be left on the book that asked for it"
            )


class Imbalance(TripStrategy):
    """Long when bids outweigh asks, short when asks outweigh bids; what spot cannot take, risk refuses.

    Leaves by target, by time, or when the weight has gone to the other side; the stop rests at the venue.
    """

    name: ClassVar[str] = "imbalance"
    Config: ClassVar[type[msgspec.Struct]] = ImbalanceConfig

    def __init__(self, config: ImbalanceConfig, instrument: str, new_id: Callable[[], int]) -> None:
        super().__init__(config, instrument, new_id)
        self._levels = config.levels
        self._ratio = config.ratio
        self._exit_ratio = config.exit_ratio
        self._rests = config.entry == "post_only"

    def on_book(self, book: Book, now_ns: int) -> list[Wish]:
        """At most one OPEN or one REDUCE, and the withdrawal of an entry that rested too long. 1 to 3 µs."""
        trip = self.trip
        levels = self._levels
        if not trip.reads(book, now_ns):
            return []
        if len(book.bids) < levels or len(book.asks) < levels:
            # A held position is still left by target and time; only the signal is missing.
            return self._leave(book, now_ns, 0.0, 0.0) if trip.held else []
        bid_size = ask_size = 0.0
        for _, size in book.bids[:levels]:
            bid_size += size
        for _, size in book.asks[:levels]:
            ask_size += size
        if trip.held:
            return self._leave(book, now_ns, bid_size, ask_size)
        if self._rests and trip.rested(now_ns):
            return trip.withdraw(now_ns, "rested")
        if bid_size >= self._ratio * ask_size:
            side = Side.BUY
        elif ask_size >= self._ratio * bid_size:
            side = Side.SELL
        else:
            return []
        return trip.enter(side, book, now_ns, "imbalance") if trip.may_enter(side, now_ns) else []

    def _leave(self, book: Book, now_ns: int, bid_size: float, ask_size: float) -> list[Wish]:
        trip = self.trip
        reason = trip.exit_reason(book, now_ns)
        if not reason:
            ours, theirs = (bid_size, ask_size) if trip.is_long else (ask_size, bid_size)
            reason = "signal" if ours < self._exit_ratio * theirs else ""
        return trip.leave(book, now_ns, reason) if reason else []
