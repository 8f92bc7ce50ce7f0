"""One pair's background book in the generated market: sizes by level, how they change, how trades eat them.

All prices are ticks, all sizes lots. The best of a side is the last of its sorted keys (sign·price).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort

from actors.venues.simulated.config import SymbolConfig

Changes = list[tuple[int, int]]

# Sizes in the common currency of values: a level near the touch, and the median trade.
_LEVEL_VALUE = 12_000.0
_TRADE_VALUE = 700.0
# Distance between levels, and how far the value may stray before the touch follows it, relative to the price.
_GAP = 0.00001
_BAND = 0.00001
# How strongly pressure tilts the sizes: at pressure 0.46 the heavy side has 2.5 times the other.
_TILT = 1.0


class Shape:
    """Random factors, drawn once and then picked: a pick costs a fraction of a draw."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._sizes = [math.exp(rng.gauss(-0.08, 0.4)) for _ in range(1024)]
        self._trades = [math.exp(rng.gauss(0.0, 1.2)) for _ in range(1024)]

    def size(self) -> float:
        return self._sizes[self.rng.getrandbits(10)]

    def trade(self) -> float:
        return self._trades[self.rng.getrandbits(10)]

    def below(self, bound: int) -> int:
        """A whole number in [0, bound), near enough to even; several times faster than randrange."""
        return self.rng.getrandbits(16) * bound >> 16


class _Side:
    __slots__ = ("keys", "sign", "sizes")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.sizes: dict[int, int] = {}

    def set(self, price: int, size: int, changes: dict[int, int]) -> None:
        if size:
            if price not in self.sizes:
                insort(self.keys, price * self.sign)
            self.sizes[price] = size
        elif price in self.sizes:
            del self.sizes[price]
            del self.keys[bisect_left(self.keys, price * self.sign)]
        else:
            return
        changes[price] = size


class PairBook:
    """A pair's background. `fair` is its value in quote units, `unit` the value of one lot."""

    def __init__(self, config: SymbolConfig, fair: float, unit: float, levels: int, shape: Shape) -> None:
        self.config = config
        self.symbol = config.symbol
        self._tick = float(config.tick_size)
        self._levels = levels
        self._shape = shape
        self._level_lots = max(2.0, _LEVEL_VALUE / unit)
        self._trade_lots = max(1.0, _TRADE_VALUE / unit)
        self._bids = _Side(1)
        self._asks = _Side(-1)
        self._gap = max(1, round(fair * _GAP / self._tick))
        bid = math.floor(fair / self._tick)
        for side, best in ((self._bids, bid), (self._asks, bid + 1)):
            price = best
            for depth in range(levels):
                if price <= 0:
                    break
                side.set(price, self._size(depth, 0.0), {})
                price -= side.sign * self._step()

    def everything(self) -> tuple[Changes, Changes]:
        """All bids and all asks."""
        return list(self._bids.sizes.items()), list(self._asks.sizes.items())

    def middle(self) -> float:
        return (self._bids.keys[-1] - self._asks.keys[-1]) / 2

    def typical_volume(self, trades: float) -> int:
        """Lots that so many trades move."""
        return max(1, int(trades * self._trade_lots * 2 * self._shape.size()))

    def change(self, fair: float, half_spread: float, pressure: float) -> tuple[Changes, Changes]:
        """Follow the value and refresh some sizes; returns the changed levels of both sides."""
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        self._follow(fair, half_spread, pressure, bids, asks)
        self._refresh(self._bids, pressure, bids)
        self._refresh(self._asks, -pressure, asks)
        return list(bids.items()), list(asks.items())

    def trade(self, buys: bool) -> tuple[Changes, Changes]:
        """Somebody takes: (prints best first, changed levels of the side that was hit)."""
        side = self._asks if buys else self._bids
        left = max(1, int(self._trade_lots * self._shape.trade()))
        prints: Changes = []
        changes: dict[int, int] = {}
        # A taker walks at most five levels, and a side never runs dry.
        while left and len(prints) < 5 and len(side.keys) > 5:
            price = side.keys[-1] * side.sign
            size = min(left, side.sizes[price])
            left -= size
            prints.append((price, size))
            side.set(price, side.sizes[price] - size, changes)
        return prints, list(changes.items())

    def _follow(
        self, fair: float, half_spread: float, pressure: float, bids: dict[int, int], asks: dict[int, int]
    ) -> None:
        at = max(fair / self._tick, 100.0)
        best_bid, best_ask = self._bids.keys[-1], -self._asks.keys[-1]
        half = at * half_spread
        band = at * _BAND + half
        is_near = best_bid - band <= at <= best_ask + band
        # Also close a spread that trades or a violent mood have torn open.
        if is_near and best_ask - best_bid <= 2 * (half + band) + 1:
            return
        bid = math.floor(at - half)
        ask = max(bid + 1, math.ceil(at + half))
        for side, best, tilt, changes in (
            (self._bids, bid, pressure, bids),
            (self._asks, ask, -pressure, asks),
        ):
            keys, sign = side.keys, side.sign
            while keys and keys[-1] > best * sign:
                side.set(keys[-1] * sign, 0, changes)
            old = keys[-1] if keys else best * sign - self._gap * 20
            key = best * sign
            # A jump fills at most a dozen new levels; what lies behind was there before.
            for depth in range(12):
                if key <= old:
                    break
                side.set(key * sign, self._size(depth, tilt), changes)
                key -= self._step()

    def _refresh(self, side: _Side, tilt: float, changes: dict[int, int]) -> None:
        below = self._shape.below
        keys = side.keys
        for _ in range(3):
            depth = below(min(12, len(keys)))
            side.set(keys[-1 - depth] * side.sign, self._size(depth, tilt), changes)
        depth = below(len(keys))
        side.set(keys[-1 - depth] * side.sign, self._size(depth, 0.0), changes)
        if len(keys) > self._levels + 10:
            for _ in range(10):
                side.set(keys[0] * side.sign, 0, changes)
        # A fast market clears many levels at once; the far end grows back at once too.
        for _ in range(self._levels - len(keys)):
            price = (keys[0] - self._step()) * side.sign
            if price > 0:
                side.set(price, self._size(len(keys), 0.0), changes)

    def _size(self, depth: int, tilt: float) -> int:
        shape = 0.5 + min(depth, 30) * 0.05
        factor = math.exp(_TILT * tilt) if tilt else 1.0
        return 1 + int(self._level_lots * shape * factor * self._shape.size())

    def _step(self) -> int:
        return 1 + self._shape.below(2 * self._gap)
