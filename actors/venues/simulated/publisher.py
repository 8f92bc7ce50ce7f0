"""What leaves the exchange: market events, user events, and the disturbances that act on their way out.

Source of shapes and rhythm: binance-spot-api-docs web-socket-streams.md. Depth changes are gathered and
sent on a grid of `depth_interval_ms`; bookTicker and trades leave at once.
"""

from __future__ import annotations

import heapq

import msgspec

from actors.venues.simulated.book import Book
from actors.venues.simulated.disturbances import Disturbances
from actors.venues.simulated.history import History, Trade
from actors.venues.simulated.pair import Pair
from actors.venues.simulated.replies import Json, ms


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """One message for a stream, in the order in which it happened.

    `kind` is depthUpdate, trade, aggTrade, bookTicker (market: `symbol` set, `account` None) or
    executionReport, outboundAccountPosition, listStatus, balanceUpdate (user: `account` set). `payload` is
    the event as Binance sends it, ready for JSON; it is `bytes` when a disturbance wants these very bytes
    on the stream. depthUpdate comes once per `depth_interval_ms` and pair with changes; the slower @1000ms
    stream is the server's to merge (first U, last u, last size of each price).
    """

    kind: str
    symbol: str | None
    account: str | None
    at_us: int
    payload: Json | bytes


class Publisher:
    """Collects events until they are drained; knows when the next one is due."""

    def __init__(self, disturbances: Disturbances, interval_us: int) -> None:
        self._disturbances = disturbances
        self._interval_us = interval_us
        self._events: list[StreamEvent] = []
        # User events held back by a disturbance: (due, sequence, event).
        self._late: list[tuple[int, int, StreamEvent]] = []
        self._last_due: dict[str, int] = {}
        self._sequence = 0
        self._dirty: dict[str, tuple[Pair, Book]] = {}
        self._flush_us: int | None = None
        # Trades of the taker now at work at one price, to be folded into one aggTrade.
        self._folding: list[Trade] = []

    def drain(self) -> list[StreamEvent]:
        events = self._events
        self._events = []
        return events

    def next_us(self) -> int | None:
        """When depth or a held-back event is due."""
        late = self._late[0][0] if self._late else None
        if self._flush_us is None or late is None:
            return late if self._flush_us is None else self._flush_us
        return min(self._flush_us, late)

    def run(self, now_us: int) -> None:
        """Send what is due."""
        while self._late and self._late[0][0] <= now_us:
            self._events.append(heapq.heappop(self._late)[2])
        if self._flush_us is not None and self._flush_us <= now_us:
            self._flush_us = None
            dirty = self._dirty
            self._dirty = {}
            for symbol, (pair, book) in dirty.items():
                self._send_depth(symbol, pair, book, now_us)

    def raw(self, symbol: str, kind: str, payload: bytes, now_us: int) -> None:
        """These very bytes, on a stream of the pair."""
        self._events.append(StreamEvent(kind, symbol, None, now_us, payload))

    def user(self, account: str, kind: str, payload: Json, now_us: int) -> None:
        """An event for one account, late if a disturbance says so; never before an earlier one."""
        event = StreamEvent(kind, None, account, now_us, payload)
        if payload.get("x") == "TRADE" and self._disturbances.repeats(account):
            self._user(event, account, now_us)
        self._user(event, account, now_us)

    def trade(self, pair: Pair, history: History, trade: Trade) -> None:
        """A public trade; those of one taker at one price are folded until `end_of_taker`."""
        folding = self._folding
        if folding and folding[0].price != trade.price:
            self.end_of_taker(pair, history)
        self._folding.append(trade)
        if self._disturbances.silent_until(pair.symbol, trade.at_us):
            return
        at_ms = ms(trade.at_us)
        payload: Json = {
            "e": "trade",
            "E": at_ms,
            "s": pair.symbol,
            "t": trade.trade_id,
            "p": pair.price_text(trade.price),
            "q": pair.size_text(trade.size),
            "T": at_ms,
            "m": trade.buyer_is_maker,
            "M": True,
        }
        self._events.append(StreamEvent("trade", pair.symbol, None, trade.at_us, payload))

    def end_of_taker(self, pair: Pair, history: History) -> None:
        """The taker is done: its last trades become one aggTrade."""
        if not self._folding:
            return
        agg = history.add_agg(self._folding)
        self._folding = []
        if self._disturbances.silent_until(pair.symbol, agg.at_us):
            return
        at_ms = ms(agg.at_us)
        payload: Json = {
            "e": "aggTrade",
            "E": at_ms,
            "s": pair.symbol,
            "a": agg.agg_id,
            "p": pair.price_text(agg.price),
            "q": pair.size_text(agg.size),
            "f": agg.first_id,
            "l": agg.last_id,
            "T": at_ms,
            "m": agg.buyer_is_maker,
            "M": True,
        }
        self._events.append(StreamEvent("aggTrade", pair.symbol, None, agg.at_us, payload))

    def step(self, pair: Pair, book: Book, now_us: int) -> None:
        """The book may have changed: a new update id, bookTicker if its top did, depth at the next beat."""
        if not book.step():
            return
        if pair.symbol not in self._dirty:
            self._dirty[pair.symbol] = (pair, book)
            if self._flush_us is None:
                self._flush_us = now_us - now_us % self._interval_us + self._interval_us
        self._send_top(pair, book, now_us)

    def _send_top(self, pair: Pair, book: Book, now_us: int) -> None:
        top = book.top()
        if top == book.last_top or self._disturbances.stale_until(pair.symbol, now_us):
            return
        book.last_top = top
        bid, bid_size, ask, ask_size = top
        payload: Json = {
            "u": book.update_id,
            "s": pair.symbol,
            "b": pair.price_text(bid),
            "B": pair.size_text(bid_size),
            "a": pair.price_text(ask),
            "A": pair.size_text(ask_size),
        }
        self._events.append(StreamEvent("bookTicker", pair.symbol, None, now_us, payload))

    def _send_depth(self, symbol: str, pair: Pair, book: Book, now_us: int) -> None:
        stale_until = self._disturbances.stale_until(symbol, now_us)
        if stale_until:
            # Nothing is lost: what was held back goes out in one event when the book thaws.
            self._dirty[symbol] = (pair, book)
            beat = -(-stale_until // self._interval_us) * self._interval_us
            self._flush_us = beat if self._flush_us is None else min(self._flush_us, beat)
            return
        price_text, size_text = pair.price_text, pair.size_text
        changes = [
            [[price_text(price), size_text(half.displayed(price))] for price in half.changed]
            for half in (book.bids, book.asks)
        ]
        first = book.sent_id + 1
        book.sent_id = book.update_id
        book.bids.changed = {}
        book.asks.changed = {}
        self._send_top(pair, book, now_us)
        if self._disturbances.drops_depth(symbol):
            return
        payload: Json = {
            "e": "depthUpdate",
            "E": ms(now_us),
            "s": symbol,
            "U": first,
            "u": book.update_id,
            "b": changes[0],
            "a": changes[1],
        }
        self._events.append(StreamEvent("depthUpdate", symbol, None, now_us, payload))

    def _user(self, event: StreamEvent, account: str, now_us: int) -> None:
        due = max(self._last_due.get(account, 0), now_us + self._disturbances.delay_us(account, now_us))
        if due <= now_us:
            self._events.append(event)
            return
        self._last_due[account] = due
        self._sequence += 1
        heapq.heappush(self._late, (due, self._sequence, event))
