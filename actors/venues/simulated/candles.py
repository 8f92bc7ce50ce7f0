"""Candles of every interval and rolling statistics, folded from one-minute candles and trades."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from actors.venues.simulated.history import MINUTE_US, History
from actors.venues.simulated.market import Candle
from actors.venues.simulated.pair import Pair, money
from actors.venues.simulated.replies import Json, ms

_SECOND_US = 1_000_000
_MINUTES = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240,
    "6h": 360, "8h": 480, "12h": 720, "1d": 1440, "3d": 4320, "1w": 10080,
}  # fmt: skip

INTERVALS = frozenset({"1s", *_MINUTES, "1M"})

# 1970-01-01 was a Thursday; Binance's weeks begin on Monday.
_WEEK_OFFSET_US = 4 * 1440 * MINUTE_US


def fold(history: History, interval: str) -> list[Candle]:
    """The candles of an interval, oldest first; the last one may still be open."""
    if interval == "1s":
        return _seconds(history)
    if interval == "1m":
        return list(history.candles)
    return _merge(history.candles, interval)


def kline(pair: Pair, row: Candle, interval: str) -> list[object]:
    """A candle as the klines request answers it."""
    return [
        ms(row.open_us),
        pair.price_text(row.open),
        pair.price_text(row.high),
        pair.price_text(row.low),
        pair.price_text(row.close),
        pair.size_text(row.volume),
        ms(_next_open(row.open_us, interval)) - 1,
        pair.value_text(row.quote_volume),
        row.trades,
        pair.size_text(row.taker_buy_volume),
        pair.value_text(row.taker_buy_quote_volume),
        "0",
    ]


def window(history: History, now_us: int, minutes: int, *, is_mini: bool, is_day: bool = False) -> Json:
    """Statistics over the last minutes; the 24 h ticker (`is_day`) also tells the close before them and the
    size of the last trade (its bid and ask are for the caller to add).
    """
    history.roll(now_us)
    pair = history.pair
    rows = [row for row in history.candles if row.open_us > now_us - minutes * MINUTE_US]
    before = [row for row in history.candles if row.open_us <= now_us - minutes * MINUTE_US]
    traded = [row for row in rows if row.trades] or rows
    volume = sum(row.volume for row in rows)
    value = sum(row.quote_volume for row in rows)
    opened = traded[0].open
    trades = [trade for trade in history.trades if trade.at_us > now_us - minutes * MINUTE_US]
    common: Json = {
        "openPrice": pair.price_text(opened),
        "highPrice": pair.price_text(max(row.high for row in traded)),
        "lowPrice": pair.price_text(min(row.low for row in traded)),
        "lastPrice": pair.price_text(history.last_price),
        "volume": pair.size_text(volume),
        "quoteVolume": pair.value_text(value),
        "openTime": ms(now_us) - minutes * 60_000,
        "closeTime": ms(now_us),
        "firstId": trades[0].trade_id if trades else -1,
        "lastId": trades[-1].trade_id if trades else -1,
        "count": sum(row.trades for row in rows),
    }
    if is_mini:
        return {"symbol": pair.symbol} | common
    change = pair.price(history.last_price - opened)
    percent = 100 * change / pair.price(opened) if opened else change
    average = pair.tick * value / volume if volume else pair.price(history.last_price)
    full: Json = {
        "symbol": pair.symbol,
        "priceChange": money(change),
        "priceChangePercent": f"{percent:.3f}",
        "weightedAvgPrice": money(average),
    }
    if is_day:
        full["prevClosePrice"] = pair.price_text(before[-1].close if before else opened)
        full["lastQty"] = pair.size_text(history.last_size)
    return full | common


def _merge(rows: Iterable[Candle], interval: str) -> list[Candle]:
    merged: list[Candle] = []
    until = -1
    for row in rows:
        if row.open_us >= until:
            start = _open_of(row.open_us, interval)
            until = _next_open(start, interval)
            first = Candle(start, row.open, row.high, row.low, row.close, 0, 0, 0, 0, 0)
            merged.append(first)
        into = merged[-1]
        into.high = max(into.high, row.high)
        into.low = min(into.low, row.low)
        into.close = row.close
        into.volume += row.volume
        into.quote_volume += row.quote_volume
        into.trades += row.trades
        into.taker_buy_volume += row.taker_buy_volume
        into.taker_buy_quote_volume += row.taker_buy_quote_volume
    return merged


def _seconds(history: History) -> list[Candle]:
    """One-second candles reach back as far as the trades that are kept; seconds without one are skipped."""
    rows: list[Candle] = []
    for trade in history.trades:
        second = trade.at_us - trade.at_us % _SECOND_US
        if not rows or rows[-1].open_us != second:
            rows.append(Candle(second, trade.price, trade.price, trade.price, trade.price, 0, 0, 0, 0, 0))
        row = rows[-1]
        row.high = max(row.high, trade.price)
        row.low = min(row.low, trade.price)
        row.close = trade.price
        row.volume += trade.size
        row.quote_volume += trade.price * trade.size
        row.trades += 1
        if not trade.buyer_is_maker:
            row.taker_buy_volume += trade.size
            row.taker_buy_quote_volume += trade.price * trade.size
    return rows


def _open_of(at_us: int, interval: str) -> int:
    if interval == "1M":
        day = datetime.datetime.fromtimestamp(at_us / 1e6, datetime.UTC)
        month = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(month.timestamp()) * _SECOND_US
    length = _MINUTES[interval] * MINUTE_US
    offset = _WEEK_OFFSET_US if interval == "1w" else 0
    return at_us - (at_us - offset) % length


def _next_open(open_us: int, interval: str) -> int:
    if interval == "1s":
        return open_us + _SECOND_US
    if interval == "1M":
        # Any moment of the next month will do.
        return _open_of(open_us + 32 * 1440 * MINUTE_US, interval)
    return open_us + _MINUTES[interval] * MINUTE_US
