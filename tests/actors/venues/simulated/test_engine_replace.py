"""Cancel-replace with its half successes, and amending in place."""

from __future__ import annotations

import pytest
from engine_desk import Desk, rich

from actors.venues.simulated.errors import VenueError


def replace(desk: Desk, order: dict, mode: str, **changes: object) -> dict:
    params = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1",
        "price": "98.00", "cancelReplaceMode": mode, "cancelOrderId": order["orderId"],
    }  # fmt: skip
    return desk.call("order.cancelReplace", **(params | changes))


def refused(desk: Desk, order: dict, mode: str, **changes: object):
    try:
        return replace(desk, order, mode, **changes)
    except VenueError as refusal:
        return refusal


def test_a_whole_success_carries_both_answers():
    desk = Desk()
    order = desk.limit("BUY", "1", "99.00")
    answer = replace(desk, order, "STOP_ON_FAILURE")
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert answer["cancelResponse"]["status"] == "CANCELED" and answer["newOrderResponse"]["status"] == "NEW"


def test_stop_on_failure_does_not_attempt_the_new_order():
    desk = Desk()
    refusal = refused(desk, {"orderId": 77}, "STOP_ON_FAILURE")
    assert (refusal.code, refusal.http_status) == (-2022, 400)
    assert refusal.data["cancelResult"] == "FAILURE" and refusal.data["newOrderResult"] == "NOT_ATTEMPTED"
    assert refusal.data["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
    assert refusal.data["newOrderResponse"] is None
    assert desk.exchange.record.orders == {}


def test_allow_failure_places_the_new_order_though_there_was_nothing_to_cancel():
    desk = Desk()
    refusal = refused(desk, {"orderId": 77}, "ALLOW_FAILURE")
    assert (refusal.code, refusal.http_status) == (-2021, 409)
    assert (refusal.data["cancelResult"], refusal.data["newOrderResult"]) == ("FAILURE", "SUCCESS")
    assert refusal.data["newOrderResponse"]["status"] == "NEW"


def test_a_cancel_whose_new_order_is_refused_stays_a_cancel():
    for mode in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        desk = Desk()
        order = desk.limit("BUY", "1", "99.00")
        desk.events()
        refusal = refused(desk, order, mode, quantity="100000", price="99.00", side="SELL")
        assert (refusal.code, refusal.http_status) == (-1013, 400), "filters come before either half"
        refusal = refused(desk, order, mode, quantity="8000", price="101.00", side="SELL")
        assert (refusal.code, refusal.http_status) == (-2021, 409)
        assert (refusal.data["cancelResult"], refusal.data["newOrderResult"]) == ("SUCCESS", "FAILURE")
        assert refusal.data["newOrderResponse"]["code"] == -2010
        assert desk.status(order)["status"] == "CANCELED"
        assert [report["x"] for report in desk.reports()] == ["CANCELED", "REJECTED"]
        assert desk.balance("USDT")[1] == 0 and desk.balance("BTC")[1] == 0


def test_both_halves_failing_is_a_plain_failure():
    desk = Desk()
    refusal = refused(desk, {"orderId": 77}, "ALLOW_FAILURE", quantity="8000", side="SELL", price="101.00")
    assert (refusal.code, refusal.http_status) == (-2022, 400)
    assert (refusal.data["cancelResult"], refusal.data["newOrderResult"]) == ("FAILURE", "FAILURE")


def test_the_money_of_the_cancelled_order_pays_for_the_new_one():
    desk = Desk(rich("me", balances={"USDT": 100}))
    order = desk.limit("BUY", "1", "99.00")
    assert replace(desk, order, "STOP_ON_FAILURE", price="98.50")["newOrderResult"] == "SUCCESS"


def test_amending_keeps_the_order_id_and_tells_with_replaced():
    desk = Desk()
    order = desk.limit("BUY", "5", "99.00", newClientOrderId="old")
    desk.events()
    answer = desk.call(
        "order.amend.keepPriority",
        symbol="BTCUSDT",
        origClientOrderId="old",
        newQty="2",
        newClientOrderId="new",
    )
    amended = answer["amendedOrder"]
    assert set(answer) == {"transactTime", "executionId", "amendedOrder"}
    assert (amended["orderId"], amended["qty"]) == (order["orderId"], "2.00000000")
    assert (amended["origClientOrderId"], amended["clientOrderId"]) == ("old", "new")
    (report,) = desk.reports()
    assert (report["x"], report["X"], report["c"], report["C"], report["q"]) == (
        "REPLACED", "NEW", "new", "old", "2.00000000",
    )  # fmt: skip
    assert answer["executionId"] == report["I"]
    assert desk.balance("USDT")[1] == 198
    assert desk.shown("bids", "99.00000000") == "2.00000000"


@pytest.mark.parametrize(
    ("quantity", "code", "message"),
    [
        ("5", -2038, "The requested action would change no state; rejecting."),
        ("6", -2038, "Order amend (quantity increase) is not supported."),
        ("0.000001", -1013, "Filter failure: LOT_SIZE"),
        ("0.01", -1013, "Filter failure: NOTIONAL"),
    ],
)
def test_an_amend_that_is_no_reduction_is_refused(quantity, code, message):
    desk = Desk()
    order = desk.limit("BUY", "5", "99.00")
    refusal = desk.refused(
        "order.amend.keepPriority", symbol="BTCUSDT", orderId=order["orderId"], newQty=quantity
    )
    assert (refusal.code, refusal.message) == (code, message)
    assert desk.status(order)["origQty"] == "5.00000000"


def test_an_order_can_be_amended_only_so_often():
    desk = Desk(max_num_order_amends=2)
    order = desk.limit("BUY", "5", "99.00")
    ask = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    desk.call("order.amend.keepPriority", newQty="4", **ask)
    desk.call("order.amend.keepPriority", newQty="3", **ask)
    refusal = desk.refused("order.amend.keepPriority", newQty="2", **ask)
    assert (refusal.code, refusal.message) == (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
