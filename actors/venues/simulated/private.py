"""Answers to an account's questions about itself: balances, orders, lists, trades.

Source of shapes: binance-spot-api-docs rest-api.md and web-socket-api.md, "Account requests".
"""

from __future__ import annotations

from decimal import Decimal

from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.order import Order, OrderList
from actors.venues.simulated.pair import money
from actors.venues.simulated.parameters import Parameters, either
from actors.venues.simulated.record import FillEntry
from actors.venues.simulated.replies import Json, list_answer, ms, queried_order
from actors.venues.simulated.venue_state import VenueState

_BPS = Decimal("0.0001")
_DAY_MS = 86_400_000


def account_status(venue: VenueState, account: str, parameters: Parameters, _now_us: int) -> object:
    omit_zero = parameters.boolean("omitZeroBalances")
    wallet = venue.wallet(account)
    config = wallet.config
    coins = sorted({*wallet.balances, *_coins(venue)})
    balances = []
    for coin in coins:
        balance = wallet.balances.get(coin)
        free, locked = (balance.free, balance.locked) if balance else (Decimal(0), Decimal(0))
        if not omit_zero or free or locked:
            balances.append({"asset": coin, "free": money(free), "locked": money(locked)})
    return {
        # The old integer fields count in basis points.
        "makerCommission": int(config.maker_bps),
        "takerCommission": int(config.taker_bps),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": money(config.maker_bps * _BPS),
            "taker": money(config.taker_bps * _BPS),
            "buyer": "0.00000000",
            "seller": "0.00000000",
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": ms(wallet.update_us),
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 1_000_001 + list(venue.ledger.wallets).index(account),
    }


def account_commission(venue: VenueState, account: str, parameters: Parameters, _now_us: int) -> object:
    pair = venue.listing(parameters).pair
    return {"symbol": pair.symbol} | commission_rates(venue, account)


def commission_rates(venue: VenueState, account: str) -> Json:
    """What the account pays, as account.commission and order.test tell it."""
    config = venue.wallet(account).config
    nothing = {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"}
    return {
        "standardCommission": nothing
        | {"maker": money(config.maker_bps * _BPS), "taker": money(config.taker_bps * _BPS)},
        "specialCommission": dict(nothing),
        "taxCommission": dict(nothing),
        "discount": {
            "enabledForAccount": config.bnb_fees,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            # Binance states the factor that remains of the fee.
            "discount": money(1 - config.bnb_discount),
        },
    }


def order_status(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    order = venue.find_order(parameters, account, venue.listing(parameters))
    if order is None or _is_hidden(venue, order, now_us):
        raise VenueError(-2013, "Order does not exist.")
    return queried_order(order)


def open_orders(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    symbol = venue.listing(parameters).pair.symbol if parameters.has("symbol") else None
    orders = venue.shelf.open_orders(account, symbol)
    return [queried_order(order) for order in orders if not _is_hidden(venue, order, now_us)]


def all_orders(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    symbol = venue.listing(parameters).pair.symbol
    first = parameters.integer("orderId")
    start, end = _span(parameters)
    limit = parameters.limit(500, 1000)
    found = [
        order
        for order in venue.shelf.all_orders(account, symbol)
        if (first is None or order.order_id >= first)
        and (start is None or ms(order.time_us) >= start)
        and (end is None or ms(order.time_us) <= end)
        and not _is_hidden(venue, order, now_us)
    ]
    from_start = first is not None or start is not None
    return [queried_order(order) for order in (found[:limit] if from_start else found[-limit:])]


def my_trades(venue: VenueState, account: str, parameters: Parameters, _now_us: int) -> object:
    symbol = venue.listing(parameters).pair.symbol
    order_id = parameters.integer("orderId")
    first = parameters.integer("fromId")
    start, end = _span(parameters)
    if first is not None and (start is not None or end is not None):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    limit = parameters.limit(500, 1000)
    found = [
        fill
        for fill in venue.record.fills_of(account, symbol)
        if (order_id is None or fill.order_id == order_id)
        and (first is None or fill.trade_id >= first)
        and (start is None or ms(fill.at_us) >= start)
        and (end is None or ms(fill.at_us) <= end)
    ]
    from_start = first is not None or start is not None
    return [_my_trade(fill) for fill in (found[:limit] if from_start else found[-limit:])]


def list_status(venue: VenueState, account: str, parameters: Parameters, _now_us: int) -> object:
    list_id = parameters.integer("orderListId")
    client_id = parameters.client_id("origClientOrderId")
    if list_id is None and client_id is None:
        raise either("orderListId", "origClientOrderId")
    orders = venue.shelf.find_list(account, list_id, client_id)
    if orders is None:
        raise VenueError(-2018, "Order list does not exist.")
    return list_answer(orders)


def open_lists(venue: VenueState, account: str, _parameters: Parameters, _now_us: int) -> object:
    return [list_answer(orders) for orders in _lists(venue, account) if orders.status == "EXECUTING"]


def all_lists(venue: VenueState, account: str, parameters: Parameters, _now_us: int) -> object:
    first = parameters.integer("fromId")
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    if first is not None and (start is not None or end is not None):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    limit = parameters.limit(500, 1000)
    found = [
        orders
        for orders in _lists(venue, account)
        if (first is None or orders.list_id >= first)
        and (start is None or ms(orders.time_us) >= start)
        and (end is None or ms(orders.time_us) <= end)
    ]
    return [list_answer(orders) for orders in found[:limit]]


def nothing(_venue: VenueState, _account: str, parameters: Parameters, _now_us: int) -> object:
    """Questions whose subject this venue does not have (allocations of smart order routing)."""
    for name in ("symbol", "startTime", "endTime", "fromAllocationId", "limit", "orderId"):
        parameters.text(name)
    return []


def _is_hidden(venue: VenueState, order: Order, now_us: int) -> bool:
    return venue.disturbances.hides(order.account, order.number, now_us)


def _span(parameters: Parameters) -> tuple[int | None, int | None]:
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    if start is not None and end is not None and end - start > _DAY_MS:
        raise VenueError(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def _coins(venue: VenueState) -> set[str]:
    return {coin for listing in venue.listings.values() for coin in (listing.pair.base, listing.pair.quote)}


def _lists(venue: VenueState, account: str) -> list[OrderList]:
    return venue.shelf.lists_of(account)


def _my_trade(fill: FillEntry) -> Json:
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": fill.list_id,
        "price": fill.price,
        "qty": fill.quantity,
        "quoteQty": fill.quote_quantity,
        "commission": fill.fee,
        "commissionAsset": fill.fee_coin,
        "time": ms(fill.at_us),
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
