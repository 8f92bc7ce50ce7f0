"""From permission to the wire: number, journal, last checks, send; and cancels.

An order is written down before it leaves. When the journal has it, everything that may have changed
meanwhile is looked at again: lease, kill, mode, time, and for an exit the position that it is to sell.
"""

from __future__ import annotations

from actors.messages import (
    ApprovedOrder,
    CancelOrder,
    OrderIntent,
    OrderKind,
    OrderState,
    PlaceOrder,
    Purpose,
    ReplaceOrder,
    TimeInForce,
)
from actors.orders.book_of_orders import Order
from actors.orders.client_ids import Block
from actors.orders.desk import Desk, Line, S
from actors.orders.journal_records import closed_record, ids_record, intent_record
from actors.orders.lifecycle import Event
from actors.orders.protection import stop_kind

_STOPS = (OrderKind.STOP_MARKET, OrderKind.STOP_LIMIT)


class Sender:
    """Sends, withholds, cancels. The one place where an order's number is taken and its wish is told."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answer_ns = int(desk.config.answer_s * S)

    # -- in ----------------------------------------------------------------------------------------

    def enter(self, approved: ApprovedOrder) -> None:
        """An OPEN order that risk approved."""
        desk = self._desk
        intent = approved.intent
        line = desk.lines.get(intent.instrument)
        refusal = desk.entry_refusal() or self._unfit(intent, line)
        if not refusal and self.prepare(approved) is None:
            refusal = "no_ids"
        if refusal:
            self.refuse(approved, refusal)

    def prepare(self, approved: ApprovedOrder, replaces: str = "") -> Order | None:
        """Number an approved order and journal it; it is sent when the journal has it. None: no number is
        left."""
        desk = self._desk
        intent = approved.intent
        sequences = desk.sequences
        client_id = sequences.take(intent.purpose) if sequences is not None else None
        if sequences is None or client_id is None:
            return None
        order = Order(
            client_id,
            intent.instrument,
            intent.side,
            intent.purpose,
            intent.kind,
            intent.tif,
            intent.size_lots,
            intent.price_ticks,
            intent.stop_ticks,
        )
        order.iceberg_lots = intent.iceberg_lots
        order.strategy = intent.strategy
        order.intent_id = intent.intent_id
        order.reservation_id = approved.reservation_id
        order.approved_by_ns = approved.send_by_ns
        order.epoch = desk.epoch
        order.replaces = replaces
        order.sent_ns = desk.shell.now_ns
        desk.known.add(order)
        desk.append((intent_record(order),), order)
        return order

    def refuse(self, approved: ApprovedOrder, reason: str) -> None:
        """Say that an approved order will not be sent; it never had a number."""
        intent = approved.intent
        order = Order(
            f"unsent{intent.intent_id}",
            intent.instrument,
            intent.side,
            intent.purpose,
            intent.kind,
            intent.tif,
            intent.size_lots,
            intent.price_ticks,
            intent.stop_ticks,
        )
        order.strategy = intent.strategy
        order.intent_id = intent.intent_id
        order.reservation_id = approved.reservation_id
        order.state = OrderState.NOT_SENT
        order.reason = reason
        self._desk.announce(order)

    def _unfit(self, intent: OrderIntent, line: Line | None) -> str:
        if line is None or line.grid is None:
            return "no_rules"
        if len(self._desk.known.live) >= self._desk.config.live_max:
            return "too_many_orders"
        if intent.size_lots <= 0 or (intent.kind is not OrderKind.MARKET and intent.price_ticks is None):
            return "malformed"
        if line.leaving:
            return "leaving"
        # What could not be protected is not opened.
        if stop_kind(line.grid, line.refused_stops, self._desk.config.stop_prefers_market) is None:
            return "no_stop_type"
        return ""

    # -- the journal has answered ------------------------------------------------------------------

    def journalled(self, order: Order) -> None:
        if order.state is OrderState.PLANNED:
            self._desk.known.move(order, Event.JOURNALLED)
            self._release(order, Event.SENT)

    def unjournalled(self, order: Order, reason: str) -> None:
        """The journal does not have it: an entry is withheld, an exit leaves all the same."""
        if order.state is not OrderState.PLANNED:
            return
        if order.purpose is Purpose.OPEN:
            self.withhold(order, f"journal: {reason}")
        else:
            self._release(order, Event.SENT_UNJOURNALLED)

    def withhold(self, order: Order, reason: str) -> None:
        """It has not left and will not."""
        desk = self._desk
        order.reason = reason
        desk.known.move(order, Event.WITHHELD)
        desk.append((closed_record(order),), None)
        desk.announce(order)
        if order.purpose is not Purpose.OPEN:
            # What kept it from leaving may keep the next one too: not at once again.
            desk.back_off(order.instrument)
            desk.touch(order.instrument)

    # -- out ---------------------------------------------------------------------------------------

    def _release(self, order: Order, event: Event) -> None:
        desk = self._desk
        refusal = self._changed_meanwhile(order)
        if refusal:
            self.withhold(order, refusal)
            return
        shell = desk.shell
        now_ns = shell.now_ns
        desk.known.move(order, event)
        order.sent_ns = now_ns
        order.sent_wall_ns = shell.wall_ns
        # The port signs until `approved_by_ns`; the venue takes it for `window_ms` from then on.
        order.deadline_ns = order.approved_by_ns + desk.window_ms * 1_000_000
        place = self._wish(order)
        if order.replaces:
            replaced = desk.known.live.get(order.replaces)
            if replaced is not None and replaced.state is OrderState.OPEN:
                self._replace(order, replaced, place)
                return
        shell.tell(desk.route(), place)
        desk.announce(order)

    def _replace(self, order: Order, replaced: Order, place: PlaceOrder) -> None:
        desk = self._desk
        desk.known.move(replaced, Event.CANCEL_SENT)
        replaced.replaced_by = order.client_id
        replaced.reason = f"replaced by {order.client_id}"
        replaced.cancel_again_ns = order.deadline_ns + self._answer_ns
        desk.shell.tell(
            desk.route(),
            ReplaceOrder(cancel_client_id=replaced.client_id, instrument=order.instrument, place=place),
        )
        desk.announce(order)
        desk.announce(replaced)
        # What the exit leaves of the stop's coins needs a stop of its own, now.
        desk.touch(order.instrument)

    def _changed_meanwhile(self, order: Order) -> str:
        """Why an order that was journalled may not leave after all."""
        desk = self._desk
        if order.epoch != desk.epoch:
            return "no_lease"
        if desk.shell.now_ns > order.approved_by_ns:
            return "too_late"
        if order.purpose is Purpose.OPEN:
            return desk.entry_refusal() or order.cancel_wanted
        line = desk.lines[order.instrument]
        if not desk.may_exit(line):
            return "not_reconciled"
        # The stop that it was to replace, or another exit, may have sold meanwhile.
        if order.size_lots > desk.position(line) - self._held_by_others(order):
            return "position_changed"
        if order.replaces:
            replaced = desk.known.get(order.replaces)
            if replaced is not None and not replaced.is_terminal and replaced.state is not OrderState.OPEN:
                return "stop_in_doubt"
        return ""

    def _held_by_others(self, order: Order) -> int:
        """Lots that other stops and exits may still sell; a stop that an exit replaces counts as that
        exit."""
        desk = self._desk
        return sum(
            desk.held(other)
            for other in desk.known.of(order.instrument)
            if other.purpose is not Purpose.OPEN
            and other.may_work
            and other is not order
            and other.client_id != order.replaces
        )

    def _wish(self, order: Order) -> PlaceOrder:
        grid = self._desk.lines[order.instrument].grid
        assert grid is not None
        price, stop = order.price_ticks, order.stop_ticks
        is_stop = order.kind in _STOPS
        return PlaceOrder(
            client_id=order.client_id,
            instrument=order.instrument,
            side=order.side,
            kind=order.kind,
            tif=order.tif,
            size=grid.size_text(order.size_lots),
            price=None if price is None else grid.price_text(price),
            stop_price=grid.price_text(stop) if is_stop and stop is not None else None,
            iceberg_size=None if order.iceberg_lots is None else grid.size_text(order.iceberg_lots),
            window_ms=self._desk.window_ms,
            send_by_ns=order.approved_by_ns,
            opens=order.purpose is Purpose.OPEN,
        )

    # -- cancels -----------------------------------------------------------------------------------

    def want_cancel(self, order: Order, reason: str) -> None:
        """Cancel it as soon as that can be done: now if it works, or when a doubt about it ends."""
        if order.is_terminal:
            return
        if not order.cancel_wanted:
            order.cancel_wanted = reason
        if order.state in (OrderState.PLANNED, OrderState.JOURNALLED):
            self.withhold(order, reason)
        else:
            self.pursue_cancel(order)

    def pursue_cancel(self, order: Order) -> None:
        """Send the cancel that is wanted, if the order is known to work and the last try is long enough
        ago."""
        desk = self._desk
        now_ns = desk.shell.now_ns
        if order.state is not OrderState.OPEN or order.owed is not None or not desk.epoch:
            return
        if now_ns < order.cancel_again_ns:
            return
        order.cancel_tries += 1
        # Twice the wait each time: a cancel that is refused without end must not eat the venue's budget.
        order.cancel_again_ns = now_ns + self._answer_ns * (1 << min(order.cancel_tries - 1, 5))
        order.reason = order.cancel_wanted
        desk.known.move(order, Event.CANCEL_SENT)
        desk.shell.tell(desk.route(), CancelOrder(client_id=order.client_id, instrument=order.instrument))
        desk.announce(order)

    def sweep_entries(self, reason: str) -> None:
        """Cancel every OPEN order, one by one; stops and exits stay."""
        for order in [o for o in self._desk.known.live.values() if o.purpose is Purpose.OPEN]:
            self.want_cancel(order, reason)

    # -- numbers -----------------------------------------------------------------------------------

    def reserve_numbers(self) -> None:
        """Ask the journal for the next block when the present one runs low."""
        sequences = self._desk.sequences
        block = sequences.wanted() if sequences is not None else None
        if block is not None:
            self._desk.append((ids_record(block),), block)

    def numbers_reserved(self, block: Block) -> None:
        if self._desk.sequences is not None:
            self._desk.sequences.granted(block)

    def numbers_failed(self, block: Block) -> None:
        if self._desk.sequences is not None:
            self._desk.sequences.failed(block)


def exit_tif(kind: OrderKind) -> TimeInForce:
    """An exit never rests: on spot it would lock the coins that a stop must hold."""
    return TimeInForce.IOC if kind is OrderKind.LIMIT else TimeInForce.GTC
