"""A live market: what another venue's public streams say, as they say it, is the liquidity we meet.

The machinery is the recording's (stream_reader.py, recorded_book.py); the messages come from a pump
(upstream.py) instead of a file. A book that cannot be trusted (a gap, a lost connection, a refused message, a
crossed touch) says nothing more until a fresh snapshot has made it whole; meanwhile the exchange keeps what it
was last told. Nothing is ever filled in: no message, no event. Pure; times are microseconds of the venue's
clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from actors.venues.simulated.config import SymbolConfig
from actors.venues.simulated.market import Candle, Levels, MarketEvent
from actors.venues.simulated.recorded_book import BadRecording
from actors.venues.simulated.stream_reader import Data, StreamReader

# Events that wait for the exchange: seconds of the busiest market. Beyond it the process hangs, and its books are
# fetched anew.
EVENTS_MAX = 100_000


class Counts(msgspec.Struct):
    """What a live market has seen."""

    messages: int = 0
    # No JSON of these streams, or a price or size that is none.
    refused: int = 0
    ignored: int = 0
    # Books that had to be made whole again, for whatever reason; the first time counts too.
    resyncs: int = 0
    last_refusal: str = ""


class LiveMarket:
    """A `Market`. Tell it every message, and fetch a snapshot for each pair in `wanted`, which then becomes whole."""

    def __init__(self, symbols: Sequence[SymbolConfig]) -> None:
        self._reader = StreamReader(symbols)
        self._snapshot = msgspec.json.Decoder(Data)
        self._ready: deque[MarketEvent] = deque()
        self._last_us = 0
        self.wanted = set(self._reader.books)
        self.counts = Counts()

    # --- What the pump tells -----------------------------------------------------------------------------

    def on_message(self, raw: bytes, now_us: int) -> None:
        """A frame of the combined stream. Never raises for what is in it."""
        self.counts.messages += 1
        symbol = ""
        data: Data | None = None
        try:
            symbol, data = self._reader.read(raw)
            if data is None or symbol not in self._reader.books:
                self.counts.ignored += 1
                return
            self._tell(symbol, data, now_us)
        except BadRecording as error:
            self._refuse(error)
            # A diff that was refused, perhaps half-way, is missing from the book; a trade is not.
            if data is not None and data.e != "trade" and symbol in self._reader.books:
                self.renew(symbol)

    def on_snapshot(self, symbol: str, raw: bytes, now_us: int) -> bool:
        """The body of a depth snapshot; False if the book is not whole with it, so that another one is wanted."""
        book = self._reader.books[symbol]
        gaps = book.gaps
        try:
            data = self._snapshot.decode(raw)
            if not data.lastUpdateId:
                raise BadRecording("a snapshot without lastUpdateId")
            book.take(data, self._reader.number)
        except (msgspec.DecodeError, BadRecording) as error:
            self._refuse(error)
            self.renew(symbol)
            return False
        if book.gaps != gaps or book.is_crossed:
            # Older than the first diff that we have, or not of one piece.
            self.renew(symbol)
            return False
        self.wanted.discard(symbol)
        self.counts.resyncs += 1
        self._put(Levels(self._at(now_us), symbol, *book.everything(), reset=True))
        return True

    def on_lost(self) -> None:
        """The connection has ended: whatever comes next, something before it is missing."""
        for symbol in self._reader.books:
            self.renew(symbol)

    def renew(self, symbol: str) -> None:
        """Trust the book of this pair no more; a snapshot is wanted."""
        self._reader.books[symbol].forget()
        self.wanted.add(symbol)

    def hears(self, symbol: str) -> bool:
        """Whether depth has come that a snapshot taken from now on can be joined to."""
        return self._reader.books[symbol].has_early

    # --- What the exchange asks --------------------------------------------------------------------------

    def begin(self, start_us: int) -> list[MarketEvent]:
        """The books as they are now. To be called when no pair is `wanted`."""
        self._ready.clear()
        self._last_us = max(self._last_us, start_us)
        return [
            Levels(self._last_us, symbol, *book.everything(), reset=True)
            for symbol, book in self._reader.books.items()
        ]

    def history(self, symbol: str) -> list[Candle]:
        """Candles grow as it plays: what was before is not asked for."""
        del symbol
        return []

    def next_us(self) -> int | None:
        """When the next event is due; None until the next message."""
        return self._ready[0].at_us if self._ready else None

    def pop(self) -> MarketEvent:
        return self._ready.popleft()

    # --- The parts ---------------------------------------------------------------------------------------

    def _tell(self, symbol: str, data: Data, now_us: int) -> None:
        book = self._reader.books[symbol]
        gaps = book.gaps
        events = self._reader.events(symbol, data, self._at(now_us))
        if book.gaps != gaps:
            self.renew(symbol)
            # It is the first of what the snapshot must join.
            book.take(data, self._reader.number)
        elif book.is_crossed:
            self.renew(symbol)
        elif symbol not in self.wanted or data.e == "trade":
            for event in events:
                self._put(event)

    def _put(self, event: MarketEvent) -> None:
        if len(self._ready) < EVENTS_MAX or (isinstance(event, Levels) and event.reset):
            self._ready.append(event)
        else:
            self.renew(event.symbol)

    def _at(self, now_us: int) -> int:
        self._last_us = max(self._last_us, now_us)
        return self._last_us

    def _refuse(self, error: Exception) -> None:
        self.counts.refused += 1
        self.counts.last_refusal = str(error)
