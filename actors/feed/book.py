"""Order book of one instrument: absolute level sizes in, the best levels out.

Each side is two parallel sorted lists, keys for bisect and the levels as they came, with the best level at
the end: nearly all changes are near the best price, so what an insertion moves is short, and a view is one
slice. Asks are keyed by their negated price, so that both sides sort alike. (A C `SortedDict` or a lazily
sorted dict costs twice as much per diff and view, measured on recorded depth diffs.)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from actors.messages import Level

# Ends every list of keys, so that a search never runs off it.
_END = math.inf


class OrderBook:
    """Bids and asks by price, bounded: beyond `levels_max` a side, the worst fifth is forgotten.

    Prices must be above 0 and finite, sizes not negative and finite: the codec refuses all others.
    """

    __slots__ = ("_ask_keys", "_asks", "_bid_keys", "_bids", "_known_ask", "_known_bid", "levels_max")

    def __init__(self, levels_max: int = 5000) -> None:
        if levels_max < 1:
            raise ValueError(f"levels_max must be at least 1, not {levels_max}")
        self.levels_max = levels_max
        self.load((), ())

    def load(self, bids: Sequence[Level], asks: Sequence[Level], *, levels_asked: int | None = None) -> None:
        """Replace everything by a snapshot. A side with `levels_asked` levels was cut there by the venue:
        nothing is known beyond its worst level. None: the snapshot is the whole book."""
        # Through a dict, so that a price that is named twice cannot leave a ghost behind.
        self._bids = sorted({level[0]: level for level in bids if level[1]}.values())
        self._asks = sorted({level[0]: level for level in asks if level[1]}.values(), reverse=True)
        self._bid_keys = [level[0] for level in self._bids]
        self._ask_keys = [-level[0] for level in self._asks]
        self._bid_keys.append(_END)
        self._ask_keys.append(_END)
        cut = levels_asked is not None
        self._known_bid = self._bids[0][0] if cut and self._bids and len(bids) >= (levels_asked or 0) else 0.0
        self._known_ask = (
            self._asks[0][0] if cut and self._asks and len(asks) >= (levels_asked or 0) else _END
        )
        self._bound()

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set each level to its new size; 0 deletes it (one that is not there: nothing happens)."""
        # Written out twice: a call per side costs more than the lines.
        keys, levels = self._bid_keys, self._bids
        for level in bids:
            key, size = level
            at = bisect_left(keys, key)
            if keys[at] == key:
                if size:
                    levels[at] = level
                else:
                    del keys[at], levels[at]
            elif size:
                keys.insert(at, key)
                levels.insert(at, level)
        keys, levels = self._ask_keys, self._asks
        for level in asks:
            key, size = level
            key = -key
            at = bisect_left(keys, key)
            if keys[at] == key:
                if size:
                    levels[at] = level
                else:
                    del keys[at], levels[at]
            elif size:
                keys.insert(at, key)
                levels.insert(at, level)
        if len(levels) > self.levels_max or len(self._bids) > self.levels_max:
            self._bound()

    def bids(self, count: int) -> tuple[Level, ...]:
        """The best `count` bids, best first; fewer if there are fewer."""
        return tuple(self._bids[: -count - 1 : -1])

    def asks(self, count: int) -> tuple[Level, ...]:
        """The best `count` asks, best first; fewer if there are fewer."""
        return tuple(self._asks[: -count - 1 : -1])

    @property
    def best_bid(self) -> Level | None:
        return self._bids[-1] if self._bids else None

    @property
    def best_ask(self) -> Level | None:
        return self._asks[-1] if self._asks else None

    @property
    def is_crossed(self) -> bool:
        bids, asks = self._bids, self._asks
        return bool(bids and asks) and bids[-1][0] >= asks[-1][0]

    def knows(self, count: int) -> bool:
        """Whether the best `count` levels of both sides lie within what a snapshot ever covered.

        A level further out may exist at the venue without our ever having heard of it. Source: Binance
        spot documentation, "How to manage a local order book": levels outside the snapshot are unknown
        until they change.
        """
        bids, asks = self._bids, self._asks
        bid_known = bids[-count][0] >= self._known_bid if len(bids) >= count else not self._known_bid
        ask_known = asks[-count][0] <= self._known_ask if len(asks) >= count else self._known_ask == _END
        return bid_known and ask_known

    def __len__(self) -> int:
        return len(self._bids) + len(self._asks)

    def _bound(self) -> None:
        most = self.levels_max
        if (excess := len(self._bids) - most) > 0:
            excess += most // 5
            del self._bids[:excess], self._bid_keys[:excess]
            self._known_bid = max(self._known_bid, self._bids[0][0])
        if (excess := len(self._asks) - most) > 0:
            excess += most // 5
            del self._asks[:excess], self._ask_keys[:excess]
            self._known_ask = min(self._known_ask, self._asks[0][0])
