"""A working stop for every position: placed, verified, replaced, chased; and the ways out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    CancelOrder,
    DeskMode,
    FlattenDone,
    OrderKind,
    OrderState,
    PlaceOrder,
    PositionUnprotected,
    ProtectionChanged,
    Purpose,
    QueryOrder,
    ReplaceOrder,
    TimeInForce,
    TradingStopped,
)
from actors.orders.config import OrdersConfig
from tests.actors.orders.model_venue import RULES, TICK
from tests.actors.orders.orders_rig import Rig

S = 1_000_000_000


def held(rig: Rig, lots: int = 100) -> Rig:
    """A position under its verified stop."""
    rig.buy(lots)
    rig.run(1)
    assert rig.venue.stopped > 0 and rig.protection.protected_lots == rig.position_lots > 0
    return rig


def prices(rig: Rig) -> list[Decimal]:
    return [order.stop for order in rig.venue.orders.values() if order.stop]


# --- the first stop -----------------------------------------------------------------------------------------


def test_a_position_gets_its_stop_at_the_venue_where_the_strategy_wished_it() -> None:
    rig = held(Rig().open())
    assert prices(rig) == [Decimal("59700.00")]
    assert rig.protection.stop_ticks == 5_970_000
    assert rig.venue.bare_ns <= 0.1 * S and rig.protection.unprotected_ns == 0
    rig.check()


def test_a_stop_counts_as_standing_only_when_stream_or_query_has_said_so() -> None:
    rig = Rig().open()
    rig.buy(100)
    rig.sim.run_for(0.012)  # the fill was heard; nothing of its stop will be
    rig.luck.stream_lose = 1.0
    rig.sim.run_for(0.2)
    assert rig.live(Purpose.PROTECT) and rig.states(Purpose.PROTECT)[-1] is OrderState.OPEN
    assert rig.protection.protected_lots == 0, "the answer to its own send does not verify it"
    rig.run(2)
    assert rig.protection.protected_lots == 99
    assert any("-p1-" in m.client_id for m in rig.sends(QueryOrder))
    assert not rig.events(PositionUnprotected)


def test_a_partly_filled_entry_is_protected_part_by_part_without_touching_the_first_stop() -> None:
    rig = Rig().open()
    rig.buy(300, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK))
    rig.run(0.5)
    entry = rig.live(Purpose.OPEN)[0]
    for lots in (100, 50, 150):
        rig.meet(entry, lots)
        rig.run(0.5)
        rig.check()
    assert rig.last(rig.intents[0]).state is OrderState.FILLED
    assert not rig.sends(CancelOrder) and not rig.sends(ReplaceOrder)
    assert len(rig.live(Purpose.PROTECT)) >= 2


def test_many_small_fills_never_need_more_stops_than_the_venue_allows() -> None:
    rig = Rig().open()
    rig.buy(400, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK))
    rig.run(0.5)
    entry = rig.live(Purpose.OPEN)[0]
    for _ in range(20):
        rig.meet(entry, 20)
        rig.run(0.2)
        assert len(rig.live(Purpose.PROTECT)) < RULES.algo_orders_max
    rig.run(1)
    rig.check()
    assert rig.venue.bare_ns < 0.05 * S


def test_a_burst_of_fills_gets_one_stop() -> None:
    rig = Rig().open()
    rig.buy(300, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK))
    rig.run(0.5)
    for _ in range(5):
        rig.meet(rig.live(Purpose.OPEN)[0], 50)
    rig.run(0.5)
    assert len(rig.live(Purpose.PROTECT)) == 1
    rig.check()


# --- the venue takes no stop --------------------------------------------------------------------------------


def test_stops_that_the_venue_moved_elsewhere_are_placed_in_the_other_kind_at_once() -> None:
    rig = Rig().open()
    rig.venue.refuses[OrderKind.STOP_MARKET] = (-4120, "Order type not supported for this endpoint.")
    rig.buy(100)
    rig.run(1)
    stop = rig.venue.orders[rig.live(Purpose.PROTECT)[0]]
    assert stop.kind is OrderKind.STOP_LIMIT and stop.price < stop.stop
    rig.check()


def test_a_position_that_gets_no_stop_is_sold_and_said_and_nothing_more_is_opened() -> None:
    rig = Rig().open()
    for kind in (OrderKind.STOP_MARKET, OrderKind.STOP_LIMIT):
        rig.venue.refuses[kind] = (-4120, "Order type not supported for this endpoint.")
    rig.buy(100)
    rig.run(3)
    assert rig.position_lots == 0 and rig.venue.position < Decimal("0.0001")
    assert len(rig.events(PositionUnprotected)) == 1
    assert rig.last(rig.buy(100)).reason == "no_stop_type"


def test_without_a_verified_stop_within_3_s_of_the_first_fill_the_position_is_sold() -> None:
    rig = Rig().open()
    rig.venue.refuses[OrderKind.STOP_MARKET] = rig.venue.refuses[OrderKind.STOP_LIMIT] = (
        -1015,
        "Too many orders",
    )
    rig.buy(100)
    rig.run(2.9)
    assert rig.position_lots == 99 and not rig.events(PositionUnprotected)
    rig.run(0.4)
    assert rig.position_lots == 0
    event = rig.events(PositionUnprotected)[0]
    assert isinstance(event, PositionUnprotected) and event.reason == "no verified stop in time"
    assert rig.venue.bare_ns < 3.3 * S


def test_one_refused_stop_is_tried_again_and_is_no_reason_to_sell() -> None:
    rig = Rig().open()
    rig.venue.refuses[OrderKind.STOP_MARKET] = (-1015, "Too many orders")
    rig.buy(100)
    rig.run(1)
    assert rig.position_lots == 99 and not rig.events(PositionUnprotected)
    rig.check()


def test_a_market_that_is_through_the_stop_already_is_left_at_once() -> None:
    rig = Rig().open()
    rig.buy(100)
    rig.venue.bid, rig.venue.ask = Decimal("60000.00"), Decimal("60000.01")
    rig.sim.run_for(0.006)  # filled; its stop is on the way
    rig.venue.bid, rig.venue.ask = Decimal("59000.00"), Decimal("59000.01")
    rig.run(1.5)
    assert rig.position_lots == 0
    rig.check()


# --- a stop that triggers -----------------------------------------------------------------------------------


def test_a_triggered_stop_ends_the_position_and_nothing_is_left_behind() -> None:
    rig = held(Rig().open())
    rig.move("59500.00")
    rig.run(1)
    assert rig.position_lots == 0 and not rig.live()
    rig.check()


def test_a_triggered_stop_limit_that_does_not_fill_is_chased_and_then_crossed() -> None:
    rig = held(Rig(OrdersConfig(stop_prefers_market=False)).open())
    assert rig.venue.orders[rig.live(Purpose.PROTECT)[0]].kind is OrderKind.STOP_LIMIT
    rig.move("58000.00")  # far below its limit
    rig.venue.depth = Decimal(0)
    rig.run(1.5)
    assert rig.position_lots == 99, "the wait is not over"
    rig.run(2)
    exits = [m.place if isinstance(m, ReplaceOrder) else m for m in rig.sent]
    kinds = [p.kind for p in exits if isinstance(p, PlaceOrder) and "-r1-" in p.client_id]
    assert kinds[:3] == [OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.MARKET]
    rig.venue.depth = Decimal(9000)
    rig.run(3)
    assert rig.position_lots == 0 and rig.events(PositionUnprotected)
    rig.check()


# --- the strategy's exit ------------------------------------------------------------------------------------


def test_an_exit_takes_the_place_of_the_stop_in_one_request() -> None:
    rig = held(Rig().open())
    stop = rig.live(Purpose.PROTECT)[0]
    intent = rig.sell(rig.position_lots)
    rig.run(1)
    replace = rig.sends(ReplaceOrder)[0]
    assert isinstance(replace, ReplaceOrder) and replace.cancel_client_id == stop
    assert rig.last(intent).state is OrderState.FILLED and rig.position_lots == 0
    assert not rig.live() and not rig.sends(CancelOrder)
    rig.check()


def test_what_a_partial_exit_leaves_gets_its_stop_back_at_once() -> None:
    rig = held(Rig().open(), 500)
    rig.sell(200)
    rig.run(0.5)
    assert rig.position_lots == 299 and rig.venue.stopped == Decimal("0.00299")
    assert rig.venue.bare_ns <= 0.02 * S
    rig.check()


def test_an_exit_that_finds_no_buyer_restores_the_stop() -> None:
    rig = held(Rig().open())
    intent = rig.sell(rig.position_lots, price_ticks=int(rig.venue.bid / TICK) + 5000)
    rig.run(1)
    assert rig.last(intent).state is OrderState.EXPIRED
    assert rig.position_lots == 99 and rig.venue.stopped == Decimal("0.00099")
    rig.check()


def test_when_only_the_cancel_half_succeeds_the_stop_is_restored() -> None:
    rig = held(Rig().open())
    rig.venue.refuses[OrderKind.LIMIT] = (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")
    intent = rig.sell(rig.position_lots)
    rig.run(1)
    assert rig.last(intent).state is OrderState.REJECTED
    assert rig.venue.stopped == Decimal("0.00099")
    rig.check()


def test_when_the_stop_fills_before_its_replacement_the_exit_is_not_sent_twice() -> None:
    rig = held(Rig().open())
    rig.sell(rig.position_lots)
    rig.venue.move(Decimal("59500.00"))  # the stop wins
    rig.run(2)
    assert rig.position_lots == 0 and not rig.live()
    rig.check()


def test_after_a_lost_replace_answer_neither_the_stop_nor_its_sibling_is_believed_alive_or_dead() -> None:
    rig = held(Rig().open())
    rig.luck.mute = rig.luck.stream_lose = 1.0
    rig.sell(rig.position_lots, price_ticks=int(rig.venue.bid / TICK) + 5000)
    rig.run(0.6)
    rig.luck.mute = rig.luck.stream_lose = 0.0
    replace = rig.sends(ReplaceOrder)[0]
    assert isinstance(replace, ReplaceOrder)
    rig.run(3)
    asked = {m.client_id for m in rig.sends(QueryOrder) if isinstance(m, QueryOrder)}
    assert {replace.cancel_client_id, replace.place.client_id} <= asked
    rig.check()


def test_an_exit_that_would_rest_is_refused_for_it_would_lock_the_coins_of_its_stop() -> None:
    rig = held(Rig().open())
    assert rig.last(rig.sell(99, kind=OrderKind.POST_ONLY)).reason == "exit_would_rest"
    rig.sell(99, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK) + 5000)
    rig.run(1)
    assert rig.venue.stopped == Decimal("0.00099"), "a limit without an end is sent as IOC"


def test_two_exits_at_once_never_sell_more_than_the_position() -> None:
    rig = held(Rig(base=Decimal("0.5")).open())
    first, second = rig.sell(99), rig.sell(99)
    rig.run(1)
    assert rig.last(first).state is OrderState.FILLED
    assert rig.last(second).reason == "exit_running"
    rig.check()


@pytest.mark.parametrize("mode", [DeskMode.PAUSED, DeskMode.KILLED])
def test_exits_and_stops_work_while_opening_is_forbidden(mode: DeskMode) -> None:
    rig = held(Rig().open())
    rig.set_mode(mode)
    rig.sell(50)
    rig.run(1)
    assert rig.position_lots == 49 and rig.venue.stopped == Decimal("0.00049")
    rig.check()


# --- flatten ------------------------------------------------------------------------------------------------


def test_flatten_sells_in_slices_under_the_cap_with_a_stop_over_the_rest_and_says_when_done() -> None:
    rig = held(Rig().open(), 200_000)  # 2 BTC; the book shows 10
    rig.venue.depth = Decimal("0.7")
    rig.set_mode(DeskMode.FLATTENING)
    rig.run(5)
    assert rig.position_lots == 0 and [type(m) for m in rig.to_control] == [FlattenDone]
    wishes = [m.place if isinstance(m, ReplaceOrder) else m for m in rig.sent]
    slices = [w for w in wishes if isinstance(w, PlaceOrder) and "-r1-" in w.client_id]
    assert len(slices) >= 3 and all(s.kind is OrderKind.LIMIT for s in slices)
    assert all(Decimal(s.price or 0) >= rig.venue.bid * Decimal("0.998") - TICK for s in slices)
    assert rig.venue.bare_ns <= 0.05 * S
    rig.check()


def test_without_a_buyer_within_the_cap_a_flatten_keeps_the_stop_and_tries_again() -> None:
    rig = held(Rig().open())
    rig.venue.depth = Decimal(0)
    rig.set_mode(DeskMode.FLATTENING)
    rig.run(2)
    assert rig.position_lots == 99 and not rig.to_control
    rig.check()
    rig.venue.depth = Decimal(9000)
    rig.run(3)
    assert rig.position_lots == 0


def test_an_orderly_end_sells_what_is_held_cancels_entries_and_says_that_all_is_flat() -> None:
    rig = held(Rig().open())
    rig.buy(100, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK))
    rig.run(0.5)
    rig.stop_trading()
    rig.run(2)
    done = rig.events(TradingStopped)
    assert len(done) == 1 and isinstance(done[0], TradingStopped) and done[0].flat
    assert not rig.live() and rig.last(rig.buy(100)).reason == "stopping"
    rig.check()


def test_an_orderly_end_without_flatten_leaves_every_position_under_its_stop() -> None:
    rig = held(Rig().open())
    rig.stop_trading(flatten=False)
    rig.run(1)
    done = rig.events(TradingStopped)[0]
    assert isinstance(done, TradingStopped) and not done.flat and done.positions == {"sim/BTCUSDT": 99}
    rig.check()


def test_every_change_of_protection_is_told_to_risk() -> None:
    rig = held(Rig().open())
    rig.sell(rig.position_lots)
    rig.run(1)
    told = [(p.position_lots, p.protected_lots) for p in rig.at_risk if isinstance(p, ProtectionChanged)]
    assert (99, 0) in told and (99, 99) in told and told[-1] == (0, 0)


def test_orders_go_by_rest_while_the_trade_port_is_down() -> None:
    rig = held(Rig().open())
    rig.stream(False)
    rig.run(1)
    before = len(rig.sent)
    rig.sell(50)
    rig.run(2)
    assert len(rig.sent) > before and rig.venue.stopped == Decimal("0.00049")
    assert rig.last(rig.buy(100)).reason == "not_reconciled"
    rig.stream(True)
    rig.run(5)
    rig.check()
