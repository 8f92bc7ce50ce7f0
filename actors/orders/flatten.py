"""Getting out in slices: no slice sells deeper into the book than the slippage cap, and the last resort
crosses.

A stop stands over what is not sold yet, so waiting for a better book is safe, and an empty one is no reason
to sell at any price. Only an exit that guards money (a stop that is missing, or does not fill) may cross at
the market, and a flatten whose slices met no buyer `tries_max` times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.messages import Level
from actors.orders.quantise import Grid


class Slice(NamedTuple):
    lots: int
    price_ticks: int | None
    """The limit of an IOC order; None: a market order."""


def next_slice(
    position_lots: int,
    bids: Sequence[Level],
    grid: Grid,
    *,
    cap: float,
    share: float,
    tries: int,
    tries_max: int,
) -> Slice | None:
    """The next part of a long position to sell, or None: nothing sensible can be sold into this book now.

    `bids` best first, empty if the book is unknown or stale; `cap` and `share` are fractions: of the best
    bid's price, and of the depth down to there that one slice may take. `tries`: slices in a row that did
    not fill.
    """
    if position_lots <= 0:
        return None
    if tries >= tries_max:
        return Slice(min(position_lots, grid.lots_max), None)
    if not bids:
        return None
    floor_price = bids[0][0] * (1 - cap)
    depth = 0.0
    for price, size in bids:
        if price < floor_price:
            break
        depth += size
    price_ticks = max(1, grid.ticks_below(floor_price))
    lots = min(position_lots, max(int(depth * share / float(grid.rules.lot)), grid.lots_min), grid.lots_max)
    # A slice or a rest that the venue would refuse for its size is taken along with the other.
    if grid.is_dust(lots, price_ticks) or grid.is_dust(position_lots - lots, price_ticks):
        lots = min(position_lots, grid.lots_max)
    return Slice(lots, price_ticks)


def is_through(best_bid: float, stop_price: float) -> bool:
    """The market stands below a sell stop: it should have filled."""
    return 0.0 < best_bid < stop_price
