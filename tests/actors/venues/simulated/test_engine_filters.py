"""Filters and malformed parameters, with Binance's codes and words; a refused order leaves no trace but its refusal."""

from __future__ import annotations

import pytest
from engine_desk import Desk

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "99",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "1", "stopPrice": "99"}


def without(params: dict, *names: str) -> dict:
    return {name: value for name, value in params.items() if name not in names}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        (LIMIT | {"price": "99.001"}, "PRICE_FILTER"),
        (LIMIT | {"price": "1000000.01"}, "PRICE_FILTER"),
        (STOP | {"stopPrice": "99.001"}, "PRICE_FILTER"),
        (LIMIT | {"quantity": "0.000001"}, "LOT_SIZE"),
        (LIMIT | {"quantity": "9000.00001"}, "LOT_SIZE"),
        (LIMIT | {"quantity": "0.000011"}, "LOT_SIZE"),
        (LIMIT | {"icebergQty": "0.000001"}, "LOT_SIZE"),
        (MARKET | {"quantity": "450.1"}, "MARKET_LOT_SIZE"),
        (without(MARKET, "quantity") | {"quoteOrderQty": "0.0001"}, "NOTIONAL"),
        (LIMIT | {"quantity": "0.01"}, "NOTIONAL"),
        (LIMIT | {"quantity": "9000", "price": "499"}, None),
        (MARKET | {"quantity": "0.01"}, "NOTIONAL"),
        (LIMIT | {"price": "500.1"}, "PERCENT_PRICE_BY_SIDE"),
        (LIMIT | {"price": "19.9"}, "PERCENT_PRICE_BY_SIDE"),
        (LIMIT | {"side": "SELL", "price": "500.1"}, "PERCENT_PRICE_BY_SIDE"),
        (LIMIT | {"quantity": "1.00001", "icebergQty": "0.01"}, "ICEBERG_PARTS"),
        (LIMIT | {"quantity": "1", "icebergQty": "0.01"}, None),
    ],
)
def test_filters_refuse_by_name(params, name):
    desk = Desk()
    if name is None:
        # On the edge: it passes the filters, and only the balance may refuse it.
        desk.call("order.test", **params)
        return
    for method in ("order.test", "order.place"):
        refusal = desk.refused(method, **params)
        assert (refusal.code, refusal.message) == (-1013, f"Filter failure: {name}")
    assert desk.exchange.record.orders == {}


def test_the_older_minimum_notional_filter_can_be_listed_too():
    desk = Desk(min_notional=1, legacy_min_notional=50)
    assert (
        desk.refused("order.place", **(LIMIT | {"quantity": "0.2"})).message == "Filter failure: MIN_NOTIONAL"
    )


def test_counts_of_open_orders_are_limited_in_total_by_trigger_and_by_iceberg():
    desk = Desk(max_num_orders=6, max_num_algo_orders=2, max_num_iceberg_orders=2)
    for _ in range(2):
        desk.call("order.place", **STOP)
    assert desk.refused("order.place", **STOP).message == "Filter failure: MAX_NUM_ALGO_ORDERS"
    iceberg = LIMIT | {"icebergQty": "0.5"}
    for _ in range(2):
        desk.call("order.place", **iceberg)
    assert desk.refused("order.place", **iceberg).message == "Filter failure: MAX_NUM_ICEBERG_ORDERS"
    for _ in range(2):
        desk.call("order.place", **LIMIT)
    assert desk.refused("order.place", **LIMIT).message == "Filter failure: MAX_NUM_ORDERS"
    desk.call("openOrders.cancelAll", symbol="BTCUSDT")
    desk.call("order.place", **STOP)


def test_a_position_is_limited_by_balance_and_open_buys():
    desk = Desk(max_position=1002)
    desk.call("order.place", **LIMIT)
    desk.call("order.place", **LIMIT)
    assert desk.refused("order.place", **LIMIT).message == "Filter failure: MAX_POSITION"
    desk.call("order.place", **(LIMIT | {"side": "SELL", "price": "101"}))


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (LIMIT | {"symbol": "NOPE"}, -1121, "Invalid symbol."),
        (
            LIMIT | {"symbol": "btcusdt"}, -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ),
        (without(LIMIT, "symbol"), -1102,
         "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        (LIMIT | {"side": "HOLD"}, -1117, "Invalid side."),
        (LIMIT | {"type": "MAGIC"}, -1116, "Invalid orderType."),
        (LIMIT | {"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        (without(LIMIT, "timeInForce"), -1102,
         "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
        (without(LIMIT, "price"), -1102,
         "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        (LIMIT | {"stopPrice": "98"}, -1106, "Parameter 'stopPrice' sent when not required."),
        (MARKET | {"price": "98"}, -1106, "Parameter 'price' sent when not required."),
        (MARKET | {"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        (MARKET | {"quoteOrderQty": "98"}, -1128, "Combination of optional parameters invalid."),
        (without(MARKET, "quantity"), -1102,
         "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
        (LIMIT | {"price": "abc"}, -1100,
         r"Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'."),
        (LIMIT | {"price": "-1"}, -1100, None),
        (LIMIT | {"price": "nan"}, -1100, None),
        (LIMIT | {"price": "1e5"}, -1100, None),
        (LIMIT | {"quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
        (LIMIT | {"quantity": "0"}, -1013, "Invalid quantity."),
        (LIMIT | {"price": "0"}, -1013, "Invalid price."),
        (LIMIT | {"newClientOrderId": "a b"}, -1100, None),
        (LIMIT | {"newClientOrderId": "x" * 37}, -1100, None),
        (LIMIT | {"newClientOrderId": ""}, -1105, "Parameter 'newClientOrderId' was empty."),
        (LIMIT | {"newOrderRespType": "SOME"}, -1130, "Data sent for parameter 'newOrderRespType' is not valid."),
        (LIMIT | {"selfTradePreventionMode": "SOME"}, -1130, None),
        (LIMIT | {"selfTradePreventionMode": "DECREMENT"}, -1013,
         "This symbol does not allow the specified self-trade prevention mode."),
        (LIMIT | {"icebergQty": "0.5", "timeInForce": "IOC"}, -1014, "Unsupported order combination."),
        (LIMIT | {"icebergQty": "2"}, -1013, "IcebergQty exceeds QTY."),
        (LIMIT | {"strategyType": "7"}, -1134, None),
        (LIMIT | {"surprise": "1"}, -1104,
         "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
        (STOP | {"trailingDelta": "100"}, -2010, "Trailing stop orders are not supported for this symbol."),
    ],
)  # fmt: skip
def test_malformed_orders_are_refused_in_binance_s_words(params, code, message):
    desk = Desk()
    refusal = desk.refused("order.place", **params)
    assert refusal.code == code
    if message is not None:
        assert refusal.message == message
    assert desk.exchange.record.orders == {} and desk.balance("USDT")[1] == 0


def test_questions_are_refused_in_binance_s_words_too():
    desk = Desk()
    for method, params, code in (
        ("depth", {}, -1102),
        ("depth", {"symbol": "NOPE"}, -1121),
        ("depth", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("ticker.24hr", {"symbol": "BTCUSDT", "type": "HUGE"}, -1139),
        ("exchangeInfo", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
        ("exchangeInfo", {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
        ("exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
        ("trades.aggregate", {"symbol": "BTCUSDT", "startTime": "0", "endTime": "3600001"}, -1127),
        ("ping", {"x": "1"}, -1104),
        ("no.such.method", {}, -1020),
    ):
        assert desk.refused(method, None, **params).code == code, (method, params)
    for method, params, code in (
        ("order.status", {"symbol": "BTCUSDT"}, -1102),
        ("order.status", {"symbol": "BTCUSDT", "orderId": "5"}, -2013),
        ("order.cancel", {"symbol": "BTCUSDT"}, -1102),
        ("myTrades", {"symbol": "BTCUSDT", "fromId": "1", "startTime": "1"}, -1128),
        ("allOrders", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
    ):
        assert desk.refused(method, "me", **params).code == code, (method, params)
    assert desk.refused("account.status", "nobody").code == -2015
