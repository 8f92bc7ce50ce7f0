"""Every request that the venue answers: its name, who may send it, what it weighs, and its REST path.

One table serves both roads: REST paths map onto the names of the websocket API. Weights and unfilled-order
counts are those stated for each endpoint in binance-spot-api-docs rest-api.md and web-socket-api.md (2026).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from actors.venues.simulated.errors import VenueError

Security = Literal["NONE", "USER_STREAM", "USER_DATA", "TRADE"]
Params = Mapping[str, str]


class Method(msgspec.Struct, frozen=True):
    """`weight` is a number or a function of the parameters; `orders` is how many new orders a success counts.

    `engine` is False where the server answers by itself, without the exchange.
    """

    name: str
    weight: int | Callable[[Params], int]
    security: Security = "NONE"
    orders: int = 0
    engine: bool = True

    def weigh(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)

    @property
    def signed(self) -> bool:
        return self.security in ("USER_DATA", "TRADE")


def _depth(params: Params) -> int:
    limit = _number(params.get("limit"), 100)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _number(text: str | None, default: int) -> int:
    # A malformed limit weighs like the default; the engine is the one that refuses it.
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else default


def _symbols(params: Params) -> int:
    """How many symbols were asked for; 0 means all of them."""
    if "symbol" in params:
        return 1
    return params["symbols"].count(",") + 1 if "symbols" in params else 0


def _day(params: Params) -> int:
    asked = _symbols(params)
    return 80 if asked == 0 or asked > 100 else 2 if asked <= 20 else 40


def _latest(params: Params) -> int:
    return 2 if "symbol" in params else 4


def _rolling(params: Params) -> int:
    return min(4 * max(_symbols(params), 1), 200)


def _open_orders(params: Params) -> int:
    return 6 if "symbol" in params else 80


def _trades(params: Params) -> int:
    return 5 if "orderId" in params else 20


def _test(params: Params) -> int:
    return 20 if params.get("computeCommissionRates") == "true" else 1


_ALL = (
    # General and market data.
    Method("ping", 1, engine=False),
    Method("time", 1, engine=False),
    Method("exchangeInfo", 20),
    Method("depth", _depth),
    Method("trades.recent", 25),
    Method("trades.historical", 25),
    Method("trades.aggregate", 4),
    Method("klines", 2),
    Method("uiKlines", 2),
    Method("avgPrice", 2),
    Method("ticker.24hr", _day),
    Method("ticker.tradingDay", _rolling),
    Method("ticker", _rolling),
    Method("ticker.price", _latest),
    Method("ticker.book", _latest),
    # Trading.
    Method("order.place", 1, "TRADE", orders=1),
    Method("order.test", _test, "TRADE"),
    Method("order.cancel", 1, "TRADE"),
    Method("order.cancelReplace", 1, "TRADE", orders=1),
    Method("order.amend.keepPriority", 4, "TRADE"),
    Method("openOrders.cancelAll", 1, "TRADE"),
    Method("orderList.place", 1, "TRADE", orders=2),
    Method("orderList.place.oco", 1, "TRADE", orders=2),
    Method("orderList.place.oto", 1, "TRADE", orders=2),
    Method("orderList.place.otoco", 1, "TRADE", orders=3),
    Method("orderList.cancel", 1, "TRADE"),
    # Account.
    Method("account.status", 20, "USER_DATA"),
    Method("account.commission", 20, "USER_DATA"),
    Method("account.rateLimits.orders", 40, "USER_DATA", engine=False),
    Method("order.status", 4, "USER_DATA"),
    Method("openOrders.status", _open_orders, "USER_DATA"),
    Method("allOrders", 20, "USER_DATA"),
    Method("orderList.status", 4, "USER_DATA"),
    Method("openOrderLists.status", 6, "USER_DATA"),
    Method("allOrderLists", 20, "USER_DATA"),
    Method("myTrades", _trades, "USER_DATA"),
    Method("myPreventedMatches", 20, "USER_DATA"),
    Method("myAllocations", 20, "USER_DATA"),
    Method("order.amendments", 4, "USER_DATA"),
    # Sessions and user data streams (websocket API only).
    Method("session.logon", 2, "USER_DATA", engine=False),
    Method("session.status", 2, engine=False),
    Method("session.logout", 2, engine=False),
    Method("session.subscriptions", 2, engine=False),
    Method("userDataStream.subscribe", 2, engine=False),
    Method("userDataStream.subscribe.signature", 2, "USER_DATA", engine=False),
    Method("userDataStream.unsubscribe", 2, engine=False),
    # Removed on 2026-02-20; answered only for old clients that a test needs (listen_key_legacy).
    Method("userDataStream.start", 2, "USER_STREAM", engine=False),
    Method("userDataStream.ping", 2, "USER_STREAM", engine=False),
    Method("userDataStream.stop", 2, "USER_STREAM", engine=False),
    # The wallet questions that clients ask at their start.
    Method("sapi.system.status", 1, engine=False),
    Method("sapi.capital.config.getall", 10, "USER_DATA", engine=False),
    Method("sapi.account.apiRestrictions", 1, "USER_DATA", engine=False),
    Method("sapi.account.status", 1, "USER_DATA", engine=False),
    Method("sapi.asset.tradeFee", 1, "USER_DATA", engine=False),
    Method("sapi.margin.allPairs", 1, engine=False),
    Method("sapi.margin.isolated.allPairs", 1, engine=False),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}

SOCKET_ONLY = frozenset(name for name in METHODS if name.startswith(("session.", "userDataStream.sub")))
LISTEN_KEY = frozenset({"userDataStream.start", "userDataStream.ping", "userDataStream.stop"})

ROUTES: dict[tuple[str, str], str] = {
    ("GET", "/api/v3/ping"): "ping",
    ("GET", "/api/v3/time"): "time",
    ("GET", "/api/v3/exchangeInfo"): "exchangeInfo",
    ("GET", "/api/v3/depth"): "depth",
    ("GET", "/api/v3/trades"): "trades.recent",
    ("GET", "/api/v3/historicalTrades"): "trades.historical",
    ("GET", "/api/v3/aggTrades"): "trades.aggregate",
    ("GET", "/api/v3/klines"): "klines",
    ("GET", "/api/v3/uiKlines"): "uiKlines",
    ("GET", "/api/v3/avgPrice"): "avgPrice",
    ("GET", "/api/v3/ticker/24hr"): "ticker.24hr",
    ("GET", "/api/v3/ticker/tradingDay"): "ticker.tradingDay",
    ("GET", "/api/v3/ticker"): "ticker",
    ("GET", "/api/v3/ticker/price"): "ticker.price",
    ("GET", "/api/v3/ticker/bookTicker"): "ticker.book",
    ("POST", "/api/v3/order"): "order.place",
    ("POST", "/api/v3/order/test"): "order.test",
    ("GET", "/api/v3/order"): "order.status",
    ("DELETE", "/api/v3/order"): "order.cancel",
    ("POST", "/api/v3/order/cancelReplace"): "order.cancelReplace",
    ("PUT", "/api/v3/order/amend/keepPriority"): "order.amend.keepPriority",
    ("GET", "/api/v3/order/amendments"): "order.amendments",
    ("GET", "/api/v3/openOrders"): "openOrders.status",
    ("DELETE", "/api/v3/openOrders"): "openOrders.cancelAll",
    ("GET", "/api/v3/allOrders"): "allOrders",
    ("POST", "/api/v3/order/oco"): "orderList.place",
    ("POST", "/api/v3/orderList/oco"): "orderList.place.oco",
    ("POST", "/api/v3/orderList/oto"): "orderList.place.oto",
    ("POST", "/api/v3/orderList/otoco"): "orderList.place.otoco",
    ("GET", "/api/v3/orderList"): "orderList.status",
    ("DELETE", "/api/v3/orderList"): "orderList.cancel",
    ("GET", "/api/v3/openOrderList"): "openOrderLists.status",
    ("GET", "/api/v3/allOrderList"): "allOrderLists",
    ("GET", "/api/v3/account"): "account.status",
    ("GET", "/api/v3/account/commission"): "account.commission",
    ("GET", "/api/v3/rateLimit/order"): "account.rateLimits.orders",
    ("GET", "/api/v3/myTrades"): "myTrades",
    ("GET", "/api/v3/myPreventedMatches"): "myPreventedMatches",
    ("GET", "/api/v3/myAllocations"): "myAllocations",
    ("POST", "/api/v3/userDataStream"): "userDataStream.start",
    ("PUT", "/api/v3/userDataStream"): "userDataStream.ping",
    ("DELETE", "/api/v3/userDataStream"): "userDataStream.stop",
    ("GET", "/sapi/v1/system/status"): "sapi.system.status",
    ("GET", "/sapi/v1/capital/config/getall"): "sapi.capital.config.getall",
    ("GET", "/sapi/v1/account/apiRestrictions"): "sapi.account.apiRestrictions",
    ("GET", "/sapi/v1/account/status"): "sapi.account.status",
    ("GET", "/sapi/v1/asset/tradeFee"): "sapi.asset.tradeFee",
    ("GET", "/sapi/v1/margin/allPairs"): "sapi.margin.allPairs",
    ("GET", "/sapi/v1/margin/isolated/allPairs"): "sapi.margin.isolated.allPairs",
}

PATHS = frozenset(path for _, path in ROUTES)


def method_named(name: str, legacy: bool) -> Method:
    """The method of that name in the websocket API (an explicit "v3/" before it is allowed).

    Raises VenueError -1020 for a method that does not exist (any more).
    """
    method = METHODS.get(name.removeprefix("v3/"))
    if method is None or method.name.startswith("sapi.") or (method.name in LISTEN_KEY and not legacy):
        raise VenueError(-1020, "This operation is not supported.")
    return method
