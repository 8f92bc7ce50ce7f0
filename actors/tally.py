"""What one run did, counted from the events it published, and compared with the venue's own record.

Pure. `Tally` subscribes to a runtime's events. `compare` is the judge: it takes the record that the simulated
venue kept by itself, so an engine that deceives itself is found out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from actors.messages import (
    FeedReport,
    Fill,
    OrderChanged,
    OrderState,
    PortfolioReport,
    ProtectionChanged,
    RefusedOrder,
)
from supervisor.events import ChildCrashed, ChildStarted
from supervisor.message import Message

# How an order's last state reads in the venue's words. What never reached the venue has none.
VENUE_WORDS = {
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
}

ENDED = frozenset(VENUE_WORDS.values())
# By our word it never stood at the venue: then the venue has none of it, working or ended.
NEVER_THERE = frozenset({OrderState.NOT_SENT, OrderState.REJECTED})

FillKey = tuple[str, int, int]
"""(symbol, trade id, order id)"""


class Tally:
    """Counts of one run. Bounded: one entry for each order and fill of the run."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderState] = {}
        self.fills: dict[FillKey, Fill] = {}
        self.fills_twice = 0
        self.refusals: Counter[str] = Counter()
        self.intents: set[int] = set()
        self.portfolio: PortfolioReport | None = None
        self.protections: dict[str, ProtectionChanged] = {}
        self.crashes: Counter[str] = Counter()
        self.restarts = 0
        # Books told so far, by instrument: of the lives before, and of the last report of this one.
        self._books: dict[str, tuple[int, int]] = {}

    def go_on_from(self, orders: Mapping[str, OrderState], fills: Iterable[Fill]) -> None:
        """Count what earlier lives of the same run did as well: the ends of orders, and fills."""
        self.orders.update(orders)
        self.fills.update((_key(fill), fill) for fill in fills)

    def __call__(self, event: Message) -> None:
        match event:
            case OrderChanged():
                self.orders[event.client_id] = event.state
                self.intents.add(event.intent_id)
            case Fill():
                key = _key(event)
                self.fills_twice += key in self.fills
                self.fills[key] = event
            case RefusedOrder():
                self.refusals[event.reason] += 1
                self.intents.add(event.intent_id)
            case PortfolioReport():
                self.portfolio = event
            case FeedReport():
                before, last = self._books.get(event.instrument, (0, 0))
                # A counter that went back is that of a new life.
                self._books[event.instrument] = (before + last if event.books < last else before, event.books)
            case ProtectionChanged():
                self.protections[event.instrument] = event
            case ChildCrashed():
                self.crashes[event.name] += 1
            case ChildStarted():
                self.restarts += event.incarnation > 1
            case _:
                pass

    @property
    def books(self) -> int:
        return sum(before + last for before, last in self._books.values())

    def orders_by_state(self) -> dict[str, int]:
        return dict(sorted(Counter(state.value for state in self.orders.values()).items()))

    def fees(self) -> dict[str, Decimal]:
        return fees_by_coin((fill.fee_coin, fill.fee) for fill in self.fills.values())


def _key(fill: Fill) -> FillKey:
    return symbol_of(fill.instrument), fill.trade_id, fill.order_id


def symbol_of(instrument: str) -> str:
    """The venue's symbol in an instrument's name: "binance/BTCUSDT" is BTCUSDT there."""
    return instrument.rpartition("/")[2]


def fees_by_coin(fees: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for coin, fee in fees:
        if fee:
            total[coin] = total.get(coin, Decimal(0)) + fee
    return total


class VenueFill(msgspec.Struct, frozen=True):
    """A fill as the venue recorded it (the fields that are compared)."""

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


def compare(tally: Tally, record: Mapping[str, Any], account: str, prefix: str) -> list[str]:
    """Differences between a run and the venue's record of `account`, in words; empty when they agree.

    `prefix` tells our client ids from the owner's. Compared: every fill with its price, size and
    fee; the last state of every order that the venue accepted; each order known here as accepted.
    """
    theirs = {
        (fill.symbol, fill.trade_id, fill.order_id): fill
        for fill in msgspec.convert(record["fills"], list[VenueFill], strict=False)
        if fill.account == account and fill.client_id.startswith(prefix)
    }
    return [
        *_fill_differences(tally.fills, theirs),
        *_order_differences(tally.orders, record["orders"], account, prefix),
        *([f"{tally.fills_twice} fills were published twice"] if tally.fills_twice else []),
    ]


def _fill_differences(ours: Mapping[FillKey, Fill], theirs: Mapping[FillKey, VenueFill]) -> Iterable[str]:
    for key in sorted(theirs.keys() - ours.keys()):
        yield f"fill {key} stands in the venue's record and not in ours"
    for key in sorted(ours.keys() - theirs.keys()):
        yield f"fill {key} stands in our record and not in the venue's"
    for key in sorted(ours.keys() & theirs.keys()):
        mine, yours = ours[key], theirs[key]
        own = (mine.client_id, mine.side.value, mine.price, mine.size, mine.fee, mine.fee_coin)
        venue = (yours.client_id, yours.side, yours.price, yours.quantity, yours.fee, yours.fee_coin)
        if own != venue:
            yield f"fill {key}: we booked {own}, the venue {venue}"


def _order_differences(
    ours: Mapping[str, OrderState], record: Iterable[Mapping[str, Any]], account: str, prefix: str
) -> Iterable[str]:
    theirs: dict[str, str] = {}
    for entry in record:
        if entry["account"] != account or not entry["client_id"].startswith(prefix):
            continue
        if entry["client_id"] in theirs:
            yield f"client id {entry['client_id']} was accepted twice by the venue"
        theirs[entry["client_id"]] = entry["status"]
    for client_id in sorted(theirs.keys() - ours.keys()):
        yield f"order {client_id} stands in the venue's record and not in ours"
    for client_id, state in sorted(ours.items()):
        word = VENUE_WORDS.get(state)
        if word is not None and theirs.get(client_id) != word:
            yield f"order {client_id}: we say {word}, the venue {theirs.get(client_id, 'nothing')}"
        elif word is None and client_id in theirs and (state in NEVER_THERE or theirs[client_id] in ENDED):
            yield f"order {client_id}: we say {state.value}, the venue {theirs[client_id]}"
