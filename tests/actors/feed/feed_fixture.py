"""A venue's truth for tests of the feed: a dict book that makes its own diffs, snapshots and tickers."""

from __future__ import annotations

import random

from actors.messages import BookTicker, DepthDiff, DepthSnapshot, Level

INSTRUMENT = "binance/BTCUSDT"
START_ID = 1000


def diff(
    first_id: int,
    last_id: int,
    bids: list[Level] | None = None,
    asks: list[Level] | None = None,
    *,
    previous_id: int | None = None,
    received_ns: int = 0,
) -> DepthDiff:
    return DepthDiff(
        instrument=INSTRUMENT,
        first_id=first_id,
        last_id=last_id,
        previous_id=previous_id,
        bids=bids or [],
        asks=asks or [],
        venue_ns=last_id * 1_000_000,
        received_ns=received_ns,
    )


def snapshot(last_id: int, bids: list[Level] | None = None, asks: list[Level] | None = None) -> DepthSnapshot:
    return DepthSnapshot(
        instrument=INSTRUMENT,
        last_id=last_id,
        bids=[(99.0, 1.0), (98.0, 2.0)] if bids is None else bids,
        asks=[(101.0, 1.0), (102.0, 2.0)] if asks is None else asks,
        received_ns=0,
    )


def ticker(
    update_id: int, bid: Level = (99.0, 1.0), ask: Level = (101.0, 1.0), *, received_ns: int = 0
) -> BookTicker:
    return BookTicker(
        instrument=INSTRUMENT,
        update_id=update_id,
        bid=bid[0],
        bid_size=bid[1],
        ask=ask[0],
        ask_size=ask[1],
        received_ns=received_ns,
    )


class Truth:
    """The exchange's own book. `futures` makes ids with holes between diffs and names the diff before."""

    def __init__(self, seed: int, *, levels: int = 60, futures: bool = False) -> None:
        self._random = random.Random(seed)
        self._futures = futures
        self.update_id = START_ID
        self.bids = {float(1000 - n): 1.0 + n for n in range(levels)}
        self.asks = {float(1001 + n): 1.0 + n for n in range(levels)}
        self.best_at: dict[int, tuple[Level, Level]] = {}
        self.books_at: dict[int, tuple[dict[float, float], dict[float, float]]] = {}
        self._note()

    def diff(self) -> DepthDiff:
        """Change a few levels, never crossing, and say so."""
        chance = self._random
        before = self.update_id
        first = before + 1 + (chance.randrange(1, 5) if self._futures else 0)
        last = first + chance.randrange(0, 4)
        bids: dict[float, float] = {}
        asks: dict[float, float] = {}
        for _ in range(chance.randrange(1, 8)):
            side, changed, best = (
                (self.bids, bids, max(self.bids))
                if chance.random() < 0.5
                else (self.asks, asks, min(self.asks))
            )
            step = chance.randrange(0, 40)
            price = best - step if side is self.bids else best + step
            size = float(chance.randrange(0, 3)) if len(side) > 30 else 1.0
            if not size and len(side) <= 30:
                continue
            changed[price] = size
            if size:
                side[price] = size
            else:
                side.pop(price, None)
        self.update_id = last
        self._note()
        return diff(
            first,
            last,
            list(bids.items()),
            list(asks.items()),
            previous_id=before if self._futures else None,
        )

    def snapshot(self, levels: int = 1000) -> DepthSnapshot:
        bids = sorted(self.bids.items(), reverse=True)[:levels]
        return snapshot(self.update_id, list(bids), sorted(self.asks.items())[:levels])

    def ticker(self) -> BookTicker:
        bid, ask = self.best_at[self.update_id]
        return ticker(self.update_id, bid, ask)

    def _note(self) -> None:
        bid, ask = max(self.bids), min(self.asks)
        self.best_at[self.update_id] = ((bid, self.bids[bid]), (ask, self.asks[ask]))
        self.books_at[self.update_id] = (dict(self.bids), dict(self.asks))
