"""The venue's words, applied: reports, executions, refusals, silences. Each may come late, twice, or before
another.

An order ends for everybody else only when every fill that the venue counts for it is booked here: until then
its reservation in risk stands, so a limit is never lifted by a word that overtook its own fill.
"""

from __future__ import annotations

import msgspec

from actors.messages import (
    CancelOutcomeUnknown,
    CancelRefused,
    Fill,
    NoSuchOrder,
    OperatorCommand,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    OrderReport,
    OrderState,
    OrderStrayed,
    Purpose,
    QueryFailed,
    QueryOrder,
    TimeInForce,
    Verb,
)
from actors.orders.book_of_orders import Order, identity
from actors.orders.client_ids import ClientId, parse
from actors.orders.desk import Desk, Look, S
from actors.orders.journal_records import closed_record, fill_record
from actors.orders.lifecycle import STATUS_EVENT, Event
from actors.orders.protection import stop_ticks_for
from actors.orders.reconcile import Phase
from actors.orders.sending import Sender
from actors.orders.unknown import Doubt
from supervisor.errors import Halt

_ENDS = (Event.FILLED, Event.CANCELED, Event.EXPIRED, Event.REJECTED)
_ENDED_AT_VENUE = (OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED)
_CONFIRMS = ("stream", "query", "snapshot")
# -2010 covers many refusals; this one says that the order is there already.
_DUPLICATE = "duplicate order"
# "Stop price would trigger immediately."
_THROUGH = "trigger immediately"
# Refusals of the kind of order itself, which no second try of the same kind will change: -4120 (stops moved
# to another endpoint), -1116 (invalid orderType), -1014 (unsupported order combination).
_NO_SUCH_KIND = frozenset({-4120, -1116, -1014})


class Words:
    """Believes the venue, order by order."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk = desk
        self._sender = sender
        self._allowance_ns = int(desk.config.stop_deadline_s * S)
        self._gather_ns = int(desk.config.stop_gather_s * S)

    # -- reports -----------------------------------------------------------------------------------

    def report(self, report: OrderReport) -> None:
        desk = self._desk
        if desk.phase in (Phase.NO_LEASE, Phase.JOURNAL, Phase.RULES):
            return  # for a life that does not know its own orders yet; the reading will say it again
        order = desk.known.get(report.client_id)
        if order is None:
            self._stray(report)
            return
        line = desk.lines.get(order.instrument)
        if line is None or line.grid is None:
            return
        desk.known.note_number(order, report.order_id)
        order.reported_lots = max(order.reported_lots, line.grid.lots(report.filled))
        event = STATUS_EVENT[report.status]
        order.reason = report.reason or order.reason
        if report.source in _CONFIRMS and order.state is OrderState.OPEN:
            order.doubt = None
        if order.fills_missing and event in _ENDS:
            # The end waits for its fills; what an order that has ended already is owed is only booked.
            if order.state not in _ENDED_AT_VENUE:
                order.owed = event
            event = Event.PARTLY_FILLED
            desk.touch(order.instrument)
        self.move(order, event)
        if order.purpose is Purpose.PROTECT and not report.status.is_terminal and order.may_work:
            self._confirm(order, report.source)

    def _confirm(self, order: Order, source: str) -> None:
        """A stop counts as standing once stream, query or snapshot says so; the answer to its own send does
        not."""
        if source in _CONFIRMS:
            first = not order.verified_wall_ns
            order.verified_wall_ns = self._desk.shell.wall_ns
            order.doubt = None
            if first:
                self._desk.touch(order.instrument)
        elif not order.verified_wall_ns and order.doubt is None:
            order.doubt = Doubt(order.deadline_ns)
            order.doubt.next_ns = self._desk.shell.now_ns + int(self._desk.config.stop_verify_s * S)

    def _stray(self, report: OrderReport) -> None:
        """A word about an order that we do not remember."""
        desk = self._desk
        found = parse(report.client_id)
        # Without our prefix it is the owner's, and none of our business.
        if found is None or report.status.is_terminal or report.instrument not in desk.lines:
            return
        order = self.adopt(report, found)
        if order is None:
            return
        # Of our own epoch it is an order of ours that we have forgotten since; whether it works is asked.
        ours = found.epoch == desk.epoch and found.instance == desk.seat.instance
        if ours:
            order.doubt = order.doubt or Doubt(order.deadline_ns)
        late = ours or desk.phase is not Phase.OPEN_GATE
        what = "late" if late else "split brain"
        desk.shell.publish(
            OrderStrayed(
                client_id=report.client_id, instrument=report.instrument, epoch=found.epoch, late=late
            )
        )
        if order.purpose is Purpose.OPEN:
            self._sender.want_cancel(order, what)
        if not late:
            # Somebody else sends on this account, after we had made sure that nobody does.
            desk.shell.tell(
                desk.addresses.control,
                OperatorCommand(
                    verb=Verb.KILL,
                    by="orders",
                    reason=f"split brain: order {report.client_id} is not this desk's",
                ),
            )

    def adopt(self, report: OrderReport, found: ClientId) -> Order | None:
        """Know an order of ours that the venue has working, from its report alone. Raises Halt if it is of a
        later holder than we are."""
        desk = self._desk
        if found.epoch > desk.epoch:
            raise Halt(
                f"order {report.client_id} at the venue is of epoch {found.epoch}, and this desk holds epoch "
                f"{desk.epoch}: the lease store went back in time. Restore it, or raise its counter above "
                f"{found.epoch}"
            )
        line = desk.lines.get(report.instrument)
        if line is None or line.grid is None:
            return None
        grid = line.grid
        order = Order(
            report.client_id,
            report.instrument,
            report.side,
            found.purpose,
            report.kind,
            TimeInForce.GTC,
            grid.lots(report.size),
            grid.ticks(report.price) or None,
            grid.ticks(report.stop_price) or None,
        )
        order.epoch = found.epoch
        order.state = OrderState.OPEN
        # Not what the venue counts: what we have. The rest is read, and booked.
        order.filled_lots = grid.lots(desk.known.counted_size(order.instrument, report.order_id))
        order.reported_lots = grid.lots(report.filled)
        order.opened_ns = order.deadline_ns = desk.shell.now_ns
        desk.known.add(order)
        desk.known.note_number(order, report.order_id)
        if found.purpose is Purpose.PROTECT:
            self._confirm(order, report.source)
        desk.announce(order)
        desk.touch(order.instrument)
        return order

    def move(self, order: Order, event: Event) -> None:
        """Advance an order; whoever must know of the change is told."""
        desk = self._desk
        if not desk.known.move(order, event):
            desk.announce(order)
            return
        if order.state is OrderState.OPEN:
            order.opened_ns = order.opened_ns or desk.shell.now_ns
            if order.cancel_wanted:
                self._sender.pursue_cancel(order)
        elif order.is_terminal:
            desk.append((closed_record(order),), None)
            desk.closed_since_mark += 1
        desk.announce(order)
        if order.purpose is not Purpose.OPEN:
            desk.touch(order.instrument)
        if order.replaces and order.state is not OrderState.OPEN:
            self._doubt_replaced(order)

    def _doubt_replaced(self, order: Order) -> None:
        """An exit that did not simply work out says nothing about the stop that it was to replace: ask."""
        replaced = self._desk.known.live.get(order.replaces)
        if order.state in (OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED):
            return
        if replaced is not None and replaced.state is OrderState.CANCELLING:
            self.move(replaced, Event.CANCEL_UNKNOWN)

    # -- executions --------------------------------------------------------------------------------

    def fill(self, fill: Fill) -> bool:
        """Book an execution once: order, holdings, journal, portfolio. False: it was counted before, or it
        is not ours."""
        desk = self._desk
        line = desk.lines.get(fill.instrument)
        if line is None or line.grid is None:
            return False
        if desk.known.has_counted(identity(fill)):
            desk.known.fills_repeated += 1
            return False
        order = desk.known.get(fill.client_id) or desk.known.numbered(fill.instrument, fill.order_id)
        if order is None and parse(fill.client_id) is None:
            return False
        desk.known.count_fill(identity(fill), fill.size)
        line.trades.append(fill.trade_id)
        if order is not None and fill.client_id != order.client_id:
            # The venue's list of trades names orders by its own number only.
            fill = msgspec.structs.replace(fill, client_id=order.client_id)
        desk.holdings.book(fill, line.grid.rules.base)
        desk.append((fill_record(fill),), fill)
        desk.touch(fill.instrument)
        if order is not None:
            self._filled(order, line.grid.lots(fill.size), line.grid.ticks(fill.price), fill.order_id)
        return True

    def _filled(self, order: Order, lots: int, price_ticks: int, order_id: int) -> None:
        desk = self._desk
        desk.known.note_number(order, order_id)
        order.filled_lots += lots
        if order.purpose is Purpose.OPEN:
            line = desk.lines[order.instrument]
            now_ns = desk.shell.now_ns
            line.entry_ticks = price_ticks
            line.stop_ticks = stop_ticks_for(
                price_ticks,
                order.stop_ticks,
                desk.config.stop_distance_default,
                desk.config.stop_distance,
            )
            line.clock.grew(now_ns, self._allowance_ns)
            if order.filled_lots < order.size_lots and line.gather_ns <= now_ns:
                line.gather_ns = now_ns + self._gather_ns
                desk.shell.after(desk.config.stop_gather_s, Look(instrument=order.instrument))
        event = Event.FILLED if order.filled_lots >= order.size_lots else Event.PARTLY_FILLED
        if order.owed is not None and not order.fills_missing:
            event, order.owed = order.owed, None
        self.move(order, event)

    def forward(self, fill: Fill) -> None:
        """The journal has it: portfolio and the public hear of it, once."""
        self._desk.shell.tell(self._desk.addresses.portfolio, fill)
        self._desk.shell.publish(fill)

    # -- refusals and silences ---------------------------------------------------------------------

    def refused(self, message: OrderRefusedByVenue) -> None:
        order = self._desk.known.get(message.client_id)
        if order is None:
            return
        order.reason = f"{message.code}: {message.words}"
        if _DUPLICATE in message.words.lower():
            self.move(order, Event.OUTCOME_UNKNOWN)
            return
        self._count_refusal(order, message.code, message.words)
        self.move(order, Event.REFUSED)

    def _count_refusal(self, order: Order, code: int, words: str) -> None:
        """A stop or an exit that the venue refuses is tried again, later each time, and a stop in another
        kind."""
        if order.purpose is Purpose.OPEN:
            return
        desk = self._desk
        line = desk.lines[order.instrument]
        if order.purpose is Purpose.PROTECT:
            if code in _NO_SUCH_KIND:
                line.refused_stops |= {order.kind}
            elif _THROUGH in words.lower():
                # The market stands beyond the stop already: it is due, not refused.
                line.leaving = "the market is through the stop"
        self._desk.back_off(order.instrument)

    def not_sent(self, message: OrderNotSent) -> None:
        order = self._desk.known.get(message.client_id)
        if order is None:
            return
        order.reason = message.reason
        if order.purpose is not Purpose.OPEN:
            self._desk.back_off(order.instrument)
        self.move(order, Event.NOT_SENT)

    def outcome_unknown(self, message: OrderOutcomeUnknown) -> None:
        order = self._desk.known.get(message.client_id)
        if order is not None:
            order.reason = message.reason
            self.move(order, Event.OUTCOME_UNKNOWN)

    def cancel_refused(self, message: CancelRefused) -> None:
        order = self._desk.known.get(message.client_id)
        if order is not None:
            self.move(order, Event.CANCEL_REFUSED)

    def cancel_unknown(self, message: CancelOutcomeUnknown) -> None:
        order = self._desk.known.get(message.client_id)
        if order is not None:
            self.move(order, Event.CANCEL_UNKNOWN)

    # -- questions ---------------------------------------------------------------------------------

    def ask_due(self) -> None:
        """Put the questions that are due, a bounded number at a time."""
        desk = self._desk
        now_ns = desk.shell.now_ns
        policy = desk.query_policy
        doubted = [o for o in desk.known.live.values() if o.doubt is not None and o.owed is None]
        out = sum(1 for o in doubted if o.doubt is not None and o.doubt.asked_ns)
        for order in doubted:
            doubt = order.doubt
            if doubt is None or not doubt.is_due(now_ns, policy):
                continue
            out += not doubt.asked_ns
            if out > desk.config.queries_max:
                return
            doubt.asked(now_ns, desk.shell.wall_ns)
            desk.shell.tell(desk.route(), QueryOrder(client_id=order.client_id, instrument=order.instrument))

    def no_such_order(self, message: NoSuchOrder) -> None:
        desk = self._desk
        order = desk.known.live.get(message.client_id)
        if order is None or order.doubt is None:
            return
        order.doubt.said_absent(desk.shell.now_ns, message.asked_wall_ns, desk.query_policy)
        self.settle_absent(order)

    def settle_absent(self, order: Order) -> None:
        """Close an order that the venue does not know, if that may be believed by now."""
        if (
            order.doubt is None
            or not order.doubt.is_absent()
            or order.state not in (OrderState.OPEN, OrderState.UNKNOWN)
        ):
            return
        order.reason = "the venue knows no such order"
        if order.state is OrderState.OPEN:
            # The venue said before that it works: one contradiction is asked about once more from the start.
            order.doubt = None
        self.move(order, Event.ABSENT)

    def query_failed(self, message: QueryFailed) -> None:
        order = self._desk.known.live.get(message.key)
        if order is not None and order.doubt is not None:
            order.doubt.unanswered(self._desk.shell.now_ns, self._desk.query_policy)
