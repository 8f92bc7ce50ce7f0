"""Ticks and strings, what is missing of a stop, how an exit is cut, and how a flatten goes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Balance, Fill, InstrumentRules, OrderKind, Purpose, Side, TimeInForce
from actors.orders.book_of_orders import Order, OrdersKnown
from actors.orders.config import OrdersConfig
from actors.orders.flatten import next_slice
from actors.orders.holdings import Holdings
from actors.orders.protection import (
    CancelStop,
    Cover,
    PlaceStop,
    ReplaceStop,
    UnprotectedClock,
    exit_pieces,
    next_steps,
    stop_kind,
    stop_ticks_for,
)
from actors.orders.quantise import Grid
from tests.actors.orders.model_venue import RULES

GRID = Grid(RULES)
STOP = 5_970_000
S = 1_000_000_000


def rules(tick: str, lot: str, notional: str = "5") -> InstrumentRules:
    return InstrumentRules(
        instrument="sim/X", base="X", quote="Q", tick=Decimal(tick), lot=Decimal(lot), size_min=Decimal(lot),
        size_max=Decimal(10**6), notional_min=Decimal(notional), algo_orders_max=5, status="TRADING",
    )  # fmt: skip


# --- ticks and lots -----------------------------------------------------------------------------------------


@given(
    st.sampled_from(["0.01", "0.05", "0.5", "1", "10", "0.00000001", "2.5", "1.0"]), st.integers(0, 10**12)
)
def test_prices_and_sizes_reach_the_venue_exactly(step: str, count: int) -> None:
    grid = Grid(rules(step, step))
    for text, back in ((grid.price_text(count), grid.ticks), (grid.size_text(count), grid.lots)):
        assert "e" not in text.lower()
        assert Decimal(text) == Decimal(step) * count
        assert back(Decimal(text)) == count


def test_a_market_price_on_a_tick_is_that_tick_though_floats_are_not_exact() -> None:
    grid = Grid(rules("0.01", "0.01"))
    assert [grid.ticks_below(price) for price in (0.29, 0.57, 1.13, 59999.99)] == [29, 57, 113, 5_999_999]
    assert grid.ticks_below(0.2999) == 29


def test_a_tick_of_zero_is_refused_and_named() -> None:
    with pytest.raises(ValueError, match="sim/X: the venue says tick 0"):
        Grid(rules("0", "0.01"))


@given(st.integers(1, 10_000), st.integers(1, 10**7))
def test_dust_is_exactly_what_the_venue_would_refuse(lots: int, ticks: int) -> None:
    worth = RULES.lot * lots * RULES.tick * ticks
    assert GRID.is_dust(lots, ticks) == (worth < RULES.notional_min)


# --- stops --------------------------------------------------------------------------------------------------

covers = st.lists(
    st.tuples(st.integers(10, 500), st.booleans()).map(
        lambda one: Cover(f"nda-p1-{one[0]}{one[1]:d}", one[0], STOP, one[1])
    ),
    max_size=4,
    unique_by=lambda cover: cover.client_id,
)


@given(st.integers(0, 2000), st.integers(0, 500), st.integers(0, 300), covers)
def test_stops_never_cover_more_than_the_position_and_miss_only_dust(
    position: int, exits: int, held: int, standing: list[Cover]
) -> None:
    steps = next_steps(position, exits, held, standing, GRID, STOP)
    left = {cover.client_id: cover.lots for cover in standing}
    for step in steps:
        if isinstance(step, PlaceStop):
            left["new"] = step.lots
        elif isinstance(step, ReplaceStop):
            left[step.client_id] = step.lots
        else:
            assert isinstance(step, CancelStop)
            left.pop(step.client_id)
    before, after = sum(cover.lots for cover in standing), sum(left.values())
    if before + exits > position:
        # Too much: what can be taken away is, and nothing is added.
        movable = sum(cover.lots for cover in standing if cover.open)
        assert after <= before
        assert after + exits <= position or movable <= before + exits - position
    else:
        assert after + exits + held <= position or not steps
        assert GRID.is_dust(position - after - exits - held, STOP) or len(standing) >= 4


def test_a_position_that_grows_gets_a_further_stop_and_the_first_is_not_touched() -> None:
    assert next_steps(150, 0, 0, [Cover("a", 100, STOP, True)], GRID, STOP) == [PlaceStop(50)]


def test_near_the_venues_limit_on_stops_the_smallest_is_replaced_by_a_larger() -> None:
    four = [Cover(name, lots, STOP, True) for name, lots in (("a", 100), ("b", 30), ("c", 40), ("d", 50))]
    assert next_steps(270, 0, 0, four, GRID, STOP) == [ReplaceStop("b", 80)]


def test_coins_under_a_stop_that_is_being_cancelled_are_not_promised_to_another() -> None:
    assert next_steps(100, 0, 100, [], GRID, STOP) == []


def test_an_exit_takes_the_place_of_the_stop_and_brings_the_free_coins_along() -> None:
    assert exit_pieces(105, 5, [Cover("a", 100, STOP, True)]) == [(105, "a")]
    assert exit_pieces(30, 0, [Cover("a", 100, STOP, True)]) == [(30, "a")]
    assert exit_pieces(150, 0, [Cover("a", 100, STOP, True), Cover("b", 60, STOP, True)]) == [
        (100, "a"),
        (50, "b"),
    ]


def test_an_exit_never_takes_coins_of_a_stop_that_is_in_doubt() -> None:
    assert exit_pieces(100, 0, [Cover("a", 100, STOP, False)]) == []


@given(st.integers(1, 2000), st.integers(0, 300), covers)
def test_the_pieces_of_an_exit_fit_into_the_coins_that_they_free(
    lots: int, free: int, standing: list[Cover]
) -> None:
    pieces = exit_pieces(lots, free, standing)
    by_id = {cover.client_id: cover for cover in standing}
    assert sum(piece.lots for piece in pieces) <= lots
    assert sum(p.lots for p in pieces) <= free + sum(by_id[p.replaces].lots for p in pieces if p.replaces)
    assert all(by_id[piece.replaces].open for piece in pieces if piece.replaces)
    assert len({piece.replaces for piece in pieces}) == len(pieces)


def test_a_stop_is_never_nearer_than_the_least_distance_whatever_the_strategy_wished() -> None:
    assert stop_ticks_for(1_000_000, 999_999, 0.005, 0.001) == 999_000
    assert stop_ticks_for(1_000_000, 900_000, 0.005, 0.001) == 900_000
    assert stop_ticks_for(1_000_000, None, 0.005, 0.001) == 995_000


def test_a_kind_of_stop_that_the_venue_moved_away_is_not_tried_again() -> None:
    assert stop_kind(GRID, frozenset(), True) is OrderKind.STOP_MARKET
    assert stop_kind(GRID, frozenset({OrderKind.STOP_MARKET}), True) is OrderKind.STOP_LIMIT
    assert stop_kind(GRID, frozenset({OrderKind.STOP_MARKET, OrderKind.STOP_LIMIT}), True) is None


def test_the_time_without_a_stop_counts_beyond_what_the_first_is_allowed_and_a_lost_stop_has_none() -> None:
    clock = UnprotectedClock()
    clock.grew(10 * S, 3 * S)
    clock.covered(12 * S)
    assert clock.total_ns == 0
    clock.grew(20 * S, 3 * S)
    clock.covered(25 * S)
    assert clock.total_ns == 2 * S
    clock.uncovered(30 * S)
    assert clock.counted_ns(31 * S) == 3 * S


# --- orders known -------------------------------------------------------------------------------------------


def test_the_venues_order_number_means_another_order_in_another_pair() -> None:
    known = OrdersKnown(live_max=8, recent_max=100)
    orders = {name: order(f"nda-p1-{name}", f"sim/{name}USDT") for name in ("btc", "eth")}
    for each in orders.values():
        known.add(each)
        known.note_number(each, 7)
    for trade_id, (each, size) in enumerate(zip(orders.values(), ("0.001", "0.04"), strict=True)):
        known.count_fill(("sim/main", each.instrument, trade_id, 7), Decimal(size))
        assert known.numbered(each.instrument, 7) is each
    assert known.counted_size("sim/btcUSDT", 7) == Decimal("0.001")
    assert known.numbered("sim/XUSDT", 7) is None


def order(client_id: str, instrument: str) -> Order:
    return Order(
        client_id,
        instrument,
        Side.SELL,
        Purpose.PROTECT,
        OrderKind.STOP_MARKET,
        TimeInForce.GTC,
        100,
        None,
        STOP,
    )


# --- holdings -----------------------------------------------------------------------------------------------


def fill(side: Side, size: str, fee: str, coin: str) -> Fill:
    return Fill(
        account="sim/main", instrument="sim/BTCUSDT", trade_id=1, order_id=1, client_id="nda-o1-1", side=side,
        price=Decimal(60000), size=Decimal(size), fee=Decimal(fee), fee_coin=coin, is_maker=False, venue_ns=0,
    )  # fmt: skip


def test_flat_means_the_owners_baseline_and_not_zero() -> None:
    holdings = Holdings({"BTC": Decimal("0.5")})
    holdings.read([Balance(coin="BTC", free=Decimal("0.3"), locked=Decimal("0.2"))], ["BTC"])
    assert holdings.lots("BTC", GRID) == 0
    holdings.read([Balance(coin="BTC", free=Decimal("0.4"), locked=Decimal(0))], ["BTC"])
    assert holdings.lots("BTC", GRID) == 0, "the owner's coins are not a short position of ours"


def test_a_fee_in_the_bought_coin_leaves_a_smaller_position_and_dust() -> None:
    holdings = Holdings({})
    holdings.read([], ["BTC"])
    holdings.book(fill(Side.BUY, "0.00100", "0.000001", "BTC"), "BTC")
    assert holdings.lots("BTC", GRID) == 99
    assert holdings.dust("BTC", GRID) == Decimal("0.000009")
    holdings.book(fill(Side.SELL, "0.00099", "0.05", "USDT"), "BTC")
    assert holdings.coins == {"BTC": Decimal("0.000009")}


def test_a_fee_in_a_third_coin_that_we_trade_is_taken_from_that_coins_position() -> None:
    holdings = Holdings({})
    holdings.read([Balance(coin="BNB", free=Decimal(1), locked=Decimal(0))], ["BTC", "BNB"])
    holdings.book(fill(Side.BUY, "0.001", "0.01", "BNB"), "BTC")
    assert holdings.coins == {"BTC": Decimal("0.001"), "BNB": Decimal("0.99")}


# --- flatten ------------------------------------------------------------------------------------------------

BIDS = [(60000.0, 0.001), (59990.0, 0.001), (59000.0, 9.0)]


def test_a_slice_never_reaches_below_the_slippage_cap_nor_takes_more_than_its_share_of_the_depth() -> None:
    part = next_slice(1000, BIDS, GRID, cap=0.002, share=0.5, tries=0, tries_max=5)
    assert part == (100, 5_988_000)


def test_without_a_book_a_flatten_waits_under_its_stop_and_crosses_only_as_the_last_resort() -> None:
    assert next_slice(1000, [], GRID, cap=0.002, share=0.5, tries=0, tries_max=5) is None
    assert next_slice(1000, [], GRID, cap=0.002, share=0.5, tries=5, tries_max=5) == (1000, None)


def test_a_rest_too_small_for_the_venue_is_sold_with_the_last_slice() -> None:
    assert next_slice(105, BIDS, GRID, cap=0.002, share=0.5, tries=0, tries_max=5) == (105, 5_988_000)


# --- config -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"stop_verify_s": 2.0}, "stop_verify_s must be at most half of stop_deadline_s"),
        ({"stop_distance": 0.01}, "0 < stop_distance <= stop_distance_default"),
        ({"slippage_cap": 2.0}, "it is a fraction"),
        ({"ids_reserve": 9000}, "ids_reserve must be less than half"),
        ({"tick_s": 0.0}, "tick_s must be above 0"),
        ({"answer_s": -1.0}, "answer_s is -1.0"),
        ({"baseline": {"BTC": Decimal(-1)}}, "baseline of BTC is -1"),
    ],
)
def test_a_config_that_contradicts_itself_says_what_would_go_wrong(
    wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        OrdersConfig(**wrong)  # type: ignore[arg-type]
