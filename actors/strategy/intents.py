"""The orders of a round trip, priced from the touch: the OPEN with its stop and target, the REDUCE."""

from __future__ import annotations

import math

from actors.messages import Book, InstrumentRules, OrderIntent, OrderKind, Purpose, Side, TimeInForce
from actors.strategy.config import TripConfig

BPS = 1e-4


class Grid:
    """Tick and lot of one instrument as floats, made once, since Decimals are too slow for every book."""

    __slots__ = ("lot", "rules", "tick")

    def __init__(self, rules: InstrumentRules) -> None:
        self.rules = rules
        self.tick = float(rules.tick)
        self.lot = float(rules.lot)


def target_distance(config: TripConfig, tick: float, price: float) -> float:
    """How far in profit the trip is left, in price: the farther of `target_ticks` and `target_bps`."""
    return max(config.target_ticks * tick, config.target_bps * BPS * price)


def stop_distance_ticks(config: TripConfig, tick: float, price: float) -> int:
    """`stop_ticks`, or the floor in basis points of the price where that is wider; rounded away from it."""
    # The small allowance keeps a floor that is a whole number of ticks from becoming one more by rounding.
    return max(config.stop_ticks, math.ceil(config.stop_floor_bps * BPS * price / tick - 1e-6))


def open_intent(
    config: TripConfig,
    grid: Grid,
    strategy: str,
    side: Side,
    book: Book,
    now_ns: int,
    new_id: int,
    reason: str,
) -> OrderIntent:
    """Buys (sells) at the touch: the other side's for "ioc", its own for "post_only"."""
    takes = config.entry == "ioc"
    touch = book.asks if (side is Side.BUY) is takes else book.bids
    price_ticks = round(touch[0][0] / grid.tick)
    price = price_ticks * grid.tick
    away = 1 if side is Side.BUY else -1
    return OrderIntent(
        intent_id=new_id,
        strategy=strategy,
        instrument=book.instrument,
        side=side,
        purpose=Purpose.OPEN,
        kind=OrderKind.LIMIT if takes else OrderKind.POST_ONLY,
        tif=TimeInForce.IOC if takes else TimeInForce.GTC,
        size_lots=int(config.notional / (price * grid.lot)),
        price_ticks=price_ticks,
        stop_ticks=price_ticks - away * stop_distance_ticks(config, grid.tick, price),
        target_ticks=price_ticks
        + away * max(1, round(target_distance(config, grid.tick, price) / grid.tick)),
        decided_ns=now_ns,
        reason=reason,
    )


def reduce_intent(
    config: TripConfig,
    grid: Grid,
    strategy: str,
    size_lots: int,
    book: Book,
    now_ns: int,
    new_id: int,
    reason: str,
) -> OrderIntent:
    """Leaves a position of `size_lots` (signed) by an IOC limit through the touch."""
    side = Side.SELL if size_lots > 0 else Side.BUY
    touch_ticks = round((book.bids if side is Side.SELL else book.asks)[0][0] / grid.tick)
    through = int(touch_ticks * config.exit_through_bps * BPS)
    return OrderIntent(
        intent_id=new_id,
        strategy=strategy,
        instrument=book.instrument,
        side=side,
        purpose=Purpose.REDUCE,
        kind=OrderKind.LIMIT,
        tif=TimeInForce.IOC,
        size_lots=abs(size_lots),
        price_ticks=touch_ticks - through if side is Side.SELL else touch_ticks + through,
        decided_ns=now_ns,
        reason=reason,
    )
