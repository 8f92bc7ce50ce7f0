"""From a request's parameters to orders: which type needs what, and what it must not carry.

Source: binance-spot-api-docs rest-api.md, "New order" and "New Order list - OCO".
"""

from __future__ import annotations

from typing import NamedTuple

from actors.venues.simulated import filters
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.order import Order
from actors.venues.simulated.pair import Pair
from actors.venues.simulated.parameters import Parameters, either

STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")

_TIFS = ("GTC", "IOC", "FOK")
_RESPONSES = ("ACK", "RESULT", "FULL")
_PEGS = ("pegPriceType", "pegOffsetValue", "pegOffsetType")


class _Form(NamedTuple):
    """What an order type needs; whatever is not needed here and not optional must not be sent."""

    tif: bool
    price: bool
    stop: bool
    iceberg: bool


FORMS: dict[str, _Form] = {
    "LIMIT": _Form(tif=True, price=True, stop=False, iceberg=True),
    "LIMIT_MAKER": _Form(tif=False, price=True, stop=False, iceberg=True),
    "MARKET": _Form(tif=False, price=False, stop=False, iceberg=False),
    "STOP_LOSS": _Form(tif=False, price=False, stop=True, iceberg=False),
    "STOP_LOSS_LIMIT": _Form(tif=True, price=True, stop=True, iceberg=True),
    "TAKE_PROFIT": _Form(tif=False, price=False, stop=True, iceberg=False),
    "TAKE_PROFIT_LIMIT": _Form(tif=True, price=True, stop=True, iceberg=True),
}


class Names(NamedTuple):
    """What the parameters of one order are called; the legs of an OCO carry a prefix."""

    client_id: str = "newClientOrderId"
    tif: str = "timeInForce"
    price: str = "price"
    stop: str = "stopPrice"
    iceberg: str = "icebergQty"
    trailing: str = "trailingDelta"
    strategy_id: str = "strategyId"
    strategy_type: str = "strategyType"


PLAIN = Names()


def leg_names(prefix: str) -> Names:
    """The names of an OCO leg's parameters: `above` or `below`."""
    return Names(*(prefix + name[0].upper() + name[1:] for name in ("clientOrderId", *PLAIN[1:])))


def parse_side(parameters: Parameters) -> str:
    """Raises VenueError -1102 or -1117."""
    side = parameters.require("side")
    if side not in ("BUY", "SELL"):
        raise VenueError(-1117, "Invalid side.")
    return side


def parse_order(parameters: Parameters, account: str, pair: Pair, default_stp: str) -> Order:
    """A new order from a plain request; its client id is "" when the client named none.

    Raises VenueError for every malformed, missing, forbidden or filtered (PRICE_FILTER, LOT_SIZE) parameter.
    """
    side = parse_side(parameters)
    kind = parameters.require("type")
    if kind not in FORMS:
        raise VenueError(-1116, "Invalid orderType.")
    order = Order(account, pair, side, kind, "")
    _fill_in(order, parameters, PLAIN)
    if kind == "MARKET":
        _market_quantity(order, parameters)
    else:
        parameters.refuse("quoteOrderQty")
        order.quantity = _quantity(parameters, pair, "quantity")
    finish(order, parse_stp(parameters, default_stp))
    return order


def parse_leg(
    parameters: Parameters, account: str, pair: Pair, side: str, kind: str, names: Names, quantity: int
) -> Order:
    """One leg of an OCO."""
    order = Order(account, pair, side, kind, "")
    _fill_in(order, parameters, names)
    order.quantity = quantity
    return order


def finish(order: Order, stp: str) -> None:
    """What follows from the rest once all of it is read. Raises VenueError -1013, -1014."""
    order.stp = stp
    order.remaining = order.quantity
    # A stop-loss buys above the market and sells below it; a take-profit the other way round.
    order.stop_above = order.is_buy == order.type.startswith("STOP_LOSS")
    if order.iceberg:
        if order.tif != "GTC":
            raise VenueError(-1014, "Unsupported order combination.")
        if order.iceberg > order.quantity:
            raise VenueError(-1013, "IcebergQty exceeds QTY.")


def parse_stp(parameters: Parameters, default: str) -> str:
    """The self-trade prevention mode. Raises VenueError -1130, or -1013 for one that is not allowed."""
    mode = parameters.text("selfTradePreventionMode")
    if mode is None:
        return default
    if mode in ("DECREMENT", "TRANSFER"):
        raise VenueError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    if mode not in STP_MODES:
        raise VenueError(-1130, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
    return mode


def parse_response(parameters: Parameters, kind: str) -> str:
    """newOrderRespType, with Binance's default for the order type. Raises VenueError -1130."""
    response = parameters.text("newOrderRespType")
    if response is None:
        return "FULL" if kind in ("MARKET", "LIMIT") else "ACK"
    if response not in _RESPONSES:
        raise VenueError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return response


def parse_tif(parameters: Parameters, name: str) -> str:
    """Raises VenueError -1102 or -1115."""
    tif = parameters.require(name)
    if tif not in _TIFS:
        raise VenueError(-1115, "Invalid timeInForce.")
    return tif


def quantity_lots(parameters: Parameters, pair: Pair, name: str) -> int:
    """A mandatory quantity in lots. Raises VenueError -1102, -1100, -1111, -1013."""
    return _quantity(parameters, pair, name)


def _fill_in(order: Order, parameters: Parameters, names: Names) -> None:
    """Everything but the quantity."""
    form = FORMS[order.type]
    pair = order.pair
    if parameters.has(names.trailing):
        raise VenueError(-2010, "Trailing stop orders are not supported for this symbol.")
    for name in _PEGS:
        if parameters.has(name):
            raise VenueError(-2010, "Pegged orders are not supported for this symbol.")
    if form.tif:
        order.tif = parse_tif(parameters, names.tif)
    else:
        parameters.refuse(names.tif)
    if form.price:
        price = parameters.require_decimal(names.price)
        if not price:
            raise VenueError(-1013, "Invalid price.")
        order.price = filters.price_ticks(pair, price)
    else:
        parameters.refuse(names.price)
    if form.stop:
        order.stop_price = filters.price_ticks(pair, parameters.require_decimal(names.stop))
    else:
        parameters.refuse(names.stop)
    if not form.iceberg:
        parameters.refuse(names.iceberg)
    elif parameters.has(names.iceberg):
        order.iceberg = filters.quantity_lots(pair, parameters.require_decimal(names.iceberg))
    order.client_id = parameters.client_id(names.client_id) or ""
    order.strategy_id = parameters.integer(names.strategy_id)
    order.strategy_type = parameters.integer(names.strategy_type)
    if order.strategy_type is not None and order.strategy_type < 1_000_000:
        raise VenueError(-1134, "`strategyType` was less than 1000000.")


def _market_quantity(order: Order, parameters: Parameters) -> None:
    has_quantity, has_quote = parameters.has("quantity"), parameters.has("quoteOrderQty")
    if has_quantity and has_quote:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if not has_quantity and not has_quote:
        raise either("quantity", "quoteOrderQty")
    if has_quantity:
        order.quantity = _quantity(parameters, order.pair, "quantity")
        return
    order.quote_quantity = parameters.require_decimal("quoteOrderQty")
    if not order.quote_quantity:
        raise VenueError(-1013, "Invalid quote order quantity.")


def _quantity(parameters: Parameters, pair: Pair, name: str) -> int:
    quantity = parameters.require_decimal(name)
    if not quantity:
        raise VenueError(-1013, "Invalid quantity.")
    return filters.quantity_lots(pair, quantity)
