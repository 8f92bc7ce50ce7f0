"""Binance's filters: what they say in exchangeInfo and whom they refuse.

Source: binance-spot-api-docs filters.md and errors.md: a filter on the order alone refuses with -1013 (the
request never reached the matching engine), one that counts what the account already has with -2010, which is
the matching engine's own code; both say "Filter failure: NAME".
"""

from __future__ import annotations

from decimal import Decimal

from actors.venues.simulated.config import SymbolConfig
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.order import Order
from actors.venues.simulated.pair import Pair, money


def failure(name: str, code: int = -1013) -> VenueError:
    """The refusal of a filter."""
    return VenueError(code, f"Filter failure: {name}")


def price_ticks(pair: Pair, price: Decimal) -> int:
    """A price or stop price in ticks. Raises VenueError: PRICE_FILTER."""
    config = pair.config
    if not config.min_price <= price <= config.max_price or price % pair.tick:
        raise failure("PRICE_FILTER")
    return pair.ticks(price)


def quantity_lots(pair: Pair, quantity: Decimal) -> int:
    """A quantity in lots. Raises VenueError: LOT_SIZE."""
    config = pair.config
    if not config.min_qty <= quantity <= config.max_qty or quantity % pair.lot:
        raise failure("LOT_SIZE")
    return pair.lots(quantity)


def check_order(order: Order, average: Decimal) -> None:
    """The filters that look at one order alone; `average` is the pair's average price.

    Raises VenueError: MARKET_LOT_SIZE, ICEBERG_PARTS, PERCENT_PRICE_BY_SIDE, NOTIONAL, MIN_NOTIONAL.
    """
    pair = order.pair
    config = pair.config
    quantity = pair.size(order.quantity)
    at_market = not order.has_limit
    if at_market and quantity > config.market_max_qty:
        raise failure("MARKET_LOT_SIZE")
    if order.iceberg and -(-order.quantity // order.iceberg) > config.iceberg_parts:
        raise failure("ICEBERG_PARTS")
    if order.has_limit:
        _percent_price(order, config, average)
    notional = order.quote_quantity or quantity * (average if at_market else pair.price(order.price))
    # applyMinToMarket is true and applyMaxToMarket false for spot pairs today.
    if notional < config.min_notional or (not at_market and notional > config.max_notional):
        raise failure("NOTIONAL")
    if notional < config.legacy_min_notional:
        raise failure("MIN_NOTIONAL")


def check_counts(order: Order, beside: list[Order], held: Decimal) -> None:
    """The filters on the account: `beside` are its other open orders in the pair, `held` its base asset.

    Raises VenueError: MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS, MAX_NUM_ICEBERG_ORDERS, MAX_POSITION.
    """
    pair = order.pair
    config = pair.config
    if len(beside) >= config.max_num_orders:
        raise failure("MAX_NUM_ORDERS", -2010)
    if order.is_algo and sum(other.is_algo for other in beside) >= config.max_num_algo_orders:
        raise failure("MAX_NUM_ALGO_ORDERS", -2010)
    if order.iceberg and sum(other.iceberg > 0 for other in beside) >= config.max_num_iceberg_orders:
        raise failure("MAX_NUM_ICEBERG_ORDERS", -2010)
    if config.max_position and order.is_buy:
        buying = sum(other.remaining for other in beside if other.is_buy) + order.quantity
        if held + pair.size(buying) > config.max_position:
            raise failure("MAX_POSITION", -2010)


def listed(config: SymbolConfig) -> list[dict[str, object]]:
    """The pair's filters as exchangeInfo lists them."""
    filters: list[dict[str, object]] = [
        _bounds("PRICE_FILTER", "Price", "tickSize", config.min_price, config.max_price, config.tick_size),
        _bounds("LOT_SIZE", "Qty", "stepSize", config.min_qty, config.max_qty, config.step_size),
        {"filterType": "ICEBERG_PARTS", "limit": config.iceberg_parts},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": money(config.market_max_qty),
            "stepSize": "0.00000000",
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": config.min_trailing_delta,
            "maxTrailingAboveDelta": config.max_trailing_delta,
            "minTrailingBelowDelta": config.min_trailing_delta,
            "maxTrailingBelowDelta": config.max_trailing_delta,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": str(config.bid_multiplier_up),
            "bidMultiplierDown": str(config.bid_multiplier_down),
            "askMultiplierUp": str(config.ask_multiplier_up),
            "askMultiplierDown": str(config.ask_multiplier_down),
            "avgPriceMins": config.avg_price_mins,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": money(config.min_notional),
            "applyMinToMarket": True,
            "maxNotional": money(config.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": config.avg_price_mins,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": config.max_num_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": config.max_num_algo_orders},
        {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": config.max_num_iceberg_orders},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": config.max_num_order_amends},
    ]
    if config.legacy_min_notional:
        filters.append(
            {
                "filterType": "MIN_NOTIONAL",
                "minNotional": money(config.legacy_min_notional),
                "applyToMarket": True,
                "avgPriceMins": config.avg_price_mins,
            }
        )
    if config.max_position:
        filters.append({"filterType": "MAX_POSITION", "maxPosition": money(config.max_position)})
    return filters


def _bounds(
    name: str, what: str, step_name: str, least: Decimal, most: Decimal, step: Decimal
) -> dict[str, object]:
    return {"filterType": name, f"min{what}": money(least), f"max{what}": money(most), step_name: money(step)}


def _percent_price(order: Order, config: SymbolConfig, average: Decimal) -> None:
    if order.is_buy:
        up, down = config.bid_multiplier_up, config.bid_multiplier_down
    else:
        up, down = config.ask_multiplier_up, config.ask_multiplier_down
    if not average * down <= order.pair.price(order.price) <= average * up:
        raise failure("PERCENT_PRICE_BY_SIDE")
