"""The requests that trade one order at a time: place, test, cancel, cancel-replace, amend.

Source: binance-spot-api-docs rest-api.md and web-socket-api.md, "Trading requests";
faqs/order_amend_keep_priority.md.
"""

from __future__ import annotations

from actors.venues.simulated import admission, filters, replies, requests
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.order import Order
from actors.venues.simulated.parameters import Parameters
from actors.venues.simulated.private import commission_rates
from actors.venues.simulated.replies import Json, ms
from actors.venues.simulated.venue_state import VenueState

# How an executionReport of a refused cancel-replace names the reason; the rest is told by its code.
_REASONS = {
    "Account has insufficient balance for requested action.": "INSUFFICIENT_BALANCES",
    "Stop price would trigger immediately.": "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
    "Order would immediately match and take.": "WOULD_MATCH_IMMEDIATELY",
}


def place(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    listing = venue.listing(parameters)
    order, response = _parse(venue, account, parameters, listing)
    parameters.done()
    venue.check_may_order(listing, now_us)
    admission.check_filters(order, listing, venue.shelf, venue.ledger, now_us)
    return _enter(venue, order, listing, response, now_us)


def test(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    listing = venue.listing(parameters)
    wants_rates = parameters.boolean("computeCommissionRates")
    order, _ = _parse(venue, account, parameters, listing)
    parameters.done()
    admission.check_form(order, listing, now_us)
    if not wants_rates:
        return {}
    rates = commission_rates(venue, account)
    return {
        "standardCommissionForOrder": _maker_taker(rates["standardCommission"]),
        "specialCommissionForOrder": _maker_taker(rates["specialCommission"]),
        "taxCommissionForOrder": _maker_taker(rates["taxCommission"]),
        "discount": rates["discount"],
    }


def cancel(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    listing = venue.listing(parameters)
    order = venue.find_order(parameters, account, listing)
    client_id = parameters.client_id("newClientOrderId") or venue.shelf.client_id()
    restrictions = _restrictions(parameters)
    parameters.done()
    venue.check_may_cancel(listing, now_us)
    return _cancel(venue, order, client_id, restrictions, now_us)


def cancel_all(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    listing = venue.listing(parameters)
    parameters.done()
    venue.check_may_cancel(listing, now_us)
    orders = venue.shelf.open_orders(account, listing.pair.symbol)
    if not orders:
        raise VenueError(-2011, "Unknown order sent.")
    client_id = venue.shelf.client_id()
    # The second leg of a list is closed with the first, so it is passed over.
    return [_cancel(venue, order, client_id, None, now_us) for order in orders if order.is_open]


def cancel_replace(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    """Cancel one order and place another; a half success is VenueError -2021 with both halves in data."""
    listing = venue.listing(parameters)
    mode = parameters.require("cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise VenueError(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
    order_id = parameters.integer("cancelOrderId")
    old_client_id = parameters.client_id("cancelOrigClientOrderId")
    if order_id is None and old_client_id is None:
        raise VenueError(
            -1102,
            "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!",
        )
    client_id = parameters.client_id("cancelNewClientOrderId") or venue.shelf.client_id()
    restrictions = _restrictions(parameters)
    parameters.text("orderRateLimitExceededMode")
    order, response = _parse(venue, account, parameters, listing)
    parameters.done()
    venue.check_may_order(listing, now_us)
    # Filters are evaluated before either half is attempted, as the documentation states.
    admission.check_filters(order, listing, venue.shelf, venue.ledger, now_us)
    old = venue.shelf.find(account, listing.pair.symbol, order_id, old_client_id)
    cancelled, cancel_error = _attempt_cancel(venue, old, client_id, restrictions, now_us)
    if cancel_error is not None and mode == "STOP_ON_FAILURE":
        raise _failed(cancel_error.body(), "FAILURE", None, "NOT_ATTEMPTED")
    try:
        placed = _enter(venue, order, listing, response, now_us)
    except VenueError as refusal:
        if cancel_error is not None:
            raise _failed(cancel_error.body(), "FAILURE", refusal.body(), "FAILURE") from None
        venue.floor.tell_rejected(order, _REASONS.get(refusal.message, str(refusal.code)), now_us)
        raise _failed(cancelled, "SUCCESS", refusal.body(), "FAILURE") from None
    if cancel_error is not None:
        raise _failed(cancel_error.body(), "FAILURE", placed, "SUCCESS")
    return {
        "cancelResult": "SUCCESS",
        "newOrderResult": "SUCCESS",
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }


def amend(venue: VenueState, account: str, parameters: Parameters, now_us: int) -> object:
    """Reduce an order's quantity in its place in the queue."""
    listing = venue.listing(parameters)
    order = venue.find_order(parameters, account, listing)
    wanted = parameters.client_id("newClientOrderId")
    quantity = requests.quantity_lots(parameters, listing.pair, "newQty")
    parameters.done()
    venue.check_may_order(listing, now_us)
    if order is None or not order.is_open:
        raise VenueError(-2038, "Unknown order sent.")
    old_client_id = order.client_id
    client_id = wanted or venue.shelf.client_id()
    _check_amend(venue, order, quantity, client_id)
    execution_id = venue.floor.amend(order, quantity, client_id, now_us)
    answer: Json = {
        "transactTime": ms(now_us),
        "executionId": execution_id,
        "amendedOrder": replies.amended_order(order, old_client_id),
    }
    if order.list:
        listed = replies.list_answer(order.list)
        keys = ("orderListId", "contingencyType", "listOrderStatus", "listClientOrderId", "symbol", "orders")
        answer["listStatus"] = {key: listed[key] for key in keys}
    return answer


def cancelled_list(venue: VenueState, order: Order, client_id: str, now_us: int) -> Json:
    """Cancel the whole list of an order, and answer it with the reports of both legs."""
    assert order.list is not None
    venue.floor.cancel(order, client_id, now_us)
    reports = [replies.cancelled_order(leg, client_id) for leg in order.list.orders]
    return replies.list_answer(order.list) | {"orderReports": reports}


def _parse(venue: VenueState, account: str, parameters: Parameters, listing: Listing) -> tuple[Order, str]:
    order = requests.parse_order(parameters, account, listing.pair, listing.pair.config.default_stp)
    if not order.client_id:
        order.client_id = venue.shelf.client_id()
    return order, requests.parse_response(parameters, order.type)


def _enter(venue: VenueState, order: Order, listing: Listing, response: str, now_us: int) -> Json:
    admission.check_engine(order, listing, venue.shelf, venue.ledger)
    placement = venue.floor.place(order, now_us)
    return replies.placed_order(order, response, placement.fills, placement.prevented)


def _cancel(
    venue: VenueState, order: Order | None, client_id: str, restrictions: str | None, now_us: int
) -> Json:
    if order is None or not order.is_open:
        raise VenueError(-2011, "Unknown order sent.")
    if restrictions is not None and order.status != restrictions:
        raise VenueError(-2011, "Order was not canceled due to cancel restrictions.")
    if order.list:
        return cancelled_list(venue, order, client_id, now_us)
    venue.floor.cancel(order, client_id, now_us)
    return replies.cancelled_order(order, client_id)


def _attempt_cancel(
    venue: VenueState, order: Order | None, client_id: str, restrictions: str | None, now_us: int
) -> tuple[Json | None, VenueError | None]:
    try:
        return _cancel(venue, order, client_id, restrictions, now_us), None
    except VenueError as refusal:
        return None, refusal


def _failed(cancelled: object, cancel_result: str, placed: object, place_result: str) -> VenueError:
    data: Json = {
        "cancelResult": cancel_result,
        "newOrderResult": place_result,
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }
    if "SUCCESS" in (cancel_result, place_result):
        return VenueError(-2021, "Order cancel-replace partially failed.", 409, data)
    return VenueError(-2022, "Order cancel-replace failed.", 400, data)


def _restrictions(parameters: Parameters) -> str | None:
    """The status that the order must have to be cancelled, or None for any. Raises VenueError -1145."""
    text = parameters.text("cancelRestrictions")
    if text is None:
        return None
    if text not in ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise VenueError(
            -1145, "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`."
        )
    return text.removeprefix("ONLY_")


def _check_amend(venue: VenueState, order: Order, quantity: int, client_id: str) -> None:
    if quantity == order.quantity:
        raise VenueError(-2038, "The requested action would change no state; rejecting.")
    if quantity > order.quantity:
        raise VenueError(-2038, "Order amend (quantity increase) is not supported.")
    if quantity <= order.executed + order.prevented:
        # What has traded cannot be amended away; the documentation gives no words for it.
        raise VenueError(-2038, "Order amend (quantity below executed quantity) is not supported.")
    if order.amends >= order.pair.config.max_num_order_amends:
        raise VenueError(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
    same = venue.shelf.find(order.account, order.pair.symbol, None, client_id)
    if same is not None and same is not order and same.is_open:
        raise VenueError(-2010, "Duplicate order sent.")
    config = order.pair.config
    if order.has_limit and order.pair.price(order.price) * order.pair.size(quantity) < config.min_notional:
        raise filters.failure("NOTIONAL")


def _maker_taker(rates: object) -> Json:
    assert isinstance(rates, dict)
    return {"maker": rates["maker"], "taker": rates["taker"]}
