"""A recorded market: the book and the trades of a Binance spot recording are the liquidity we meet.

Input is an iterable of (receive time in ns, raw JSON): combined-stream envelopes of depthUpdate, trade and
bookTicker, and bare REST depth snapshots (stream_reader.py). Reading files is somebody else's work. Events are
paced by receive time, and everything is stamped with the venue's clock, which is the recorder's clock plus one
constant; so a recorder whose clock was wrong does not matter.

At its end a recording goes quiet ("end": the book stays, nothing more happens) or begins again ("loop").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from actors.venues.simulated.config import SymbolConfig
from actors.venues.simulated.market import Candle, Levels, MarketEvent
from actors.venues.simulated.recorded_book import BadRecording
from actors.venues.simulated.stream_reader import StreamReader

__all__ = ["BadRecording", "RecordedMarket"]

Messages = Iterable[tuple[int, bytes]]

# Messages within which the first snapshot must have come.
_SNAPSHOT_WITHIN = 20_000
# Between the end of one turn of a loop and the beginning of the next.
_LOOP_GAP_US = 100_000


class RecordedMarket:
    """A `Market`. `messages` is called for every turn of the recording and must give the same each time.

    `gaps` counts jumps of the update id in the recording, `ignored` messages of other pairs or kinds.
    Raises BadRecording, naming the message by number, for what is no recording of these pairs; with `unusable`, a
    message after the start is handed there instead, and play goes on without it.
    """

    def __init__(
        self,
        messages: Callable[[], Messages],
        symbols: Sequence[SymbolConfig],
        at_end: Literal["quiet", "loop"] = "quiet",
        unusable: Callable[[BadRecording], None] | None = None,
    ) -> None:
        self._messages = messages
        self._at_end = at_end
        self._unusable = unusable
        self._reader = StreamReader(symbols)
        self._ready: deque[MarketEvent] = deque()
        self._source: Iterator[tuple[int, bytes]] = iter(())
        # Venue time minus receive time.
        self._shift_us = 0
        self._last_us = 0
        self._has_ended = False
        self.ignored = 0
        self.turns = 0

    @property
    def gaps(self) -> int:
        return sum(book.gaps for book in self._reader.books.values())

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
        reader, books = self._reader, self._reader.books
        reader.number = 0
        self.turns += 1
        for book in books.values():
            book.forget()
        awaited = set(books)
        receive_us = 0
        for receive_ns, raw in self._source:
            receive_us = receive_ns // 1000
            symbol, data = reader.read(raw)
            if data is not None and symbol in books:
                is_snapshot = books[symbol].take(data, reader.number)
                if is_snapshot:
                    awaited.discard(symbol)
            if not awaited or reader.number > _SNAPSHOT_WITHIN:
                break
        if awaited:
            raise BadRecording(
                f"the first {reader.number} messages hold no depth snapshot of {', '.join(sorted(awaited))}; "
                "record one at the start, or leave the pair out of the venue's symbols"
            )
        self._shift_us = at_us - receive_us
        self._last_us = at_us
        return [Levels(at_us, symbol, *book.everything(), reset=True) for symbol, book in books.items()]

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
            try:
                symbol, data = self._reader.read(raw)
                if data is None or symbol not in self._reader.books:
                    self.ignored += 1
                    continue
                self._ready.extend(self._reader.events(symbol, data, self._last_us))
            except BadRecording as error:
                if self._unusable is None:
                    raise
                self._unusable(error)
