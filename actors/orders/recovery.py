"""Drives the table of `reconcile.py`: what is done on entering each phase, and what moves it on.

Belief (journal and fills) is carried along only to be compared: on agreement the venue's balance overwrites
it, the differences are said in words, and fills that came meanwhile are replayed on top, each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from actors.messages import (
    AccountSnapshot,
    AuditDiffered,
    Fill,
    OperatorCommand,
    OrderReport,
    OrderState,
    OwnersOrders,
    Purpose,
    Reconciled,
    RulesWanted,
    Verb,
)
from actors.orders.account import Account
from actors.orders.client_ids import parse
from actors.orders.desk import Desk, S
from actors.orders.guard import Guard
from actors.orders.past import Past
from actors.orders.protection import stop_ticks_for
from actors.orders.reconcile import (
    AGREEING,
    BUFFERING,
    READING,
    SWEEPING,
    Input,
    Phase,
    Reading,
    advance,
    reading_of,
)
from actors.orders.sending import Sender
from actors.orders.words import Words
from supervisor.failover.messages import WhoLeads
from supervisor.mailbox import Address

# Questions to journal, REST and trade port are repeated this often until they are answered.
_REPEAT_NS = S
# A summary after this many ended orders, so that a start never reads more than these.
_CLOSED_PER_MARK = 500
_ASKING = (Phase.NO_LEASE, Phase.JOURNAL, Phase.RULES)


class Recovery:
    """First start, restart, reconnect and takeover."""

    def __init__(
        self, desk: Desk, past: Past, sender: Sender, words: Words, guard: Guard, account: Account
    ) -> None:
        self._desk = desk
        self._past = past
        self._sender = sender
        self._words = words
        self._guard = guard
        self._account = account
        self._again_ns = 0  # when the question of this phase is repeated
        self._window_ns = 0
        self._quiet_by_ns = 0
        self._before: Reading | None = None
        self._buffer: list[Fill] = []
        self._foreign: tuple[str, ...] = ()
        self._differences: list[str] = []
        self._askers: list[Address] = []
        self._snapshot: AccountSnapshot | None = None

    # -- the table ---------------------------------------------------------------------------------

    def step(self, event: Input) -> None:
        desk = self._desk
        desk.phase = phase = advance(desk.phase, event)
        self._again_ns = 0
        if event is Input.AGREED:
            self._settle()
        if phase in (Phase.READ_FIRST, Phase.READ_SECOND):
            self._before = None
            self._buffer.clear()
            if phase is Phase.READ_FIRST:
                self._differences.clear()
        elif phase is Phase.WINDOW:
            # A port of ours may hold a wish for one window, and the venue take it for another.
            wait_s = 2 * desk.seat.order_window_s + desk.config.clock_uncertainty_s
            self._window_ns = desk.shell.now_ns + int(wait_s * S)
            self._quiet_by_ns = self._window_ns + int(desk.config.stop_deadline_s * S)
        elif phase is Phase.OPEN_GATE:
            self._open()
        if phase in READING:
            self._account.ask_anew()

    def look(self) -> None:
        """Move on as far as what the phases wait for is there; repeat the question of this one if it is
        due."""
        desk = self._desk
        now_ns = desk.shell.now_ns
        while (event := self._ripe(now_ns)) is not None:
            self.step(event)
        if desk.phase is Phase.OPEN_GATE:
            self._answer_askers()
            if desk.closed_since_mark >= _CLOSED_PER_MARK:
                self._past.write_mark()
        elif desk.phase in _ASKING and now_ns >= self._again_ns:
            self._again_ns = now_ns + _REPEAT_NS
            self._ask_for_phase()

    def _ripe(self, now_ns: int) -> Input | None:
        """The input that the present phase has been waiting for, if it is there."""
        desk = self._desk
        phase = desk.phase
        if phase is Phase.JOURNAL:
            if desk.sequences is not None and desk.sequences.left:
                return Input.JOURNAL_READ
        elif phase is Phase.RULES:
            if all(line.grid is not None for line in desk.lines.values()):
                self._past.learn()
                return Input.RULES_KNOWN
        elif phase is Phase.STREAM:
            if desk.trade_up:
                return Input.STREAM_UP
        elif phase in SWEEPING:
            if self._is_swept():
                return Input.SWEPT
        elif phase is Phase.WINDOW:
            if now_ns >= self._window_ns and (self._is_quiet() or now_ns >= self._quiet_by_ns):
                return Input.WINDOW_OVER
        elif phase is Phase.PROTECT and self._is_protected():
            return Input.PROTECTED
        return None

    def _ask_for_phase(self) -> None:
        desk = self._desk
        shell = desk.shell
        if desk.phase is Phase.NO_LEASE:
            shell.tell(desk.addresses.lease, WhoLeads())
        elif desk.phase is Phase.JOURNAL:
            self._sender.reserve_numbers()
            self._past.read_on()
        elif desk.phase is Phase.RULES:
            wanted = tuple(line.instrument for line in desk.lines.values() if line.grid is None)
            shell.tell(desk.addresses.rest, RulesWanted(instruments=wanted))

    # -- lease and journal -------------------------------------------------------------------------

    def leading(self, epoch: int) -> None:
        desk = self._desk
        if epoch == desk.epoch:
            return
        desk.epoch = epoch
        desk.believed = False
        self._past.begin()
        self.step(Input.LEADING)

    def fenced(self) -> None:
        """The lease is gone: nothing is sent from now on; what stands at the venue stands."""
        self._desk.epoch = 0
        self._desk.believed = False
        self.step(Input.FENCED)

    def doubt(self, words: str) -> None:
        """An audit disagrees with what we believe: agree with the venue anew."""
        self._desk.shell.publish(AuditDiffered(account=self._desk.seat.account, difference=words))
        self.step(Input.DOUBT)

    # -- reading and sweeping ----------------------------------------------------------------------

    def read(self, snapshot: AccountSnapshot) -> None:
        """A reading of the account, taken in already, in one of the reading phases."""
        desk = self._desk
        self._sender.sweep_entries("swept")
        self._foreign = foreign_orders(snapshot.open_orders, desk.lines)
        self._snapshot = snapshot
        if desk.phase not in AGREEING:
            self.step(Input.READ)
            return
        reading, before = reading_of(snapshot), self._before
        self._before = reading
        if not self._is_swept():
            self._before = None
            self.step(Input.ENTRIES_FOUND)
        elif reading != before:
            self.step(Input.DIFFERED)
        else:
            self.step(Input.AGREED)

    def _is_swept(self) -> bool:
        """Nothing of ours opens any more, and no order of ours is in doubt."""
        return all(
            order.purpose is not Purpose.OPEN
            and order.state is OrderState.OPEN
            and order.doubt is None
            and order.owed is None
            for order in self._desk.known.live.values()
        )

    def keeps(self, fill: Fill) -> bool:
        """True if the fill was put aside to be replayed after the readings agree."""
        if self._desk.phase not in BUFFERING:
            return False
        self._buffer.append(fill)
        if len(self._buffer) > self._desk.config.buffer_max:
            self.step(Input.DOUBT)
        return True

    # -- agreement ---------------------------------------------------------------------------------

    def _settle(self) -> None:
        """The readings agree: believe the balance, replay what came since, look after every position."""
        desk = self._desk
        snapshot = self._snapshot
        assert snapshot is not None
        self._differences += self._compare(snapshot)
        self._past.is_new = False
        desk.holdings.read(snapshot.balances, desk.coins())
        desk.believed = True
        kept, self._buffer = self._buffer, []
        for fill in kept:
            self._words.fill(fill)
        self._past.write_mark()
        allowance_ns = int(desk.config.stop_deadline_s * S)
        for line in desk.lines.values():
            if desk.position(line):
                line.clock.grew(desk.shell.now_ns, allowance_ns)
            if line.entry_ticks and not line.stop_ticks:
                line.stop_ticks = stop_ticks_for(
                    line.entry_ticks, None, desk.config.stop_distance_default, desk.config.stop_distance
                )
            desk.touch(line.instrument)

    def _compare(self, snapshot: AccountSnapshot) -> list[str]:
        desk = self._desk
        words: list[str] = []
        if self._past.is_new:
            return words
        truth = desk.holdings.ours(snapshot.balances, desk.coins())
        for line in desk.lines.values():
            if line.grid is None:
                continue
            coin = line.grid.rules.base
            believed = desk.holdings.coins.get(coin, Decimal(0))
            if abs(truth[coin] - believed) >= line.grid.rules.lot:
                words.append(f"{coin}: the journal's fills come to {believed}, the venue holds {truth[coin]}")
        if words:
            # A position that nothing explains is not ours to trade on, nor to sell.
            desk.shell.tell(
                desk.addresses.control,
                OperatorCommand(
                    verb=Verb.KILL, by="orders", reason=f"unexplained position: {'; '.join(words)}"
                ),
            )
        return words

    def _is_quiet(self) -> bool:
        """No exit is under way, and nothing waits for a stop: while reading, none could be sent. An exit that took
        its stop's place and found nobody would leave the position bare for as long as the reading takes."""
        desk = self._desk
        return all(
            self._guard.is_covered(line) and not any(desk.known.of(line.instrument, Purpose.REDUCE))
            for line in desk.lines.values()
        )

    def _is_protected(self) -> bool:
        desk = self._desk
        # Portfolio must have every fill before it hears of the agreement.
        if any(isinstance(waiting, Fill) for _, waiting in desk.pending.values()):
            return False
        return all(self._guard.is_covered(line) for line in desk.lines.values())

    def _open(self) -> None:
        desk = self._desk
        reconciled = self.reconciled()
        for to in (desk.addresses.risk, desk.addresses.portfolio):
            desk.shell.tell(to, reconciled)
        desk.shell.publish(reconciled)
        if self._foreign:
            desk.shell.publish(OwnersOrders(account=desk.seat.account, orders=self._foreign))

    def reconciled(self) -> Reconciled:
        desk = self._desk
        return Reconciled(
            account=desk.seat.account,
            epoch=desk.epoch,
            positions={line.instrument: desk.position(line) for line in desk.lines.values()},
            open_orders=tuple(desk.change_of(order) for order in desk.known.live.values()),
            differences=tuple(self._differences),
        )

    def wanted(self, asker: Address) -> None:
        """Somebody (re)started and asks where things stand; answered when we know."""
        if asker not in self._askers:
            self._askers.append(asker)
        self.look()

    def _answer_askers(self) -> None:
        desk = self._desk
        if self._askers and not any(isinstance(waiting, Fill) for _, waiting in desk.pending.values()):
            reconciled = self.reconciled()
            for asker in self._askers:
                desk.shell.tell(asker, reconciled)
            self._askers.clear()


def foreign_orders(reports: Sequence[OrderReport], instruments: object) -> tuple[str, ...]:
    """Working orders without our prefix, in words."""
    return tuple(
        f"{report.instrument} {report.side.value} {report.size} at {report.price} (order {report.order_id})"
        for report in reports
        if parse(report.client_id) is None
    )
