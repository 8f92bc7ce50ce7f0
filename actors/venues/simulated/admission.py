"""What the exchange refuses before it accepts an order: filters, then what only the engine can know.

Source of the words: binance-spot-api-docs errors.md, "Messages for -1010, -2010 and -2011". The wording for
a stop on the wrong side of the market is the live exchange's, "Stop price would trigger immediately.".
"""

from __future__ import annotations

from actors.venues.simulated import filters
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.ledger import Ledger
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.matching import available, cost
from actors.venues.simulated.order import Order, OrderList
from actors.venues.simulated.shelf import Shelf

_POOR = "Account has insufficient balance for requested action."


def check_form(order: Order, listing: Listing, now_us: int) -> None:
    """What order.test checks too: the filters on the order alone. Raises VenueError -1013."""
    minutes = order.pair.config.avg_price_mins
    filters.check_order(order, listing.history.average_price(now_us, minutes))


def check_filters(
    order: Order, listing: Listing, shelf: Shelf, ledger: Ledger, now_us: int, leg_before: Order | None = None
) -> None:
    """All filters, the account's too; `leg_before` is the OCO's other leg. Raises VenueError -1013,
    -2010.
    """
    check_form(order, listing, now_us)
    beside = shelf.open_orders(order.account, order.pair.symbol)
    if leg_before is not None:
        beside.append(leg_before)
    filters.check_counts(order, beside, ledger.wallets[order.account].total(order.pair.base))


def check_engine(order: Order, listing: Listing, shelf: Shelf, ledger: Ledger) -> None:
    """What the matching engine refuses. Raises VenueError -2010."""
    _check_unique(order, shelf)
    _check_market(order, listing)
    if order.type == "MARKET":
        _check_market_money(order, listing, ledger)
    elif not ledger.can_lock(order, order.need()):
        raise VenueError(-2010, _POOR)


def check_list_engine(orders: OrderList, listing: Listing, shelf: Shelf, ledger: Ledger) -> None:
    """The same for both legs of an OCO, and the relation of their prices. Raises VenueError -2010."""
    same = shelf.find_list(orders.account, None, orders.client_id)
    first, second = orders.orders
    if (same is not None and same.status == "EXECUTING") or first.client_id == second.client_id:
        raise VenueError(-2010, "Duplicate order sent.")
    for leg in orders.orders:
        _check_unique(leg, shelf)
        _check_relation(leg, listing)
        _check_market(leg, listing)
    if not ledger.can_lock(first, max(first.need(), second.need())):
        raise VenueError(-2010, _POOR)


def _check_unique(order: Order, shelf: Shelf) -> None:
    """A client id must be unique among open orders only; once that order is closed it may be used again."""
    same = shelf.find(order.account, order.pair.symbol, None, order.client_id)
    if same is not None and same.is_open:
        raise VenueError(-2010, "Duplicate order sent.")


def _check_market(order: Order, listing: Listing) -> None:
    last = listing.history.last_price
    if order.is_algo and (last >= order.stop_price if order.stop_above else last <= order.stop_price):
        raise VenueError(-2010, "Stop price would trigger immediately.")
    if order.type == "LIMIT_MAKER":
        other = listing.book.half(not order.is_buy).best()
        if other is not None and (order.price >= other if order.is_buy else order.price <= other):
            raise VenueError(-2010, "Order would immediately match and take.")


def _check_relation(leg: Order, listing: Listing) -> None:
    """BUY: limit price < last price < stop price; SELL the other way round."""
    last = listing.history.last_price
    if leg.type == "LIMIT_MAKER":
        is_wrong = leg.price >= last if leg.is_buy else leg.price <= last
    else:
        is_wrong = last >= leg.stop_price if leg.stop_above else last <= leg.stop_price
    if is_wrong:
        raise VenueError(-2010, "The relationship of the prices for the orders is not correct.")


def _check_market_money(order: Order, listing: Listing, ledger: Ledger) -> None:
    pair = order.pair
    half = listing.book.half(not order.is_buy)
    best = half.best()
    if order.quote_quantity:
        if best is None:
            raise VenueError(-2010, "Order book liquidity is less than symbol minimum quantity.")
        lots = pair.lots(order.quote_quantity / pair.price(best))
        if pair.size(lots) < pair.config.min_qty:
            raise filters.failure("LOT_SIZE")
        needed = order.quote_quantity if order.is_buy else pair.size(lots)
    elif order.is_buy:
        fillable = available(half, None, order.remaining, lambda _maker: False)
        needed = pair.tick * pair.lot * cost(half, fillable)
    else:
        needed = pair.size(order.remaining)
    if ledger.wallets[order.account].free(pair.quote if order.is_buy else pair.base) < needed:
        raise VenueError(-2010, _POOR)
