"""What the exchange needs of the market behind it: the liquidity and the trades of everybody else.

Two of them exist: generated.py (seeded) and recording.py (replayed). Prices are integers of tick, sizes
integers of lot; times are microseconds of the venue's clock.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Levels(msgspec.Struct, frozen=True, gc=False):
    """New absolute sizes of background levels of one pair; a size of 0 removes the level.

    `reset` says that these are all levels: everything not listed is gone (a snapshot).
    """

    at_us: int
    symbol: str
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    reset: bool = False


class Print(msgspec.Struct, frozen=True, gc=False):
    """A trade between others. `buyer_is_maker` means that a seller hit a resting bid."""

    at_us: int
    symbol: str
    price: int
    size: int
    buyer_is_maker: bool


class Candle(msgspec.Struct, gc=False):
    """One minute of trades: prices in ticks, volumes in lots and tick·lots."""

    open_us: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int
    taker_buy_volume: int
    taker_buy_quote_volume: int


MarketEvent = Levels | Print


class Market(Protocol):
    """Everybody else. It never sees our orders: one seed or file gives the same events whatever we do."""

    def begin(self, start_us: int) -> list[MarketEvent]:
        """The books at the start (one `Levels` with `reset` per pair); called once, before anything else."""

    def history(self, symbol: str) -> list[Candle]:
        """Candles from before the start, oldest first; may be empty."""

    def next_us(self) -> int | None:
        """When the next event is due; None when the market has gone quiet for good."""

    def pop(self) -> MarketEvent:
        """Take the next event; only while `next_us()` is not None. Times never go backwards."""
