"""Bodies of Binance's REST answers that are not about orders: rules, limits, the time, and errors.

Source: binance-spot-api-docs rest-api.md ("Exchange information", "Limits"), filters.md.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.messages import InstrumentRules
from actors.venues.binance.answers import WORDS_MAX, Reply
from actors.venues.binance.names import instrument_of
from actors.venues.binance.order_codec import NotUnderstood
from actors.venues.binance.ws_frames import INTERVALS_MS, Limit

# A filter that a symbol does not have binds nothing.
_UNBOUND = Decimal(10) ** 18
# Binance's default where a symbol states none (filters.md gives 5 as the example; every listed pair states
# it).
_ALGO_ORDERS = 5


class _Filter(msgspec.Struct, rename="camel"):
    filter_type: str
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    min_notional: Decimal | None = None
    max_num_algo_orders: int | None = None


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[_Filter]
    order_types: tuple[str, ...] = ()


class _RateLimit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _ExchangeInfo(msgspec.Struct, rename="camel"):
    symbols: list[_Symbol]
    rate_limits: list[_RateLimit] = []


class _Error(msgspec.Struct):
    code: int
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


_exchange_info = msgspec.json.Decoder(_ExchangeInfo).decode
_error = msgspec.json.Decoder(_Error).decode


def exchange_info(body: bytes, venue: str) -> tuple[list[InstrumentRules], list[Limit]]:
    """Rules of each instrument in the body, and the limits that hold (`used` is the limit here).

    Raises NotUnderstood; an instrument without a tick, a lot or the like cannot be traded safely, so it is
    refused whole.
    """
    try:
        info = _exchange_info(body)
    except msgspec.DecodeError as error:
        raise NotUnderstood(f"exchange information: {error}") from error
    rules = [_rules(symbol, venue) for symbol in info.symbols]
    limits = [
        Limit(limit.rate_limit_type, INTERVALS_MS.get(limit.interval, 0) * limit.interval_num, limit.limit)
        for limit in info.rate_limits
    ]
    return rules, limits


def _rules(symbol: _Symbol, venue: str) -> InstrumentRules:
    filters = {entry.filter_type: entry for entry in symbol.filters}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    # NOTIONAL replaced MIN_NOTIONAL in 2023; some venues of the family still send the old one.
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL")
    algo = filters.get("MAX_NUM_ALGO_ORDERS")
    try:
        instrument = instrument_of(symbol.symbol, venue)
    except ValueError as error:
        raise NotUnderstood(str(error)) from error
    return InstrumentRules(
        instrument=instrument,
        base=symbol.base_asset,
        quote=symbol.quote_asset,
        tick=_step(price.tick_size if price else None, symbol.symbol, "PRICE_FILTER tickSize"),
        lot=_step(lot.step_size if lot else None, symbol.symbol, "LOT_SIZE stepSize"),
        size_min=_bound(lot.min_qty if lot else None, Decimal(0), symbol.symbol, "LOT_SIZE minQty"),
        size_max=_bound(lot.max_qty if lot else None, _UNBOUND, symbol.symbol, "LOT_SIZE maxQty"),
        notional_min=_bound(
            notional.min_notional if notional else None, Decimal(0), symbol.symbol, "NOTIONAL minNotional"
        ),
        algo_orders_max=algo.max_num_algo_orders or _ALGO_ORDERS if algo else _ALGO_ORDERS,
        status=symbol.status,
        order_types=symbol.order_types,
    )


def _step(value: Decimal | None, symbol: str, name: str) -> Decimal:
    if value is None or not value.is_finite() or value <= 0:
        raise NotUnderstood(f"{symbol}: {name} is {value}; without it no order can be quantised")
    return value.normalize()


def _bound(value: Decimal | None, default: Decimal, symbol: str, name: str) -> Decimal:
    if value is None:
        return default
    if not value.is_finite() or value < 0:
        raise NotUnderstood(f"{symbol}: {name} is {value}")
    return value


def reply(status: int, body: bytes) -> Reply:
    """An HTTP answer as both roads see it; a body that is no JSON of Binance's keeps its first words."""
    if status == 200:
        return Reply(status, body)
    try:
        error = _error(body)
    except msgspec.DecodeError:
        shown = " ".join(body[:WORDS_MAX].decode("utf-8", "replace").split())
        return Reply(
            status, words=f"HTTP {status} without an error of Binance's: {shown or 'empty body'}"[:WORDS_MAX]
        )
    return Reply(status, code=error.code, words=error.msg[:WORDS_MAX], data=bytes(error.data))
