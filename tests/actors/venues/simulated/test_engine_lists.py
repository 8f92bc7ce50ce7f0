"""OCO order lists: two legs of which at most one trades, in the present and the deprecated form."""

from __future__ import annotations

from decimal import Decimal

import pytest
from engine_desk import FLOOR, Desk, rich


def oco(desk: Desk, **changes: object) -> dict:
    """Sell one at 100.50, or at market below 99.50."""
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "1",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "100.50",
        "aboveClientOrderId": "above",
        "belowType": "STOP_LOSS",
        "belowStopPrice": "99.50",
        "belowClientOrderId": "below",
        "listClientOrderId": "list",
    }
    return desk.call("orderList.place.oco", **(params | changes))


def statuses(desk: Desk) -> dict[str, str]:
    return {order["clientOrderId"]: order["status"] for order in desk.call("allOrders", symbol="BTCUSDT")}


def test_a_list_reserves_once_for_both_legs():
    desk = Desk()
    answer = oco(desk)
    assert answer["contingencyType"] == "OCO" and answer["listOrderStatus"] == "EXECUTING"
    assert [report["type"] for report in answer["orderReports"]] == ["LIMIT_MAKER", "STOP_LOSS"]
    assert desk.balance("BTC") == (999, 1)


def test_the_stop_s_trigger_ends_the_limit_leg():
    desk = Desk()
    oco(desk)
    desk.events()
    desk.levels(bids=[(10_000 - n, 0) for n in range(10)])
    desk.printed(9_950, 1, buyer_is_maker=True)
    assert statuses(desk) == {"above": "EXPIRED", "below": "FILLED"}
    assert desk.balance("BTC") == (999, 0)
    lists = [event.payload["L"] for event in desk.events("listStatus")]
    assert lists == ["ALL_DONE"]


def test_the_first_fill_of_the_limit_leg_ends_the_stop():
    desk = Desk()
    oco(desk)
    desk.limit("BUY", "0.4", "100.50", "you", timeInForce="IOC")
    desk.levels(asks=[(10_000 + n, 0) for n in range(1, 21)])
    desk.limit("BUY", "0.4", "100.50", "you", timeInForce="IOC")
    assert statuses(desk) == {"above": "PARTIALLY_FILLED", "below": "EXPIRED"}
    assert desk.balance("BTC") == (999, Decimal("0.6"))
    assert desk.call("openOrderLists.status")[0]["orderListId"] == FLOOR + 1
    desk.printed(10_060, 1, buyer_is_maker=False)
    assert statuses(desk)["above"] == "FILLED"
    assert desk.call("openOrderLists.status") == []


def test_cancelling_one_leg_cancels_the_list():
    desk = Desk()
    oco(desk)
    desk.events()
    answer = desk.call("order.cancel", symbol="BTCUSDT", origClientOrderId="below")
    assert answer["listOrderStatus"] == "ALL_DONE" and len(answer["orderReports"]) == 2
    assert set(statuses(desk).values()) == {"CANCELED"}
    assert desk.balance("BTC") == (1000, 0)
    assert [event.payload["l"] for event in desk.events("listStatus")] == ["ALL_DONE"]


def test_a_list_is_cancelled_and_found_by_its_own_names():
    desk = Desk()
    oco(desk)
    assert desk.call("orderList.status", origClientOrderId="list")["listOrderStatus"] == "EXECUTING"
    desk.call("orderList.cancel", symbol="BTCUSDT", listClientOrderId="list")
    assert desk.call("orderList.status", orderListId=FLOOR + 1)["listOrderStatus"] == "ALL_DONE"
    assert [found["orderListId"] for found in desk.call("allOrderLists")] == [FLOOR + 1]
    assert desk.refused("orderList.cancel", symbol="BTCUSDT", orderListId=FLOOR + 1).code == -2011
    assert desk.refused("orderList.status", orderListId=9).code == -2018


def test_cancel_all_answers_a_list_as_one():
    desk = Desk()
    oco(desk)
    desk.limit("BUY", "1", "99.00")
    answer = desk.call("openOrders.cancelAll", symbol="BTCUSDT")
    assert len(answer) == 2 and {"orderReports" in report for report in answer} == {True, False}


def test_the_deprecated_form_places_a_limit_maker_and_a_stop():
    desk = Desk()
    answer = desk.call(
        "orderList.place", symbol="BTCUSDT", side="SELL", quantity="1", price="100.50", stopPrice="99.50",
        stopLimitPrice="99.40", stopLimitTimeInForce="GTC",
    )  # fmt: skip
    assert sorted(report["type"] for report in answer["orderReports"]) == ["LIMIT_MAKER", "STOP_LOSS_LIMIT"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aboveType": "MARKET"}, -1158),
        ({"aboveType": "STOP_LOSS"}, -1197),
        ({"belowType": "LIMIT_MAKER", "belowPrice": "99"}, -1168),
        ({"side": "BUY"}, -1165),
        ({"belowType": "TAKE_PROFIT"}, -1199),
        ({"abovePrice": "99.00"}, -2010),
        ({"belowStopPrice": "100.40"}, -2010),
        ({"quantity": "400"}, -2010),
        ({"belowClientOrderId": "above"}, -2010),
        ({"belowPrice": "99"}, -1106),
    ],
)
def test_a_list_that_cannot_be_is_refused_whole(changes, code):
    desk = Desk(rich("me", balances={"USDT": Decimal(1000), "BTC": Decimal(100)}))
    with_defaults = {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "aboveType": "LIMIT_MAKER", "abovePrice": "100.50",
        "aboveClientOrderId": "above", "belowType": "STOP_LOSS", "belowStopPrice": "99.50",
    }  # fmt: skip
    assert desk.refused("orderList.place.oco", **(with_defaults | changes)).code == code
    assert desk.exchange.record.orders == {} and desk.balance("BTC")[1] == 0


def test_amending_one_leg_amends_both():
    desk = Desk()
    answer = oco(desk)
    amended = desk.call("order.amend.keepPriority", symbol="BTCUSDT", origClientOrderId="above", newQty="0.4")
    assert amended["amendedOrder"]["qty"] == "0.40000000" and "listStatus" in amended
    below = answer["orderReports"][1]
    assert desk.status(below)["origQty"] == "0.40000000"
    assert desk.balance("BTC") == (Decimal("999.6"), Decimal("0.4"))
