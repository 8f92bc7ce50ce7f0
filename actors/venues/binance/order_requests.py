"""Wishes to Binance's words: PlaceOrder and its kin become a method, its parameters, and the bytes of a
frame.

The parameters are built sorted by name, which is how the websocket API signs them; REST sends the same list
as a query string. Source: binance-spot-api-docs web-socket-api.md and rest-api.md ("Trading requests"): which
parameters each order type takes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from actors.messages import CancelOrder, OrderKind, PlaceOrder, QueryOrder, ReplaceOrder
from actors.venues.binance.names import symbol_of
from actors.venues.binance.signing import Param
from actors.venues.binance.weights import Use

OrderRequest = PlaceOrder | CancelOrder | ReplaceOrder | QueryOrder


class Call(NamedTuple):
    """One request: what it is called on each road, what it weighs (address) and how many orders it counts
    (account)."""

    method: str  # of the websocket API
    verb: str  # of REST
    path: str
    weight: int
    orders: int


PLACE = Call("order.place", "POST", "/api/v3/order", 1, 1)
CANCEL = Call("order.cancel", "DELETE", "/api/v3/order", 1, 0)
# Counts an order even where the new one was not attempted.
REPLACE = Call("order.cancelReplace", "POST", "/api/v3/order/cancelReplace", 1, 1)
STATUS = Call("order.status", "GET", "/api/v3/order", 4, 0)

# The request's kind as Binance names it, and which parameters it takes: (type, price, stopPrice,
# timeInForce).
_TYPES: dict[OrderKind, tuple[str, bool, bool, bool]] = {
    OrderKind.LIMIT: ("LIMIT", True, False, True),
    OrderKind.MARKET: ("MARKET", False, False, False),
    OrderKind.POST_ONLY: ("LIMIT_MAKER", True, False, False),
    OrderKind.STOP_MARKET: ("STOP_LOSS", False, True, False),
    OrderKind.STOP_LIMIT: ("STOP_LOSS_LIMIT", True, True, True),
}

# Binance's own rule for newClientOrderId; it also keeps a quote out of the frame.
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def call_of(request: OrderRequest) -> Call:
    if isinstance(request, PlaceOrder):
        return PLACE
    if isinstance(request, CancelOrder):
        return CANCEL
    return REPLACE if isinstance(request, ReplaceOrder) else STATUS


def placing(request: OrderRequest) -> PlaceOrder | None:
    """The order that this request would bring to the venue, if it brings one."""
    if isinstance(request, PlaceOrder):
        return request
    return request.place if isinstance(request, ReplaceOrder) else None


def use_of(request: OrderRequest) -> Use:
    order = placing(request)
    return Use.OPEN if order is not None and order.opens else Use.SAFETY


def params_of(request: OrderRequest, timestamp_ms: int, window_ms: int, api_key: str = "") -> list[Param]:
    """Sorted by name. `api_key` is "" where the session or a header says who we are.

    Raises ValueError for a wish that no order type of Binance can carry; nothing may be sent then.
    """
    params: list[Param] = [("apiKey", api_key)] if api_key else []
    symbol = symbol_of(request.instrument)
    order = placing(request)
    if order is None:
        assert isinstance(request, (CancelOrder, QueryOrder))
        params += (
            ("origClientOrderId", _client_id(request.client_id)),
            ("recvWindow", window_ms),
            ("symbol", symbol),
            ("timestamp", timestamp_ms),
        )
        return params
    if isinstance(request, ReplaceOrder):
        params += (
            ("cancelOrigClientOrderId", _client_id(request.cancel_client_id)),
            ("cancelReplaceMode", "STOP_ON_FAILURE"),
        )
    kind, has_price, has_stop, has_tif = _type(order)
    if order.iceberg_size is not None:
        params.append(("icebergQty", _decimal(order.iceberg_size, "iceberg_size")))
    # RESULT: the state without the fills, which the user stream tells once and in full.
    params += (("newClientOrderId", _client_id(order.client_id)), ("newOrderRespType", "RESULT"))
    if has_price:
        params.append(("price", _decimal(order.price, "price")))
    params += (
        ("quantity", _decimal(order.size, "size")),
        ("recvWindow", window_ms),
        ("side", order.side.value),
    )
    if has_stop:
        params.append(("stopPrice", _decimal(order.stop_price, "stop_price")))
    params.append(("symbol", symbol))
    if has_tif:
        params.append(("timeInForce", order.tif.value))
    params += (("timestamp", timestamp_ms), ("type", kind))
    return params


def frame(request_id: int, method: str, params: list[Param]) -> bytes:
    """A request of the websocket API. Values were checked to hold no quote, so they are not escaped."""
    fields = ",".join(
        [f'"{name}":{value}' if type(value) is int else f'"{name}":"{value}"' for name, value in params]
    )
    return f'{{"id":{request_id},"method":"{method}","params":{{{fields}}}}}'.encode("ascii")


def _type(order: PlaceOrder) -> tuple[str, bool, bool, bool]:
    shape = _TYPES.get(order.kind)
    if shape is None:
        raise ValueError(f"an order of kind {order.kind.value} cannot be placed")
    if (order.price is not None) is not shape[1] or (order.stop_price is not None) is not shape[2]:
        raise ValueError(
            f"{shape[0]} takes {'a' if shape[1] else 'no'} price and {'a' if shape[2] else 'no'} stop price;"
            f" got {order.price} and {order.stop_price}"
        )
    return shape


def _client_id(text: str) -> str:
    if _CLIENT_ID.fullmatch(text) is None:
        raise ValueError(f"client id {text!r}: Binance takes 1 to 36 letters, digits and . : / _ -")
    return text


def _decimal(text: str | None, name: str) -> str:
    if text is None or _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{name} {text!r} is not a plain decimal number such as 0.00120")
    return text
