"""The beat crosses process borders whole, or is seen to be torn."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.keeper.beat import BYTES, READY, Beat, BeatReader, BeatWriter, make
from supervisor.keeper.beater import beat_of, rss_bytes, tasks_text
from supervisor.report import Progress


@pytest.fixture
def page() -> Iterator[int]:
    descriptor = make()
    yield descriptor
    os.close(descriptor)


def test_before_the_first_beat_there_is_none(page: int) -> None:
    assert BeatReader(page).read() is None


@given(
    st.lists(
        st.builds(
            Beat,
            at_ns=st.integers(0, 2**63),
            done=st.integers(0, 2**63),
            digest=st.integers(0, 2**32 - 1),
            health=st.just(READY),
            rss_bytes=st.integers(0, 2**50),
            stuck=st.text(max_size=15).filter(lambda text: "\0" not in text),
            stuck_done=st.integers(0, 2**63),
            stuck_ns=st.integers(0, 2**63),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_read_and_the_sequence_goes_up(beats: list[Beat]) -> None:
    page = make()
    try:
        writer, reader = BeatWriter(page), BeatReader(page)
        for sequence, beat in enumerate(beats, start=1):
            writer.beat(beat)
            assert reader.read() == replace(beat, sequence=sequence)
        writer.close()
        reader.close()
    finally:
        os.close(page)


def test_a_beat_that_is_torn_anywhere_is_not_believed(page: int) -> None:
    writer, reader = BeatWriter(page), BeatReader(page)
    writer.beat(Beat(at_ns=1, done=5, stuck="trade"))
    raw = mmap.mmap(page, BYTES)
    before = raw[:124]
    writer.beat(Beat(at_ns=2, done=6, stuck="orders"))
    after = raw[:124]
    assert before != after
    for cut in range(1, 124):
        # The first bytes are those of the new beat, the rest are still those of the old one, and the other
        # way round.
        for torn in (after[:cut] + before[cut:], before[:cut] + after[cut:]):
            raw[:124] = torn
            found = reader.read()
            assert found is None or torn in (before, after)


def test_a_complaint_is_heard_and_taken_back_by_the_next_beat(page: int) -> None:
    writer, reader = BeatWriter(page), BeatReader(page)
    writer.complain("the journal is full")
    assert reader.complaint() == "the journal is full" and reader.read() is None
    writer.beat(Beat(at_ns=1))
    assert reader.complaint() == ""


def test_who_runs_and_long_words_in_any_script_fit(page: int) -> None:
    writer, reader = BeatWriter(page), BeatReader(page)
    writer.running("strategy/binance/BTCUSDT")
    assert reader.running() == "strategy/binance/BTCUSDT"
    writer.complain("ü" * 5000)
    writer.beat(Beat(at_ns=1, stuck="é" * 100))
    beat = reader.read()
    assert beat is not None and beat.stuck.startswith("é" * 31)


def test_a_question_for_tasks_is_heard_once(page: int) -> None:
    writer, reader = BeatWriter(page), BeatReader(page)
    assert not writer.was_asked()
    reader.ask_tasks()
    assert writer.was_asked() and not writer.was_asked()


def line(name: str, done: int, depth: int, waiting_s: float, *, is_running: bool = True) -> Progress:
    return Progress(name=name, done=done, depth=depth, waiting_s=waiting_s, is_running=is_running)


def test_the_child_that_waits_longest_with_work_is_named() -> None:
    beat = beat_of([line("a", 3, 1, 1.5), line("b", 4, 9, 7.0), line("c", 5, 0, 0.0)], now_ns=1, rss_bytes=2)
    assert (beat.stuck, beat.stuck_done, beat.stuck_ns, beat.done) == ("b", 4, 7_000_000_000, 12)


def test_who_waits_for_its_next_life_or_only_for_a_moment_is_not_stuck() -> None:
    waiting = [line("port", 3, 5, 60.0, is_running=False), line("b", 1, 1, 0.2)]
    assert beat_of(waiting, now_ns=1, rss_bytes=2).stuck == ""


def test_memory_in_use_is_that_of_the_process() -> None:
    assert 5_000_000 < rss_bytes() < 5_000_000_000
    assert rss_bytes(2**22 + 1) == 0


async def test_the_tasks_text_says_where_this_task_waits() -> None:
    text = tasks_text()
    assert "test_the_tasks_text_says_where_this_task_waits" in text and "line" in text
