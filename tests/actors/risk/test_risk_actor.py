"""The risk actor in a tree: asks for what it must know, opens nothing before, and forgets nothing by a crash."""

from __future__ import annotations

from typing import Any

import msgspec
from risk_builders import (
    BTC,
    D,
    book,
    changed,
    intent,
    position,
    reconciled,
    rules,
)

from actors.messages import (
    ApprovedOrder,
    Book,
    DeskMode,
    ModeChanged,
    ModeWanted,
    OperatorCommand,
    OrderChanged,
    OrderIntent,
    OrderState,
    PositionChanged,
    Positions,
    PositionsWanted,
    Purpose,
    Reconciled,
    ReconciledWanted,
    RefusedOrder,
    RulesWanted,
    Side,
    Verb,
)
from actors.risk.actor import RiskActor
from actors.risk.config import RiskConfig
from actors.risk.day import KIND, DayRecord
from supervisor.actor import Actor
from supervisor.events import Halted
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Child, Strategy

NAMES = ("journal", "rest", "control", "orders", "portfolio", "strategy")
JOURNAL, REST, CONTROL, ORDERS, PORTFOLIO, STRATEGY = (Address(name) for name in NAMES)
RISK = Address("risk", latest={Book: lambda message: message.instrument})


class Others(Actor):
    """Everybody else whom risk talks to, each under its own address; `world` is what they know and heard."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_rules_wanted(self, message: RulesWanted) -> None:
        self.reply(rules())

    def on_mode_wanted(self, message: ModeWanted) -> None:
        self.reply(ModeChanged(mode=self._world.mode, by="operator", reason="", wall_ns=0))

    def on_command(self, message: OperatorCommand) -> None:
        self._world.commands.append(message)
        if self._world.control_answers:
            self.reply(ModeChanged(mode=DeskMode.FLATTENING, by=message.by, reason="", wall_ns=0))

    def on_reconciled_wanted(self, message: ReconciledWanted) -> None:
        self._world.snapshots_wanted += 1
        if self._world.orders_answer:
            self.reply(reconciled(*self._world.open_orders))

    def on_positions_wanted(self, message: PositionsWanted) -> None:
        self.reply(Positions(positions=(self._world.position,)))

    def on_approved(self, message: ApprovedOrder) -> None:
        self._world.approved.append(message)

    def on_refused(self, message: RefusedOrder) -> None:
        self._world.refused.append(message)

    def on_wish(self, message: OrderIntent) -> None:
        self.tell(RISK, message)


class World:
    def __init__(
        self, store: MemoryStore | None = None, instruments: tuple[str, ...] = (BTC,), **knobs: Any
    ) -> None:
        self.mode = DeskMode.RUNNING
        self.position: PositionChanged = position(0)
        self.open_orders: tuple[OrderChanged, ...] = ()
        self.orders_answer = self.control_answers = True
        self.snapshots_wanted = 0
        self.approved: list[ApprovedOrder] = []
        self.refused: list[RefusedOrder] = []
        self.commands: list[OperatorCommand] = []
        self.store = store or MemoryStore()
        others = tuple(
            Child(one, lambda: Others(self)) for one in (REST, CONTROL, ORDERS, PORTFOLIO, STRATEGY)
        )
        risk = Child(
            RISK,
            lambda: RiskActor(
                RiskConfig(**knobs),
                instruments,
                order_window_s=0.3,
                orders=ORDERS,
                portfolio=PORTFOLIO,
                control=CONTROL,
                journal=JOURNAL,
                rests={"binance": REST},
            ),
        )
        journal = Child(JOURNAL, lambda: MemoryJournal(self.store))
        self.run = Simulation(Branch("desk", Strategy.ONE_FOR_ONE, (journal, *others, risk)))
        self.run.start()

    @property
    def now(self) -> int:
        return self.run.world.time_ns

    def tell(self, message: Message) -> None:
        self.run.tell(RISK, message)
        self.run.settle()

    def wish(self, **changes: Any) -> str:
        """The refusal's code, or "" when it was approved."""
        before = len(self.refused)
        self.tell(book(at=self.now))
        self.run.tell(STRATEGY, intent(at=self.now, **changes))
        self.run.settle()
        return self.refused[-1].reason if len(self.refused) > before else ""

    def day_records(self) -> list[DayRecord]:
        return [
            msgspec.msgpack.decode(one.body, type=DayRecord) for one in self.store.records if one.kind == KIND
        ]


def test_nothing_opens_until_orders_and_portfolio_have_spoken_and_then_it_does() -> None:
    world = World()
    assert world.wish() == "unreconciled"
    world.run.run_for(0.2)
    # A snapshot that orders volunteers before the window of the life before has passed is not enough.
    world.tell(reconciled())
    assert world.wish() == "unreconciled" and world.snapshots_wanted == 0
    world.run.run_for(0.1)
    assert world.wish() == "" and world.snapshots_wanted == 1
    assert [one.intent.purpose for one in world.approved] == [Purpose.OPEN]
    assert len(world.day_records()) == 1


def test_a_refusal_goes_to_who_asked_and_to_whoever_listens() -> None:
    world = World()
    world.run.run_for(1)
    world.tell(ModeChanged(mode=DeskMode.PAUSED, by="operator", reason="", wall_ns=0))
    assert world.wish() == "paused"
    assert [event.reason for event in world.run.events if isinstance(event, RefusedOrder)] == ["paused"]


def test_a_crash_forgets_no_reservation() -> None:
    world = World(position_max={BTC: D("0.003")}, open_orders_max=9)
    world.run.run_for(1)
    assert world.wish(lots=200) == ""
    world.open_orders = (changed(world.approved[0], OrderState.OPEN),)
    world.run.crash("risk")
    world.tell(book(at=world.now))
    world.run.run_for(2)
    assert world.wish(lots=101) == "position_limit"
    assert world.wish(lots=100) == ""


def test_a_snapshot_that_orders_owes_is_asked_for_again() -> None:
    world = World()
    world.orders_answer = False
    world.run.run_for(12)
    assert world.snapshots_wanted == 3
    assert world.wish() == "unreconciled"
    world.orders_answer = True
    world.run.run_for(6)
    assert world.wish() == ""


def test_an_approval_that_orders_never_speaks_of_is_asked_about_and_given_back() -> None:
    world = World(open_orders_max=1)
    world.run.run_for(1)
    assert world.wish() == ""
    assert world.wish() == "open_orders_limit"
    world.run.run_for(8)
    assert world.wish() == ""


def test_an_exit_goes_to_orders_whatever_the_mode() -> None:
    world = World()
    world.tell(position(200))
    world.tell(ModeChanged(mode=DeskMode.KILLED, by="operator", reason="", wall_ns=0))
    assert world.wish(lots=200, side=Side.SELL, purpose=Purpose.REDUCE, stop=None) == ""
    assert world.approved[-1].reservation_id == 0


def test_the_daily_loss_flattens_once_and_stays_for_the_day_over_a_restart() -> None:
    world = World(daily_loss_max=D(50))
    world.run.run_for(1)
    assert world.wish() == ""
    world.position = position(0, realised="-50.01")
    world.tell(world.position)
    world.run.run_for(5)
    assert [(one.verb, one.by) for one in world.commands] == [(Verb.FLATTEN, "risk")]
    assert "daily loss: 50.01" in world.commands[0].reason
    assert [one.is_trip for one in world.day_records()] == [False, True]
    assert world.wish() == "daily_loss"
    world.run.crash("risk")
    world.run.run_for(3)
    assert world.wish() == "daily_loss" and len(world.commands) == 1
    # The next life of the whole desk, the same day.
    again = World(world.store, daily_loss_max=D(50))
    again.position = world.position
    again.run.run_for(3)
    assert again.wish() == "daily_loss"


def test_a_flattening_that_control_did_not_confirm_is_asked_for_until_it_does() -> None:
    world = World(daily_loss_max=D(50))
    world.run.run_for(1)
    world.control_answers = False
    world.tell(position(0, realised="-51"))
    world.run.run_for(7)
    assert len(world.commands) > 1 and [one.is_trip for one in world.day_records()] == [False]
    world.control_answers = True
    world.run.run_for(4)
    assert [one.is_trip for one in world.day_records()] == [False, True]


def test_without_a_journal_for_the_start_of_the_day_nothing_opens() -> None:
    world = World(MemoryStore(room=0))
    world.run.run_for(3)
    assert world.wish() == "day_unknown"
    world.store.room = None
    world.run.run_for(2)
    assert world.wish() == ""


def test_a_snapshot_makes_the_position_unsure_until_portfolio_has_answered() -> None:
    world = World()
    world.run.run_for(1)
    heard: list[str] = []
    world.run.tell(
        RISK, Reconciled(account="binance/main", epoch=1, positions={}, open_orders=(), differences=())
    )
    world.run.tell(RISK, intent(at=world.now))
    world.run.settle()
    heard += [event.reason for event in world.run.events if isinstance(event, RefusedOrder)]
    assert heard == ["unreconciled"]
    assert world.wish() == ""


def test_instruments_of_two_quote_coins_are_never_added_up_and_stop_it_with_words() -> None:
    world = World(instruments=(BTC, "binance/ETHBTC"))
    world.tell(rules("binance/ETHBTC", base="ETH", quote="BTC"))
    (halted,) = [each for each in world.run.events if isinstance(each, Halted)]
    assert halted.child == "risk" and "run a desk for each quote coin" in halted.error
