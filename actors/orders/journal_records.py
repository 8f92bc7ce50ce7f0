"""What orders keeps in the journal, and what it reads back after a crash.

Kinds: `ids` (numbers reserved), `intent` (an order that may be sent), `closed` (its end), `fill` (a `Fill`
as it stands in `actors/messages.py`, msgpack), `mark` (a summary, so that a start reads the tail of months,
not months).

The journal is a hint of what to ask, never the truth about what is: that is the venue's.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from actors.messages import Fill, OrderKind, OrderState, Purpose, Side, TimeInForce
from actors.orders.book_of_orders import FillIdentity, Order, identity
from actors.orders.client_ids import Block
from supervisor.journal.messages import Record, Stored

IDS, INTENT, CLOSED, FILL, MARK = "ids", "intent", "closed", "fill", "mark"
KINDS = (IDS, INTENT, CLOSED, FILL)

_encode = msgspec.msgpack.Encoder().encode


class Intent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order as it was about to be sent. Sizes in lots, prices in ticks."""

    client_id: str
    epoch: int
    instrument: str
    side: Side
    purpose: Purpose
    kind: OrderKind
    tif: TimeInForce
    size_lots: int
    price_ticks: int | None
    stop_ticks: int | None
    strategy: str
    intent_id: int
    replaces: str = ""


class Closed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How an order ended; `order_id` is the venue's number, 0 if it never had one."""

    client_id: str
    state: OrderState
    filled_lots: int
    order_id: int


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Everything that a start needs of the records up to `seq`. `coins`: what was held; `trades`: the last
    booked trade ids of each instrument; `stops`: where each position's stop was wanted, in ticks."""

    seq: int
    next_sequence: int
    live: tuple[Intent, ...]
    filled: dict[str, int]
    fills: tuple[tuple[FillIdentity, Decimal], ...]
    coins: dict[str, Decimal]
    trades: dict[str, tuple[int, ...]]
    stops: dict[str, int]


_intents = msgspec.msgpack.Decoder(Intent)
_ends = msgspec.msgpack.Decoder(Closed)
_fills = msgspec.msgpack.Decoder(Fill)
_blocks = msgspec.msgpack.Decoder(Block)
_marks = msgspec.msgpack.Decoder(Mark)


def intent_record(order: Order) -> Record:
    return Record(INTENT, order.client_id, _encode(intent_of(order)))


def intent_of(order: Order) -> Intent:
    return Intent(
        order.client_id,
        order.epoch,
        order.instrument,
        order.side,
        order.purpose,
        order.kind,
        order.tif,
        order.size_lots,
        order.price_ticks,
        order.stop_ticks,
        order.strategy,
        order.intent_id,
        order.replaces,
    )


def closed_record(order: Order) -> Record:
    # Keyed with the state: an order that was ended wrongly, worked after all and ended again has two ends.
    end = Closed(order.client_id, order.state, order.filled_lots, order.order_id)
    return Record(CLOSED, f"{order.client_id}/{order.state.value}/{order.filled_lots}", _encode(end))


def fill_record(fill: Fill) -> Record:
    key = f"{fill.account}|{fill.instrument}|{fill.trade_id}|{fill.order_id}"
    return Record(FILL, key, _encode(fill))


def ids_record(block: Block) -> Record:
    return Record(IDS, str(block.start), _encode(block))


def mark_record(mark: Mark, key: str) -> Record:
    return Record(MARK, key, _encode(mark))


def mark_seq(stored: Stored) -> int:
    """Up to where a mark speaks."""
    return _marks.decode(stored.body).seq


class JournalView:
    """What the journal believes, built record by record, oldest first."""

    def __init__(self) -> None:
        self.next_sequence = 1
        self.epoch_max = 0
        self.working: dict[str, Intent] = {}
        """Journalled, and not known to have ended."""
        self.filled: dict[str, int] = {}
        """client id -> lots, of those that the mark knew"""
        self.fills: dict[FillIdentity, Decimal] = {}
        self.fills_since: list[Fill] = []
        """Not in `coins` yet."""
        self.coins: dict[str, Decimal] | None = None
        """What was held at the mark; None before the first."""
        self.trades: dict[str, list[int]] = {}
        self.stops: dict[str, int] = {}
        self.records = 0

    def mark(self, stored: Stored) -> None:
        """Start from a mark."""
        mark = _marks.decode(stored.body)
        self._note(stored)
        self.next_sequence = max(self.next_sequence, mark.next_sequence)
        self.working = {intent.client_id: intent for intent in mark.live}
        self.filled = dict(mark.filled)
        self.fills = dict(mark.fills)
        self.coins = dict(mark.coins)
        self.trades = {instrument: list(ids) for instrument, ids in mark.trades.items()}
        self.stops = dict(mark.stops)

    def read(self, records: Iterable[Stored]) -> None:
        for stored in records:
            self._note(stored)
            if stored.kind == IDS:
                self.next_sequence = max(self.next_sequence, _blocks.decode(stored.body).end)
            elif stored.kind == INTENT:
                self._intent(_intents.decode(stored.body))
            elif stored.kind == CLOSED:
                self.working.pop(_ends.decode(stored.body).client_id, None)
            elif stored.kind == FILL:
                self._fill(_fills.decode(stored.body))

    def _note(self, stored: Stored) -> None:
        self.epoch_max = max(self.epoch_max, stored.epoch)
        self.records += 1

    def _intent(self, intent: Intent) -> None:
        self.working[intent.client_id] = intent
        if intent.purpose is Purpose.OPEN and intent.stop_ticks is not None:
            self.stops[intent.instrument] = intent.stop_ticks

    def _fill(self, fill: Fill) -> None:
        known = identity(fill)
        if known in self.fills:
            return
        self.fills[known] = fill.size
        self.fills_since.append(fill)
        self.trades.setdefault(fill.instrument, []).append(fill.trade_id)
