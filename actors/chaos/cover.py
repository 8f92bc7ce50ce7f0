"""The stop over every position, from the venue's own record: when it was not there, for how long, and why.

Pure. A position is covered by the open part of the stop orders that stand for it at that moment (a stop that has
triggered is none any more). What is less than the venue takes an order for is dust, and needs none. What happens in
one microsecond is one step: a cancel-replace leaves no gap by being two changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from actors.chaos.judge import FINAL, Change, Fill, Order, Terms, moved

S_US = 1_000_000
# How long the first stop of a position, or of what it grew by, may take to stand at the venue.
PLACING_S = 3.0
# On spot a stop holds its coins, so an exit takes its place in one step; if nobody buys, the position is bare until the
# answer has come and a new stop has gone the same way. Two ways at the slowest venue played here, and a commit.
EXIT_S = 0.5
# A stop is valued at its own price, below the market's; what is this near to the venue's minimum may be refused.
DUST_MARGIN = Decimal("1.02")
STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT"})


class Gap(NamedTuple):
    """A time in which a position, or a part of it, had no working stop at the venue."""

    symbol: str
    from_us: int
    to_us: int
    is_first: bool
    """The position had just been opened or had grown; otherwise a stop stood, and went."""
    is_exit: bool = False
    """It went because an exit took its place, which then did not sell all."""

    @property
    def lasted_s(self) -> float:
        return (self.to_us - self.from_us) / S_US

    @property
    def over_s(self) -> float:
        """Beyond what is allowed: a first stop has PLACING_S, a stop that went has nothing."""
        return max(0.0, self.lasted_s - (PLACING_S if self.is_first else 0.0))

    @property
    def wrong_s(self) -> float:
        """Beyond what can be: as `over_s`, and EXIT_S for an exit that found nobody."""
        return max(0.0, self.over_s - (EXIT_S if self.is_exit else 0.0))


class Step(NamedTuple):
    """What one event changes: the holding by `moved` at `price`, or what order `stop` covers to `covers`."""

    at_us: int
    moved: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    stop: int = 0
    covers: Decimal = Decimal(0)
    is_exit: bool = False


def gaps(
    orders: Iterable[Order], fills: Iterable[Fill], terms: Mapping[str, Terms], until_us: int
) -> list[Gap]:
    """Every gap up to `until_us`, in each pair of `terms`, oldest first within a pair."""
    orders, fills = tuple(orders), tuple(fills)
    found: list[Gap] = []
    for symbol, each in terms.items():
        steps = [
            *(
                Step(fill.at_us, moved(fill, each.base), fill.price)
                for fill in fills
                if fill.symbol == symbol
            ),
            *(
                Step(order.at_us, is_exit=True)
                for order in orders
                if order.symbol == symbol and order.type not in STOPS and order.side == "SELL"
            ),
            *(
                step
                for order in orders
                if order.symbol == symbol and order.type in STOPS and order.side == "SELL"
                for step in _covering(order)
            ),
        ]
        found += _walk(symbol, each, sorted(steps, key=lambda step: step.at_us), until_us)
    return found


def unprotected_s(found: Iterable[Gap]) -> float:
    """The sum of what was beyond the allowed."""
    return sum(gap.over_s for gap in found)


def bare_s(gap: Gap, dead: Iterable[tuple[int, int]]) -> float:
    """How much of a gap fell into times (from, to) in which no desk ran: no desk could have ended it then."""
    return sum(max(0, min(gap.to_us, to_us) - max(gap.from_us, from_us)) for from_us, to_us in dead) / S_US


def wrong_s(gap: Gap, dead: Sequence[tuple[int, int]]) -> float:
    """Of what was beyond what can be, how much a desk that ran answers for."""
    return max(0.0, gap.wrong_s - bare_s(gap, dead))


def longest_s(found: Iterable[Gap], *, first: bool) -> float:
    """The longest time to a first stop, or the longest time for which a stop that stood was gone."""
    return max((gap.lasted_s for gap in found if gap.is_first is first), default=0.0)


def within(found: Iterable[Gap], from_us: int, to_us: int) -> list[Gap]:
    """The gaps that touch a window."""
    return [gap for gap in found if gap.from_us < to_us and gap.to_us > from_us]


def _covering(order: Order) -> Iterable[Step]:
    triggered = False
    for change in order.changes:
        triggered = triggered or change.what == "TRIGGERED"
        yield Step(change.at_us, stop=order.order_id, covers=_open(change, triggered))


def _open(change: Change, triggered: bool) -> Decimal:
    if triggered or change.status in FINAL:
        return Decimal(0)
    return change.quantity - change.executed


def _walk(symbol: str, terms: Terms, steps: Sequence[Step], until_us: int) -> list[Gap]:
    found: list[Gap] = []
    holding = price = Decimal(0)
    covers: dict[int, Decimal] = {}
    since_us: int | None = None
    is_first = is_exit = False
    for at_us, group in groupby(steps, key=lambda step: step.at_us):
        grew = sold = False
        for step in group:
            holding += step.moved
            grew = grew or step.moved > 0
            price = step.price or price
            sold = sold or step.is_exit
            if step.stop:
                covers[step.stop] = step.covers
        bare = holding - sum(covers.values(), Decimal(0))
        lots = bare // terms.lot
        is_bare = lots > 0 and lots * terms.lot * price >= terms.notional_min * DUST_MARGIN
        if is_bare and since_us is None:
            since_us, is_first, is_exit = at_us, grew, sold
        elif not is_bare and since_us is not None:
            found.append(Gap(symbol, since_us, at_us, is_first, is_exit))
            since_us = None
    if since_us is not None:
        found.append(Gap(symbol, since_us, max(until_us, since_us), is_first, is_exit))
    return found
