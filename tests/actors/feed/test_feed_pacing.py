"""When to ask for a snapshot, when to call a book stale, and which knobs are refused."""

from __future__ import annotations

import pytest

from actors.feed.config import FeedConfig
from actors.feed.snapshots import SnapshotPacing
from actors.feed.staleness import Staleness
from tests.actors.feed.feed_fixture import ticker

S = 1_000_000_000


def test_the_first_snapshot_is_asked_for_at_once_and_only_once_at_a_time() -> None:
    pacing = SnapshotPacing(FeedConfig())
    assert pacing.due(0.0)
    pacing.asked(0.0)
    assert not pacing.due(5.0)


def test_failed_snapshots_are_asked_for_ever_more_slowly_up_to_a_bound() -> None:
    config = FeedConfig(snapshot_wait_min_s=1.0, snapshot_wait_max_s=4.0, snapshots_per_minute_max=100)
    pacing = SnapshotPacing(config)
    now, waits = 0.0, []
    for _ in range(5):
        pacing.asked(now)
        pacing.failed(now)
        wait = next(tenths / 10 for tenths in range(1000) if pacing.due(now + tenths / 10))
        waits.append(wait)
        now += wait
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0]


def test_what_the_venue_demands_to_wait_is_waited() -> None:
    pacing = SnapshotPacing(FeedConfig())
    pacing.asked(0.0)
    pacing.failed(0.0, retry_after_s=120.0)
    assert not pacing.due(119.9)
    assert pacing.due(120.0)


def test_a_book_that_is_lost_again_and_again_never_asks_more_often_than_the_budget() -> None:
    config = FeedConfig(snapshots_per_minute_max=6)
    pacing = SnapshotPacing(config)
    asked = []
    for tenth in range(3000):
        now = tenth / 10
        if pacing.due(now):
            asked.append(now)
            pacing.asked(now)
            pacing.succeeded(now)
    assert all(sum(1 for at in asked if start < at <= start + 60) <= 6 for start in range(240))
    assert len(asked) > 20


def test_a_question_that_is_never_answered_is_given_up() -> None:
    pacing = SnapshotPacing(FeedConfig(snapshot_timeout_s=10.0))
    pacing.asked(0.0)
    assert not pacing.timed_out(9.9)
    assert pacing.timed_out(10.0)


def test_silence_is_noticed_after_its_limit_and_forgotten_with_the_next_word() -> None:
    stale = Staleness(FeedConfig(stale_after_s=5.0), 0)
    stale.on_diff(1, 1 * S)
    assert stale.verdict(int(5.9 * S)) is None
    assert stale.verdict(6 * S) == "silent for 5.0 s"
    stale.on_diff(2, 7 * S)
    assert stale.verdict(8 * S) is None


def test_a_book_that_stands_while_trades_go_on_is_stuck() -> None:
    stale = Staleness(FeedConfig(stuck_after_s=3.0), 0)
    stale.on_diff(10, 0)
    for second in range(1, 5):
        stale.on_trade(10, second * S)
    verdict = stale.verdict(4 * S)
    assert verdict is not None and "behind trades" in verdict
    stale.on_diff(11, 4 * S)
    assert stale.verdict(5 * S) is None


def test_a_book_that_runs_on_but_lags_behind_the_quotes_is_stuck_all_the_time() -> None:
    stale = Staleness(FeedConfig(stuck_after_s=3.0), 0)
    # Tickers of update id n come at second n; diffs of update id n come four seconds later.
    for second in range(1, 30):
        stale.on_ticker(second, second - 4, second * S)
        if second > 4:
            ahead = ticker(second - 3, received_ns=(second - 3) * S)
            stale.on_diff(second - 4, second * S, ahead)
        if second > 5:
            assert stale.verdict(second * S) is not None


def test_quotes_that_the_book_has_reached_are_no_evidence() -> None:
    stale = Staleness(FeedConfig(stale_after_s=100.0), 0)
    stale.on_ticker(10, 10, 0)
    assert stale.verdict(50 * S) is None


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"view_levels": 0}, "view_levels 0 must be 1 to"),
        ({"snapshot_levels": 6000, "levels_max": 9000}, "at most 5000"),
        ({"snapshot_levels": 10}, "view could never be filled"),
        ({"deepen_below": 900}, "ask for the next"),
        ({"snapshot_wait_min_s": 40.0}, "snapshot_wait_min_s <= snapshot_wait_max_s"),
        ({"check_every_s": 10.0}, "silence would be noticed late"),
        ({"buffer_max": 5}, "buffer_max"),
    ],
)
def test_knobs_that_contradict_each_other_are_refused_with_the_reason(
    knobs: dict[str, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        FeedConfig(**knobs)  # type: ignore[arg-type]
