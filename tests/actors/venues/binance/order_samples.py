"""Orders and the venue's words about them, for the tests of the order codec, session and ports."""

from __future__ import annotations

import json
from typing import Any

from actors.messages import CancelOrder, OrderKind, PlaceOrder, QueryOrder, ReplaceOrder, Side, TimeInForce

FAR_NS = 10**18


def place(client_id: str = "nd-o-1", **changes: Any) -> PlaceOrder:
    wish: dict[str, Any] = {
        "client_id": client_id,
        "instrument": "binance/BTCUSDT",
        "side": Side.BUY,
        "kind": OrderKind.LIMIT,
        "tif": TimeInForce.GTC,
        "size": "0.00100",
        "price": "50000.00",
        "window_ms": 300,
        "send_by_ns": FAR_NS,
        "opens": True,
    }
    return PlaceOrder(**(wish | changes))


def cancel(client_id: str = "nd-o-1") -> CancelOrder:
    return CancelOrder(client_id=client_id, instrument="binance/BTCUSDT")


def query(client_id: str = "nd-o-1") -> QueryOrder:
    return QueryOrder(client_id=client_id, instrument="binance/BTCUSDT")


def replace(old: str = "nd-o-1", new: str = "nd-o-2", **changes: Any) -> ReplaceOrder:
    return ReplaceOrder(cancel_client_id=old, instrument="binance/BTCUSDT", place=place(new, **changes))


def order_answer(client_id: str = "nd-o-1", **changes: Any) -> dict[str, Any]:
    """An order as Binance's answers show it (rest-api.md, "New order", newOrderRespType=RESULT)."""
    return {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": client_id,
        "transactTime": 1507725176595,
        "price": "50000.00000000",
        "origQty": "0.00100000",
        "executedQty": "0.00000000",
        "origQuoteOrderQty": "0.000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": 1507725176595,
        "selfTradePreventionMode": "NONE",
    } | changes


def canceled_answer(client_id: str = "nd-o-1", **changes: Any) -> dict[str, Any]:
    """The answer to a cancel: the order is `origClientOrderId`; `clientOrderId` is the cancel's own."""
    return order_answer("cancel-made-up-this", origClientOrderId=client_id, status="CANCELED", **changes)


def execution(client_id: str = "nd-o-1", **changes: Any) -> dict[str, Any]:
    """An executionReport (user-data-stream.md, "Order Update")."""
    return {
        "e": "executionReport",
        "E": 1499405658658,
        "s": "BTCUSDT",
        "c": client_id,
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.00100000",
        "p": "50000.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": 28,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": 1499405658657,
        "t": -1,
        "v": 3,
        "I": 3,
        "w": True,
        "m": False,
        "M": False,
        "O": 1499405658657,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "W": 1499405658657,
        "V": "NONE",
    } | changes


def trade_event(client_id: str = "nd-o-1", **changes: Any) -> dict[str, Any]:
    fill = {"x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.00040000", "z": "0.00040000", "L": "49999.50"}
    return execution(client_id, **(fill | {"n": "0.00000030", "N": "BNB", "t": 71, "m": True} | changes))


def body(value: object) -> bytes:
    return json.dumps(value).encode()
