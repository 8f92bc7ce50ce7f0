"""The risk actor: carries intents to the kernel, approvals to orders, and the daily loss to control.

Each life begins knowing nothing and asks: orders for its snapshot, then portfolio for the positions, control
for the mode, the journal for the day. The order of the first two matters: orders told portfolio of each fill
before it sent its snapshot, so an answer to a later question has all of them in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from actors.messages import (
    ApprovedOrder,
    Book,
    BookLost,
    InstrumentRules,
    ModeChanged,
    ModeWanted,
    OperatorCommand,
    OrderChanged,
    OrderIntent,
    PositionChanged,
    Positions,
    PositionsWanted,
    ProtectionChanged,
    Reconciled,
    ReconciledWanted,
    RulesWanted,
    VenueTrouble,
    Verb,
)
from actors.risk.config import RiskConfig
from actors.risk.day import KIND, DayRecord
from actors.risk.kernel import RiskKernel
from supervisor.actor import Actor
from supervisor.errors import Halt
from supervisor.journal.messages import Append, Appended, ReadBack, Record, Records
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Message, Refused

ASK_TIMEOUT_S = 2.0
TICK_S = 1.0
# A snapshot that orders owes is asked for again after so many ticks: reconciling takes a few seconds.
SNAPSHOT_TICKS = 5


class Tick(Message, frozen=True):
    """To itself, once a second: the day may have changed, an answer may be overdue."""


class SnapshotDue(Message, frozen=True):
    """To itself, once: no approval of an earlier life can be sent any more."""


class RiskActor(Actor):
    """`rests`: the REST ports by venue, which say the rules. `Book` belongs into the address's `latest`."""

    def __init__(
        self,
        config: RiskConfig,
        instruments: Iterable[str],
        *,
        order_window_s: float,
        orders: Address,
        portfolio: Address,
        control: Address,
        journal: Address,
        rests: Mapping[str, Address],
    ) -> None:
        self._config = config
        self._instruments = tuple(instruments)
        self._order_window_s = order_window_s
        self._orders = orders
        self._portfolio = portfolio
        self._control = control
        self._journal = journal
        self._rests = rests
        self._kernel: RiskKernel
        self._unconfirmed: set[str] = set()
        self._positions_asks: dict[int, tuple[str, ...]] = {}
        self._day_ask = 0
        self._is_day_known = False
        # Records of the day that are not on disk, and the append that carries them.
        self._unwritten: list[DayRecord] = []
        self._append: tuple[int, list[DayRecord]] = (0, [])
        # The trip that control has not confirmed; it is journalled after that, so that a crash in between
        # trips again.
        self._trip: DayRecord | None = None
        self._flatten_ask = 0
        self._snapshot_due_in = 0

    def started(self) -> None:
        self._kernel = RiskKernel(
            self._config,
            self._instruments,
            order_window_s=self._order_window_s,
            # No earlier life can have counted up to here: 62 random bits.
            first_id=int(self.world.new_id(), 16) >> 2,
            born_ns=self.now_ns,
        )
        for venue, rest in self._rests.items():
            wanted = tuple(name for name in self._instruments if name.startswith(f"{venue}/"))
            self.tell(rest, RulesWanted(instruments=wanted))
        self.tell(self._control, ModeWanted())
        self._ask_day()
        # Not earlier: see `RiskKernel.on_reconciled`.
        self.after(self._order_window_s, SnapshotDue())
        self.after(TICK_S, Tick())
        self.ready()

    # -- intents -----------------------------------------------------------------------------------

    def on_intent(self, intent: OrderIntent) -> None:
        answer = self._kernel.check(intent, self.now_ns, self.wall_ns)
        if isinstance(answer, ApprovedOrder):
            self.tell(self._orders, answer)
        else:
            self.reply(answer)
            self.publish(answer)

    def on_refused(self, refused: Refused) -> None:
        """Orders' mailbox is full. Which approval was lost is not said, so the truth is asked for."""
        if refused.to == self._orders.name and refused.message_type == ApprovedOrder.__name__:
            self._kernel.doubt()
            self._want_snapshot()

    # -- facts -------------------------------------------------------------------------------------

    def on_rules(self, rules: InstrumentRules) -> None:
        holding = self._kernel.holdings.get(rules.instrument)
        if holding is None:
            return
        for other in self._kernel.holdings.values():
            if other.limits is not None and other.limits.rules.quote != rules.quote:
                raise Halt(
                    f"{rules.instrument} is quoted in {rules.quote} and {other.limits.rules.instrument} in "
                    f"{other.limits.rules.quote}: limits and P&L of a desk are sums in one coin; run a desk for each "
                    "quote coin"
                )
        holding.on_rules(rules, self._config)

    def on_book(self, book: Book) -> None:
        holding = self._kernel.holdings.get(book.instrument)
        if holding is not None:
            holding.on_book(book)
            if holding.size_lots:
                self._judge_day()

    def on_book_lost(self, message: BookLost) -> None:
        holding = self._kernel.holdings.get(message.instrument)
        if holding is not None:
            holding.on_book_lost()

    def on_mode(self, message: ModeChanged) -> None:
        self._kernel.mode = message.mode

    def on_order(self, change: OrderChanged) -> None:
        self._kernel.on_order(change, self.now_ns)

    def on_position(self, position: PositionChanged) -> None:
        self._kernel.on_position(position)
        self._judge_day()

    def on_protection(self, message: ProtectionChanged) -> None:
        holding = self._kernel.holdings.get(message.instrument)
        if holding is not None:
            holding.on_protection(message)

    def on_trouble(self, trouble: VenueTrouble) -> None:
        self._kernel.on_trouble(trouble)

    def on_reconciled(self, message: Reconciled) -> None:
        asked = self._kernel.on_reconciled(message, self.now_ns)
        if not asked:
            return
        self._snapshot_due_in = 0
        # Answers to older questions do not count: they may lack fills that this snapshot has.
        self._positions_asks.clear()
        self._unconfirmed.update(asked)
        self._ask_positions()

    # -- answers -----------------------------------------------------------------------------------

    def on_answer(self, answer: Answer) -> None:
        message = answer.message
        if answer.ask_id in self._positions_asks:
            del self._positions_asks[answer.ask_id]
            if isinstance(message, Positions):
                self._kernel.on_positions(message.positions)
                self._unconfirmed.difference_update(one.instrument for one in message.positions)
                self._judge_day()
        elif answer.ask_id == self._day_ask:
            if isinstance(message, Records):
                self._restore_day(message)
        elif answer.ask_id == self._append[0]:
            self._appended(isinstance(message, Appended))
        elif answer.ask_id == self._flatten_ask:
            self._flatten_confirmed()

    def on_ask_failed(self, failed: AskFailed) -> None:
        """Every one of them is asked again by the next tick."""
        self._positions_asks.pop(failed.ask_id, None)
        if failed.ask_id == self._append[0]:
            self._appended(False)
        elif failed.ask_id == self._day_ask:
            self._day_ask = 0
        elif failed.ask_id == self._flatten_ask:
            self._flatten_ask = 0

    def on_snapshot_due(self, message: SnapshotDue) -> None:
        self._want_snapshot()

    def on_tick(self, tick: Tick) -> None:
        self.after(TICK_S, tick)
        if self._snapshot_due_in:
            self._snapshot_due_in -= 1
            if not self._snapshot_due_in:
                self._want_snapshot()
        elif self._kernel.reservations.silent(self.now_ns):
            self._kernel.doubt()
            self._want_snapshot()
        if self._unconfirmed and not self._positions_asks:
            self._ask_positions()
        if not self._is_day_known and not self._day_ask:
            self._ask_day()
        if self._trip is not None and not self._flatten_ask:
            self._flatten(self._trip)
        self._judge_day()
        self._write_day()

    def _want_snapshot(self) -> None:
        self.tell(self._orders, ReconciledWanted())
        self._snapshot_due_in = SNAPSHOT_TICKS

    def _ask_positions(self) -> None:
        wanted = tuple(sorted(self._unconfirmed))
        ask = self.ask(self._portfolio, PositionsWanted(instruments=wanted), timeout_s=ASK_TIMEOUT_S)
        self._positions_asks[ask] = wanted

    # -- the day -----------------------------------------------------------------------------------

    def _ask_day(self) -> None:
        self._day_ask = self.ask(self._journal, ReadBack(kinds=(KIND,)), timeout_s=ASK_TIMEOUT_S)

    def _restore_day(self, records: Records) -> None:
        try:
            known = [msgspec.msgpack.decode(stored.body, type=DayRecord) for stored in records.records]
        except msgspec.DecodeError as error:
            # Failed closed: without the day's start the loss limit would be a guess. Exits go on.
            self._kernel.day.unreadable = f"a record of the day cannot be read: {error}"
            return
        self._kernel.day.restore(known)
        self._is_day_known = True
        self._judge_day()

    def _judge_day(self) -> None:
        if not self._is_day_known:
            return
        pnl = self._kernel.pnl()
        if pnl is None:
            return
        for record in self._kernel.day.on_pnl(pnl, self.wall_ns):
            if record.is_trip:
                self._flatten(record)
            else:
                self._unwritten.append(record)
                self._write_day()

    def _flatten(self, trip: DayRecord) -> None:
        self._trip = trip
        day = self._kernel.day
        reason = f"daily loss: {day.loss:.2f} on {trip.day}, limit {self._config.daily_loss_max}"
        command = OperatorCommand(verb=Verb.FLATTEN, by="risk", reason=reason)
        self._flatten_ask = self.ask(self._control, command, timeout_s=ASK_TIMEOUT_S)

    def _flatten_confirmed(self) -> None:
        if self._trip is not None:
            self._unwritten.append(self._trip)
        self._trip, self._flatten_ask = None, 0
        self._write_day()

    def _write_day(self) -> None:
        if self._append[0] or not self._unwritten:
            return
        batch, self._unwritten = self._unwritten, []
        records = tuple(
            Record(kind=KIND, key=record.key, body=msgspec.msgpack.encode(record)) for record in batch
        )
        ask = self.ask(self._journal, Append(records=records, token=0), timeout_s=ASK_TIMEOUT_S)
        self._append = (ask, batch)

    def _appended(self, is_durable: bool) -> None:
        batch = self._append[1]
        self._append = (0, [])
        if is_durable:
            for record in batch:
                self._kernel.day.on_durable(record.key)
        else:
            self._unwritten = [*batch, *self._unwritten]
