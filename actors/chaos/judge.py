"""The judge: what the venue's own record says went wrong. Every live test and every checker asks here.

Pure: a record (`GET /control/record` of the simulated venue) and what a journal kept come in, findings go out. It
believes neither the desk's log nor its counters. A position is what the venue's fills come to; the journal is asked
only what it holds. Amounts are Decimal in the coin's own unit, times microseconds of the venue's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

FINAL = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})

FillKey = tuple[str, int, int]
"""(symbol, trade id, order id): what makes a fill the same fill."""

RecordKey = tuple[int, int, str, str]
"""(epoch, sequence, kind, key) of a journal's record."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One step of an order. `quantity` and `executed` are its totals after it."""

    at_us: int
    what: str
    status: str
    executed: Decimal
    quantity: Decimal


class Order(msgspec.Struct, frozen=True):
    """An order that the venue accepted, and its life; `status` is the last one."""

    account: str
    symbol: str
    order_id: int
    client_id: str
    side: str
    type: str
    at_us: int
    status: str
    changes: tuple[Change, ...]


class Fill(msgspec.Struct, frozen=True, gc=False):
    """A fill as the venue booked it."""

    at_us: int
    account: str
    symbol: str
    trade_id: int
    order_id: int
    client_id: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_coin: str

    @property
    def key(self) -> FillKey:
        return self.symbol, self.trade_id, self.order_id


class Booked(NamedTuple):
    """A fill as a journal holds it."""

    symbol: str
    trade_id: int
    order_id: int
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_coin: str

    @property
    def key(self) -> FillKey:
        return self.symbol, self.trade_id, self.order_id


class Kept(NamedTuple):
    """Everything of a journal that a judge asks for."""

    keys: tuple[RecordKey, ...]
    intents: dict[str, int]
    """client id -> when it was committed, UTC nanoseconds"""
    fills: tuple[Booked, ...]


class Terms(NamedTuple):
    """What the venue demands of an order in one pair: below it, a holding is dust and can have no stop."""

    base: str
    lot: Decimal
    notional_min: Decimal


class Seen(NamedTuple):
    """What of a record is ours: one account's orders and fills under one prefix, oldest first."""

    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]


def ours(record: Mapping[str, Any], account: str, prefix: str) -> Seen:
    """Raises msgspec.ValidationError for what is not a venue's record."""
    orders = msgspec.convert(record["orders"], tuple[Order, ...], strict=False)
    fills = msgspec.convert(record["fills"], tuple[Fill, ...], strict=False)
    return Seen(
        tuple(each for each in orders if each.account == account and each.client_id.startswith(prefix)),
        tuple(each for each in fills if each.account == account and each.client_id.startswith(prefix)),
    )


# --- Orders -----------------------------------------------------------------------------------------------


def doubled(orders: Iterable[Order]) -> list[str]:
    """Client ids that the venue accepted more than once."""
    counts = Counter(order.client_id for order in orders)
    return sorted(client_id for client_id, count in counts.items() if count > 1)


def unjournalled(orders: Iterable[Order], intents: Iterable[str]) -> list[str]:
    """Client ids that the venue accepted and no journal knew of before."""
    known = set(intents)
    return sorted({order.client_id for order in orders} - known)


def left_working(orders: Iterable[Order]) -> list[str]:
    """Client ids of orders that are not at their end: after a desk that ended flat, there must be none."""
    return sorted(order.client_id for order in orders if order.status not in FINAL)


def next_after(orders: Iterable[Order], at_us: int) -> int | None:
    """When the venue accepted the first order after `at_us`; None if it never did."""
    return min((order.at_us for order in orders if order.at_us > at_us), default=None)


def in_flight(orders: Iterable[Order], intents: Mapping[str, int], at_us: int) -> list[str]:
    """Client ids of orders on their way to the venue at that moment: journalled (`intents`: when, in UTC
    nanoseconds) before it, accepted after it."""
    return sorted(
        order.client_id
        for order in orders
        if intents.get(order.client_id, order.at_us * 1000) // 1000 < at_us < order.at_us
    )


# --- Fills ------------------------------------------------------------------------------------------------


def moved(fill: Fill | Booked, base: str) -> Decimal:
    """By how much a fill changed the holding of the base coin, its fee included."""
    fee = fill.fee if fill.fee_coin == base else Decimal(0)
    return (fill.quantity if fill.side == "BUY" else -fill.quantity) - fee


def held(fills: Iterable[Fill | Booked], base: str, symbol: str) -> Decimal:
    """What the fills of one pair come to, in its base coin."""
    return sum((moved(fill, base) for fill in fills if fill.symbol == symbol), Decimal(0))


def is_held(fills: Sequence[Fill], terms: Mapping[str, Terms], at_us: int) -> bool:
    """Whether, at that moment, more than dust was held in any pair."""
    past = [fill for fill in fills if fill.at_us <= at_us]
    for symbol, each in terms.items():
        price = max((fill.price for fill in past if fill.symbol == symbol), default=Decimal(0))
        if held(past, each.base, symbol) * price >= each.notional_min:
            return True
    return False


def position_off(
    fills: Sequence[Fill | Booked], record: Mapping[str, Any], account: str, terms: Mapping[str, Terms]
) -> dict[str, Decimal]:
    """What was there at the start and what the fills come to, less what the venue says is there now, by base coin;
    empty where it agrees. Right while each base coin is traded in one pair only."""
    found = {}
    for symbol, each in terms.items():
        expected = _balance(record["initial_balances"], account, each.base) + held(fills, each.base, symbol)
        off = expected - _balance(record["balances"], account, each.base)
        if off:
            found[each.base] = off
    return found


def _balance(balances: Mapping[str, Any], account: str, coin: str) -> Decimal:
    there = balances[account].get(coin, {})
    return sum((Decimal(amount) for amount in there.values()), Decimal(0))


def oversold(fills: Iterable[Fill], terms: Mapping[str, Terms]) -> list[FillKey]:
    """Fills after which a pair had been sold further than it was bought."""
    found = []
    positions: dict[str, Decimal] = {}
    for fill in fills:
        positions[fill.symbol] = positions.get(fill.symbol, Decimal(0)) + moved(fill, terms[fill.symbol].base)
        if positions[fill.symbol] < 0:
            found.append(fill.key)
    return found


def most_held(fills: Iterable[Fill], terms: Mapping[str, Terms], from_us: int, to_us: int) -> Decimal:
    """The most that one pair was worth within a window, in its quote coin at the price of the fill: above one entry's
    size, an entry was made twice."""
    most = Decimal(0)
    positions: dict[str, Decimal] = {}
    for fill in fills:
        positions[fill.symbol] = positions.get(fill.symbol, Decimal(0)) + moved(fill, terms[fill.symbol].base)
        if from_us <= fill.at_us < to_us:
            most = max(most, positions[fill.symbol] * fill.price)
    return most


class Ledger(NamedTuple):
    """The venue's fills against a journal's."""

    missing: list[FillKey]
    """The venue has them, the journal does not."""
    invented: list[FillKey]
    """The journal has them, the venue does not, or with another price, size or fee."""
    doubled: list[FillKey]
    """The journal counts them more than once."""


def reconcile(fills: Sequence[Fill], booked: Sequence[Booked]) -> Ledger:
    """Every fill once: (symbol, trade id, order id) is its identity, price, size and fee must be equal."""
    theirs = {fill.key: fill for fill in fills}
    counts = Counter(entry.key for entry in booked)
    return Ledger(
        missing=sorted(theirs.keys() - counts.keys()),
        invented=sorted({entry.key for entry in booked if not _same(entry, theirs.get(entry.key))}),
        doubled=sorted(key for key, count in counts.items() if count > 1),
    )


def _same(entry: Booked, fill: Fill | None) -> bool:
    return fill is not None and entry[3:] == (
        fill.side,
        fill.price,
        fill.quantity,
        fill.fee,
        fill.fee_coin,
    )


# --- Epochs -----------------------------------------------------------------------------------------------


def broken_epochs(epochs: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbours of a list of epochs, one a start, that are not one apart."""
    return [(one, two) for one, two in pairwise(epochs) if two != one + 1]
