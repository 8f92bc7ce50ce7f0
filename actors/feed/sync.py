"""Synchronisation of one book: diffs are only believed while they provably follow a snapshot.

The rules (Binance spot documentation, "How to manage a local order book correctly", wording of 2026, and
USD-M's page of the same name):
 1. Diffs are buffered from the first one on; its first update id U is noted; then a snapshot is asked for.
 2. A snapshot whose last id is below that U is too old: ask again. (The buffer stays.)
 3. Buffered diffs with u <= last id of the snapshot are dropped. Of the first that remains, spot demands that
    it does not leave a hole (U <= last id + 1); USD-M drops only u < last id and demands U <= last id <= u.
 4. From then on: u <= id of the book is a duplicate and ignored; spot needs U <= id + 1, USD-M needs that
    `pu` is exactly the id. Anything else is a gap: the book is discarded, and all begins again at 1, with
    this diff as the first.
 5. Our own: a book ticker whose update id equals the book's must show the book's best levels, to the last
    digit; and a book is never crossed. Whoever finds otherwise calls `lose`.
 6. Our own: a snapshot covers only so many levels. Before the price leaves them, the book is joined to a
    deeper one in the background by the same rules, and lives on meanwhile.
What a gap was: the venue sent all, and we lost it. So a gap is never repaired by guessing.
"""

from __future__ import annotations

import enum
from collections import deque

from actors.feed.book import OrderBook
from actors.feed.config import FeedConfig
from actors.messages import BookTicker, DepthDiff, DepthSnapshot


class State(enum.Enum):
    WAITING = "waiting"  # for the first diff
    SYNCING = "syncing"  # diffs are buffered, a snapshot is wanted
    LIVE = "live"
    DEEPENING = "deepening"  # live, and a snapshot is wanted for more levels


class Event(enum.Enum):
    DIFF = "diff"  # follows what came before
    GAP = "gap"
    JOINED = "joined"  # a snapshot and the buffered diffs fit together
    NOT_JOINED = "not_joined"  # a snapshot that is too old, or none
    THIN = "thin"  # few levels are left of those that the snapshot covered
    EXHAUSTED = "exhausted"  # the view shows levels that nobody vouches for
    DISPROVED = "disproved"  # by a book ticker, by being crossed, by a dropped diff
    CUT = "cut"  # the stream ended


_S, _E = State, Event
TRANSITIONS: dict[tuple[State, Event], State] = {
    (_S.WAITING, _E.DIFF): _S.SYNCING,
    # A late answer to a question of before the cut.
    (_S.WAITING, _E.NOT_JOINED): _S.WAITING,
    (_S.WAITING, _E.DISPROVED): _S.WAITING,
    (_S.WAITING, _E.CUT): _S.WAITING,
    (_S.SYNCING, _E.DIFF): _S.SYNCING,
    # A gap inside the buffer: it starts again with the diff after the gap.
    (_S.SYNCING, _E.GAP): _S.SYNCING,
    (_S.SYNCING, _E.JOINED): _S.LIVE,
    (_S.SYNCING, _E.NOT_JOINED): _S.SYNCING,
    (_S.SYNCING, _E.DISPROVED): _S.WAITING,
    (_S.SYNCING, _E.CUT): _S.WAITING,
    (_S.LIVE, _E.DIFF): _S.LIVE,
    (_S.LIVE, _E.GAP): _S.SYNCING,
    (_S.LIVE, _E.THIN): _S.DEEPENING,
    # A second answer to one question.
    (_S.LIVE, _E.NOT_JOINED): _S.LIVE,
    (_S.LIVE, _E.DISPROVED): _S.WAITING,
    (_S.LIVE, _E.CUT): _S.WAITING,
    (_S.DEEPENING, _E.DIFF): _S.DEEPENING,
    (_S.DEEPENING, _E.GAP): _S.SYNCING,
    (_S.DEEPENING, _E.JOINED): _S.LIVE,
    (_S.DEEPENING, _E.NOT_JOINED): _S.DEEPENING,
    # The deeper snapshot did not come in time; it is still awaited.
    (_S.DEEPENING, _E.EXHAUSTED): _S.SYNCING,
    (_S.DEEPENING, _E.DISPROVED): _S.WAITING,
    (_S.DEEPENING, _E.CUT): _S.WAITING,
}


class Step(enum.Enum):
    """What one input did to the book, for whoever holds the machine."""

    NOTHING = "nothing"
    CHANGED = "changed"
    JOINED = "joined"  # live, from now or anew
    NOT_JOINED = "not_joined"
    GAP = "gap"  # if the book was live, it no longer is
    CROSSED = "crossed"  # still live: the holder decides
    MISMATCH = "mismatch"  # still live: the holder decides
    EXHAUSTED = "exhausted"  # no longer live


# Looked up for every message; by its class a member costs 50 ns.
_SYNCING, _LIVE, _DEEPENING = State.SYNCING, State.LIVE, State.DEEPENING


class Counts:
    """Since the machine was made. `compared`: book tickers that were waiting when the book came to their
    update id (and any other that contradicted it); `equal`: those that showed the book's best levels."""

    __slots__ = ("compared", "crossed", "diffs", "duplicates", "equal", "gaps", "joins", "losses", "too_old")

    def __init__(self) -> None:
        self.diffs = self.duplicates = self.gaps = self.crossed = self.joins = self.losses = self.too_old = 0
        self.compared = self.equal = 0

    @property
    def resyncs(self) -> int:
        """How often a book that had been live was joined again."""
        return max(0, self.joins - 1)


class BookSync:
    """The machine of the table above. Pure: diffs, snapshots and tickers in, steps out."""

    def __init__(self, config: FeedConfig) -> None:
        self.state = State.WAITING
        self.book = OrderBook(config.levels_max)
        self.update_id = -1
        self.counts = Counts()
        self._config = config
        self._buffer: deque[DepthDiff] = deque(maxlen=config.buffer_max)
        self._tickers: deque[BookTicker] = deque(maxlen=config.tickers_max)
        # USD-M only: no diff has been applied since the snapshot, so there is no `u` that `pu` could equal.
        self._fresh = False

    @property
    def is_live(self) -> bool:
        return self.state is _LIVE or self.state is _DEEPENING

    @property
    def wants_snapshot(self) -> bool:
        return self.state is _SYNCING or self.state is _DEEPENING

    @property
    def ahead(self) -> BookTicker | None:
        """The oldest ticker that waits for the book to come to its update id."""
        return self._tickers[0] if self._tickers else None

    def reaches(self, snapshot_id: int) -> bool:
        """Whether a snapshot of that last id falls among the diffs that are buffered."""
        return bool(self._buffer) and self._buffer[0].first_id <= snapshot_id <= self._buffer[-1].last_id

    def on_diff(self, diff: DepthDiff) -> Step:
        """CHANGED, CROSSED, MISMATCH, GAP or EXHAUSTED; NOTHING if it was only buffered, or a duplicate."""
        self.counts.diffs += 1
        if self.state is not _LIVE and self.state is not _DEEPENING:
            return self._keep(diff)
        if diff.last_id <= self.update_id and not (self._fresh and diff.last_id == self.update_id):
            self.counts.duplicates += 1
            return Step.NOTHING
        if not self._follows(diff):
            self.counts.gaps += 1
            self._lose(Event.GAP)
            self._buffer.append(diff)
            return Step.GAP
        self.book.apply(diff.bids, diff.asks)
        self.update_id = diff.last_id
        self._fresh = False
        return self._judge(diff)

    def on_snapshot(self, snapshot: DepthSnapshot) -> Step:
        """JOINED, NOT_JOINED (ask again), or NOTHING if none was wanted."""
        if not self.wants_snapshot:
            self._move(Event.NOT_JOINED)
            return Step.NOTHING
        buffer = self._buffer
        # Rule 2; and the book must not go back in time where the buffer does not reach.
        if not buffer or snapshot.last_id < buffer[0].first_id:
            self.counts.too_old += 1
            self._move(Event.NOT_JOINED)
            return Step.NOT_JOINED
        futures = buffer[0].previous_id is not None
        reach = snapshot.last_id - 1 if futures else snapshot.last_id
        rest = [diff for diff in buffer if diff.last_id > reach]
        if futures and rest and rest[0].first_id > snapshot.last_id:
            # USD-M: the snapshot lies between two diffs, which proves nothing. The next one will not.
            self.counts.too_old += 1
            self._move(Event.NOT_JOINED)
            return Step.NOT_JOINED
        self.book.load(snapshot.bids, snapshot.asks, levels_asked=self._levels_asked())
        self.update_id = snapshot.last_id
        self._fresh = futures
        for diff in rest:
            self.book.apply(diff.bids, diff.asks)
            self.update_id = diff.last_id
            self._fresh = False
        self.counts.joins += not self.is_live
        buffer.clear()
        self._move(Event.JOINED)
        return Step.JOINED if self._agrees() else Step.MISMATCH

    def on_no_snapshot(self) -> None:
        """The snapshot that was asked for will not come."""
        self._move(Event.NOT_JOINED)

    def on_ticker(self, ticker: BookTicker) -> Step:
        """MISMATCH if it contradicts the book; it is kept if the depth stream has not come so far yet."""
        if ticker.update_id > self.update_id or not self.is_live:
            self._tickers.append(ticker)
            return Step.NOTHING
        if ticker.update_id < self.update_id or self._shows(ticker):
            return Step.NOTHING
        # Counted as compared only because it contradicts: a ticker that comes after its diff proves less than
        # one that the book had yet to come to.
        self.counts.compared += 1
        return Step.MISMATCH

    def lose(self) -> None:
        """The book is disproved (a mismatch, a crossed book, a diff that was dropped): begin again."""
        self._lose(Event.DISPROVED)

    def cut(self) -> None:
        """The stream ended; what comes next need not follow."""
        self._lose(Event.CUT)

    # -- the parts ----------------------------------------------------------------------------------------

    def _follows(self, diff: DepthDiff) -> bool:
        if diff.previous_id is None:
            return diff.first_id <= self.update_id + 1
        if self._fresh:
            return diff.first_id <= self.update_id <= diff.last_id
        return diff.previous_id == self.update_id

    def _keep(self, diff: DepthDiff) -> Step:
        """Buffer it; a gap between two buffered diffs makes the older ones worthless."""
        step = Step.NOTHING
        if self._buffer:
            last = self._buffer[-1]
            if diff.last_id <= last.last_id:
                self.counts.duplicates += 1
                return step
            follows = (
                diff.first_id <= last.last_id + 1
                if diff.previous_id is None
                else diff.previous_id == last.last_id
            )
            if not follows:
                self.counts.gaps += 1
                self._buffer.clear()
                self._move(Event.GAP)
                step = Step.GAP
        self._buffer.append(diff)
        self._move(Event.DIFF)
        return step

    def _judge(self, diff: DepthDiff) -> Step:
        """What the diff that was just applied has made of the book."""
        book, config = self.book, self._config
        if self._tickers and not self._agrees():
            return Step.MISMATCH
        if book.is_crossed:
            self.counts.crossed += 1
            return Step.CROSSED
        deepen_below = config.deepen_below
        if deepen_below and (self.state is _DEEPENING or not book.knows(deepen_below)):
            if self.state is _LIVE:
                self._move(Event.THIN)
            self._buffer.append(diff)
            if not book.knows(config.view_levels):
                self._lose(Event.EXHAUSTED)
                return Step.EXHAUSTED
        return Step.CHANGED

    def _agrees(self) -> bool:
        """Compare the waiting tickers that the book has come to; one that it has passed says nothing."""
        tickers = self._tickers
        agrees = True
        while tickers and tickers[0].update_id <= self.update_id:
            ticker = tickers.popleft()
            if ticker.update_id == self.update_id:
                self.counts.compared += 1
                if self._shows(ticker):
                    self.counts.equal += 1
                else:
                    agrees = False
        return agrees

    def _shows(self, ticker: BookTicker) -> bool:
        """Whether the book's best levels are the ticker's, to the last digit; it says 0 for an empty side."""
        bid = self.book.best_bid or (0.0, 0.0)
        ask = self.book.best_ask or (0.0, 0.0)
        return bid == (ticker.bid, ticker.bid_size) and ask == (ticker.ask, ticker.ask_size)

    def _lose(self, event: Event) -> None:
        if self.is_live:
            self.counts.losses += 1
        self._move(event)
        # What is exhausted was being deepened, and the diffs that were buffered for it are sound.
        if event is not Event.EXHAUSTED:
            self._buffer.clear()
        self.update_id = -1
        # Tickers of before are not tickers of the next book only if the ids begin anew; they age out by id.
        if event is Event.CUT:
            self._tickers.clear()

    def _levels_asked(self) -> int | None:
        return self._config.snapshot_levels if self._config.deepen_below else None

    def _move(self, event: Event) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise RuntimeError(f"a book that is {self.state.value} cannot meet {event.value}") from None
