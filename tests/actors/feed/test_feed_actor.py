"""The feed actor in a simulated tree, with a REST port and a subscriber in actors' clothes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from actors.feed.actor import FeedActor
from actors.feed.config import FeedConfig
from actors.messages import (
    Book,
    BookLost,
    DepthSnapshot,
    FeedReport,
    SnapshotFailed,
    SnapshotWanted,
    StreamDown,
    StreamUp,
    TradeTick,
)
from supervisor.actor import Actor
from supervisor.mailbox import Address, Overflow
from supervisor.message import Message
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Child, Strategy
from tests.actors.feed.feed_fixture import INSTRUMENT, Truth, diff, snapshot, ticker

Respond = Callable[[SnapshotWanted], Message | None]


class Rest(Actor):
    """Answers with whatever the test wants; None is silence."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_snapshot_wanted(self, wanted: SnapshotWanted) -> None:
        self._desk.asked_s.append(self.now_s)
        answer = self._desk.respond(wanted)
        if answer is not None:
            self.reply(answer)


class Listener(Actor):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_word(self, word: Book | BookLost) -> None:
        self._desk.heard.append(word)


class Desk:
    """A feed between a venue that the test plays and a subscriber that writes down what it hears."""

    def __init__(self, config: FeedConfig | None = None, *, bound: int = 10_000, seed: int = 0) -> None:
        self.truth = Truth(seed)
        self.asked_s: list[float] = []
        self.heard: list[Book | BookLost] = []
        self.respond: Respond = lambda wanted: self.truth.snapshot()
        self.feed = Address("feed/x", bound=bound, overflow=Overflow.DROP_OLDEST)
        rest, listener = Address("rest"), Address("listener", latest={Book: lambda book: book.instrument})
        self.simulation = Simulation(
            Branch(
                "desk",
                Strategy.ONE_FOR_ONE,
                (
                    Child(rest, lambda: Rest(self)),
                    Child(listener, lambda: Listener(self)),
                    Child(
                        self.feed,
                        lambda: FeedActor(INSTRUMENT, rest=rest, subscribers=(listener,), config=config),
                    ),
                ),
            )
        )
        self.simulation.start()
        self.heard.clear()

    def tell(self, *messages: Message) -> None:
        for message in messages:
            self.simulation.tell(self.feed, message)
        self.simulation.settle()

    def stream(self, seconds: float) -> None:
        """The venue goes on, ten diffs a second."""
        for _ in range(round(seconds * 10)):
            self.tell(self.truth.diff())
            self.simulation.run_for(0.1)

    @property
    def lost(self) -> list[str]:
        return [word.reason for word in self.heard if isinstance(word, BookLost)]

    @property
    def books(self) -> list[Book]:
        return [word for word in self.heard if isinstance(word, Book)]

    @property
    def last(self) -> Book | BookLost:
        return self.heard[-1]


def trade(at: int) -> TradeTick:
    return TradeTick(
        instrument=INSTRUMENT,
        trade_id=at,
        price=1.0,
        size=1.0,
        buyer_is_maker=True,
        venue_ns=0,
        received_ns=0,
    )


DOWN = StreamDown(venue="binance", instruments=(INSTRUMENT,), reason="cable cut")
UP = StreamUp(venue="binance", instruments=(INSTRUMENT,))


def test_every_diff_of_a_live_book_is_told_as_one_immutable_view_of_the_venues_book() -> None:
    desk = Desk(FeedConfig(view_levels=5, deepen_below=0))
    desk.stream(5)
    assert len(desk.asked_s) == 1
    assert len(desk.books) >= 49 and not desk.lost
    for book in desk.books:
        bids, asks = desk.truth.books_at[book.update_id]
        assert book.bids == tuple(sorted(bids.items(), reverse=True)[:5])
        assert book.asks == tuple(sorted(asks.items())[:5])


def test_a_gap_loses_the_book_once_and_it_comes_back_by_itself() -> None:
    desk = Desk()
    desk.stream(1)
    desk.truth.diff()  # never told
    desk.stream(2)
    assert len(desk.lost) == 1 and desk.lost[0].startswith("gap before update")
    assert isinstance(desk.last, Book) and desk.last.update_id == desk.truth.update_id
    assert len(desk.asked_s) == 2


def test_a_cut_stream_loses_the_book_at_once_and_the_next_stream_begins_it_anew() -> None:
    desk = Desk()
    desk.stream(1)
    desk.tell(DOWN)
    assert desk.lost == ["stream down: cable cut"]
    desk.simulation.run_for(60)
    assert len(desk.lost) == 1
    desk.tell(UP)
    desk.stream(1)
    assert isinstance(desk.last, Book) and desk.last.update_id == desk.truth.update_id
    # Though its ids go on without a gap: what follows a cut is not believed without a snapshot.
    assert len(desk.asked_s) == 2


def test_silence_loses_the_book_and_a_stream_that_goes_on_without_a_gap_brings_it_back_unasked() -> None:
    desk = Desk()
    desk.stream(1)
    desk.simulation.run_for(7)
    assert len(desk.lost) == 1 and desk.lost[0].startswith("silent for")
    desk.stream(0.5)
    assert isinstance(desk.last, Book)
    assert len(desk.asked_s) == 1


def test_a_book_that_stands_still_while_trades_go_on_is_lost_within_the_stated_time() -> None:
    desk = Desk()
    desk.stream(1)
    for at in range(10):
        desk.tell(trade(at))
        desk.simulation.run_for(0.4)
    assert len(desk.lost) == 1 and "behind trades" in desk.lost[0]


def test_a_ticker_that_contradicts_the_book_loses_it() -> None:
    desk = Desk()
    desk.stream(1)
    coming = desk.truth.diff()
    desk.tell(ticker(coming.last_id, (1.0, 1.0)))
    desk.tell(coming)
    assert desk.lost == ["the venue's book ticker shows another best bid or ask"]
    desk.stream(2)
    assert isinstance(desk.last, Book)


def test_tickers_that_agree_are_counted_and_reported() -> None:
    desk = Desk()
    for _ in range(80):
        coming = desk.truth.diff()
        desk.tell(desk.truth.ticker(), coming)
        desk.simulation.run_for(0.1)
    report = [event for event in desk.simulation.events if isinstance(event, FeedReport)][-1]
    assert report.tickers_compared == report.tickers_equal > 40
    assert report.lost is None and report.state == "live" and report.bid > 0


def test_a_crossed_book_is_lost_and_never_told() -> None:
    desk = Desk()
    desk.stream(1)
    coming = desk.truth.diff()
    desk.tell(diff(coming.first_id, coming.last_id, [(5000.0, 1.0)]))
    assert desk.lost and desk.lost[0].startswith("crossed")
    desk.stream(2)
    assert isinstance(desk.last, Book)
    assert not any(book.is_crossed for book in desk.books)


def test_an_overflowing_mailbox_marks_the_book_broken_once_and_it_recovers() -> None:
    desk = Desk(bound=20)
    desk.stream(1)
    for _ in range(200):
        desk.simulation.tell(desk.feed, desk.truth.diff())
    desk.simulation.settle()
    assert len(desk.lost) == 1 and "dropped" in desk.lost[0]
    desk.stream(2)
    assert isinstance(desk.last, Book) and desk.last.update_id == desk.truth.update_id


def test_a_venue_that_gives_no_snapshots_is_asked_ever_more_slowly() -> None:
    desk = Desk()
    desk.respond = lambda wanted: SnapshotFailed(instrument=INSTRUMENT, reason="503", retry_after_s=0.0)
    desk.stream(60)
    assert 4 <= len(desk.asked_s) <= 8 and not desk.books
    waits = [after - before for before, after in pairwise(desk.asked_s)]
    assert waits == sorted(waits)
    desk.respond = lambda wanted: desk.truth.snapshot()
    desk.stream(50)
    assert isinstance(desk.last, Book)


def test_a_snapshot_question_that_died_with_its_port_is_asked_again() -> None:
    desk = Desk(FeedConfig(snapshot_timeout_s=10.0))
    desk.respond = lambda wanted: None
    desk.stream(5)
    assert len(desk.asked_s) == 1
    desk.respond = lambda wanted: desk.truth.snapshot()
    desk.stream(10)
    assert len(desk.asked_s) == 2 and isinstance(desk.last, Book)


def test_an_old_snapshot_is_asked_for_again_until_one_reaches_the_stream() -> None:
    desk = Desk()
    old = desk.truth.snapshot()
    desk.truth.diff()
    answers: list[DepthSnapshot] = [old, old]
    desk.respond = lambda wanted: answers.pop() if answers else desk.truth.snapshot()
    desk.stream(5)
    assert len(desk.asked_s) == 3 and isinstance(desk.last, Book)


def test_a_crashed_feed_tells_its_subscribers_that_the_old_book_is_gone_and_builds_another() -> None:
    desk = Desk()
    desk.stream(1)
    desk.simulation.crash("feed/x")
    desk.stream(2)
    assert desk.lost == ["starting"]
    assert isinstance(desk.last, Book) and desk.last.update_id == desk.truth.update_id


def test_the_view_moves_beyond_the_first_snapshot_without_the_book_being_lost() -> None:
    desk = Desk(FeedConfig(view_levels=3, deepen_below=8, snapshot_levels=20))
    desk.respond = lambda wanted: desk.truth.snapshot(wanted.levels)
    desk.stream(1)
    # The price walks down through more levels than a snapshot covers.
    for _ in range(40):
        best = max(desk.truth.bids)
        desk.truth.bids.pop(best)
        desk.truth.bids[best - 60.0] = 1.0
        desk.truth.asks[best] = 1.0
        desk.truth.update_id += 1
        at = desk.truth.update_id
        desk.truth._note()
        desk.tell(diff(at, at, [(best, 0.0), (best - 60.0, 1.0)], [(best, 1.0)]))
        desk.simulation.run_for(1)
        assert isinstance(desk.last, Book)
        bids, asks = desk.truth.books_at[desk.last.update_id]
        assert desk.last.bids == tuple(sorted(bids.items(), reverse=True)[:3])
        assert desk.last.asks == tuple(sorted(asks.items())[:3])
    assert not desk.lost and len(desk.asked_s) > 2


def test_a_snapshot_that_nobody_waits_for_changes_nothing() -> None:
    desk = Desk()
    desk.stream(1)
    before = desk.last
    desk.tell(snapshot(5, [(1.0, 1.0)], [(2.0, 1.0)]))
    assert desk.last is before
    desk.stream(0.1)
    assert isinstance(desk.last, Book) and desk.last.update_id == desk.truth.update_id
