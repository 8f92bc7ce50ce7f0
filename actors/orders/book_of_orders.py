"""The orders that we know of: those that may still work, the last that ended, and the fills already counted.

Bounded: `live_max` working ones (a new OPEN is refused above it), a ring of ended ones for words that come
late, and a ring of fill identities. What falls out of the rings is still in the journal and at the venue.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

from actors.messages import Fill, OrderKind, OrderState, Purpose, Side, TimeInForce
from actors.orders.lifecycle import AT_VENUE, TERMINAL, Event, advance
from actors.orders.unknown import Doubt

FillIdentity = tuple[str, str, int, int]
"""(account, instrument, trade id, order id); the account is named with its venue."""


class Order:
    """One order of ours. Sizes in lots, prices in ticks, `_ns` on the monotonic clock unless it says wall."""

    __slots__ = (
        "approved_by_ns",
        "cancel_again_ns",
        "cancel_tries",
        "cancel_wanted",
        "client_id",
        "deadline_ns",
        "doubt",
        "epoch",
        "filled_lots",
        "iceberg_lots",
        "instrument",
        "intent_id",
        "kind",
        "opened_ns",
        "order_id",
        "owed",
        "price_ticks",
        "purpose",
        "reason",
        "replaced_by",
        "replaces",
        "reported_lots",
        "reservation_id",
        "said",
        "sent_ns",
        "sent_wall_ns",
        "side",
        "size_lots",
        "state",
        "stop_ticks",
        "strategy",
        "tif",
        "verified_wall_ns",
    )

    def __init__(
        self,
        client_id: str,
        instrument: str,
        side: Side,
        purpose: Purpose,
        kind: OrderKind,
        tif: TimeInForce,
        size_lots: int,
        price_ticks: int | None,
        stop_ticks: int | None,
    ) -> None:
        self.client_id = client_id
        self.instrument = instrument
        self.side = side
        self.purpose = purpose
        self.kind = kind
        self.tif = tif
        self.size_lots = size_lots
        self.price_ticks = price_ticks
        self.stop_ticks = stop_ticks
        self.iceberg_lots: int | None = None
        self.strategy = "orders"
        self.intent_id = 0
        self.reservation_id = 0
        self.epoch = 0
        self.state = OrderState.PLANNED
        # Booked by fills, each counted once; and the highest total that the venue reported, which may be
        # ahead.
        self.filled_lots = 0
        self.reported_lots = 0
        # The venue has ended it, but fills that it counts are not here yet: the end waits for them.
        self.owed: Event | None = None
        self.order_id = 0
        # The order that this one takes the place of, in one request.
        self.replaces = ""
        # While it is being cancelled in one request with the placing of another: that one's id.
        self.replaced_by = ""
        self.approved_by_ns = 0  # not to be sent after this
        self.deadline_ns = 0  # the venue cannot accept it after this
        self.sent_ns = 0
        self.sent_wall_ns = 0
        self.opened_ns = 0
        self.verified_wall_ns = 0  # PROTECT: when the venue last said that it works
        self.cancel_wanted = ""  # why it is to be cancelled, as soon as it can be
        self.cancel_tries = 0
        self.cancel_again_ns = 0
        self.doubt: Doubt | None = None
        self.reason = ""
        self.said: tuple[OrderState, int] | None = None  # what was announced last

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def may_work(self) -> bool:
        """The venue may have it working, as far as anyone here knows."""
        return self.state in AT_VENUE and self.owed is None

    @property
    def remaining_lots(self) -> int:
        """What it may still execute; 0 once it ended, or once the venue said so."""
        if self.owed is not None or self.state in TERMINAL:
            return 0
        return self.size_lots - max(self.filled_lots, self.reported_lots)

    @property
    def fills_missing(self) -> bool:
        return self.reported_lots > self.filled_lots

    def __repr__(self) -> str:
        return f"<{self.client_id} {self.side.value} {self.size_lots} {self.kind.value} {self.state.value}>"


class OrdersKnown:
    """Finds an order by client id or by the venue's number, and counts each fill once."""

    def __init__(self, *, live_max: int, recent_max: int, fills_max: int = 10_000) -> None:
        self.live: dict[str, Order] = {}
        self.live_max = live_max
        self._recent: OrderedDict[str, Order] = OrderedDict()
        self._recent_max = recent_max
        # The venue counts its orders in each pair by itself: the same number is another order elsewhere.
        self._numbers: dict[tuple[str, int], Order] = {}
        self._seen: OrderedDict[FillIdentity, Decimal] = OrderedDict()
        self._fills_max = fills_max
        self.fills_repeated = 0

    def add(self, order: Order) -> None:
        """Raises ValueError if the id was used before: a number that repeats is the one thing that must not
        be."""
        if order.client_id in self.live or order.client_id in self._recent:
            raise ValueError(
                f"order id {order.client_id} is used twice: the journal's blocks of numbers and this process "
                "disagree. Nothing was sent; orders starts anew and reads the blocks again"
            )
        self.live[order.client_id] = order

    def get(self, client_id: str) -> Order | None:
        return self.live.get(client_id) or self._recent.get(client_id)

    def numbered(self, instrument: str, order_id: int) -> Order | None:
        """The order by the venue's own number, once a report has told it."""
        return self._numbers.get((instrument, order_id))

    def note_number(self, order: Order, order_id: int) -> None:
        if order_id > 0 and order.order_id != order_id:
            order.order_id = order_id
            self._numbers[order.instrument, order_id] = order

    def of(self, instrument: str, purpose: Purpose | None = None) -> Iterator[Order]:
        """The live orders of one instrument, oldest first."""
        for order in self.live.values():
            if order.instrument == instrument and (purpose is None or order.purpose is purpose):
                yield order

    def move(self, order: Order, event: Event) -> bool:
        """Advance the order by the table; keeps live and ended ones apart. True if its state changed."""
        before = order.state
        after = advance(order.client_id, before, event)
        if after is before:
            return False
        order.state = after
        if after is not OrderState.CANCELLING:
            order.replaced_by = ""
        if after is OrderState.UNKNOWN:
            order.doubt = order.doubt or Doubt(order.deadline_ns)
        else:
            order.doubt = None
        if after in TERMINAL:
            if before not in TERMINAL:
                self._retire(order)
        elif before in TERMINAL:
            # It works after all.
            self._recent.pop(order.client_id, None)
            self.live[order.client_id] = order
        return True

    def count_fill(self, identity: FillIdentity, size: Decimal) -> bool:
        """True if this execution, of so many coins, was not counted before."""
        if identity in self._seen:
            self.fills_repeated += 1
            return False
        self._seen[identity] = size
        if len(self._seen) > self._fills_max:
            self._seen.popitem(last=False)
        return True

    def has_counted(self, identity: FillIdentity) -> bool:
        return identity in self._seen

    def last_fills(self, count: int) -> list[tuple[FillIdentity, Decimal]]:
        return list(self._seen.items())[-count:]

    def counted_size(self, instrument: str, order_id: int) -> Decimal:
        """What was counted of one order of the venue's, by lives before this one too."""
        return sum(
            (size for known, size in self._seen.items() if (known[1], known[3]) == (instrument, order_id)),
            Decimal(0),
        )

    def _retire(self, order: Order) -> None:
        self.live.pop(order.client_id, None)
        self._recent[order.client_id] = order
        if len(self._recent) > self._recent_max:
            _, oldest = self._recent.popitem(last=False)
            self._numbers.pop((oldest.instrument, oldest.order_id), None)


def identity(fill: Fill) -> FillIdentity:
    return (fill.account, fill.instrument, fill.trade_id, fill.order_id)
