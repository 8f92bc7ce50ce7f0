"""The rules of pairs as another venue's exchangeInfo states them: ours are then the same.

Source of names and meanings: binance-spot-api-docs rest-api.md ("Exchange information") and filters.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from actors.venues.simulated.config import SymbolConfig


class UnusableRules(ValueError):
    """The upstream's rules cannot be taken over; says of which pair, and why."""


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[dict[str, Any]]


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_decode = msgspec.json.Decoder(_ExchangeInfo).decode

# Filter -> (its field, ours). What a pair does not state keeps our default, which is Binance's usual value.
_DECIMALS: dict[str, tuple[tuple[str, str], ...]] = {
    "PRICE_FILTER": (("minPrice", "min_price"), ("maxPrice", "max_price"), ("tickSize", "tick_size")),
    "LOT_SIZE": (("minQty", "min_qty"), ("maxQty", "max_qty"), ("stepSize", "step_size")),
    "MARKET_LOT_SIZE": (("maxQty", "market_max_qty"),),
    "NOTIONAL": (("minNotional", "min_notional"), ("maxNotional", "max_notional")),
    "MIN_NOTIONAL": (("minNotional", "legacy_min_notional"),),
    "MAX_POSITION": (("maxPosition", "max_position"),),
    "PERCENT_PRICE_BY_SIDE": (
        ("bidMultiplierUp", "bid_multiplier_up"),
        ("bidMultiplierDown", "bid_multiplier_down"),
        ("askMultiplierUp", "ask_multiplier_up"),
        ("askMultiplierDown", "ask_multiplier_down"),
    ),
}
_INTEGERS: dict[str, tuple[tuple[str, str], ...]] = {
    "NOTIONAL": (("avgPriceMins", "avg_price_mins"),),
    "ICEBERG_PARTS": (("limit", "iceberg_parts"),),
    "MAX_NUM_ORDERS": (("maxNumOrders", "max_num_orders"),),
    "MAX_NUM_ALGO_ORDERS": (("maxNumAlgoOrders", "max_num_algo_orders"),),
    "MAX_NUM_ICEBERG_ORDERS": (("maxNumIcebergOrders", "max_num_iceberg_orders"),),
    "MAX_NUM_ORDER_AMENDS": (("maxNumOrderAmends", "max_num_order_amends"),),
    "TRAILING_DELTA": (
        ("minTrailingAboveDelta", "min_trailing_delta"),
        ("maxTrailingAboveDelta", "max_trailing_delta"),
    ),
}
# Binance writes 0 where a filter sets no bound; ours would then refuse everything.
_UNBOUND = {"max_price": Decimal(10**12), "max_qty": Decimal(10**12), "max_notional": Decimal(10**15)}


def symbols_of(body: bytes, wanted: Sequence[str]) -> tuple[SymbolConfig, ...]:
    """The pairs `wanted`, in this order, out of an exchangeInfo. Raises UnusableRules."""
    try:
        info = _decode(body)
    except msgspec.DecodeError as error:
        raise UnusableRules(f"its exchangeInfo is not understood: {error}") from None
    found = {each.symbol: each for each in info.symbols}
    missing = [symbol for symbol in wanted if symbol not in found]
    if missing:
        raise UnusableRules(f"it does not list {', '.join(missing)}")
    return tuple(_symbol(found[symbol]) for symbol in wanted)


def _symbol(symbol: _Symbol) -> SymbolConfig:
    if symbol.status != "TRADING":
        raise UnusableRules(f"{symbol.symbol} is not traded there now: its status is {symbol.status}")
    values: dict[str, Decimal | int] = {}
    for each in symbol.filters:
        name = each.get("filterType")
        for theirs, ours in _DECIMALS.get(str(name), ()):
            if theirs in each:
                values[ours] = _decimal(each[theirs], f"{symbol.symbol}: {name} {theirs}")
        for theirs, ours in _INTEGERS.get(str(name), ()):
            if isinstance(each.get(theirs), int):
                values[ours] = each[theirs]
    for ours in ("tick_size", "step_size", "min_qty"):
        if not values.get(ours):
            raise UnusableRules(f"{symbol.symbol}: its filters give no {ours}")
    for ours, most in _UNBOUND.items():
        values[ours] = values.get(ours) or most
    values["market_max_qty"] = values.get("market_max_qty") or values["max_qty"]
    values.setdefault("min_price", values["tick_size"])
    try:
        return SymbolConfig(
            symbol=symbol.symbol,
            base=symbol.base_asset,
            quote=symbol.quote_asset,
            **values,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise UnusableRules(str(error)) from None


def _decimal(value: object, what: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise UnusableRules(f"{what} is {value!r}") from None
    if not number.is_finite() or number < 0:
        raise UnusableRules(f"{what} is {value!r}")
    return number
