"""The portfolio actor in a tree: a crash loses no fill and books none twice; a start replays the journal."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.messages import (
    Book,
    Fill,
    InstrumentRules,
    PortfolioReport,
    PositionChanged,
    Positions,
    PositionsWanted,
    Reconciled,
    ReconciledWanted,
    RulesWanted,
    Side,
)
from actors.portfolio.actor import KIND, PortfolioActor
from actors.portfolio.config import PortfolioConfig
from supervisor.actor import Actor
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.journal.messages import Append, ReadBack, Record
from supervisor.mailbox import Address
from supervisor.message import Answer, Message
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Child, Strategy

BTC = "binance/BTCUSDT"
D = Decimal
JOURNAL, REST, ORDERS, RISK = (Address(name) for name in ("journal", "rest", "orders", "risk"))
PORTFOLIO = Address("portfolio", latest={Book: lambda book: book.instrument})

RULES = InstrumentRules(
    instrument=BTC, base="BTC", quote="USDT", tick=D("0.01"), lot=D("0.00001"), size_min=D("0.00001"),
    size_max=D(9000), notional_min=D(5), algo_orders_max=5, status="TRADING",
)  # fmt: skip


def fill(trade_id: int, side: Side = Side.BUY, size: str = "0.001") -> Fill:
    return Fill(
        account="binance/main", instrument=BTC, trade_id=trade_id, order_id=trade_id, client_id=f"c{trade_id}",
        side=side, price=D(50_000), size=D(size), fee=D("0.05"), fee_coin="USDT", is_maker=False, venue_ns=0,
    )  # fmt: skip


class Others(Actor):
    """Orders, the REST port and risk, each under its own address."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_rules_wanted(self, message: RulesWanted) -> None:
        if self._world.rules_known:
            self.reply(RULES)

    def on_reconciled_wanted(self, message: ReconciledWanted) -> None:
        self._world.snapshots_wanted += 1
        if self._world.venue_lots is not None:
            lots = {BTC: self._world.venue_lots}
            self.reply(
                Reconciled(account="binance/main", epoch=1, positions=lots, open_orders=(), differences=())
            )

    def on_position(self, message: PositionChanged) -> None:
        self._world.told.append(message)

    def on_positions_wanted(self, message: PositionsWanted) -> None:
        self.ask(PORTFOLIO, message, timeout_s=1.0)

    def on_answer(self, answer: Answer) -> None:
        self._world.answers.append(answer.message)


class Deaf(Actor):
    def on_read(self, message: ReadBack) -> None:
        pass


class World:
    def __init__(
        self, store: MemoryStore | None = None, *, deaf: bool = False, rules_known: bool = True
    ) -> None:
        self.rules_known = rules_known
        self.venue_lots: int | None = None
        self.snapshots_wanted = 0
        self.told: list[PositionChanged] = []
        self.answers: list[Message] = []
        self.deaf = deaf
        self.store = store or MemoryStore()
        others = tuple(Child(one, lambda: Others(self)) for one in (REST, ORDERS, RISK))
        portfolio = Child(
            PORTFOLIO,
            lambda: PortfolioActor(
                PortfolioConfig(),
                (BTC,),
                orders=ORDERS,
                journal=JOURNAL,
                rests={"binance": REST},
                told=(RISK,),
            ),
            start_timeout_s=60.0,
        )
        journal = Child(JOURNAL, lambda: Deaf() if self.deaf else MemoryJournal(self.store))
        self.run = Simulation(Branch("desk", Strategy.ONE_FOR_ONE, (journal, *others, portfolio)))
        self.run.start()

    def fills(self, *fills: Fill, kept: bool = True) -> None:
        """As orders does: each into the journal first."""
        for one in fills:
            if kept:
                self.keep(one)
            self.run.tell(PORTFOLIO, one)

    def keep(self, one: Fill) -> None:
        record = Record(kind=KIND, key=str(one.trade_id), body=msgspec.msgpack.encode(one))
        self.store.append([Append(records=(record,), token=0)], 1, 0)

    def lots(self) -> list[int]:
        """What portfolio answers when it is asked."""
        before = len(self.answers)
        self.run.tell(RISK, PositionsWanted(instruments=(BTC,)))
        self.run.settle()
        answer = self.answers[-1] if len(self.answers) > before else None
        return [one.size_lots for one in answer.positions] if isinstance(answer, Positions) else []


def test_a_fill_becomes_a_position_that_is_told() -> None:
    world = World()
    assert world.lots() == [0]
    world.fills(fill(1))
    world.run.settle()
    last = world.told[-1]
    assert (last.size_lots, last.client_id, last.booked_lots) == (100, "c1", 100)
    assert [e for e in world.run.events if isinstance(e, PositionChanged)][-1] == last


def test_a_crash_with_fills_in_the_mailbox_books_each_of_them_once() -> None:
    world = World()
    world.fills(fill(1))
    world.run.settle()
    world.run.crash("portfolio")
    world.fills(fill(2), fill(3))  # the first of them is in hand when it crashes
    world.run.run_for(2)
    assert world.lots() == [300]
    assert [e.fills for e in world.run.events if isinstance(e, PortfolioReport)][-1] == 3


def test_a_start_replays_what_the_journal_has() -> None:
    world = World()
    world.fills(fill(1), fill(2, Side.SELL, "0.0004"))
    world.run.settle()
    again = World(world.store)
    assert again.lots() == [60]
    assert again.told[-1].realised == world.told[-1].realised


def test_nothing_is_said_before_the_journal_has_been_read() -> None:
    world = World(deaf=True)
    world.keep(fill(1))
    world.fills(fill(2))
    world.run.run_for(7)
    assert world.told == [] and world.lots() == []
    world.deaf = False
    world.run.crash("journal")
    world.run.run_for(8)
    assert world.lots() == [200]


def test_an_instrument_with_fills_and_without_rules_is_not_called_flat() -> None:
    world = World()
    world.fills(fill(1))
    world.run.settle()
    again = World(world.store, rules_known=False)
    assert again.lots() == []
    again.run.tell(PORTFOLIO, RULES)
    assert again.lots() == [100]


def test_what_the_venue_holds_is_believed_when_orders_says_it_again() -> None:
    world = World()
    world.fills(fill(1))
    world.run.tell(
        PORTFOLIO,
        Book(
            instrument=BTC,
            update_id=1,
            bids=((50_000.0, 1.0),),
            asks=((50_002.0, 1.0),),
            venue_ns=0,
            received_ns=0,
        ),
    )
    world.run.settle()
    world.venue_lots = 150
    world.run.tell(
        PORTFOLIO,
        Reconciled(account="binance/main", epoch=1, positions={BTC: 150}, open_orders=(), differences=()),
    )
    assert world.lots() == [100]
    world.run.run_for(2)
    assert world.lots() == [150]
    report = [e for e in world.run.events if isinstance(e, PortfolioReport)][-1]
    assert "the venue holds 150 lots" in report.adjustments[0]


def test_reports_come_once_a_second() -> None:
    world = World()
    world.run.run_for(10.5)
    assert sum(isinstance(e, PortfolioReport) for e in world.run.events) == 10
