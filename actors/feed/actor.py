"""Feed: keeps the book of one instrument in step with the venue, and says at once when it cannot.

The life of a diff: `DepthDiff` from the market port, `BookSync.on_diff`, and if the book is live and fresh,
one immutable `Book` to every subscriber. Whatever breaks that (a gap, silence, a cut stream, a crossed book,
a book ticker that says otherwise) is one `BookLost`; then a snapshot is asked for and the book begun again.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.feed.config import FeedConfig
from actors.feed.snapshots import SnapshotPacing
from actors.feed.staleness import Staleness
from actors.feed.sync import BookSync, Step
from actors.messages import (
    Book,
    BookLost,
    BookTicker,
    DepthDiff,
    DepthSnapshot,
    FeedReport,
    SnapshotFailed,
    SnapshotWanted,
    StreamDown,
    StreamUp,
    TradeTick,
)
from supervisor.actor import Actor
from supervisor.mailbox import Address
from supervisor.message import Dropped, Message, Refused

_DISPROVED = {
    Step.CROSSED: "crossed: the best bid is not below the best ask",
    Step.MISMATCH: "the venue's book ticker shows another best bid or ask",
}


class CheckDue(Message, frozen=True):
    """The feed's own clock."""


class FeedActor(Actor):
    """One instrument. Its mailbox is meant to be DROP_OLDEST: a diff that is dropped costs the book, once."""

    def __init__(
        self,
        instrument: str,
        *,
        rest: Address,
        subscribers: Sequence[Address],
        books_to: Sequence[Address] = (),
        config: FeedConfig | None = None,
    ) -> None:
        """`rest` answers `SnapshotWanted`; `subscribers` get `Book` (best declared LATEST) and `BookLost`; `books_to`
        get the books alone, and judge by their age themselves."""
        self._instrument = instrument
        self._rest = rest
        self._subscribers = tuple(subscribers)
        self._told_books = (*self._subscribers, *books_to)
        self._config = config or FeedConfig()
        self._sync = BookSync(self._config)
        self._lost: str | None = "starting"
        self._venue_ns = 0
        self._books = 0
        self._snapshots = 0
        self._report_due_s = 0.0

    def started(self) -> None:
        self._pacing = SnapshotPacing(self._config, spread=self.world.random.random())
        self._staleness = Staleness(self._config, self.now_ns)
        # The life before this one may have left a book behind that nobody keeps any more.
        for subscriber in self._subscribers:
            self.tell(subscriber, BookLost(instrument=self._instrument, reason="starting"))
        self.after(self._config.check_every_s, CheckDue())
        self.ready()

    # -- the tick -----------------------------------------------------------------------------------------

    def on_diff(self, diff: DepthDiff) -> None:
        sync, now_ns = self._sync, self.now_ns
        step = sync.on_diff(diff)
        self._staleness.on_diff(diff.last_id, now_ns, sync.ahead)
        self._venue_ns = diff.venue_ns
        if step is Step.CHANGED:
            if self._lost is None or self._staleness.verdict(now_ns) is None:
                self._tell_book(diff.received_ns)
        elif step is Step.GAP:
            self._lose(f"gap before update {diff.first_id}")
        elif step is Step.EXHAUSTED:
            self._lose("the price left the levels that the snapshot covered")
        elif step in _DISPROVED:
            sync.lose()
            self._lose(_DISPROVED[step])
        if sync.wants_snapshot:
            self._want_snapshot()

    def on_ticker(self, ticker: BookTicker) -> None:
        sync = self._sync
        self._staleness.on_ticker(ticker.update_id, sync.update_id, self.now_ns)
        if sync.on_ticker(ticker) is Step.MISMATCH:
            sync.lose()
            self._lose(_DISPROVED[Step.MISMATCH])

    def on_trade(self, trade: TradeTick) -> None:
        self._staleness.on_trade(self._sync.update_id, self.now_ns)

    # -- snapshots ----------------------------------------------------------------------------------------

    def on_snapshot(self, snapshot: DepthSnapshot) -> None:
        # Also one whose question was given up: what it may join is decided by its ids, not by who asked.
        if not self._sync.wants_snapshot:
            self._pacing.waiting_since_s = None
            return
        step = self._sync.on_snapshot(snapshot)
        if step is Step.NOT_JOINED:
            self._pacing.failed(self.now_s)
            return
        self._pacing.succeeded(self.now_s)
        if step is Step.MISMATCH or self._sync.book.is_crossed:
            self._sync.lose()
            self._lose("the snapshot does not fit what the venue says beside it")
        elif self._staleness.verdict(self.now_ns) is None:
            self._tell_book(snapshot.received_ns)

    def on_no_snapshot(self, failed: SnapshotFailed) -> None:
        self._no_snapshot(failed.retry_after_s)

    def on_refused(self, refused: Refused) -> None:
        if refused.to == self._rest.name:
            self._no_snapshot(0.0)

    def _no_snapshot(self, retry_after_s: float) -> None:
        if self._pacing.waiting_since_s is not None:
            self._pacing.failed(self.now_s, retry_after_s)
            self._sync.on_no_snapshot()

    def _want_snapshot(self) -> None:
        if self._pacing.due(self.now_s):
            self._pacing.asked(self.now_s)
            self._snapshots += 1
            self.tell(
                self._rest, SnapshotWanted(instrument=self._instrument, levels=self._config.snapshot_levels)
            )

    # -- what breaks a book -------------------------------------------------------------------------------

    def on_dropped(self, dropped: Dropped) -> None:
        """Our own mailbox overflowed; the diffs that are left cannot follow."""
        if dropped.message_type == DepthDiff.__name__:
            self._sync.lose()
            self._lose(f"{dropped.count} depth diffs were dropped, the feed is overloaded")

    def on_stream_up(self, up: StreamUp) -> None:
        self._staleness.reset(self.now_ns)

    def on_stream_down(self, down: StreamDown) -> None:
        self._sync.cut()
        self._lose(f"stream down: {down.reason}")

    def on_check(self, due: CheckDue) -> None:
        self.after(self._config.check_every_s, CheckDue())
        if self._pacing.timed_out(self.now_s):
            self._no_snapshot(0.0)
        verdict = self._staleness.verdict(self.now_ns)
        if verdict is not None and self._lost is None:
            # The book itself may be sound: if the stream goes on without a gap, it is told again.
            self._lose(verdict)
        if self._sync.wants_snapshot:
            self._want_snapshot()
        if self.now_s >= self._report_due_s:
            self._report_due_s = self.now_s + self._config.report_every_s
            self.publish(self._report())

    # -- what is told -------------------------------------------------------------------------------------

    def _tell_book(self, received_ns: int) -> None:
        self._lost = None
        self._books += 1
        book, levels = self._sync.book, self._config.view_levels
        view = Book(
            instrument=self._instrument,
            update_id=self._sync.update_id,
            bids=book.bids(levels),
            asks=book.asks(levels),
            venue_ns=self._venue_ns,
            received_ns=received_ns,
        )
        for subscriber in self._told_books:
            self.tell(subscriber, view)

    def _lose(self, reason: str) -> None:
        """Tell it once; whoever has heard it waits for the next book."""
        if self._lost is None:
            lost = BookLost(instrument=self._instrument, reason=reason)
            for subscriber in self._subscribers:
                self.tell(subscriber, lost)
            self.publish(lost)
        self._lost = reason

    def _report(self) -> FeedReport:
        sync, counts = self._sync, self._sync.counts
        bid, ask = sync.book.best_bid, sync.book.best_ask
        return FeedReport(
            instrument=self._instrument,
            state=sync.state.value,
            lost=self._lost,
            update_id=sync.update_id,
            bid=bid[0] if bid else 0.0,
            ask=ask[0] if ask else 0.0,
            diffs=counts.diffs,
            books=self._books,
            duplicates=counts.duplicates,
            gaps=counts.gaps,
            crossed=counts.crossed,
            resyncs=counts.resyncs,
            losses=counts.losses,
            tickers_compared=counts.compared,
            tickers_equal=counts.equal,
            snapshots_asked=self._snapshots,
        )
