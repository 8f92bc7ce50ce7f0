"""Reads one account over REST: open orders, balances and trades, and to which order of ours each trade
belongs.

Open orders are read first and trades last: an order that fills in between is then seen as open *and* as a
trade, never as neither. Who needs certainty reads twice until two reads agree. Source: binance-spot-api-docs
rest-api.md (openOrders, account, myTrades, allOrders and their weights).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from actors.messages import AccountSnapshot, Balance, Fill, OrderReport, QueryAccount
from actors.venues.binance.answers import Reply
from actors.venues.binance.names import symbol_of
from actors.venues.binance.order_codec import OrderAnswer, OrderCodec
from actors.venues.binance.order_requests import Call
from actors.venues.binance.signing import Param

OPEN_ORDERS = Call("openOrders.status", "GET", "/api/v3/openOrders", 6, 0)
ACCOUNT = Call("account.status", "GET", "/api/v3/account", 20, 0)
TRADES = Call("myTrades", "GET", "/api/v3/myTrades", 20, 0)
ALL_ORDERS = Call("allOrders", "GET", "/api/v3/allOrders", 20, 0)

PAGE = 1000
# Twenty thousand trades since the last one booked are not an outage, they are another account's history.
PAGES_MAX = 20
# Ids of orders are worth less than trades: what a few pages do not resolve stays "".
ORDER_PAGES_MAX = 3


class ReadFailed(Exception):
    """The account was not read; says which request failed and the venue's words."""


class AskSigned(Protocol):
    async def __call__(self, call: Call, params: list[Param]) -> Reply:
        """Sign and send. Raises NotSent or NoAnswer."""


async def read_account(
    ask: AskSigned, codec: OrderCodec, wish: QueryAccount, wall_ns: int
) -> AccountSnapshot:
    """`wall_ns`: when the reading begins. Raises ReadFailed, NotUnderstood, and what `ask` raises."""
    open_orders: list[OrderReport] = []
    for instrument in wish.instruments:
        body = await _get(ask, OPEN_ORDERS, [("symbol", symbol_of(instrument))])
        open_orders += [codec.report(order, "snapshot") for order in codec.order_list(body)]
    balances: tuple[Balance, ...] = codec.balances(await _get(ask, ACCOUNT, [("omitZeroBalances", "true")]))
    fills: list[Fill] = []
    for instrument in wish.instruments:
        trades = await _trades(ask, codec, instrument, wish.trades_since.get(instrument))
        known = {
            report.order_id: report.client_id for report in open_orders if report.instrument == instrument
        }
        fills += await _named(ask, codec, instrument, trades, known)
    return AccountSnapshot(
        account=wish.account,
        open_orders=tuple(open_orders),
        balances=balances,
        fills=tuple(fills),
        wall_ns=wall_ns,
    )


async def _trades(ask: AskSigned, codec: OrderCodec, instrument: str, since: int | None) -> list[Fill]:
    """All trades from the id `since` on, oldest first; without it, the last thousand."""
    fills: list[Fill] = []
    from_id = since
    for _ in range(PAGES_MAX):
        params: list[Param] = [("limit", PAGE), ("symbol", symbol_of(instrument))]
        if from_id is not None:
            params.insert(0, ("fromId", from_id))
        page = codec.fills(await _get(ask, TRADES, params), instrument)
        fills += page
        if len(page) < PAGE or since is None:
            return fills
        from_id = max(fill.trade_id for fill in page) + 1
    raise ReadFailed(
        f"{instrument}: more than {PAGES_MAX * PAGE} trades since trade {since}; is the journal of another account?"
    )


async def _named(
    ask: AskSigned, codec: OrderCodec, instrument: str, fills: list[Fill], known: dict[int, str]
) -> list[Fill]:
    """The fills with the client ids of their orders."""
    missing = {fill.order_id for fill in fills} - known.keys()
    from_id = min(missing, default=0)
    for _ in range(ORDER_PAGES_MAX):
        if not missing:
            break
        params: list[Param] = [("limit", PAGE), ("orderId", from_id), ("symbol", symbol_of(instrument))]
        page: list[OrderAnswer] = codec.order_list(await _get(ask, ALL_ORDERS, params))
        known |= {order.order_id: order.orig_client_order_id or order.client_order_id for order in page}
        missing -= known.keys()
        if len(page) < PAGE:
            break
        from_id = max(order.order_id for order in page) + 1
    return [msgspec.structs.replace(fill, client_id=known.get(fill.order_id, "")) for fill in fills]


async def _get(ask: AskSigned, call: Call, params: list[Param]) -> bytes:
    reply = await ask(call, params)
    if not reply.ok:
        raise ReadFailed(
            f"{call.method}: {reply.code if reply.code is not None else reply.status}: {reply.words}"
        )
    return bytes(reply.result)
