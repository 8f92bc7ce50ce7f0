"""Synchronisation: each rule of the venue by example, then all of them against a lossy stream."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.feed.config import FeedConfig
from actors.feed.sync import TRANSITIONS, BookSync, Event, State, Step
from tests.actors.feed.feed_fixture import START_ID, Truth, diff, snapshot, ticker

PLAIN = FeedConfig(deepen_below=0)
THIN = FeedConfig(view_levels=2, deepen_below=4, snapshot_levels=10)


def live(last_id: int = 10) -> BookSync:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(last_id, last_id))
    assert sync.on_snapshot(snapshot(last_id)) is Step.JOINED
    return sync


# -- spot's rules --------------------------------------------------------------------------------------------


def test_diffs_are_only_buffered_until_a_snapshot_joins_them() -> None:
    sync = BookSync(PLAIN)
    assert sync.on_diff(diff(9, 10, [(99.0, 5.0)])) is Step.NOTHING
    assert sync.wants_snapshot and not sync.is_live
    assert sync.on_diff(diff(11, 12, [(97.0, 3.0)])) is Step.NOTHING
    assert sync.on_snapshot(snapshot(10)) is Step.JOINED
    assert sync.is_live and sync.update_id == 12
    # The diff up to 10 is in the snapshot already; the one after it was applied.
    assert sync.book.bids(3) == ((99.0, 1.0), (98.0, 2.0), (97.0, 3.0))


def test_a_snapshot_older_than_the_first_buffered_diff_is_asked_for_again() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(20, 25))
    assert sync.on_snapshot(snapshot(19)) is Step.NOT_JOINED
    assert sync.wants_snapshot and sync.counts.too_old == 1
    assert sync.on_snapshot(snapshot(20)) is Step.JOINED
    assert sync.update_id == 25


def test_a_snapshot_newer_than_all_buffered_diffs_is_the_book() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(20, 25))
    assert sync.on_snapshot(snapshot(30)) is Step.JOINED
    # What the stream still brings of before the snapshot is ignored; what straddles it is applied.
    assert sync.on_diff(diff(26, 28, [(99.0, 9.0)])) is Step.NOTHING
    assert sync.on_diff(diff(29, 31, [(99.0, 8.0)])) is Step.CHANGED
    assert sync.book.best_bid == (99.0, 8.0) and sync.update_id == 31


def test_a_missing_diff_discards_the_book_and_begins_again_with_the_one_after_it() -> None:
    sync = live(10)
    assert sync.on_diff(diff(11, 12)) is Step.CHANGED
    assert sync.on_diff(diff(14, 15)) is Step.GAP
    assert not sync.is_live and sync.wants_snapshot and sync.counts.gaps == 1
    # Too old: the snapshot must reach the diff after the gap.
    assert sync.on_snapshot(snapshot(13)) is Step.NOT_JOINED
    assert sync.on_snapshot(snapshot(14)) is Step.JOINED
    assert sync.update_id == 15 and sync.counts.resyncs == 1


def test_a_repeated_diff_changes_nothing() -> None:
    sync = live(10)
    change = diff(11, 12, [(99.0, 4.0)])
    assert sync.on_diff(change) is Step.CHANGED
    assert sync.on_diff(diff(13, 13, [(99.0, 6.0)])) is Step.CHANGED
    assert sync.on_diff(change) is Step.NOTHING
    assert sync.book.best_bid == (99.0, 6.0) and sync.counts.duplicates == 1


def test_a_diff_that_overlaps_the_book_is_applied() -> None:
    sync = live(10)
    assert sync.on_diff(diff(8, 11, [(99.0, 4.0)])) is Step.CHANGED
    assert sync.update_id == 11


def test_a_gap_among_the_buffered_diffs_is_counted_and_what_lies_before_it_is_forgotten() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(1, 5))
    assert sync.on_diff(diff(8, 9)) is Step.GAP
    assert sync.on_snapshot(snapshot(5)) is Step.NOT_JOINED
    assert sync.on_snapshot(snapshot(8)) is Step.JOINED


def test_a_full_buffer_forgets_its_oldest_diffs_and_then_refuses_snapshots_of_their_time() -> None:
    config = FeedConfig(deepen_below=0, buffer_max=100)
    sync = BookSync(config)
    for at in range(1, 151):
        sync.on_diff(diff(at, at))
    assert sync.on_snapshot(snapshot(40)) is Step.NOT_JOINED
    assert sync.on_snapshot(snapshot(51)) is Step.JOINED
    assert sync.update_id == 150


# -- USD-M's rules -------------------------------------------------------------------------------------------


def test_usdm_joins_on_the_diff_that_straddles_the_snapshot_and_then_demands_pu() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(90, 100, previous_id=80))
    sync.on_diff(diff(110, 120, [(99.0, 5.0)], previous_id=100))
    assert sync.on_snapshot(snapshot(115)) is Step.JOINED
    assert sync.update_id == 120 and sync.book.best_bid == (99.0, 5.0)
    assert sync.on_diff(diff(131, 140, previous_id=120)) is Step.CHANGED
    # Its ids would fit spot's rule; `pu` says that a diff is missing.
    assert sync.on_diff(diff(141, 150, previous_id=139)) is Step.GAP


def test_usdm_applies_a_diff_that_ends_at_the_snapshot() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(90, 100, previous_id=80))
    assert sync.on_snapshot(snapshot(100)) is Step.JOINED
    assert sync.on_diff(diff(105, 120, previous_id=100)) is Step.CHANGED


def test_usdm_asks_again_for_a_snapshot_that_lies_between_two_diffs() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(90, 100, previous_id=80))
    sync.on_diff(diff(110, 120, previous_id=100))
    assert sync.on_snapshot(snapshot(105)) is Step.NOT_JOINED
    assert sync.on_snapshot(snapshot(110)) is Step.JOINED


def test_usdm_whose_snapshot_is_ahead_of_the_stream_waits_for_the_diff_that_straddles_it() -> None:
    sync = BookSync(PLAIN)
    sync.on_diff(diff(90, 100, previous_id=80))
    assert sync.on_snapshot(snapshot(115)) is Step.JOINED
    assert sync.on_diff(diff(101, 109, previous_id=100)) is Step.NOTHING
    assert sync.on_diff(diff(110, 120, previous_id=109)) is Step.CHANGED
    assert sync.on_diff(diff(125, 130, previous_id=120)) is Step.CHANGED


# -- proof ---------------------------------------------------------------------------------------------------


def test_a_ticker_that_the_book_comes_to_must_show_its_best_levels() -> None:
    sync = live(10)
    assert sync.on_ticker(ticker(11, (99.0, 4.0))) is Step.NOTHING
    assert sync.on_ticker(ticker(12, (99.0, 5.0))) is Step.NOTHING
    assert sync.on_diff(diff(11, 11, [(99.0, 4.0)])) is Step.CHANGED
    assert (sync.counts.compared, sync.counts.equal) == (1, 1)
    assert sync.on_diff(diff(12, 12, [(99.0, 4.5)])) is Step.MISMATCH
    assert (sync.counts.compared, sync.counts.equal) == (2, 1)


@pytest.mark.parametrize("ask", [(101.5, 1.0), (101.0, 1.5)])
def test_a_ticker_is_compared_in_price_and_size_of_both_sides(ask: tuple[float, float]) -> None:
    sync = live(10)
    assert sync.on_ticker(ticker(10, (99.0, 1.0), (101.0, 1.0))) is Step.NOTHING
    assert sync.on_ticker(ticker(10, (99.0, 1.0), ask)) is Step.MISMATCH


def test_a_ticker_that_the_book_jumps_over_proves_nothing() -> None:
    sync = live(10)
    sync.on_ticker(ticker(11, (1.0, 1.0)))
    assert sync.on_diff(diff(11, 12)) is Step.CHANGED
    assert sync.counts.compared == 0


def test_a_late_ticker_that_contradicts_the_book_is_a_mismatch() -> None:
    sync = live(10)
    assert sync.on_ticker(ticker(10)) is Step.NOTHING
    assert sync.on_ticker(ticker(9, (1.0, 1.0))) is Step.NOTHING
    assert sync.on_ticker(ticker(10, (99.0, 1.1))) is Step.MISMATCH
    assert (sync.counts.compared, sync.counts.equal) == (1, 0)


def test_a_ticker_of_an_empty_side_agrees_with_an_empty_side() -> None:
    sync = live(10)
    sync.on_ticker(ticker(11, (0.0, 0.0)))
    assert sync.on_diff(diff(11, 11, [(99.0, 0.0), (98.0, 0.0)])) is Step.CHANGED
    assert sync.counts.equal == 1


def test_a_crossed_book_is_reported_as_such() -> None:
    sync = live(10)
    assert sync.on_diff(diff(11, 11, [(101.0, 1.0)])) is Step.CROSSED
    assert sync.counts.crossed == 1


def test_a_disproved_book_is_not_believed_until_it_is_joined_anew() -> None:
    sync = live(10)
    sync.lose()
    assert not sync.is_live
    sync.on_diff(diff(11, 12))
    assert not sync.is_live
    assert sync.on_snapshot(snapshot(12)) is Step.JOINED
    assert sync.counts.losses == 1


def test_tickers_of_before_a_cut_are_not_held_against_the_next_stream() -> None:
    sync = live(10)
    sync.on_ticker(ticker(11, (5.0, 5.0)))
    sync.cut()
    sync.on_diff(diff(11, 11))
    assert sync.on_snapshot(snapshot(11)) is Step.JOINED


# -- depth that a snapshot covered ---------------------------------------------------------------------------


def deep(levels: int, top: float) -> list[tuple[float, float]]:
    return [(top + n, 1.0) for n in range(levels)]


def test_the_book_lives_on_while_a_deeper_snapshot_is_fetched() -> None:
    sync = BookSync(THIN)
    sync.on_diff(diff(10, 10))
    bids = [(99.0 - n, 1.0) for n in range(10)]
    sync.on_snapshot(snapshot(10, bids, deep(10, 101.0)))
    # The seven best asks go: three are left of those that the snapshot covered.
    gone = [(101.0 + n, 0.0) for n in range(7)]
    assert sync.on_diff(diff(11, 11, [], gone)) is Step.CHANGED
    assert sync.state is State.DEEPENING and sync.is_live and sync.wants_snapshot
    assert sync.on_diff(diff(12, 12, [(99.0, 7.0)])) is Step.CHANGED
    assert sync.on_snapshot(snapshot(11, bids, deep(10, 108.0))) is Step.JOINED
    assert sync.state is State.LIVE and sync.update_id == 12
    assert sync.book.best_bid == (99.0, 7.0) and sync.book.knows(10)
    assert sync.counts.resyncs == 0


def test_a_view_beyond_what_the_snapshot_covered_is_not_shown() -> None:
    sync = BookSync(THIN)
    sync.on_diff(diff(10, 10))
    sync.on_snapshot(snapshot(10, [(99.0 - n, 1.0) for n in range(10)], deep(10, 101.0)))
    # A far ask is heard of, and the price rises to it: what lies between was never told.
    sync.on_diff(diff(11, 11, [], [(200.0, 1.0)]))
    assert sync.on_diff(diff(12, 12, [], [(101.0 + n, 0.0) for n in range(9)])) is Step.EXHAUSTED
    assert not sync.is_live and sync.wants_snapshot
    # What was buffered for the deeper snapshot still joins it.
    assert sync.on_snapshot(snapshot(12, [(99.0, 1.0)], deep(10, 110.0))) is Step.JOINED


# -- the whole -----------------------------------------------------------------------------------------------


def test_every_state_has_an_answer_to_a_diff_and_to_a_cut() -> None:
    for state in State:
        assert (state, Event.DIFF) in TRANSITIONS
        assert TRANSITIONS[state, Event.CUT] is State.WAITING


def test_what_is_not_in_the_table_is_an_error() -> None:
    sync = BookSync(PLAIN)
    with pytest.raises(RuntimeError, match="waiting cannot meet joined"):
        sync._move(Event.JOINED)


@given(st.integers(0, 10_000), st.booleans())
def test_over_a_lossy_stream_a_live_book_is_always_the_venues_book(seed: int, futures: bool) -> None:
    """Diffs are dropped, repeated, swapped and delayed; snapshots come late, and of any moment since they
    were asked for. Whatever the machine believes is what the venue had at that id, and it always recovers."""
    truth, chance = Truth(seed, futures=futures), random.Random(seed)
    sync = BookSync(PLAIN)
    held = None
    asked = None
    for turn in range(200):
        sent = [truth.diff()]
        fate = chance.random()
        if turn < 150 and fate < 0.03:
            sent = []
        elif turn < 150 and fate < 0.06:
            sent *= 2
        elif turn < 150 and fate < 0.09 and held is None:
            held, sent = sent[0], []
        elif held is not None:
            sent, held = [*sent, held], None
        for each in sent:
            sync.on_diff(each)
            if sync.is_live:
                bids, asks = truth.books_at[sync.update_id]
                assert sync.book.bids(1000) == tuple(sorted(bids.items(), reverse=True))
                assert sync.book.asks(1000) == tuple(sorted(asks.items()))
        if asked is None and sync.wants_snapshot:
            asked = truth.snapshot()
        elif asked is not None and chance.random() < 0.3:
            sync.on_snapshot(asked)
            asked = None
        if sent and chance.random() < 0.5:
            assert sync.on_ticker(truth.ticker()) is Step.NOTHING
    assert sync.is_live
    assert sync.update_id == truth.update_id > START_ID
    assert sync.counts.compared == sync.counts.equal
