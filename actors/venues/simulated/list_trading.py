"""The requests that trade order lists: OCO in its present and its deprecated form, and their cancel.

Source: binance-spot-api-docs rest-api.md, "New Order list - OCO (TRADE)", "New OCO - Deprecated (TRADE)".
"""

from __future__ import annotations

from actors.venues.simulated import admission, replies, requests
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.order import Order, OrderList
from actors.venues.simulated.parameters import Parameters, either
from actors.venues.simulated.requests import Names
from actors.venues.simulated.trading import cancelled_list
from actors.venues.simulated.venue_state import VenueState

_OCO_TYPES = ("LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")

# What each kind of leg must be, by side: (code, words) of the refusal when it stands on the wrong side.
_WRONG_SIDE = {
    ("LIMIT", "BUY"): (-1165, "A limit order in a buy OCO must be below."),
    ("LIMIT", "SELL"): (-1166, "A limit order in a sell OCO must be above."),
    ("STOP", "BUY"): (-1196, "A stop loss order in a buy OCO must be above."),
    ("STOP", "SELL"): (-1197, "A stop loss order in a sell OCO must be below."),
    ("TAKE", "BUY"): (-1198, "A take profit order in a buy OCO must be below."),
    ("TAKE", "SELL"): (-1199, "A take profit order in a sell OCO must be above."),
}

_OLD_LIMIT = Names(
    "limitClientOrderId",
    "limitTimeInForce",
    "price",
    "limitStopPrice",
    "limitIcebergQty",
    "limitTrailingDelta",
    "limitStrategyId",
    "limitStrategyType",
)
_OLD_STOP = Names(
    "stopClientOrderId",
    "stopLimitTimeInForce",
    "stopLimitPrice",
    "stopPrice",
    "stopIcebergQty",
    "trailingDelta",
    "stopStrategyId",
    "stopStrategyType",
)


def place_oco(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    """A pair of orders, one above and one below the market, of which at most one trades."""
    listing = venue.listing(parameters)
    side = requests.parse_side(parameters)
    kinds = [parameters.require("aboveType"), parameters.require("belowType")]
    for kind, is_above in zip(kinds, (True, False), strict=True):
        if kind not in _OCO_TYPES:
            raise VenueError(-1158, "Order type not supported in OCO.")
        _check_side(kind, side, is_above=is_above, both_limit=kinds == ["LIMIT_MAKER", "LIMIT_MAKER"])
    quantity = requests.quantity_lots(parameters, listing.pair, "quantity")
    legs = [
        requests.parse_leg(
            parameters, account, listing.pair, side, kind, requests.leg_names(prefix), quantity
        )
        for kind, prefix in zip(kinds, ("above", "below"), strict=True)
    ]
    return _enter(venue, account, parameters, listing, legs, now_us)


def place_old_oco(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    """The deprecated form: a LIMIT_MAKER at `price` and a stop loss at `stopPrice`."""
    listing = venue.listing(parameters)
    side = requests.parse_side(parameters)
    quantity = requests.quantity_lots(parameters, listing.pair, "quantity")
    stop_kind = "STOP_LOSS_LIMIT" if parameters.has("stopLimitPrice") else "STOP_LOSS"
    legs = [
        requests.parse_leg(parameters, account, listing.pair, side, stop_kind, _OLD_STOP, quantity),
        requests.parse_leg(parameters, account, listing.pair, side, "LIMIT_MAKER", _OLD_LIMIT, quantity),
    ]
    return _enter(venue, account, parameters, listing, legs, now_us)


def cancel_list(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    listing = venue.listing(parameters)
    list_id = parameters.integer("orderListId")
    client_id = parameters.client_id("listClientOrderId")
    cancel_id = parameters.client_id("newClientOrderId") or venue.shelf.client_id()
    parameters.done()
    if list_id is None and client_id is None:
        raise either("orderListId", "listClientOrderId")
    venue.check_may_cancel(listing, now_us)
    orders = venue.shelf.find_list(account, list_id, client_id)
    if orders is None or orders.pair is not listing.pair:
        raise VenueError(-2011, "Unknown order list sent.")
    leg = next((order for order in orders.orders if order.is_open), None)
    if leg is None:
        raise VenueError(-2011, "Unknown order list sent.")
    return cancelled_list(venue, leg, cancel_id, now_us)


def _enter(
    venue: VenueState,
    account: str,
    parameters: Parameters,
    listing: Listing,
    legs: list[Order],
    now_us: int,
) -> object:
    client_id = parameters.client_id("listClientOrderId") or venue.shelf.client_id()
    response = parameters.text("newOrderRespType")
    if response is not None:
        response = requests.parse_response(parameters, legs[0].type)
    stp = requests.parse_stp(parameters, listing.pair.config.default_stp)
    parameters.done()
    orders = OrderList(account, listing.pair, venue.shelf.next_list_id(), client_id, now_us)
    for leg in legs:
        requests.finish(leg, stp)
        leg.client_id = leg.client_id or venue.shelf.client_id()
        leg.list = orders
        orders.orders.append(leg)
    venue.check_may_order(listing, now_us)
    before: Order | None = None
    for leg in legs:
        admission.check_filters(leg, listing, venue.shelf, venue.ledger, now_us, before)
        before = leg
    admission.check_list_engine(orders, listing, venue.shelf, venue.ledger)
    venue.floor.place_list(orders, now_us)
    reports = [replies.placed_order(leg, response or "RESULT", [], []) for leg in orders.orders]
    return replies.list_answer(orders) | {"orderReports": reports}


def _check_side(kind: str, side: str, *, is_above: bool, both_limit: bool) -> None:
    if both_limit:
        raise VenueError(-1168, "At least one OCO order must be contingent.")
    word = kind.split("_", maxsplit=1)[0]
    # Selling above and buying below takes a profit; the other way round it stops a loss.
    belongs_above = (side == "SELL") != (word == "STOP")
    if is_above != belongs_above:
        raise VenueError(*_WRONG_SIDE[word, side])
