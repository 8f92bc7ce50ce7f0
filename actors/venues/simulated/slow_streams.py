"""The streams that are sent once a second or slower: depth@1000ms, partial books, candles, tickers, average
price.

Source: binance-spot-api-docs web-socket-streams.md. The exchange gives book changes each 100 ms; here they
are merged into the slower stream (first U, last u, last size of each price). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Ask = Callable[[str, Mapping[str, str]], object]
Row = Mapping[str, object]

_PARTIAL = re.compile(r"([a-z0-9]+)@depth(5|10|20)(@1000ms|@100ms)?")
_KLINE = re.compile(r"([a-z0-9]+)@kline_([0-9]+[smhdwM])")
_NAMED = re.compile(r"([a-z0-9]+)@(ticker|miniTicker|avgPrice)")


class SlowStreams:
    """Makes the slow streams; `is_heard(name)` tells whether anybody listens, `send(name, payload)` sends."""

    def __init__(
        self, ask: Ask, is_heard: Callable[[str], bool], send: Callable[[str, object], None]
    ) -> None:
        self._ask = ask
        self._is_heard = is_heard
        self._send = send
        self._merged: dict[str, _Merge] = {}
        self._candles: dict[str, object] = {}
        self._books: dict[str, object] = {}
        self._seconds = 0

    def depth_changed(self, symbol: str, change: Mapping[str, object]) -> None:
        """A book change of the exchange has been sent on the 100 ms stream."""
        merge = self._merged.setdefault(symbol, _Merge())
        if merge.breaks_at(change):
            # A lost change must stay visible here too: the part before it goes out by itself.
            self._send_merged(symbol, merge)
        merge.add(change)
        for levels in (5, 10, 20):
            name = f"{symbol}@depth{levels}@100ms"
            if self._is_heard(name):
                self._send_book(name, symbol, levels)

    def tick(self, now_us: int, names: list[str]) -> None:
        """Once a second, with the names of all streams that are listened to."""
        self._seconds += 1
        for symbol, merge in self._merged.items():
            if not merge.is_empty:
                self._send_merged(symbol, merge)
        for name in names:
            if partial := _PARTIAL.fullmatch(name):
                if partial[3] != "@100ms":
                    self._send_book(name, partial[1], int(partial[2]))
            elif kline := _KLINE.fullmatch(name):
                # 1000 ms for the one-second candle, 2000 ms for the others.
                if kline[2] == "1s" or self._seconds % 2 == 0:
                    self._send_candle(name, kline[1], kline[2], now_us)
            elif named := _NAMED.fullmatch(name):
                self._send_statistics(name, named[1], named[2], now_us)

    def _send_merged(self, symbol: str, merge: _Merge) -> None:
        event = merge.take()
        for name in (f"{symbol}@depth", f"{symbol}@depth@1000ms"):
            self._send(name, event)

    def _send_book(self, name: str, symbol: str, levels: int) -> None:
        book = self._ask("depth", {"symbol": symbol.upper(), "limit": str(levels)})
        # Only what changed is worth a message.
        if book is not None and self._books.get(name) != book:
            self._books[name] = book
            self._send(name, book)

    def _send_candle(self, name: str, symbol: str, interval: str, now_us: int) -> None:
        params = {"symbol": symbol.upper(), "interval": interval, "limit": "2"}
        rows = self._ask("klines", params)
        if not isinstance(rows, list) or not rows:
            return
        last, newest_id = rows[-1], self._newest_trade(symbol)
        if len(rows) > 1 and self._candles.get(name) == rows[-2][0]:
            # The candle that was open last time is closed now: say so once.
            self._send(name, _candle(rows[-2], symbol, interval, True, now_us, newest_id - last[8]))
        self._candles[name] = last[0]
        self._send(name, _candle(last, symbol, interval, False, now_us, newest_id))

    def _newest_trade(self, symbol: str) -> int:
        trades = self._ask("trades.recent", {"symbol": symbol.upper(), "limit": "1"})
        return int(trades[-1]["id"]) if isinstance(trades, list) and trades else -1

    def _send_statistics(self, name: str, symbol: str, kind: str, now_us: int) -> None:
        method = "avgPrice" if kind == "avgPrice" else "ticker.24hr"
        row = self._ask(method, {"symbol": symbol.upper()})
        if isinstance(row, Mapping):
            self._send(name, _STATISTICS[kind](row, symbol, now_us))


class _Merge:
    """The book changes of one pair since the last message of the slow stream."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._first: object = None
        self._last: Mapping[str, object] = {}
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}

    @property
    def is_empty(self) -> bool:
        return not self._last

    def breaks_at(self, change: Mapping[str, object]) -> bool:
        last = self._last.get("u")
        return isinstance(last, int) and change["U"] != last + 1

    def add(self, change: Mapping[str, object]) -> None:
        if self._first is None:
            self._first = change["U"]
        self._last = change
        for side, field in ((self._bids, "b"), (self._asks, "a")):
            levels = change[field]
            assert isinstance(levels, list)
            side.update((price, size) for price, size in levels)

    def take(self) -> dict[str, object]:
        bids = [[price, size] for price, size in self._bids.items()]
        asks = [[price, size] for price, size in self._asks.items()]
        event = {**self._last, "U": self._first, "b": bids, "a": asks}
        self._clear()
        return event


def _candle(
    row: list[Any], symbol: str, interval: str, closed: bool, now_us: int, last_id: int
) -> dict[str, object]:
    """The kline event of a row of the klines answer, whose newest trade is `last_id` if it has any.

    Trade ids of a pair have no gaps, so the first follows from the count.
    """
    first_id = last_id - row[8] + 1
    candle = {
        "t": row[0],
        "T": row[6],
        "s": symbol.upper(),
        "i": interval,
        "f": first_id if row[8] else -1,
        "L": last_id if row[8] else -1,
        "o": row[1],
        "c": row[4],
        "h": row[2],
        "l": row[3],
        "v": row[5],
        "n": row[8],
        "x": closed,
        "q": row[7],
        "V": row[9],
        "Q": row[10],
        "B": "0",
    }
    return {"e": "kline", "E": now_us // 1000, "s": symbol.upper(), "k": candle}


def _average(row: Row, symbol: str, now_us: int) -> dict[str, object]:
    head = {"e": "avgPrice", "E": now_us // 1000, "s": symbol.upper()}
    return {**head, "i": f"{row['mins']}m", "w": row["price"], "T": row["closeTime"]}


def _mini(row: Row, symbol: str, now_us: int) -> dict[str, object]:
    fields = {"c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice"}
    fields |= {"v": "volume", "q": "quoteVolume"}
    head = {"e": "24hrMiniTicker", "E": now_us // 1000, "s": symbol.upper()}
    return {**head, **{short: row[long] for short, long in fields.items()}}


def _ticker(row: Row, symbol: str, now_us: int) -> dict[str, object]:
    fields = {"p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice"}
    fields |= {"c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice"}
    fields |= {"A": "askQty", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume"}
    fields |= {"q": "quoteVolume", "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId"}
    fields |= {"n": "count"}
    head = {"e": "24hrTicker", "E": now_us // 1000, "s": symbol.upper()}
    return {**head, **{short: row[long] for short, long in fields.items()}}


_STATISTICS = {"avgPrice": _average, "miniTicker": _mini, "ticker": _ticker}
