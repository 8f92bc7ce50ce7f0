"""Each check of an OPEN order refuses with its own code; an order inside all of them is approved."""

from __future__ import annotations

from typing import Any

import pytest
from risk_builders import (
    BTC,
    ETH,
    NOW,
    WALL,
    D,
    S,
    approved,
    book,
    changed,
    intent,
    position,
    protected,
    ready,
    reason,
    reconciled,
    rules,
    start_day,
)

from actors.messages import (
    ApprovedOrder,
    DeskMode,
    OrderKind,
    OrderState,
    Purpose,
    RefusedOrder,
    Side,
    VenueTrouble,
)
from actors.risk.config import RiskConfig
from actors.risk.kernel import RiskKernel
from actors.risk.reasons import Reason


def check(kernel: RiskKernel, now: int = NOW, **wish: Any) -> ApprovedOrder | RefusedOrder:
    return kernel.check(intent(at=now, **wish), now, WALL)


def test_an_order_inside_every_limit_is_approved_until_its_window_ends() -> None:
    kernel = ready(window_s=0.3)
    answer = approved(check(kernel))
    assert answer.reservation_id and answer.send_by_ns == NOW + 300_000_000
    assert kernel.reservations.outstanding(BTC) == (200, 0)


def test_an_approval_ends_no_later_than_the_price_it_was_checked_against() -> None:
    kernel = ready(window_s=3.0, book_age_max_ms=1000.0)
    kernel.holdings[BTC].on_book(book(at=NOW - S // 2))
    assert approved(check(kernel)).send_by_ns == NOW + S // 2


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        (DeskMode.PAUSED, "paused"),
        (DeskMode.KILLED, "killed"),
        (DeskMode.FLATTENING, "flattening"),
        (None, "paused"),
    ],
)
def test_nothing_opens_in_any_mode_but_running_nor_before_the_mode_is_known(
    mode: DeskMode, code: str
) -> None:
    kernel = ready()
    kernel.mode = mode
    assert reason(check(kernel)) == code


def test_nothing_opens_without_the_rules_of_the_instrument() -> None:
    kernel = ready()
    kernel.holdings[BTC].limits = None
    assert reason(check(kernel)) == "no_rules"
    assert reason(check(kernel, instrument="binance/XYZUSDT")) == "no_rules"


def test_nothing_opens_while_the_market_is_not_trading() -> None:
    kernel = ready()
    kernel.holdings[BTC].on_rules(rules(status="HALT"), kernel.config)
    answer = check(kernel)
    assert isinstance(answer, RefusedOrder)
    assert (answer.reason, answer.detail) == ("market_status", "HALT")


def test_nothing_opens_while_the_venue_is_in_trouble() -> None:
    kernel = ready()
    kernel.on_trouble(VenueTrouble(venue="binance", kind="banned", words="418", until_wall_ns=WALL + S))
    assert reason(check(kernel)) == "halted"
    assert not reason(kernel.check(intent(), NOW, WALL + S))


def test_nothing_opens_on_a_price_that_is_old_or_lost() -> None:
    kernel = ready(book_age_max_ms=2000.0)
    late = NOW + 2 * S
    assert reason(check(kernel, late + 1)) == "book_stale"
    assert reason(check(kernel, late - 1)) == ""
    kernel.holdings[BTC].on_book_lost()
    assert reason(check(kernel)) == "book_stale"


def test_what_was_decided_too_long_ago_is_refused() -> None:
    kernel = ready(window_s=0.3)
    assert reason(kernel.check(intent(at=NOW - 300_000_000), NOW, WALL)) == "too_late"


def test_a_spread_that_has_opened_is_stayed_out_of() -> None:
    kernel = ready(spread_max_bps=20.0)
    # 100 of 50,100 are 19.96 bps; 101 of 50,101 are 20.16.
    kernel.holdings[BTC].on_book(book(ask=50_100.0))
    assert reason(check(kernel)) == ""
    kernel.holdings[BTC].on_book(book(ask=50_101.0))
    assert reason(check(kernel)) == "spread_too_wide"
    kernel.holdings[BTC].on_book(book(ask=49_999.0))
    assert reason(check(kernel)) == "spread_too_wide"  # crossed


def test_a_price_far_beyond_the_touch_is_a_wrong_number() -> None:
    # 50 bps beyond an ask of 50,000.01 is 50,250.01005.
    assert reason(check(ready(), price=5_025_001)) == ""
    assert reason(check(ready(), price=5_025_002)) == "price_off_market"


def test_spot_cannot_be_sold_short() -> None:
    assert reason(check(ready(), side=Side.SELL, stop=5_010_000)) == "side_not_allowed"


@pytest.mark.parametrize("kind", [OrderKind.MARKET, OrderKind.STOP_MARKET, OrderKind.STOP_LIMIT])
def test_an_entry_is_never_a_market_or_a_stop_order(kind: OrderKind) -> None:
    assert reason(check(ready(), kind=kind)) == "kind_not_allowed"
    assert reason(check(ready(), price=None)) == "kind_not_allowed"


def test_an_entry_without_a_stop_is_refused() -> None:
    assert reason(check(ready(), stop=None)) == "no_stop"


@pytest.mark.parametrize("stop", [0, -1, 5_000_001, 5_000_002])
def test_a_stop_on_the_winning_side_is_refused(stop: int) -> None:
    assert reason(check(ready(), stop=stop)) == "stop_wrong_side"


@pytest.mark.parametrize("lots", [0, -1, 9])
def test_a_size_outside_the_venues_is_refused(lots: int) -> None:
    kernel = ready()
    kernel.holdings[BTC].on_rules(rules(size_min=D("0.0001"), size_max=D("0.0010")), kernel.config)
    assert reason(check(kernel, lots=lots)) == "size"
    assert reason(check(kernel, lots=101)) == "size"


def test_an_entry_must_still_be_sellable_at_its_stop_after_the_fee() -> None:
    # The venue wants 5 USDT, the margin makes it 5.50. At a stop of 49,975.00 a lot is worth 0.49975, so 12
    # lots (5.997) are needed; 12 bought leave 11 (5.497) when 0.1 % is taken in the coin, and 13 leave 12.
    kernel = ready(fee_bps=10.0, dust_margin=0.1)
    assert reason(check(kernel, lots=12)) == "not_sellable_at_stop"
    assert reason(check(kernel, lots=13)) == ""
    assert reason(check(ready(fee_bps=0.0, dust_margin=0.1), lots=12)) == ""


def test_the_fee_gate_refuses_a_target_that_does_not_pay_both_fees() -> None:
    # 22 bps of 50,000.01 are 11,000.0022 ticks.
    kernel = ready(fee_gate=True, fee_bps=10.0, fee_gate_margin_bps=2.0)
    assert reason(check(kernel, target=5_000_001 + 11_000)) == "fee_gate"
    assert reason(check(kernel, target=None)) == "fee_gate"
    assert reason(check(kernel, target=5_000_001 + 11_001)) == ""
    assert reason(check(ready(), target=None)) == ""


def test_one_order_may_not_be_worth_more_than_its_limit() -> None:
    # 200 USDT at 50,000.01 are 399.99992 lots.
    assert reason(check(ready(), lots=399)) == ""
    assert reason(check(ready(), lots=400)) == "notional_limit"


def test_position_and_reservations_count_against_the_limit_together() -> None:
    kernel = ready(position_max={BTC: D("0.00500")}, position_notional_max=D(1000), open_orders_max=9)
    kernel.on_position(position(200))
    kernel.holdings[BTC].on_protection(protected(200))
    assert reason(check(kernel, lots=200)) == ""
    assert reason(check(kernel, lots=101)) == "position_limit"
    assert reason(check(kernel, lots=100)) == ""


def test_the_position_is_worth_what_the_dearer_of_order_and_market_says() -> None:
    kernel = ready(position_notional_max=D(400))
    kernel.on_position(position(600))
    kernel.holdings[BTC].on_protection(protected(600))
    assert reason(check(kernel, lots=199)) == ""
    kernel = ready(position_notional_max=D(400))
    kernel.on_position(position(600))
    kernel.holdings[BTC].on_protection(protected(600))
    kernel.holdings[BTC].on_book(book(bid=50_090.0, ask=50_100.0))
    # 799 lots are 399.50 at the order's 50,000.01 and 400.299 at the market's 50,100.
    assert reason(check(kernel, lots=199)) == "notional_limit"


def test_the_desk_may_not_be_worth_more_than_its_limit_over_all_instruments() -> None:
    kernel = ready(BTC, ETH, position_notional_max=D(400), desk_notional_max=D(450), open_orders_max=9)
    kernel.on_position(position(600, instrument=ETH))
    kernel.holdings[ETH].on_protection(protected(600, ETH))
    assert reason(check(kernel, lots=299)) == ""  # 300.00 + 149.50
    assert reason(check(kernel, lots=13)) == "notional_limit"


def test_open_orders_are_limited_until_they_end() -> None:
    kernel = ready(open_orders_max=1)
    first = approved(check(kernel, lots=20))
    assert reason(check(kernel, lots=20)) == "open_orders_limit"
    kernel.on_order(changed(first, OrderState.EXPIRED), NOW)
    assert reason(check(kernel, lots=20)) == ""


def test_entries_are_limited_within_any_window() -> None:
    kernel = ready(order_rate_max=3, order_rate_window_s=10.0, open_orders_max=99)
    for at in (0, 4, 8):
        now = NOW + at * S
        kernel.holdings[BTC].on_book(book(at=now))
        assert reason(check(kernel, now, lots=20)) == ""
    kernel.holdings[BTC].on_book(book(at=NOW + 10 * S))
    assert reason(check(kernel, NOW + 10 * S - 1, lots=20)) == "order_rate"
    assert reason(check(kernel, NOW + 10 * S, lots=20)) == ""
    assert reason(check(kernel, NOW + 10 * S, lots=20)) == "order_rate"


def test_nothing_opens_while_a_position_anywhere_lacks_its_stop() -> None:
    kernel = ready(BTC, ETH)
    kernel.on_position(position(100, instrument=ETH))
    assert reason(check(kernel)) == "unprotected"
    kernel.holdings[ETH].on_protection(protected(60, ETH))
    assert reason(check(kernel)) == "unprotected"
    # Nine lots without a stop are worth 4.50: the venue would take no stop for them.
    kernel.holdings[ETH].on_protection(protected(91, ETH))
    assert reason(check(kernel)) == ""


def test_a_position_without_any_price_counts_as_unprotected_however_small() -> None:
    kernel = ready(BTC, ETH)
    kernel.holdings[ETH].bid = kernel.holdings[ETH].ask = 0.0
    kernel.on_position(position(1, instrument=ETH, price="0"))
    assert reason(check(kernel)) == "unprotected"


def test_the_daily_loss_stops_entries_for_the_day_even_when_it_is_won_back() -> None:
    kernel = ready(daily_loss_max=D(50))
    kernel.on_position(position(0, realised="-50"))
    start_day(kernel)
    assert reason(check(kernel)) == ""
    kernel.on_position(position(0, realised="-50.01"))
    start_day(kernel)
    assert reason(check(kernel)) == "daily_loss"
    kernel.on_position(position(0, realised="100"))
    start_day(kernel)
    assert reason(check(kernel)) == "daily_loss"
    start_day(kernel, WALL + 86_400 * S)
    assert reason(check(kernel)) == ""


def test_an_unrealised_loss_counts() -> None:
    kernel = ready(daily_loss_max=D(5))
    kernel.on_position(position(200, price="50000"))
    kernel.holdings[BTC].on_protection(protected(200))
    kernel.holdings[BTC].on_book(book(bid=47_490.0, ask=47_500.0))  # 0.002 * -2,505 = -5.01
    start_day(kernel)
    assert kernel.day.is_tripped


def test_nothing_opens_before_the_start_of_the_day_is_on_disk() -> None:
    kernel = ready()
    kernel.day.on_pnl(0.0, WALL + 86_400 * S)
    assert reason(check(kernel)) == "day_unknown"


def test_nothing_opens_between_a_snapshot_and_the_positions_that_belong_to_it() -> None:
    kernel = ready()
    assert kernel.on_reconciled(reconciled(), NOW) == (BTC,)
    kernel.on_position(position(0))  # told before the question: may lack fills that the snapshot has
    assert reason(check(kernel)) == "unreconciled"
    kernel.on_positions([position(0)])
    assert reason(check(kernel)) == ""


def test_a_snapshot_that_may_lack_an_approval_of_the_life_before_is_not_taken() -> None:
    kernel = RiskKernel(RiskConfig(), (BTC,), order_window_s=0.3, first_id=1, born_ns=NOW)
    assert kernel.on_reconciled(reconciled(), NOW + 299_999_999) == ()
    assert kernel.on_reconciled(reconciled(), NOW + 300_000_000) == (BTC,)


def test_an_error_inside_a_check_refuses_the_entry_and_never_the_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = ready()
    kernel.on_position(position(200))

    def broken(*_: object) -> int:
        raise ZeroDivisionError("on numbers that nobody foresaw")

    for part in (kernel.reservations, kernel.holdings[BTC].limits, kernel.day):
        for name in ("outstanding", "value", "loss"):
            if hasattr(type(part), name):
                monkeypatch.setattr(type(part), name, broken)
    answer = check(kernel)
    assert isinstance(answer, RefusedOrder)
    assert (answer.reason, answer.detail[:17]) == ("check_failed", "ZeroDivisionError")
    assert approved(check(kernel, side=Side.SELL, purpose=Purpose.REDUCE, stop=None)).reservation_id == 0


@pytest.mark.parametrize("purpose", [Purpose.REDUCE, Purpose.PROTECT])
def test_an_exit_is_bound_by_no_mode_limit_halt_rate_or_book(purpose: Purpose) -> None:
    kernel = ready(order_rate_max=1, open_orders_max=1)
    approved(check(kernel))
    kernel.on_position(position(200))
    kernel.mode = DeskMode.KILLED
    kernel.day.is_tripped = True
    kernel.on_trouble(VenueTrouble(venue="binance", kind="banned", words="418", until_wall_ns=WALL + S))
    kernel.holdings[BTC].on_book_lost()
    kernel.doubt()
    out = check(kernel, lots=200, side=Side.SELL, purpose=purpose, price=1, stop=1)
    assert approved(out).reservation_id == 0


def test_two_exits_together_do_not_sell_more_than_is_held() -> None:
    kernel = ready()
    kernel.on_position(position(200))
    sell: dict[str, Any] = {"side": Side.SELL, "purpose": Purpose.REDUCE, "stop": None}
    first = approved(check(kernel, lots=150, intent_id=1, **sell))
    assert reason(check(kernel, lots=51, intent_id=2, **sell)) == "would_increase"
    kernel.on_order(changed(first, OrderState.EXPIRED, 0), NOW)
    assert reason(check(kernel, lots=51, intent_id=2, **sell)) == ""


def test_an_exit_that_orders_never_spoke_of_holds_the_next_one_up_for_a_while_only() -> None:
    kernel = ready()
    kernel.on_position(position(200))
    sell: dict[str, Any] = {"side": Side.SELL, "purpose": Purpose.REDUCE, "stop": None, "lots": 200}
    approved(check(kernel, intent_id=1, **sell))
    assert reason(check(kernel, NOW + 5 * S, intent_id=2, **sell)) == "would_increase"
    assert reason(check(kernel, NOW + 5 * S + 1, intent_id=2, **sell)) == ""


def test_every_reason_is_a_stable_word() -> None:
    """They are counted, shown and graphed: renaming one breaks somebody's alert. Adding is fine."""
    promised = {
        "paused", "killed", "flattening", "halted", "unreconciled", "daily_loss", "day_unknown", "unprotected",
        "order_rate", "check_failed", "no_rules", "market_status", "book_stale", "spread_too_wide", "too_late",
        "price_off_market", "side_not_allowed", "kind_not_allowed", "no_stop", "stop_wrong_side", "size",
        "not_sellable_at_stop", "fee_gate", "position_limit", "notional_limit", "open_orders_limit",
        "no_position", "would_increase", "not_an_exit",
    }  # fmt: skip
    assert promised <= {one.value for one in Reason}


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"order_notional_max": D(500)}, "no order of that size could ever be approved"),
        ({"position_notional_max": D(2000)}, "above desk_notional_max"),
        ({"daily_loss_max": D(0)}, "daily_loss_max = 0: must be above 0"),
        ({"position_max": {"BTCUSDT": D(1)}}, "name it with its venue"),
        ({"open_orders_max": 0}, "or nothing ever trades"),
        ({"fee_bps": -1.0}, "fee_bps = -1.0"),
    ],
)
def test_a_config_that_contradicts_itself_says_what_would_go_wrong(knobs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RiskConfig(**knobs)
