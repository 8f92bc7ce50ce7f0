"""Orders and lists as answers to requests and as user events, in exactly Binance's fields.

Source: binance-spot-api-docs rest-api.md (order responses), user-data-stream.md (executionReport,
listStatus).
"""

from __future__ import annotations

from decimal import Decimal

from actors.venues.simulated.order import Order, OrderList
from actors.venues.simulated.pair import money

Json = dict[str, object]

_NOTHING = "0.00000000"


def ms(at_us: int) -> int:
    """Binance's times are milliseconds; the microseconds that a client may ask for are not offered."""
    return at_us // 1000


def queried_order(order: Order) -> Json:
    """The order as order.status, openOrders.status and allOrders answer it."""
    pair = order.pair
    answer: Json = {
        "symbol": pair.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "price": pair.price_text(order.price),
        "origQty": pair.size_text(order.quantity),
        "executedQty": pair.size_text(order.executed),
        "cummulativeQuoteQty": money(order.quote_traded),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
        "stopPrice": pair.price_text(order.stop_price),
        "icebergQty": pair.size_text(order.iceberg),
        "time": ms(order.time_us),
        "updateTime": ms(order.update_us),
        "isWorking": order.working_us is not None,
        "workingTime": -1 if order.working_us is None else ms(order.working_us),
        "origQuoteOrderQty": money(order.quote_quantity),
        "selfTradePreventionMode": order.stp,
    }
    _conditional(order, answer)
    return answer


def placed_order(order: Order, response: str, fills: list[Json], prevented: list[Json]) -> Json:
    """The answer to order.place: `response` is ACK, RESULT or FULL."""
    answer: Json = {
        "symbol": order.pair.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": ms(order.update_us),
    }
    if response == "ACK":
        return answer
    answer |= _state(order)
    if response == "FULL":
        answer["fills"] = fills
        if prevented:
            answer["preventedMatches"] = prevented
    return answer


def cancelled_order(order: Order, client_id: str) -> Json:
    """The answer to order.cancel; `client_id` names the cancel itself. It does not say since when the order
    worked.
    """
    answer = {
        "symbol": order.pair.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": client_id,
        "transactTime": ms(order.update_us),
    } | _state(order)
    answer.pop("workingTime", None)
    return answer


def amended_order(order: Order, old_client_id: str) -> Json:
    """The `amendedOrder` of order.amend.keepPriority."""
    pair = order.pair
    answer: Json = {
        "symbol": pair.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "origClientOrderId": old_client_id,
        "clientOrderId": order.client_id,
        "price": pair.price_text(order.price),
        "qty": pair.size_text(order.quantity),
        "executedQty": pair.size_text(order.executed),
        "preventedQty": pair.size_text(order.prevented),
        "quoteOrderQty": money(order.quote_quantity),
        "cumulativeQuoteQty": money(order.quote_traded),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
    }
    if order.stop_price:
        answer["stopPrice"] = pair.price_text(order.stop_price)
    if order.working_us is not None:
        answer["workingTime"] = ms(order.working_us)
    answer["selfTradePreventionMode"] = order.stp
    return answer


def list_answer(orders: OrderList) -> Json:
    """An order list as orderList.status, openOrderLists.status and allOrderLists answer it."""
    return {
        "orderListId": orders.list_id,
        "contingencyType": "OCO",
        "listStatusType": orders.status_type,
        "listOrderStatus": orders.status,
        "listClientOrderId": orders.client_id,
        "transactionTime": ms(orders.time_us),
        "symbol": orders.pair.symbol,
        "orders": [
            {"symbol": orders.pair.symbol, "orderId": order.order_id, "clientOrderId": order.client_id}
            for order in orders.orders
        ],
    }


def execution_report(
    order: Order,
    what: str,
    at_us: int,
    execution_id: int,
    *,
    client_id: str | None = None,
    last: tuple[int, int, Decimal, Decimal, str, int, bool] | None = None,
    reason: str = "NONE",
    prevention: Json | None = None,
) -> Json:
    """The user event of one step of an order; `last` is its trade, if it is one.

    `client_id` names the request that caused it (a cancel); the order's own id then moves to "C".
    """
    pair = order.pair
    price, lots, paid, fee, coin, trade_id, maker = last or (0, 0, None, None, None, -1, False)
    report: Json = {
        "e": "executionReport",
        "E": ms(at_us),
        "s": pair.symbol,
        "c": order.client_id if client_id is None else client_id,
        "S": order.side,
        "o": order.type,
        "f": order.tif,
        "q": pair.size_text(order.quantity),
        "p": pair.price_text(order.price),
        "P": pair.price_text(order.stop_price),
        "F": pair.size_text(order.iceberg),
        "g": order.list_id,
        "C": "" if client_id is None else order.client_id,
        "x": what,
        "X": order.status,
        "r": reason,
        "i": order.order_id,
        "l": pair.size_text(lots),
        "z": pair.size_text(order.executed),
        "L": pair.price_text(price),
        "n": "0" if fee is None else money(fee),
        "N": coin,
        "T": ms(at_us),
        "t": trade_id,
        "I": execution_id,
        "w": order.is_open and order.working_us is not None,
        "m": maker,
        "M": last is not None,
        "O": ms(order.time_us),
        "Z": money(order.quote_traded),
        "Y": _NOTHING if paid is None else money(paid),
        "Q": money(order.quote_quantity),
        "V": order.stp,
    }
    if order.working_us is not None:
        report["W"] = ms(order.working_us)
    strategy = {"j": order.strategy_id, "J": order.strategy_type}
    return report | {key: value for key, value in strategy.items() if value is not None} | (prevention or {})


def list_status(orders: OrderList, at_us: int) -> Json:
    """The listStatus user event."""
    return {
        "e": "listStatus",
        "E": ms(at_us),
        "s": orders.pair.symbol,
        "g": orders.list_id,
        "c": "OCO",
        "l": orders.status_type,
        "L": orders.status,
        "r": "NONE",
        "C": orders.client_id,
        "T": ms(at_us),
        "O": [
            {"s": orders.pair.symbol, "i": order.order_id, "c": order.client_id} for order in orders.orders
        ],
    }


def _state(order: Order) -> Json:
    pair = order.pair
    answer: Json = {
        "price": pair.price_text(order.price),
        "origQty": pair.size_text(order.quantity),
        "executedQty": pair.size_text(order.executed),
        "origQuoteOrderQty": money(order.quote_quantity),
        "cummulativeQuoteQty": money(order.quote_traded),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
    }
    if order.stop_price:
        answer["stopPrice"] = pair.price_text(order.stop_price)
    if order.iceberg:
        answer["icebergQty"] = pair.size_text(order.iceberg)
    if order.working_us is not None:
        answer["workingTime"] = ms(order.working_us)
    answer["selfTradePreventionMode"] = order.stp
    _conditional(order, answer)
    return answer


def _conditional(order: Order, answer: Json) -> None:
    if order.strategy_id is not None:
        answer["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        answer["strategyType"] = order.strategy_type
    if order.prevented_match_id is not None:
        answer["preventedMatchId"] = order.prevented_match_id
        answer["preventedQuantity"] = order.pair.size_text(order.prevented)
