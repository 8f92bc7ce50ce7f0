"""Order book imbalance: enters with the heavy side, one trip at a time; leaves by target, time or signal."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import (
    Book,
    CancelWanted,
    DeskMode,
    InstrumentRules,
    OrderChanged,
    OrderIntent,
    OrderKind,
    OrderState,
    PositionChanged,
    Purpose,
    RefusedOrder,
    Side,
    TimeInForce,
)
from actors.strategy.imbalance import Imbalance, ImbalanceConfig

BTC = "binance/BTCUSDT"
S = 1_000_000_000
WARM = 10 * S

RULES = InstrumentRules(
    instrument=BTC,
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
    size_min=Decimal("0.00001"),
    size_max=Decimal("9000"),
    notional_min=Decimal("5"),
    algo_orders_max=5,
    status="TRADING",
)


def book(
    bid_size: float = 1.0,
    ask_size: float = 1.0,
    *,
    at: int = WARM,
    bid: float = 50_000.0,
    ask: float = 50_000.01,
    levels: int = 10,
) -> Book:
    return Book(
        instrument=BTC,
        update_id=1,
        bids=tuple((bid - i * 0.01, bid_size) for i in range(levels)),
        asks=tuple((ask + i * 0.01, ask_size) for i in range(levels)),
        venue_ns=at,
        received_ns=at,
    )


def position(lots: int, price: str = "50000.01", *, client_id: str = "", booked: int = 0) -> PositionChanged:
    return PositionChanged(
        instrument=BTC,
        size_lots=lots,
        dust=Decimal(0),
        average_price=Decimal(price if lots else "0"),
        realised=Decimal(0),
        fees=Decimal(0),
        client_id=client_id,
        booked_lots=booked,
    )


def changed(intent: OrderIntent, state: OrderState, filled: int = 0) -> OrderChanged:
    return OrderChanged(
        client_id=f"c{intent.intent_id}",
        intent_id=intent.intent_id,
        reservation_id=1,
        strategy="imbalance",
        instrument=BTC,
        side=intent.side,
        purpose=intent.purpose,
        state=state,
        is_terminal=state
        in (OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.NOT_SENT),
        size_lots=intent.size_lots,
        filled_lots=filled,
        price_ticks=intent.price_ticks,
        stop_ticks=intent.stop_ticks,
    )


def warm(**knobs: Any) -> Imbalance:
    """A strategy that knows its rules and that it is flat, and has seen books for longer than its warm-up."""
    made = Imbalance(ImbalanceConfig(**knobs), BTC, itertools.count(1).__next__)
    made.on_rules(RULES)
    made.on_position(position(0), 0)
    assert made.on_book(book(at=0), 0) == []
    return made


def entered(made: Imbalance, at: int = WARM) -> OrderIntent:
    [intent] = made.on_book(book(2.5, at=at), at)
    assert isinstance(intent, OrderIntent)
    return intent


def holding(lots: int = 199, *, at: int = WARM, **knobs: Any) -> Imbalance:
    made = warm(**knobs)
    intent = entered(made, at)
    made.on_order(changed(intent, OrderState.FILLED, intent.size_lots), at)
    made.on_position(position(lots, client_id=f"c{intent.intent_id}", booked=intent.size_lots), at)
    return made


def test_it_buys_at_the_ask_when_bids_outweigh_asks_by_the_ratio() -> None:
    intent = entered(warm())
    assert (intent.side, intent.purpose, intent.kind, intent.tif) == (
        Side.BUY,
        Purpose.OPEN,
        OrderKind.LIMIT,
        TimeInForce.IOC,
    )
    assert intent.price_ticks == 5_000_001
    # 100 USDT at 50,000.01 are 0.0019999996 BTC, floored to the lot of 0.00001.
    assert intent.size_lots == 199
    # 5 bps of 50,000.01 are 25.000005: 2,500.0005 ticks, rounded away from the price. 3 ticks are nearer.
    assert intent.stop_ticks == 5_000_001 - 2_501
    assert intent.target_ticks == 5_000_001 + 2_500
    assert intent.decided_ns == WARM


def test_below_the_ratio_it_does_nothing() -> None:
    assert warm().on_book(book(2.49), WARM) == []
    assert warm().on_book(book(1.0, 2.49), WARM) == []


def test_only_the_first_levels_count() -> None:
    near = book(2.5)
    walls = ((49_000.0, 1_000.0), (51_000.0, 1_000.0))
    for bids, asks in (((*near.bids, walls[0]), near.asks), (near.bids, (*near.asks, walls[1]))):
        deep = Book(instrument=BTC, update_id=1, bids=bids, asks=asks, venue_ns=WARM, received_ns=WARM)
        [intent] = warm().on_book(deep, WARM)
        assert isinstance(intent, OrderIntent) and intent.side is Side.BUY
    even = book(1.0)
    wall = Book(
        instrument=BTC,
        update_id=1,
        bids=(*even.bids, walls[0]),
        asks=even.asks,
        venue_ns=WARM,
        received_ns=WARM,
    )
    assert warm().on_book(wall, WARM) == []


def test_a_book_shorter_than_its_levels_is_no_signal() -> None:
    assert warm().on_book(book(9.0, levels=9), WARM) == []


def test_a_crossed_or_locked_book_is_a_feed_that_lags() -> None:
    assert warm().on_book(book(9.0, bid=50_000.02, ask=50_000.01), WARM) == []
    assert warm().on_book(book(9.0, bid=50_000.01, ask=50_000.01), WARM) == []


def test_a_book_older_than_its_limit_is_history() -> None:
    made = warm(book_age_max_ms=1000.0)
    assert made.on_book(book(9.0, at=WARM - S - 1), WARM) == []
    assert len(made.on_book(book(9.0, at=WARM - S), WARM)) == 1


def test_nothing_is_entered_while_warming_up_nor_before_the_position_is_known() -> None:
    made = Imbalance(ImbalanceConfig(warmup_s=3.0), BTC, itertools.count(1).__next__)
    made.on_rules(RULES)
    assert made.on_book(book(9.0, at=0), 0) == []
    assert made.on_book(book(9.0, at=9 * S), 9 * S) == []  # warm, but perhaps holding something
    made.on_position(position(0), 9 * S)
    made.on_book_lost()
    assert made.on_book(book(9.0, at=10 * S), 10 * S) == []
    assert made.on_book(book(9.0, at=13 * S - 1), 13 * S - 1) == []
    assert len(made.on_book(book(9.0, at=13 * S), 13 * S)) == 1


def test_the_short_side_is_wished_with_its_stop_above_and_once_refused_not_asked_for_again_for_a_while() -> (
    None
):
    made = warm(refused_pause_s=5.0)
    [intent] = made.on_book(book(1.0, 2.5), WARM)
    assert isinstance(intent, OrderIntent)
    assert (intent.side, intent.price_ticks) == (Side.SELL, 5_000_000)
    assert intent.stop_ticks == 5_000_000 + 2_500 and intent.target_ticks == 5_000_000 - 2_500
    made.on_refused(
        RefusedOrder(
            intent_id=intent.intent_id,
            strategy="imbalance",
            instrument=BTC,
            purpose=Purpose.OPEN,
            reason="side_not_allowed",
        ),
        WARM,
    )
    assert made.on_book(book(1.0, 2.5, at=WARM + S), WARM + S) == []
    # The refused side does not silence the other one.
    assert len(made.on_book(book(2.5, at=WARM + S), WARM + S)) == 1


def test_one_entry_at_a_time_and_a_wish_that_nobody_answers_is_forgotten() -> None:
    made = warm(answer_timeout_s=2.0)
    entered(made)
    assert made.on_book(book(9.0, at=WARM + S), WARM + S) == []
    assert len(made.on_book(book(9.0, at=WARM + 2 * S), WARM + 2 * S)) == 1


def test_an_entry_that_orders_has_spoken_of_is_waited_for_until_its_final_state() -> None:
    made = warm(answer_timeout_s=2.0, cooldown_s=2.0)
    intent = entered(made)
    made.on_order(changed(intent, OrderState.UNKNOWN), WARM)
    later = WARM + 3600 * S
    assert made.on_book(book(9.0, at=later), later) == []
    made.on_order(changed(intent, OrderState.EXPIRED), later)
    assert made.on_book(book(9.0, at=later + 2 * S - 1), later + 2 * S - 1) == []  # cooling down
    assert len(made.on_book(book(9.0, at=later + 2 * S), later + 2 * S)) == 1


def test_an_entry_of_an_earlier_life_counts_as_its_own() -> None:
    made = warm()
    earlier = OrderIntent(
        intent_id=999,
        strategy="imbalance",
        instrument=BTC,
        side=Side.BUY,
        purpose=Purpose.OPEN,
        kind=OrderKind.LIMIT,
        size_lots=5,
        price_ticks=1,
        decided_ns=0,
    )
    made.on_order(changed(earlier, OrderState.OPEN), 0)
    assert made.on_book(book(9.0), WARM) == []


def test_fills_that_are_reported_but_not_booked_yet_hold_everything_back() -> None:
    made = warm(cooldown_s=0.0, answer_timeout_s=2.0)
    intent = entered(made)
    made.on_order(changed(intent, OrderState.FILLED, 199), WARM)
    assert made.on_book(book(9.0), WARM + 1) == []
    made.on_position(position(199, client_id="c1", booked=199), WARM)
    assert made.trip.held
    target = book(1.0, bid=50_100.0, ask=50_100.01, at=WARM + 2)
    [out] = made.on_book(target, WARM + 2)
    assert isinstance(out, OrderIntent) and out.purpose is Purpose.REDUCE


@pytest.mark.parametrize(
    ("seen", "at", "reason"),
    [
        (book(1.0, bid=50_025.01, ask=50_025.02), WARM, "target"),  # 5 bps of 50,000.01 above it
        (book(1.0, bid=50_024.99, ask=50_025.00), WARM, ""),
        (book(1.0, at=WARM + 30 * S), WARM + 30 * S, "time"),
        (book(1.0, at=WARM + 30 * S - 1), WARM + 30 * S - 1, ""),
        (book(0.99, 1.0), WARM, "signal"),
        (book(1.0, 1.0), WARM, ""),
    ],
)
def test_a_position_is_left_by_target_time_or_a_lost_signal(seen: Book, at: int, reason: str) -> None:
    wishes = holding().on_book(seen, at)
    if not reason:
        assert wishes == []
        return
    [out] = wishes
    assert isinstance(out, OrderIntent)
    assert (out.purpose, out.side, out.tif, out.reason) == (
        Purpose.REDUCE,
        Side.SELL,
        TimeInForce.IOC,
        reason,
    )
    assert out.size_lots == 199
    bid_ticks = round(seen.bids[0][0] * 100)
    assert out.price_ticks == bid_ticks - int(bid_ticks * 0.0002)  # 2 bps through the touch


def test_an_exit_is_wished_again_when_it_did_not_fill_and_not_before() -> None:
    made = holding()
    late = WARM + 40 * S
    [first] = made.on_book(book(at=late), late)
    assert isinstance(first, OrderIntent)
    made.on_order(changed(first, OrderState.SENT), late)
    assert made.on_book(book(at=late + S), late + S) == []
    made.on_order(changed(first, OrderState.EXPIRED), late + S)
    assert len(made.on_book(book(at=late + S), late + S)) == 1


def test_what_is_too_little_to_sell_is_dust_and_does_not_hold_up_the_next_entry() -> None:
    made = warm()
    made.on_position(position(9), 0)  # 0.00009 BTC are 4.50 USDT; the venue wants 5
    assert not made.trip.held
    assert len(made.on_book(book(2.5), WARM)) == 1
    made.on_position(position(10), 0)
    assert made.trip.held


@pytest.mark.parametrize("mode", [DeskMode.PAUSED, DeskMode.KILLED, DeskMode.FLATTENING])
def test_in_no_mode_but_running_is_anything_entered(mode: DeskMode) -> None:
    made = warm()
    made.on_mode(mode)
    assert made.on_book(book(9.0), WARM) == []


@pytest.mark.parametrize(
    ("mode", "exits"), [(DeskMode.PAUSED, 1), (DeskMode.KILLED, 1), (DeskMode.FLATTENING, 0)]
)
def test_exits_go_on_under_pause_and_kill_and_are_left_to_orders_while_it_flattens(
    mode: DeskMode, exits: int
) -> None:
    made = holding()
    made.on_mode(mode)
    late = WARM + 40 * S
    assert len(made.on_book(book(at=late), late)) == exits


def test_a_post_only_entry_joins_the_bid_and_is_withdrawn_when_it_rested_too_long() -> None:
    made = warm(entry="post_only", entry_rest_s=5.0)
    intent = entered(made)
    assert (intent.kind, intent.tif, intent.price_ticks) == (OrderKind.POST_ONLY, TimeInForce.GTC, 5_000_000)
    made.on_order(changed(intent, OrderState.OPEN), WARM)
    assert made.on_book(book(9.0, at=WARM + 4 * S), WARM + 4 * S) == []
    late = WARM + 5 * S
    [cancel] = made.on_book(book(9.0, at=late), late)
    assert isinstance(cancel, CancelWanted) and cancel.intent_id == intent.intent_id
    assert made.on_book(book(9.0, at=late + 1), late + 1) == []


books = st.builds(
    book,
    st.floats(0.01, 100),
    st.floats(0.01, 100),
    bid=st.sampled_from([49_000.0, 50_000.0, 50_030.0]),
    ask=st.sampled_from([49_000.01, 50_000.01, 50_030.01]),
    levels=st.integers(0, 12),
)


@given(
    st.lists(
        st.tuples(books, st.integers(0, 3 * S), st.sampled_from(["fill", "refuse", "lose", "expire", "none"]))
    )
)
def test_there_is_never_more_than_one_entry_and_every_entry_has_a_stop_on_its_losing_side(steps: Any) -> None:
    made = warm(warmup_s=0.0)
    now, lots, pending = WARM, 0, None
    for seen, step, fate in steps:
        now += step
        fresh = Book(
            instrument=BTC, update_id=1, bids=seen.bids, asks=seen.asks, venue_ns=now, received_ns=now
        )
        for wish in made.on_book(fresh, now):
            assert isinstance(wish, OrderIntent)
            if wish.purpose is Purpose.OPEN:
                assert not lots and wish.stop_ticks is not None and wish.price_ticks is not None
                assert (wish.stop_ticks < wish.price_ticks) is (wish.side is Side.BUY)
                assert pending is None or now - pending.decided_ns >= 2 * S
            else:
                assert lots and wish.size_lots == abs(lots)
            pending = wish
        if pending is None or fate == "none":
            continue
        if fate == "refuse":
            made.on_refused(
                RefusedOrder(
                    intent_id=pending.intent_id,
                    strategy="imbalance",
                    instrument=BTC,
                    purpose=pending.purpose,
                    reason="spread_too_wide",
                ),
                now,
            )
        elif fate == "fill":
            sign = 1 if pending.side is Side.BUY else -1
            lots = lots + sign * pending.size_lots
            made.on_order(changed(pending, OrderState.FILLED, pending.size_lots), now)
            made.on_position(position(lots, client_id=f"c{pending.intent_id}", booked=pending.size_lots), now)
        elif fate == "expire":
            made.on_order(changed(pending, OrderState.EXPIRED), now)
        if fate != "lose":
            pending = None
