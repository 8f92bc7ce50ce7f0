"""A recorded market: the book and the trades of a Binance spot recording are the liquidity we meet.

Input is an iterable of (receive time in ns, raw JSON): combined-stream envelopes of depthUpdate, trade and
bookTicker, and bare REST depth snapshots. Reading files is somebody else's work. Events are paced by
receive time, and everything is stamped with the venue's clock, which is the recorder's clock plus one
constant; so a recorder whose clock was wrong does not matter. bookTicker is used between depth updates: it
is the only exact word about the touch in those 100 ms.

At its end a recording goes quiet ("end": the book stays, nothing more happens) or begins again ("loop").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from actors.venues.simulated.config import SymbolConfig
from actors.venues.simulated.market import Candle, Levels, MarketEvent, Print
from actors.venues.simulated.recorded_book import BadRecording, RecordedBook

__all__ = ["BadRecording", "RecordedMarket"]

Messages = Iterable[tuple[int, bytes]]

# Messages within which the first snapshot must have come.
_SNAPSHOT_WITHIN = 20_000
# Between the end of one turn of a loop and the beginning of the next.
_LOOP_GAP_US = 100_000


class _Data(msgspec.Struct, gc=False):
    """Any of the messages; what a kind lacks keeps its default."""

    e: str = ""
    s: str = ""
    U: int = 0
    u: int = 0
    b: str | list[tuple[str, str]] = ""
    a: str | int | list[tuple[str, str]] = ""
    B: str = ""
    A: str = ""
    p: str = ""
    q: str = ""
    m: bool = False
    lastUpdateId: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


class _Message(msgspec.Struct, gc=False):
    stream: str = ""
    data: _Data | None = None
    lastUpdateId: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


class RecordedMarket:
    """A `Market`. `messages` is called for every turn of the recording and must give the same each time.

    `gaps` counts jumps of the update id in the recording, `ignored` messages of other pairs or kinds.
    Raises BadRecording, naming the message by number, for what is no recording of these pairs.
    """

    def __init__(
        self,
        messages: Callable[[], Messages],
        symbols: Sequence[SymbolConfig],
        at_end: Literal["quiet", "loop"] = "quiet",
    ) -> None:
        self._messages = messages
        self._at_end = at_end
        self._books = {symbol.symbol: RecordedBook(symbol) for symbol in symbols}
        self._decoder = msgspec.json.Decoder(_Message)
        self._ready: deque[MarketEvent] = deque()
        self._source: Iterator[tuple[int, bytes]] = iter(())
        self._number = 0
        # Venue time minus receive time.
        self._shift_us = 0
        self._last_us = 0
        self._has_ended = False
        self.gaps = 0
        self.ignored = 0
        self.turns = 0

    def begin(self, start_us: int) -> list[MarketEvent]:
        """The books at the recording's first snapshot of each pair; its time becomes the start."""
        first = self._open_turn(start_us)
        if not self._ready and not self._has_ended:
            self._fill()
        return first

    def history(self, symbol: str) -> list[Candle]:
        """A recording has no past: candles grow as it plays."""
        del symbol
        return []

    def next_us(self) -> int | None:
        return self._ready[0].at_us if self._ready else None

    def pop(self) -> MarketEvent:
        event = self._ready.popleft()
        if not self._ready and not self._has_ended:
            self._fill()
        return event

    def _open_turn(self, at_us: int) -> list[MarketEvent]:
        """Read up to the first snapshot of every pair; play begins at the last of them."""
        self._source = iter(self._messages())
        self._number = 0
        self.turns += 1
        for book in self._books.values():
            book.forget()
        awaited = set(self._books)
        receive_us = 0
        for receive_ns, raw in self._source:
            receive_us = receive_ns // 1000
            message = self._decode(raw)
            symbol, data = self._sort(message)
            if data is not None and symbol in self._books:
                is_snapshot = self._books[symbol].take(data, self._number)
                if is_snapshot:
                    awaited.discard(symbol)
            if not awaited:
                break
            if self._number > _SNAPSHOT_WITHIN:
                break
        if awaited:
            raise BadRecording(
                f"the first {self._number} messages hold no depth snapshot of {', '.join(sorted(awaited))}; "
                "record one at the start, or leave the pair out of the venue's symbols"
            )
        self._shift_us = at_us - receive_us
        self._last_us = at_us
        return [Levels(at_us, symbol, *book.everything(), reset=True) for symbol, book in self._books.items()]

    def _fill(self) -> None:
        while not self._ready:
            item = next(self._source, None)
            if item is None:
                if self._at_end == "quiet":
                    self._has_ended = True
                    return
                self._ready.extend(self._open_turn(self._last_us + _LOOP_GAP_US))
                return
            receive_ns, raw = item
            # A recorder's clock may step back; the venue's does not.
            self._last_us = max(self._last_us, receive_ns // 1000 + self._shift_us)
            symbol, data = self._sort(self._decode(raw))
            book = self._books.get(symbol)
            if data is None or book is None:
                self.ignored += 1
                continue
            self._ready.extend(self._events(book, symbol, data))

    def _events(self, book: RecordedBook, symbol: str, data: _Data) -> list[MarketEvent]:
        if data.e == "trade":
            price, size = book.level(data.p, data.q, self._number)
            book.printed(price, size, data.m)
            return [Print(self._last_us, symbol, price, size, data.m)]
        before = book.gaps
        book.take(data, self._number)
        self.gaps += book.gaps - before
        bids, asks = book.changes()
        return [Levels(self._last_us, symbol, bids, asks)] if bids or asks else []

    def _decode(self, raw: bytes) -> _Message:
        self._number += 1
        try:
            return self._decoder.decode(raw)
        except msgspec.DecodeError as trouble:
            raise BadRecording(f"message {self._number} of the recording: {trouble}") from None

    def _sort(self, message: _Message) -> tuple[str, _Data | None]:
        """The pair that a message is about, and its content in one shape."""
        data = message.data
        if data is not None:
            return data.s or message.stream.partition("@")[0].upper(), data
        if not message.lastUpdateId:
            return "", None
        # A bare snapshot names no pair: it can only belong to the one pair of its file.
        if len(self._books) != 1:
            raise BadRecording(
                f"message {self._number} is a snapshot that names no pair, and the venue lists "
                f"{len(self._books)}; give one recording for one pair"
            )
        snapshot = _Data(lastUpdateId=message.lastUpdateId, bids=message.bids, asks=message.asks)
        return next(iter(self._books)), snapshot
