"""`replay --check`: drives a recording through the desk's own codec, synchronisation and books, and counts.

What it finds is what the desk would have believed. A recording answers no questions: after a gap the book is
only whole again if the recording has another snapshot further on; until then gaps are still counted, and
nothing is compared.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.feed.config import FeedConfig
from actors.feed.sync import BookSync
from actors.messages import BookTicker, DepthDiff, DepthSnapshot
from actors.replay.recording import Kind, Recorded, RecordingError, records
from actors.venues.binance.market_codec import CodecError, MarketCodec, decode_snapshot

# Far more than anybody records; beyond it, a file is not what it says.
_INSTRUMENTS_MAX = 2000
# Nobody to ask for more levels.
_CONFIG = FeedConfig(deepen_below=0)


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all instruments of one recording."""

    # Usable lines: frames, depth snapshots, and the recorder's own notes.
    messages: int
    # Places where diffs are missing.
    gaps: int
    # Diffs after which the best bid was not below the best ask.
    crossed: int
    # Books that had been whole, and were joined to a snapshot again.
    resyncs: int
    # Book tickers at whose update id the book arrived exactly; and those of them that showed its best levels.
    bookticker_compared: int
    bookticker_equal: int
    # Of venues that send checksums; Binance does not.
    checksum_ok: int
    checksum_bad: int
    # Lines that were torn, foreign, or refused by the codec.
    unusable_lines: int


def check(path: Path | str) -> CheckReport:
    """Read the whole recording. Raises OSError if it cannot be opened; what cannot be read is counted."""
    return examine(path)[0]


def examine(path: Path | str) -> tuple[CheckReport, RecordingError | None]:
    """The report, and what was wrong with the first unusable line: its number, and how many before it were
    usable. Raises OSError if the file cannot be opened."""
    checker = Checker(Path(path))
    for record in records(path, unusable=checker.on_unusable):
        checker.on_record(record)
    return checker.report(), checker.first_error


class Checker:
    """The pure part: recorded lines in, a report out. Bounded by the number of instruments."""

    def __init__(self, path: Path) -> None:
        self.messages = self.unusable_lines = 0
        self.first_error: RecordingError | None = None
        self._path = path
        self._codec = MarketCodec()
        self._books: dict[str, BookSync] = {}
        # A recorder that asked before the first diff arrived: kept for the books that are not joined yet.
        self._early: DepthSnapshot | None = None

    def on_record(self, record: Recorded) -> None:
        if record.kind in (Kind.SENT, Kind.CONNECTED, Kind.CONFIGURATION):
            self.messages += 1
            return
        try:
            if record.raw.startswith(b'{"lastUpdateId"'):
                self._on_snapshot(decode_snapshot(record.raw, "", record.receive_ns))
            else:
                self._on_frame(record)
        except CodecError as error:
            self.on_unusable(RecordingError(self._path, record.line, self.messages, str(error)))
            return
        self.messages += 1

    def on_unusable(self, error: RecordingError) -> None:
        self.unusable_lines += 1
        self.first_error = self.first_error or error

    def report(self) -> CheckReport:
        counts = [book.counts for book in self._books.values()]
        return CheckReport(
            messages=self.messages,
            gaps=sum(each.gaps for each in counts),
            crossed=sum(each.crossed for each in counts),
            resyncs=sum(each.resyncs for each in counts),
            bookticker_compared=sum(each.compared for each in counts),
            bookticker_equal=sum(each.equal for each in counts),
            checksum_ok=0,
            checksum_bad=0,
            unusable_lines=self.unusable_lines,
        )

    def _on_frame(self, record: Recorded) -> None:
        message = self._codec.decode(record.raw, record.receive_ns)
        if isinstance(message, DepthDiff):
            book = self._books.get(message.instrument) or self._new_book(message.instrument)
            book.on_diff(message)
            if self._early is not None and book.wants_snapshot:
                book.on_snapshot(self._early)
                self._early = None
        elif isinstance(message, BookTicker):
            (self._books.get(message.instrument) or self._new_book(message.instrument)).on_ticker(message)

    def _on_snapshot(self, snapshot: DepthSnapshot) -> None:
        # Its body does not say whose it is; update ids of two instruments lie far apart, so at most one fits.
        waiting = [book for book in self._books.values() if book.wants_snapshot]
        for book in waiting:
            if len(self._books) == 1 or book.reaches(snapshot.last_id):
                book.on_snapshot(snapshot)
                return
        self._early = snapshot

    def _new_book(self, instrument: str) -> BookSync:
        if len(self._books) >= _INSTRUMENTS_MAX:
            raise CodecError(f"more than {_INSTRUMENTS_MAX} instruments", stream=instrument)
        book = self._books[instrument] = BookSync(_CONFIG)
        return book
