"""Answers to questions about the market: rules, book, past, tickers.

Source of shapes and defaults: binance-spot-api-docs rest-api.md and web-socket-api.md, "Market data
requests".
"""

from __future__ import annotations

from actors.venues.simulated import candles, filters
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.history import AggTrade, Trade
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.pair import Pair, money
from actors.venues.simulated.parameters import Parameters
from actors.venues.simulated.replies import Json, ms
from actors.venues.simulated.requests import FORMS, STP_MODES
from actors.venues.simulated.venue_state import VenueState

_HOUR_MS = 3_600_000


def ping(_venue: VenueState, _parameters: Parameters, _now_us: int) -> object:
    return {}


def time(_venue: VenueState, _parameters: Parameters, now_us: int) -> object:
    return {"serverTime": ms(now_us)}


def exchange_info(venue: VenueState, parameters: Parameters, now_us: int) -> object:
    listings, _ = venue.asked_listings(parameters)
    for name in ("permissions", "showPermissionSets", "symbolStatus"):
        parameters.text(name)
    limits = venue.config.rate_limits
    rows = (
        ("REQUEST_WEIGHT", "MINUTE", 1, limits.request_weight_1m),
        ("ORDERS", "SECOND", 10, limits.orders_10s),
        ("ORDERS", "DAY", 1, limits.orders_1d),
        ("RAW_REQUESTS", "MINUTE", 5, limits.raw_requests_5m),
    )
    return {
        "timezone": "UTC",
        "serverTime": ms(now_us),
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in rows
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(venue, listing.pair, now_us) for listing in listings],
    }


def depth(venue: VenueState, parameters: Parameters, _now_us: int) -> object:
    listing = venue.listing(parameters)
    limit = parameters.limit(100, 5000)
    pair, book = listing.pair, listing.book
    return {
        "lastUpdateId": book.update_id,
        "bids": [[pair.price_text(p), pair.size_text(s)] for p, s in book.bids.top(limit)],
        "asks": [[pair.price_text(p), pair.size_text(s)] for p, s in book.asks.top(limit)],
    }


def trades_recent(venue: VenueState, parameters: Parameters, _now_us: int) -> object:
    history = venue.listing(parameters).history
    limit = parameters.limit(500, 1000)
    return [_trade(history.pair, trade) for trade in list(history.trades)[-limit:]]


def trades_historical(venue: VenueState, parameters: Parameters, _now_us: int) -> object:
    history = venue.listing(parameters).history
    limit = parameters.limit(500, 1000)
    first = parameters.integer("fromId")
    if first is None:
        return [_trade(history.pair, trade) for trade in list(history.trades)[-limit:]]
    return [_trade(history.pair, trade) for trade in history.trades if trade.trade_id >= first][:limit]


def trades_aggregate(venue: VenueState, parameters: Parameters, _now_us: int) -> object:
    history = venue.listing(parameters).history
    limit = parameters.limit(500, 1000)
    first = parameters.integer("fromId")
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    if first is not None and (start is not None or end is not None):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if start is not None and end is not None and end - start > _HOUR_MS:
        raise VenueError(-1127, "More than 1 hours between startTime and endTime.")
    found = [
        agg
        for agg in history.agg_trades
        if (first is None or agg.agg_id >= first)
        and (start is None or ms(agg.at_us) >= start)
        and (end is None or ms(agg.at_us) <= end)
    ]
    from_start = first is not None or start is not None
    return [_agg(history.pair, agg) for agg in (found[:limit] if from_start else found[-limit:])]


def klines(venue: VenueState, parameters: Parameters, now_us: int) -> object:
    history = venue.listing(parameters).history
    interval = parameters.require("interval")
    if interval not in candles.INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    parameters.text("timeZone")
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    limit = parameters.limit(500, 1000)
    history.roll(now_us)
    rows = [
        row
        for row in candles.fold(history, interval)
        if (start is None or ms(row.open_us) >= start) and (end is None or ms(row.open_us) <= end)
    ]
    chosen = rows[:limit] if start is not None else rows[-limit:]
    return [candles.kline(history.pair, row, interval) for row in chosen]


def average_price(venue: VenueState, parameters: Parameters, now_us: int) -> object:
    history = venue.listing(parameters).history
    minutes = history.pair.config.avg_price_mins
    closed_us = history.trades[-1].at_us if history.trades else now_us
    return {
        "mins": minutes,
        "price": money(history.average_price(now_us, minutes)),
        "closeTime": ms(closed_us),
    }


def ticker_price(venue: VenueState, parameters: Parameters, _now_us: int) -> object:
    listings, is_single = venue.asked_listings(parameters)
    parameters.text("symbolStatus")
    answers = [
        {"symbol": listing.pair.symbol, "price": listing.pair.price_text(listing.history.last_price)}
        for listing in listings
    ]
    return answers[0] if is_single else answers


def ticker_book(venue: VenueState, parameters: Parameters, _now_us: int) -> object:
    listings, is_single = venue.asked_listings(parameters)
    parameters.text("symbolStatus")
    answers = [{"symbol": listing.pair.symbol} | _top(listing) for listing in listings]
    return answers[0] if is_single else answers


def ticker_24hr(venue: VenueState, parameters: Parameters, now_us: int) -> object:
    return _rolling(venue, parameters, now_us, 1440, with_book=True)


def ticker_rolling(venue: VenueState, parameters: Parameters, now_us: int) -> object:
    size = parameters.text("windowSize") or "1d"
    units = {"m": 1, "h": 60, "d": 1440}
    if size[-1:] not in units or not size[:-1].isdecimal() or len(size) > 3:
        raise VenueError(-1130, "Data sent for parameter 'windowSize' is not valid.")
    return _rolling(venue, parameters, now_us, int(size[:-1]) * units[size[-1]], with_book=False)


def ticker_trading_day(venue: VenueState, parameters: Parameters, now_us: int) -> object:
    parameters.text("timeZone")
    minutes = now_us % (1440 * 60_000_000) // 60_000_000 + 1
    return _rolling(venue, parameters, now_us, minutes, with_book=False)


def _rolling(
    venue: VenueState, parameters: Parameters, now_us: int, minutes: int, *, with_book: bool
) -> object:
    listings, is_single = venue.asked_listings(parameters)
    kind = parameters.text("type") or "FULL"
    parameters.text("symbolStatus")
    if kind not in ("FULL", "MINI"):
        raise VenueError(-1139, "Invalid ticker type.")
    answers = []
    for listing in listings:
        answer = candles.window(listing.history, now_us, minutes, is_mini=kind == "MINI", is_day=with_book)
        if with_book and kind == "FULL":
            answer |= _top(listing)
        answers.append(answer)
    return answers[0] if is_single else answers


def _top(listing: Listing) -> Json:
    pair = listing.pair
    bid, bid_size, ask, ask_size = listing.book.top()
    return {
        "bidPrice": pair.price_text(bid),
        "bidQty": pair.size_text(bid_size),
        "askPrice": pair.price_text(ask),
        "askQty": pair.size_text(ask_size),
    }


def _trade(pair: Pair, trade: Trade) -> Json:
    return {
        "id": trade.trade_id,
        "price": pair.price_text(trade.price),
        "qty": pair.size_text(trade.size),
        "quoteQty": pair.value_text(trade.price * trade.size),
        "time": ms(trade.at_us),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def _agg(pair: Pair, agg: AggTrade) -> Json:
    return {
        "a": agg.agg_id,
        "p": pair.price_text(agg.price),
        "q": pair.size_text(agg.size),
        "f": agg.first_id,
        "l": agg.last_id,
        "T": ms(agg.at_us),
        "m": agg.buyer_is_maker,
        "M": True,
    }


def _symbol(venue: VenueState, pair: Pair, now_us: int) -> Json:
    return {
        "symbol": pair.symbol,
        "status": venue.disturbances.status(pair.symbol, now_us),
        "baseAsset": pair.base,
        "baseAssetPrecision": 8,
        "quoteAsset": pair.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(FORMS),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters.listed(pair.config),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": pair.config.default_stp,
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }
