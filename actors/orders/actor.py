"""The orders actor: hands each message to the part that understands it, then looks at what has changed.

It is ready at once, for the ports that it waits for start after it; what it may not do yet is the business of
`Desk.entry_refusal` and of the table in `reconcile.py`.
"""

from __future__ import annotations

from actors.messages import (
    AccountSnapshot,
    ApprovedOrder,
    BalancesChanged,
    Book,
    CancelOutcomeUnknown,
    CancelRefused,
    CancelWanted,
    DeskMode,
    Fill,
    FlattenDone,
    InstrumentRules,
    JournalTrouble,
    ModeChanged,
    ModeWanted,
    NoSuchOrder,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    OrderReport,
    OrderState,
    PositionChanged,
    Purpose,
    QueryFailed,
    ReconciledWanted,
    StopTrading,
    TradingStopped,
    UserStreamDown,
    UserStreamUp,
    VenueTrouble,
)
from actors.orders.account import Account
from actors.orders.book_of_orders import Order
from actors.orders.client_ids import Block
from actors.orders.config import OrdersConfig
from actors.orders.desk import Addresses, Desk, ExitCheck, Look, S, Seat
from actors.orders.exits import Exits
from actors.orders.guard import Guard
from actors.orders.journal_records import fill_record
from actors.orders.lifecycle import Event
from actors.orders.past import Past
from actors.orders.reconcile import READING, Input, Phase
from actors.orders.recovery import Recovery
from actors.orders.sending import Sender
from actors.orders.words import Words
from supervisor.actor import Actor
from supervisor.failover.messages import Fenced, Leading
from supervisor.journal.messages import Appended, AppendFailed, Records
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Down, Message


class Tick(Message, frozen=True):
    """Orders to itself: look at what is overdue."""


class OrdersActor(Actor):
    """One account's orders. See `desk.Seat` and `desk.Addresses` for what it is given."""

    def __init__(self, config: OrdersConfig, seat: Seat, addresses: Addresses, exit_check: ExitCheck) -> None:
        self._desk = desk = Desk(self, config, seat, addresses, exit_check)
        self._sender = Sender(desk)
        self._words = Words(desk, self._sender)
        self._guard = Guard(desk)
        self._exits = Exits(desk, self._sender, self._guard)
        self._account = Account(desk, self._words)
        self._past = Past(desk, self._sender)
        self._recovery = Recovery(desk, self._past, self._sender, self._words, self._guard, self._account)
        self._probe_ns = 0
        self._stop_asker: Address | None = None
        self._stopped = False
        self._flatten_said = False
        self._rest_ns = int(config.entry_rest_s * S)
        self._answer_ns = int(config.answer_s * S)
        # Half of the window is left to be sent in.
        self._journal_ns = int(min(config.journal_wait_s, seat.order_window_s / 2) * S)

    def started(self) -> None:
        self.watch(self._desk.addresses.trade)
        self.tell(self._desk.addresses.control, ModeWanted())
        self._recovery.look()
        self.after(self._desk.config.tick_s, Tick())
        self.ready()

    def stopping(self) -> None:
        """Orderly stop: entries go, stops stay. (`StopTrading`, sent before, also sells.)"""
        self._desk.stopping = self._desk.stopping or "orderly stop"
        self._sender.sweep_entries("orderly stop")

    # -- what is asked of us -----------------------------------------------------------------------

    def on_approved(self, message: ApprovedOrder) -> None:
        if message.intent.purpose is Purpose.OPEN:
            self._sender.enter(message)
        else:
            self._exits.reduce(message)

    def on_cancel_wanted(self, message: CancelWanted) -> None:
        for order in list(self._desk.known.of(message.instrument, Purpose.OPEN)):
            if order.intent_id == message.intent_id and order.strategy == message.strategy:
                self._sender.want_cancel(order, message.reason)

    def on_mode(self, message: ModeChanged) -> None:
        self._desk.mode = message
        self._flatten_said = False
        if message.mode in (DeskMode.KILLED, DeskMode.FLATTENING):
            self._sender.sweep_entries(message.mode.value)
        self._exits.tick()

    def on_stop_trading(self, message: StopTrading) -> None:
        self._desk.stopping = message.reason or "stop"
        self._desk.stop_flat = message.flatten
        self._stop_asker = self.sender
        self._stopped = False
        self._sender.sweep_entries("stop")
        self._exits.tick()
        self._say_when_done()

    def on_reconciled_wanted(self, message: ReconciledWanted) -> None:
        if self.sender is not None:
            self._recovery.wanted(self.sender)

    # -- lease and journal -------------------------------------------------------------------------

    def on_lease(self, message: Leading | Fenced) -> None:
        if isinstance(message, Leading):
            self._recovery.leading(message.epoch)
        elif self._desk.epoch:
            self._recovery.fenced()
        self._recovery.look()

    def on_appended(self, message: Appended) -> None:
        desk = self._desk
        self._past.seen_seq(message.last_seq)
        if desk.journal_trouble:
            desk.journal_trouble = ""
            self.publish(JournalTrouble(reason=""))
        entry = desk.pending.pop(message.token, None)
        if entry is None:
            return
        waiting = entry[1]
        if isinstance(waiting, Order):
            self._sender.journalled(waiting)
            if desk.touched:
                self._exits.look()
        elif isinstance(waiting, Fill):
            self._words.forward(waiting)
            if desk.phase is not Phase.OPEN_GATE:
                self._recovery.look()
        elif isinstance(waiting, Block):
            self._sender.numbers_reserved(waiting)
            self._recovery.look()

    def on_append_failed(self, message: AppendFailed) -> None:
        entry = self._desk.pending.pop(message.token, None)
        if entry is not None:
            self._journal_failed(entry[1], message.reason)
            self._exits.look()

    def _journal_failed(self, waiting: object, reason: str) -> None:
        desk = self._desk
        if not desk.journal_trouble:
            desk.journal_trouble = reason
            self.publish(JournalTrouble(reason=reason))
        if isinstance(waiting, Order):
            self._sender.unjournalled(waiting, reason)
        elif isinstance(waiting, Fill):
            # A fact, journalled or not; it is read from the venue again if we die before it can be kept.
            self._words.forward(waiting)
            desk.unkept.append(fill_record(waiting))
        elif isinstance(waiting, tuple) and not isinstance(waiting, Block):
            desk.unkept.extend(waiting)
        elif isinstance(waiting, Block):
            self._sender.numbers_failed(waiting)

    def on_answer(self, message: Answer) -> None:
        if isinstance(message.message, Records):
            self._past.records(message.ask_id, message.message)
        self._recovery.look()

    def on_ask_failed(self, message: AskFailed) -> None:
        self._past.ask_failed(message.ask_id)

    # -- the venue's words -------------------------------------------------------------------------

    def on_report(self, message: OrderReport) -> None:
        self._words.report(message)
        self._after_words()

    def on_fill(self, message: Fill) -> None:
        if not self._recovery.keeps(message):
            self._words.fill(message)
        self._after_words()

    def on_refused(self, message: OrderRefusedByVenue) -> None:
        self._words.refused(message)
        self._after_words()

    def on_not_sent(self, message: OrderNotSent) -> None:
        self._words.not_sent(message)
        self._after_words()

    def on_outcome_unknown(self, message: OrderOutcomeUnknown) -> None:
        self._words.outcome_unknown(message)
        self._after_words()

    def on_cancel_refused(self, message: CancelRefused) -> None:
        self._words.cancel_refused(message)
        self._after_words()

    def on_cancel_unknown(self, message: CancelOutcomeUnknown) -> None:
        self._words.cancel_unknown(message)
        self._after_words()

    def on_no_such_order(self, message: NoSuchOrder) -> None:
        self._words.no_such_order(message)
        self._after_words()

    def on_query_failed(self, message: QueryFailed) -> None:
        if message.what == "order":
            self._words.query_failed(message)
        else:
            self._account.failed()

    def _after_words(self) -> None:
        desk = self._desk
        if desk.touched:
            self._exits.look()
        if desk.phase is not Phase.OPEN_GATE:
            self._recovery.look()
        if desk.stopping or desk.flatten_wanted():
            self._say_when_done()
        self._words.ask_due()

    # -- the account and the market ----------------------------------------------------------------

    def on_account(self, message: AccountSnapshot) -> None:
        desk = self._desk
        asked_ns = self._account.take_in(message)
        if asked_ns and desk.phase in READING:
            self._recovery.read(message)
        elif asked_ns and desk.believed and desk.phase is Phase.OPEN_GATE:
            difference = self._account.audit(message)
            if difference:
                self._recovery.doubt(difference)
        self._after_words()
        self._recovery.look()
        self._account.ask_if_due()

    def on_balances(self, message: BalancesChanged) -> None:
        self.tell(self._desk.addresses.portfolio, message)

    def on_trouble(self, message: VenueTrouble) -> None:
        """The port holds back by itself; what it withholds comes back as not sent."""

    def on_position(self, message: PositionChanged) -> None:
        """Portfolio counts the same fills; if it comes to another position, the venue is asked."""
        line = self._desk.lines.get(message.instrument)
        if line is not None and message.size_lots != self._desk.position(line):
            self._account.audit_soon()

    def on_rules(self, message: InstrumentRules) -> None:
        self._desk.rules(message)
        self._recovery.look()

    def on_book(self, message: Book) -> None:
        line = self._desk.lines.get(message.instrument)
        if line is not None:
            line.bids = message.bids
            line.book_ns = message.received_ns

    def on_stream_up(self, message: UserStreamUp) -> None:
        self._desk.trade_up = True
        self._recovery.look()

    def on_stream_down(self, message: UserStreamDown | Down) -> None:
        desk = self._desk
        if isinstance(message, Down) and message.name != desk.addresses.trade.name:
            return
        desk.trade_up = False
        if desk.phase is not Phase.STREAM:
            self._recovery.step(Input.STREAM_DOWN)
        # Their fills would not be heard of in time.
        self._sender.sweep_entries("the user stream is down")
        self._recovery.look()

    # -- time --------------------------------------------------------------------------------------

    def on_tick(self, message: Tick) -> None:
        self.after(self._desk.config.tick_s, message)
        now_ns = self.now_ns
        for order in list(self._desk.known.live.values()):
            self._overdue(order, now_ns)
        self._give_up_on_journal(now_ns)
        if self._desk.epoch:
            self._sender.reserve_numbers()
        self._exits.tick()
        self._words.ask_due()
        self._recovery.look()
        self._account.ask_if_due()
        if self._desk.stopping or self._desk.flatten_wanted():
            self._say_when_done()

    def on_look(self, message: Look) -> None:
        self._desk.touch(message.instrument)
        self._exits.look()

    def _overdue(self, order: Order, now_ns: int) -> None:
        """No word in time is a word of its own: it makes an outcome unknown, never a failure."""
        state = order.state
        if state is OrderState.SENT:
            if now_ns >= order.deadline_ns + self._answer_ns:
                order.reason = "no answer"
                self._words.move(order, Event.OUTCOME_UNKNOWN)
        elif state is OrderState.CANCELLING:
            if now_ns >= order.cancel_again_ns:
                self._words.move(order, Event.CANCEL_UNKNOWN)
        elif state is OrderState.OPEN and order.owed is None:
            self._rested(order, now_ns)
        elif state is OrderState.PLANNED and order.purpose is Purpose.OPEN and now_ns > order.approved_by_ns:
            self._sender.withhold(order, "the journal did not answer in time")

    def _rested(self, order: Order, now_ns: int) -> None:
        if order.cancel_wanted:
            self._sender.pursue_cancel(order)
        elif order.purpose is Purpose.OPEN and now_ns - order.opened_ns >= self._rest_ns:
            self._sender.want_cancel(order, "rested too long")
        elif order.purpose is Purpose.REDUCE and now_ns - order.opened_ns >= self._answer_ns:
            self._sender.want_cancel(order, "an exit does not rest")

    def _give_up_on_journal(self, now_ns: int) -> None:
        """A journal that says nothing has failed, as far as we may know."""
        desk = self._desk
        late = [token for token, (at_ns, _) in desk.pending.items() if now_ns - at_ns >= self._journal_ns]
        for token in late:
            _, waiting = desk.pending.pop(token)
            self._journal_failed(waiting, "the journal does not answer")
        if desk.pending or now_ns < self._probe_ns or not (desk.unkept or desk.journal_trouble):
            return
        self._probe_ns = now_ns + S
        if desk.unkept:
            records = tuple(desk.unkept)
            desk.unkept.clear()
            desk.append(records, records)
        else:
            # Nothing is opened meanwhile, so nothing else would show that it works again.
            self._past.write_mark()

    def _say_when_done(self) -> None:
        """Tell who waits for the end of a flatten or of trading, once."""
        desk = self._desk
        entries = any(order.purpose is Purpose.OPEN for order in desk.known.live.values())
        flat = desk.believed and all(self._guard.is_flat(line) for line in desk.lines.values())
        # A fill that is still on its way into the journal has not been told to anyone: nothing is over yet.
        if entries or any(isinstance(waiting, Fill) for _, waiting in desk.pending.values()):
            return
        if (
            desk.mode is not None
            and desk.mode.mode is DeskMode.FLATTENING
            and flat
            and not self._flatten_said
        ):
            self._flatten_said = True
            self.tell(desk.addresses.control, FlattenDone())
        if desk.stopping and not self._stopped and (flat or not desk.stop_flat):
            self._stopped = True
            positions = {line.instrument: desk.position(line) for line in desk.lines.values()}
            done = TradingStopped(flat=flat, positions=positions, reason=desk.stopping)
            if self._stop_asker is not None:
                self.tell(self._stop_asker, done)
            self.publish(done)
