"""Anything, in any order, at any moment, against the model venue; and when it is quiet again, what must hold.

Hypothesis writes the history: entries, exits, crashes, cut cables, lost and doubled words, a moving market.
The venue's own record is the judge: no id twice, none of the owner's coins sold, every fill booked once,
position and stops as they are.
"""

from __future__ import annotations

import random
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.messages import DeskMode, OperatorCommand, OrderKind, Purpose, TimeInForce
from supervisor.events import ChildCrashed
from tests.actors.orders.model_venue import TICK
from tests.actors.orders.orders_rig import Rig

chances = st.sampled_from([0.0, 0.0, 0.1, 0.3])


class OrdersUnderFire(RuleBasedStateMachine):
    rig: Rig

    @initialize(seed=st.integers(0, 2**32), base=st.sampled_from(["0", "0.5"]))
    def start(self, seed: int, base: str) -> None:
        self.rig = Rig(seed=seed, base=Decimal(base)).open()

    @rule(lots=st.sampled_from([9, 20, 100, 500]))
    def enter_at_once(self, lots: int) -> None:
        self.rig.buy(lots)

    @rule(lots=st.sampled_from([20, 100, 500]), below=st.sampled_from([0, 50]))
    def enter_and_rest(self, lots: int, below: int) -> None:
        price_ticks = int(self.rig.venue.bid / TICK) - below
        self.rig.buy(lots, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=price_ticks)

    @precondition(lambda self: self.rig.desk.believed and self.rig.position_lots > 0)
    @rule(part=st.sampled_from([1, 2, 3]), kind=st.sampled_from([OrderKind.LIMIT, OrderKind.MARKET]))
    def leave(self, part: int, kind: OrderKind) -> None:
        self.rig.sell(max(1, self.rig.position_lots // part), kind=kind)

    @precondition(lambda self: self.rig.live(Purpose.OPEN))
    @rule(which=st.integers(0, 9), lots=st.sampled_from([1, 10, 50]))
    def somebody_trades_against_us(self, which: int, lots: int) -> None:
        live = self.rig.live(Purpose.OPEN)
        self.rig.meet(live[which % len(live)], lots)

    @rule(by=st.sampled_from([-400, -50, -1, 1, 50, 300]))
    def the_market_moves(self, by: int) -> None:
        self.rig.move(self.rig.venue.bid + by)

    @rule(depth=st.sampled_from(["0", "0.002", "9000"]))
    def the_book_is_so_deep(self, depth: str) -> None:
        self.rig.venue.depth = Decimal(depth)

    @rule(seconds=st.sampled_from([0.003, 0.01, 0.05, 0.3, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.rig.run(seconds)

    @rule(lose=chances, mute=chances, twice=chances, stream_lose=chances, lag=st.sampled_from([0.0, 1.0]))
    def the_roads_are_bad(
        self, lose: float, mute: float, twice: float, stream_lose: float, lag: float
    ) -> None:
        luck = self.rig.luck
        luck.lose, luck.mute, luck.twice, luck.stream_lose, luck.query_lag_s = (
            lose,
            mute,
            twice,
            stream_lose,
            lag,
        )

    @rule(delay=st.sampled_from([0.001, 0.005, 0.1]), jitter=st.sampled_from([0.0, 0.02, 0.2]))
    def the_roads_are_slow(self, delay: float, jitter: float) -> None:
        self.rig.luck.delay_s, self.rig.luck.jitter_s = delay, jitter

    @rule(who=st.sampled_from(["orders", "trade", "rest"]))
    def crash(self, who: str) -> None:
        self.rig.sim.crash(who)
        self.rig.sim.settle()

    @rule(up=st.booleans())
    def the_cable(self, up: bool) -> None:
        if up is not self.rig.stream_up:
            self.rig.stream(up)

    @rule(mode=st.sampled_from([DeskMode.RUNNING, DeskMode.RUNNING, *DeskMode]))
    def the_operator(self, mode: DeskMode) -> None:
        self.rig.set_mode(mode)

    @invariant()
    def no_id_repeats_and_none_of_the_owners_coins_are_sold(self) -> None:
        venue = self.rig.venue
        assert not venue.ids_repeated
        assert venue.lowest_base >= venue.owners

    @invariant()
    def nothing_crashes_but_what_was_crashed(self) -> None:
        for event in self.rig.sim.events:
            assert not isinstance(event, ChildCrashed) or "ChaosCrash" in event.error, event.traceback_text

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        rig, luck = self.rig, self.rig.luck
        luck.lose = luck.mute = luck.twice = luck.stream_lose = luck.query_lag_s = luck.jitter_s = 0.0
        luck.delay_s = 0.005
        rig.venue.depth = Decimal(9000)
        rig.run(6)
        if not rig.stream_up:
            rig.stream(True)
        rig.run(100)  # every wait is over, and an audit has passed
        assert rig.desk.phase.value == "open"
        self.nothing_crashes_but_what_was_crashed()
        rig.check()
        assert not [m for m in rig.to_control if isinstance(m, OperatorCommand)], "it raised a false alarm"


TestOrdersUnderFire = OrdersUnderFire.TestCase
TestOrdersUnderFire.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_crashes_alone_never_leave_a_position_bare_for_3_s() -> None:
    """The same dice for every run: 12 desks, a crash of orders every few steps, the roads good."""
    for seed in range(12):
        dice = random.Random(seed)
        rig = Rig(seed=seed).open()
        for _ in range(40):
            step = dice.random()
            if step < 0.3:
                rig.buy(dice.choice([20, 100, 500]))
            elif step < 0.5 and rig.desk.believed and rig.position_lots:
                rig.sell(max(1, rig.position_lots // dice.choice([1, 2])))
            elif step < 0.6:
                rig.move(rig.venue.bid + dice.choice([-60, 60]))
            elif step < 0.7:
                rig.sim.crash("orders")
                rig.sim.settle()
                rig.run(2)
            rig.run(dice.choice([0.005, 0.02, 0.5]))
        rig.run(70)
        rig.check()
        assert rig.venue.bare_ns < 3 * 10**9
