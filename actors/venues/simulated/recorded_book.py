"""The book of one pair as a recording tells it, and the changes since it was last asked.

Source of the joining rules: binance-spot-api-docs web-socket-streams.md, "How to manage a local order book
correctly".
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal, InvalidOperation
from typing import Any

from actors.venues.simulated.config import SymbolConfig

_UNIT = 10**8
# Diffs kept until the snapshot comes, a quarter of an hour of them; beyond it there is a gap, which is noticed.
_EARLY_MAX = 10_000


class BadRecording(ValueError):
    """The recording cannot be used; the message says where and what to do."""


class RecordedBook:
    """Sizes by price, in lots and ticks. Depth and bookTicker come on two sockets: ids say which is newer."""

    def __init__(self, config: SymbolConfig) -> None:
        self.config = config
        self._tick_units = int(config.tick_size * _UNIT)
        self._lot_units = int(config.step_size * _UNIT)
        self.gaps = 0
        self.off_lot = 0
        self.forget()

    def forget(self) -> None:
        """Start over, as at the beginning of a recording."""
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._told_bids: dict[int, int] = {}
        self._told_asks: dict[int, int] = {}
        self._touched_bids: set[int] = set()
        self._touched_asks: set[int] = set()
        self._update_id = 0
        self._top_id = 0
        # The newest bookTicker: bid, its size, ask, its size.
        self._top: tuple[int, int, int, int] | None = None
        # No bid is above the one, no ask below the other: spares most looks for levels that a touch proves
        # gone.
        self._bids_up_to = 0
        self._asks_down_to = 0
        # Depth from before the snapshot, which may have to be joined to it.
        self._early: deque[tuple[Any, int]] = deque(maxlen=_EARLY_MAX)

    def take(self, data: Any, number: int) -> bool:
        """Apply a message (`number` for errors); True when it was a snapshot. Raises BadRecording."""
        if data.lastUpdateId:
            self._snapshot(data, number)
            return True
        if data.e == "depthUpdate":
            if isinstance(data.b, str) or not isinstance(data.a, list):
                raise BadRecording(f"message {number} is a depthUpdate whose sides are no lists of levels")
            self._depth(data, number)
        elif data.B:
            if not isinstance(data.b, str) or not isinstance(data.a, str):
                raise BadRecording(f"message {number} is a bookTicker whose prices are no decimal strings")
            bid, bid_size = self.level(data.b, data.B, number)
            ask, ask_size = self.level(data.a, data.A, number)
            if data.u > self._top_id:
                self._top_id = data.u
                self._top = (bid, bid_size, ask, ask_size)
                if self._update_id and data.u > self._update_id:
                    self._apply_top()
        return False

    @property
    def has_early(self) -> bool:
        """Whether depth is kept that a snapshot can be joined to."""
        return bool(self._early)

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is not below the best ask: no market is like that, so a message was wrong."""
        return bool(self._bids_up_to and self._asks_down_to) and self._bids_up_to >= self._asks_down_to

    def everything(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """All bids and asks; `changes` then counts from here."""
        self._touched_bids.clear()
        self._touched_asks.clear()
        self._told_bids = dict(self._bids)
        self._told_asks = dict(self._asks)
        return list(self._bids.items()), list(self._asks.items())

    def changes(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """What differs from what was last told; a size repeated unchanged is no change."""
        return (
            _changes(self._bids, self._told_bids, self._touched_bids),
            _changes(self._asks, self._told_asks, self._touched_asks),
        )

    def printed(self, price: int, size: int, is_bid: bool) -> None:
        """A trade was told: the exchange has taken it off the level, so a size repeated afterwards is a refill."""
        told = self._told_bids if is_bid else self._told_asks
        left = told.get(price, 0) - size
        if left > 0:
            told[price] = left
        else:
            told.pop(price, None)

    def level(self, price: str, size: str, number: int) -> tuple[int, int]:
        """Price in ticks, size in lots. Raises BadRecording for a price that is not on the pair's grid.

        A size finer than a lot does occur in real books, far from the touch; it is cut to lots and counted.
        """
        ticks, off_tick = divmod(_units(price, number), self._tick_units)
        lots, off_lot = divmod(_units(size, number), self._lot_units)
        if off_tick:
            raise BadRecording(
                f"message {number} has the price {price}, which is not on {self.config.symbol}'s grid "
                f"(tick {self.config.tick_size}); correct the venue's symbols"
            )
        if off_lot:
            self.off_lot += 1
        return ticks, lots

    def _snapshot(self, data: Any, number: int) -> None:
        self._touched_bids.update(self._bids)
        self._touched_asks.update(self._asks)
        self._bids = dict(self.level(p, s, number) for p, s in data.bids)
        self._asks = dict(self.level(p, s, number) for p, s in data.asks)
        self._touched_bids.update(self._bids)
        self._touched_asks.update(self._asks)
        self._update_id = data.lastUpdateId
        self._bids_up_to = max(self._bids, default=0)
        self._asks_down_to = min(self._asks, default=0)
        early, self._early = self._early, deque(maxlen=_EARLY_MAX)
        for event, event_number in early:
            self._depth(event, event_number)
        if self._top_id > self._update_id:
            self._apply_top()

    def _depth(self, data: Any, number: int) -> None:
        if not self._update_id:
            self._early.append((data, number))
            return
        if data.u <= self._update_id:
            return
        if self._update_id + 1 < data.U:
            self.gaps += 1
        self._update_id = data.u
        for levels, side, touched in (
            (data.b, self._bids, self._touched_bids),
            (data.a, self._asks, self._touched_asks),
        ):
            for price_text, size_text in levels:
                price, size = self.level(price_text, size_text, number)
                touched.add(price)
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        self._bids_up_to = max(self._bids, default=0)
        self._asks_down_to = min(self._asks, default=0)
        if self._top_id > self._update_id:
            self._apply_top()

    def _apply_top(self) -> None:
        """The touch is newer than the depth: set it, and drop what it proves gone."""
        assert self._top is not None
        bid, bid_size, ask, ask_size = self._top
        if self._bids_up_to > bid:
            for price in [p for p in self._bids if p > bid]:
                del self._bids[price]
                self._touched_bids.add(price)
        if self._asks_down_to < ask:
            for price in [p for p in self._asks if p < ask]:
                del self._asks[price]
                self._touched_asks.add(price)
        self._bids_up_to = bid
        self._asks_down_to = ask
        self._bids[bid] = bid_size
        self._asks[ask] = ask_size
        self._touched_bids.add(bid)
        self._touched_asks.add(ask)


def _changes(side: dict[int, int], told: dict[int, int], touched: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    # Sorted, so that the order does not hang on the set's hashing.
    for price in sorted(touched):
        size = side.get(price, 0)
        if told.get(price, 0) != size:
            found.append((price, size))
            if size:
                told[price] = size
            else:
                told.pop(price, None)
    touched.clear()
    return found


def _units(text: str, number: int) -> int:
    """A decimal string in units of 1e-8."""
    whole, dot, decimals = text.partition(".")
    if len(decimals) == 8 and dot and whole.isdecimal() and decimals.isdecimal():
        return int(whole + decimals)
    try:
        units = Decimal(text) * _UNIT
    except InvalidOperation:
        raise BadRecording(f"message {number} cannot be used: {text!r} is not a number") from None
    if not units.is_finite() or units < 0 or units != int(units):
        raise BadRecording(f"message {number} cannot be used: {text!r} is not a price or size") from None
    return int(units)
