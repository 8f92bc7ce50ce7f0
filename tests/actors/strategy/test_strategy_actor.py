"""The strategy actor in a tree: wishes go to risk, and a new life asks what it holds before it wishes anything."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    Book,
    CancelWanted,
    InstrumentRules,
    OrderChanged,
    OrderIntent,
    OrderState,
    PositionChanged,
    Positions,
    PositionsWanted,
    Purpose,
    Reconciled,
    ReconciledWanted,
    RulesWanted,
    Side,
)
from actors.strategy.actor import StrategyActor
from actors.strategy.imbalance import Imbalance, ImbalanceConfig
from actors.strategy.registry import configure, maker, names, strategy_class
from supervisor.actor import Actor
from supervisor.mailbox import Address
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Child, Strategy

BTC = "binance/BTCUSDT"
D = Decimal
REST, ORDERS, PORTFOLIO, RISK = (Address(name) for name in ("rest", "orders", "portfolio", "risk"))
STRATEGY = Address("strategy/binance/BTCUSDT", latest={Book: lambda book: book.instrument})

RULES = InstrumentRules(
    instrument=BTC, base="BTC", quote="USDT", tick=D("0.01"), lot=D("0.00001"), size_min=D("0.00001"),
    size_max=D(9000), notional_min=D(5), algo_orders_max=5, status="TRADING",
)  # fmt: skip


class Others(Actor):
    """Risk, orders, portfolio and the REST port, each under its own address."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_rules_wanted(self, message: RulesWanted) -> None:
        self.reply(RULES)

    def on_reconciled_wanted(self, message: ReconciledWanted) -> None:
        self.reply(
            Reconciled(
                account="binance/main",
                epoch=1,
                positions={},
                open_orders=self._world.open_orders,
                differences=(),
            )
        )

    def on_positions_wanted(self, message: PositionsWanted) -> None:
        lots = self._world.lots
        known = () if lots is None else (self._world.position(lots),)
        self.reply(Positions(positions=known))

    def on_wish(self, message: OrderIntent) -> None:
        self._world.wishes.append(message)

    def on_cancel(self, message: CancelWanted) -> None:
        self._world.cancels.append(message)


class World:
    def __init__(self, config: ImbalanceConfig | None = None) -> None:
        self.lots: int | None = 0
        self.open_orders: tuple[OrderChanged, ...] = ()
        self.wishes: list[OrderIntent] = []
        self.cancels: list[CancelWanted] = []
        made = maker("imbalance", config or ImbalanceConfig(), BTC)
        others = tuple(Child(one, lambda: Others(self)) for one in (REST, ORDERS, PORTFOLIO, RISK))
        strategy = Child(
            STRATEGY,
            lambda: StrategyActor(
                made, "imbalance", BTC, risk=RISK, orders=ORDERS, portfolio=PORTFOLIO, rest=REST
            ),
        )
        self.run = Simulation(Branch("desk", Strategy.ONE_FOR_ONE, (*others, strategy)))
        self.run.start()

    def position(self, lots: int) -> PositionChanged:
        return PositionChanged(
            instrument=BTC, size_lots=lots, dust=D(0), average_price=D(50_000 if lots else 0), realised=D(0),
            fees=D(0),
        )  # fmt: skip

    def books(self, seconds: float, bid_size: float = 5.0) -> None:
        """A heavy bid, ten times a second."""
        for _ in range(int(seconds * 10)):
            self.run.run_for(0.1)
            at = self.run.world.time_ns
            self.run.tell(
                STRATEGY,
                Book(
                    instrument=BTC, update_id=1, venue_ns=at, received_ns=at,
                    bids=tuple((50_000.0 - i * 0.01, bid_size) for i in range(10)),
                    asks=tuple((50_000.01 + i * 0.01, 1.0) for i in range(10)),
                ),
            )  # fmt: skip
        self.run.settle()


def test_a_wish_goes_to_risk_and_is_published() -> None:
    world = World(ImbalanceConfig(warmup_s=1.0))
    world.books(1.5)
    [wish] = world.wishes
    assert (wish.side, wish.purpose, wish.strategy) == (Side.BUY, Purpose.OPEN, "imbalance")
    assert [e for e in world.run.events if isinstance(e, OrderIntent)] == [wish]


def test_a_new_life_that_holds_a_position_leaves_it_and_enters_nothing() -> None:
    world = World(ImbalanceConfig(warmup_s=0.0, max_hold_s=2.0))
    world.lots = 150
    world.run.crash(STRATEGY.name)
    world.books(3.0)
    assert [(one.purpose, one.size_lots) for one in world.wishes] == [(Purpose.REDUCE, 150)]


def test_until_the_position_is_known_nothing_is_wished() -> None:
    world = World(ImbalanceConfig(warmup_s=0.0))
    world.lots = None
    world.run.crash(STRATEGY.name)
    world.books(3.0)
    assert world.wishes == []
    world.lots = 0
    world.books(1.0)
    assert len(world.wishes) == 1


def test_a_new_life_takes_its_resting_entry_for_its_own_and_withdraws_it_in_time() -> None:
    world = World(ImbalanceConfig(warmup_s=0.0, entry="post_only", entry_rest_s=2.0))
    world.open_orders = (
        OrderChanged(
            client_id="c1", intent_id=77, reservation_id=1, strategy="imbalance", instrument=BTC, side=Side.BUY,
            purpose=Purpose.OPEN, state=OrderState.OPEN, is_terminal=False, size_lots=100, filled_lots=0,
            price_ticks=5_000_000, stop_ticks=4_990_000,
        ),
    )  # fmt: skip
    world.run.crash(STRATEGY.name)
    world.books(3.0)
    assert world.wishes == [] and [one.intent_id for one in world.cancels] == [77]


def test_ids_of_two_lives_never_meet() -> None:
    world = World(ImbalanceConfig(warmup_s=0.0, cooldown_s=0.0, answer_timeout_s=0.5))
    world.books(3.0)
    world.run.crash(STRATEGY.name)
    world.books(3.0)
    ids = [wish.intent_id for wish in world.wishes]
    assert len(ids) > 6 and len(set(ids)) == len(ids) and all(0 < one < 2**63 for one in ids)


def test_a_strategy_is_found_by_the_name_of_its_file() -> None:
    assert names() == ["imbalance"]
    assert strategy_class("imbalance") is Imbalance
    config = configure({"imbalance": {"levels": 5, "ratio": 3.0, "notional": 50}})["imbalance"]
    assert isinstance(config, ImbalanceConfig) and (config.levels, config.notional) == (5, 50.0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"imbalnce": {}}, "there are: imbalance"),
        ({"trip": {}}, "a class Trip that has a Config does not exist"),
        ({"imbalance": {"level": 3}}, "unknown field `level`"),
        ({"imbalance": {"levels": "ten"}}, "Expected `int`, got `str`"),
        ({"imbalance": {"ratio": 1.0}}, "both sides are heavy at once"),
        ({"imbalance": {"exit_ratio": 2.5}}, "left on the book that asked for it"),
        ({"imbalance": {"target_bps": 0.0}}, "every entry would be left at once"),
        ({"imbalance": {"stop_ticks": 0}}, "fires at once"),
        ({"imbalance": {"notional": -1.0}}, "notional = -1.0: must be above 0"),
    ],
)
def test_a_wrong_strategy_config_says_what_would_go_wrong(
    table: dict[str, dict[str, object]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        configure(table)
