"""Messages of Binance's market streams become events of a market: what recorded and live markets share.

Input is raw JSON: combined-stream envelopes of depthUpdate, trade and bookTicker, and bare REST depth
snapshots. bookTicker is used between depth updates: it is the only exact word about the touch in those 100 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.venues.simulated.config import SymbolConfig
from actors.venues.simulated.market import Levels, MarketEvent, Print
from actors.venues.simulated.recorded_book import BadRecording, RecordedBook


class Data(msgspec.Struct, gc=False):
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
    data: Data | None = None
    lastUpdateId: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


class StreamReader:
    """The books of all pairs, as the messages tell them. `number` counts messages, for errors."""

    def __init__(self, symbols: Sequence[SymbolConfig]) -> None:
        self.books = {symbol.symbol: RecordedBook(symbol) for symbol in symbols}
        self.number = 0
        self._decoder = msgspec.json.Decoder(_Message)

    def read(self, raw: bytes) -> tuple[str, Data | None]:
        """The pair that a message is about, and its content in one shape; None where it has none of interest.

        Raises BadRecording, naming the message by number, for what is no JSON of these streams.
        """
        self.number += 1
        try:
            message = self._decoder.decode(raw)
        except msgspec.DecodeError as trouble:
            raise BadRecording(f"message {self.number} is not understood: {trouble}") from None
        data = message.data
        if data is not None:
            return data.s or message.stream.partition("@")[0].upper(), data
        if not message.lastUpdateId:
            return "", None
        # A bare snapshot names no pair: it can only belong to the one pair of its file.
        if len(self.books) != 1:
            raise BadRecording(
                f"message {self.number} is a snapshot that names no pair, and the venue lists "
                f"{len(self.books)}; give one recording for one pair"
            )
        snapshot = Data(lastUpdateId=message.lastUpdateId, bids=message.bids, asks=message.asks)
        return next(iter(self.books)), snapshot

    def events(self, symbol: str, data: Data, at_us: int) -> list[MarketEvent]:
        """What a message of a listed pair changes, stamped `at_us`. Raises BadRecording for prices and sizes
        that are none, or are not on the pair's grid."""
        book = self.books[symbol]
        if data.e == "trade":
            price, size = book.level(data.p, data.q, self.number)
            book.printed(price, size, data.m)
            return [Print(at_us, symbol, price, size, data.m)]
        book.take(data, self.number)
        bids, asks = book.changes()
        return [Levels(at_us, symbol, bids, asks)] if bids or asks else []
