"""The judge finds what was planted, and nothing in a record that is good: a judge that cannot fail proves nothing."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from actors.chaos import cover, judge
from actors.chaos.judge import Terms
from tests.actors.chaos.records import (
    ACCOUNT,
    SYMBOL,
    TERMS,
    S,
    balances,
    booked,
    change,
    fill,
    order,
    stop,
)

# --- reading ------------------------------------------------------------------------------------------------


def test_only_our_account_and_our_prefix_are_judged() -> None:
    mine, owners = order("nda-o1-1", 1), order("web_1", 2)
    other = msgspec.structs.replace(mine, account="other")
    plain = msgspec.to_builtins(
        {"orders": [mine, owners, other], "fills": [fill(3), fill(4, client_id="web_1")]}
    )
    seen = judge.ours(plain, ACCOUNT, "nd")
    assert [each.client_id for each in seen.orders] == ["nda-o1-1"]
    assert [each.at_us for each in seen.fills] == [3]


def test_what_is_not_a_record_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        judge.ours({"orders": [{"client_id": "nda-o1-1"}], "fills": []}, ACCOUNT, "nd")


# --- orders -------------------------------------------------------------------------------------------------


def test_a_client_id_accepted_twice_is_found() -> None:
    assert judge.doubled([order("nda-o1-1", 1), order("nda-o1-2", 2)]) == []
    assert judge.doubled([order("nda-o1-1", 1), order("nda-o1-2", 2), order("nda-o1-1", 3)]) == ["nda-o1-1"]


def test_an_order_that_no_journal_knew_is_found() -> None:
    assert judge.unjournalled([order("nda-o1-1", 1)], {"nda-o1-1", "nda-o1-2"}) == []
    assert judge.unjournalled([order("nda-o1-1", 1), order("nda-o1-3", 2)], {"nda-o1-1"}) == ["nda-o1-3"]


def test_an_order_that_still_works_at_the_end_is_found() -> None:
    ended = order("nda-o1-1", 1, change(1, "NEW"), change(2, "EXPIRED"))
    assert judge.left_working([ended, order("nda-p1-2", 1)]) == ["nda-p1-2"]


def test_an_order_is_on_its_way_from_its_commit_to_its_acceptance() -> None:
    sent = order("nda-o1-1", 100)
    assert judge.in_flight([sent], {"nda-o1-1": 50_000}, 70) == ["nda-o1-1"]
    assert judge.in_flight([sent], {"nda-o1-1": 50_000}, 40) == []
    assert judge.in_flight([sent], {"nda-o1-1": 50_000}, 100) == []
    assert judge.in_flight([sent], {}, 70) == [], "not known to have been on its way"


def test_the_next_order_after_a_moment() -> None:
    assert judge.next_after([order("a", 5), order("b", 9)], 5) == 9
    assert judge.next_after([order("a", 5)], 5) is None


# --- fills --------------------------------------------------------------------------------------------------


def test_a_fill_that_is_missing_invented_changed_or_counted_twice_is_found() -> None:
    fills = [fill(1), fill(2)]
    good = [booked(each) for each in fills]
    assert judge.reconcile(fills, good) == ([], [], [])
    assert judge.reconcile(fills, good[:1]).missing == [fills[1].key]
    assert judge.reconcile(fills[:1], good).invented == [fills[1].key]
    assert judge.reconcile(fills, [*good, good[0]]).doubled == [fills[0].key]
    changed = good[0]._replace(fee=Decimal("0.1"))
    assert judge.reconcile(fills, [changed, good[1]]).invented == [fills[0].key]


def test_selling_more_than_was_held_is_found() -> None:
    bought, sold = fill(1), fill(2, "SELL", "0.001")
    assert judge.oversold([bought, sold], TERMS) == []
    assert judge.oversold([bought, sold, fill(3, "SELL", "0.00001")], TERMS) == [(SYMBOL, 3, 1)]
    with_fee = fill(1, fee="0.000001")
    assert judge.oversold([with_fee, sold], TERMS) == [sold.key], "the fee was taken from what was bought"


def test_an_entry_made_twice_shows_in_what_is_held() -> None:
    one, two = fill(1), fill(2)
    assert judge.most_held([one], TERMS, 0, 10) == 60
    assert judge.most_held([one, two], TERMS, 0, 10) == 120
    assert judge.most_held([one, two], TERMS, 5, 10) == 0, "what happened before the window is not its own"


def test_more_than_dust_is_a_position() -> None:
    fills = [fill(1), fill(5, "SELL", "0.00099")]
    assert not judge.is_held(fills, TERMS, 0)
    assert judge.is_held(fills, TERMS, 3)
    assert not judge.is_held(fills, TERMS, 6)


def test_a_balance_that_the_fills_do_not_come_to_is_found() -> None:
    fills = [fill(1, fee="0.000001")]
    assert judge.position_off(fills, balances("0.5", "0.500999"), ACCOUNT, TERMS) == {}
    assert judge.position_off(fills, balances("0.5", "0.501"), ACCOUNT, TERMS) == {
        "BTC": Decimal("-0.000001")
    }
    assert judge.position_off([], balances("0", "0.001"), ACCOUNT, TERMS) == {"BTC": Decimal("-0.001")}


def test_an_epoch_left_out_or_given_twice_is_found() -> None:
    assert judge.broken_epochs([4, 5, 6]) == []
    assert judge.broken_epochs([4, 6, 6]) == [(4, 6), (6, 6)]


# --- the stop over every position ---------------------------------------------------------------------------


def gaps(orders: list[judge.Order], fills: list[judge.Fill], until_us: int = 20 * S) -> list[cover.Gap]:
    return cover.gaps(orders, fills, TERMS, until_us)


def test_the_first_stop_may_take_three_seconds_and_not_more() -> None:
    (soon,) = gaps([stop("p", 3 * S)], [fill(1 * S)])
    assert soon.is_first and soon.lasted_s == 2 and soon.over_s == 0
    (late,) = gaps([stop("p", 5 * S)], [fill(1 * S)])
    assert late.over_s == 1
    assert cover.unprotected_s([soon, late]) == 1
    assert cover.longest_s([soon, late], first=True) == 4


def test_a_stop_that_went_has_no_allowance() -> None:
    found = gaps([stop("p", 1 * S, 2 * S), stop("q", 3 * S)], [fill(1 * S)])
    assert [(gap.is_first, gap.over_s) for gap in found] == [(False, 1.0)]
    assert cover.longest_s(found, first=False) == 1


def test_a_position_that_never_gets_a_stop_is_counted_to_the_end() -> None:
    (gap,) = gaps([], [fill(1 * S)], until_us=11 * S)
    assert gap.over_s == 7


def test_a_stop_that_stands_though_its_engine_is_dead_is_no_gap() -> None:
    assert gaps([stop("p", 1 * S)], [fill(1 * S)], until_us=10**6 * S) == []


def test_a_stop_exchanged_in_one_step_leaves_no_gap_whatever_the_order_of_its_changes() -> None:
    old, new, sold = stop("p", 1 * S, 4 * S), stop("q", 4 * S), fill(4 * S, "SELL")
    assert gaps([old, new], [fill(1 * S)]) == [] == gaps([new, old], [fill(1 * S)])
    assert gaps([old], [fill(1 * S), sold]) == [], "an exit that fills in the place of the stop"


def test_a_stop_that_triggered_and_did_not_fill_protects_nothing() -> None:
    (gap,) = gaps([stop("p", 1 * S, 5 * S, how="TRIGGERED")], [fill(1 * S)], until_us=6 * S)
    assert not gap.is_first and gap.over_s == 1


def test_a_stop_for_less_than_is_held_leaves_a_gap_and_dust_does_not() -> None:
    covered = [stop("p", 1 * S)]
    assert gaps(covered, [fill(1 * S), fill(2 * S, size="0.00008")]) == [], (
        "4.80 is less than any order may be"
    )
    (gap,) = gaps(covered, [fill(1 * S), fill(2 * S, size="0.0005")])
    assert gap.is_first and gap.from_us == 2 * S


def test_what_a_stop_has_sold_it_covers_no_more() -> None:
    sold = order(
        "p", 1 * S, change(1 * S, "NEW"), change(4 * S, "TRADE", "PARTIALLY_FILLED", "0.0005"),
        kind="STOP_LOSS", side="SELL",
    )  # fmt: skip
    assert gaps([sold], [fill(1 * S), fill(4 * S, "SELL", "0.0005")]) == []
    (gap,) = gaps([sold], [fill(1 * S)])
    assert gap.from_us == 4 * S


def test_only_stop_orders_that_sell_are_a_stop() -> None:
    resting = order("r", 1 * S, kind="LIMIT", side="SELL")
    buying = order("b", 1 * S, kind="STOP_LOSS", side="BUY")
    assert len(gaps([resting, buying], [fill(1 * S)])) == 1


def test_an_exit_that_took_the_stops_place_and_found_nobody_has_half_a_second_until_the_next_stop() -> None:
    old = stop("p", 1 * S, 4 * S)
    exit_ = order("r", 4 * S, change(4 * S, "EXPIRED"), side="SELL")
    (soon,) = gaps([old, exit_, stop("q", 4 * S + S // 4)], [fill(1 * S)])
    assert soon.is_exit and not soon.is_first and (soon.over_s, soon.wrong_s) == (0.25, 0)
    (late,) = gaps([old, exit_, stop("q", 6 * S)], [fill(1 * S)])
    assert late.wrong_s == 1.5
    (lost,) = gaps([old, order("r", 3 * S, side="SELL"), stop("q", 4 * S + S // 4)], [fill(1 * S)])
    assert not lost.is_exit and lost.wrong_s == 0.25, "the stop went by itself"


def test_a_desk_answers_for_a_gap_only_while_it_runs() -> None:
    (gap,) = gaps([stop("p", 11 * S)], [fill(1 * S)])
    assert gap.over_s == 7
    assert cover.wrong_s(gap, [(2 * S, 8 * S)]) == 1
    assert cover.wrong_s(gap, [(2 * S, 10 * S)]) == 0
    assert cover.wrong_s(gap, [(12 * S, 20 * S)]) == 7, "it was dead at another time"
    assert cover.bare_s(gap, [(0, 3 * S), (9 * S, 30 * S)]) == 4


def test_the_gaps_of_a_window_are_those_that_touch_it() -> None:
    found = gaps([stop("p", 3 * S, 6 * S), stop("q", 8 * S)], [fill(1 * S)])
    assert [gap.from_us for gap in cover.within(found, 4 * S, 7 * S)] == [6 * S]
    assert [gap.from_us for gap in cover.within(found, 2 * S, 7 * S)] == [1 * S, 6 * S]
    assert cover.within(found, 3 * S, 6 * S) == []


def test_each_pair_is_covered_by_its_own_stops() -> None:
    terms = {**TERMS, "ETHUSDT": Terms("ETH", Decimal("0.0001"), Decimal(5))}
    foreign = msgspec.structs.replace(stop("p", 1 * S), symbol="ETHUSDT")
    found = cover.gaps([foreign], [fill(1 * S)], terms, 5 * S)
    assert [(gap.symbol, gap.over_s) for gap in found] == [(SYMBOL, 1.0)]
