"""Orders with a trigger: when they wake, what they become, and what they reserve meanwhile."""

from __future__ import annotations

from decimal import Decimal

import pytest
from engine_desk import ONE, Desk, rich


@pytest.mark.parametrize(
    ("kind", "side", "stop", "before", "at"),
    [
        ("STOP_LOSS", "SELL", "99.95", 9_996, 9_995),
        ("STOP_LOSS", "BUY", "100.05", 10_004, 10_005),
        ("TAKE_PROFIT", "SELL", "100.05", 10_004, 10_005),
        ("TAKE_PROFIT", "BUY", "99.95", 9_996, 9_995),
    ],
)
def test_a_stop_wakes_when_its_price_trades_and_not_before(kind, side, stop, before, at):
    desk = Desk()
    order = desk.place(kind, side, quantity="1", stopPrice=stop)
    assert desk.status(order)["isWorking"] is False
    desk.printed(before, 1, buyer_is_maker=side == "SELL")
    assert desk.status(order)["status"] == "NEW"
    desk.printed(at, 1, buyer_is_maker=side == "SELL")
    assert desk.status(order)["status"] == "FILLED"


@pytest.mark.parametrize(
    ("kind", "side", "stop"),
    [
        ("STOP_LOSS", "SELL", "100.00"),
        ("STOP_LOSS", "BUY", "100.00"),
        ("TAKE_PROFIT", "SELL", "99.00"),
        ("TAKE_PROFIT", "BUY", "101.00"),
    ],
)
def test_a_stop_on_the_wrong_side_of_the_market_is_refused(kind, side, stop):
    desk = Desk()
    refusal = desk.refused(
        "order.place", symbol="BTCUSDT", side=side, type=kind, quantity="1", stopPrice=stop
    )
    assert (refusal.code, refusal.message) == (-2010, "Stop price would trigger immediately.")


def test_a_stop_limit_rests_at_its_limit_when_the_market_has_run_past_it():
    desk = Desk()
    order = desk.place("STOP_LOSS_LIMIT", "SELL", quantity="1", price="99.98", stopPrice="99.99")
    desk.levels(bids=[(10_000 - n, 0) for n in range(10)])
    desk.printed(9_990, 1, buyer_is_maker=True)
    status = desk.status(order)
    assert (status["status"], status["isWorking"]) == ("NEW", True)
    assert desk.shown("asks", "99.98000000") == "1.00000000"


def test_a_waiting_stop_is_not_in_the_book_and_tells_when_it_goes_there():
    desk = Desk()
    desk.place("STOP_LOSS_LIMIT", "SELL", quantity="1", price="99.50", stopPrice="99.95")
    assert desk.shown("asks", "99.50000000") == "0"
    placed = desk.reports()
    assert [(report["x"], report["w"], "W" in report) for report in placed] == [("NEW", False, False)]
    desk.printed(9_995, 1, buyer_is_maker=True)
    woken = desk.reports()
    assert [(report["x"], report["X"]) for report in woken] == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert woken[0]["w"] and "W" in woken[0]


def test_one_trade_can_set_off_a_chain_of_stops():
    desk = Desk(bids=[(10_000, ONE), (9_900, ONE), (9_800, 50 * ONE)], asks=[(10_100, ONE)])
    first = desk.place("STOP_LOSS", "SELL", quantity="1", stopPrice="99.95")
    second = desk.place("STOP_LOSS", "SELL", "you", quantity="1", stopPrice="99.50")
    desk.levels(bids=[(10_000, 0)])
    desk.printed(9_990, 1, buyer_is_maker=True)
    # The first sells at 99.00, which is what wakes the second, which then sells at 98.00.
    assert desk.status(first)["cummulativeQuoteQty"] == "99.00000000"
    assert desk.status(second, "you")["cummulativeQuoteQty"] == "98.00000000"


def test_a_stop_reserves_what_it_will_need_and_a_cancel_gives_it_back():
    desk = Desk()
    sell = desk.place("STOP_LOSS", "SELL", quantity="2", stopPrice="99.00")
    buy = desk.place("STOP_LOSS_LIMIT", "BUY", quantity="1", price="101.00", stopPrice="100.50")
    assert desk.balance("BTC")[1] == 2 and desk.balance("USDT")[1] == Decimal("101")
    for order in (sell, buy):
        desk.call("order.cancel", symbol="BTCUSDT", orderId=order["orderId"])
    assert desk.balance("BTC")[1] == 0 and desk.balance("USDT")[1] == 0


def test_a_stop_buy_at_market_never_spends_more_than_there_is():
    desk = Desk(rich("me", balances={"USDT": Decimal("101")}))
    order = desk.place("STOP_LOSS", "BUY", quantity="1", stopPrice="100.50")
    desk.levels(asks=[(price, 0) for price in range(10_001, 10_021)] + [(10_500, ONE)])
    desk.printed(10_050, 1, buyer_is_maker=False)
    status = desk.status(order)
    assert status["status"] == "EXPIRED" and Decimal(status["executedQty"]) < 1
    free, locked = desk.balance("USDT")
    assert 0 <= free < Decimal("0.01") and locked == 0
