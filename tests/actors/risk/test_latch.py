"""The latch: verbs only restrict, and nothing but a person's resume makes the desk run again."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import DeskMode, ModeChanged, Verb
from actors.risk.latch import EVENTS, TRANSITIONS, Event, refusal
from actors.risk.mode_record import mode_of, record_of
from supervisor.journal.messages import Stored

KILLED = (DeskMode.KILLED, DeskMode.FLATTENING)


def test_the_table_says_something_for_every_mode_and_event() -> None:
    assert set(TRANSITIONS) == set(product(DeskMode, Event))
    assert set(EVENTS) == set(Verb)


@pytest.mark.parametrize(
    ("mode", "event", "to"),
    [
        (DeskMode.RUNNING, Event.PAUSE, DeskMode.PAUSED),
        (DeskMode.KILLED, Event.PAUSE, DeskMode.KILLED),
        (DeskMode.FLATTENING, Event.FLAT, DeskMode.KILLED),
        (DeskMode.FLATTENING, Event.KILL, DeskMode.KILLED),
        (DeskMode.RUNNING, Event.FLAT, DeskMode.RUNNING),
    ],
)
def test_one_mode_after_another(mode: DeskMode, event: Event, to: DeskMode) -> None:
    assert TRANSITIONS[(mode, event)] is to


@given(st.lists(st.sampled_from([event for event in Event if event is not Event.RESUME])))
def test_without_a_resume_no_sequence_runs_again_nor_undoes_a_kill(events: list[Event]) -> None:
    mode, restricted, killed = DeskMode.RUNNING, False, False
    for event in events:
        mode = TRANSITIONS[(mode, event)]
        restricted = restricted or event is not Event.FLAT
        killed = killed or event in (Event.KILL, Event.FLATTEN)
        assert (mode is not DeskMode.RUNNING) is restricted
        assert (mode in KILLED) is killed


@pytest.mark.parametrize(
    ("by", "allowed"),
    [("operator", True), ("operator:ann", True), ("risk", False), ("operators", False), ("", False)],
)
def test_only_a_person_resumes_and_anybody_restricts(by: str, allowed: bool) -> None:
    assert (refusal(Event.RESUME, by) == "") is allowed
    assert not any(refusal(event, by) for event in Event if event is not Event.RESUME)


def stored(changed: ModeChanged, seq: int) -> Stored:
    record = record_of(changed, str(seq))
    return Stored(seq=seq, epoch=1, kind=record.kind, key=record.key, body=record.body, wall_ns=0)


@given(st.lists(st.sampled_from(DeskMode), max_size=5))
def test_the_last_record_is_the_mode(modes: list[DeskMode]) -> None:
    said = [ModeChanged(mode=mode, by="operator", reason=str(i), wall_ns=i) for i, mode in enumerate(modes)]
    records = [stored(one, seq) for seq, one in enumerate(said)]
    assert mode_of(records[::-1], 9).mode is (modes[-1] if modes else DeskMode.RUNNING)


def test_a_record_that_cannot_be_read_is_a_pause_that_says_so() -> None:
    broken = Stored(seq=4, epoch=1, kind="mode", key="k", body=b"\xc1", wall_ns=0)
    mode = mode_of([broken], 9)
    assert mode.mode is DeskMode.PAUSED and "record 4 of the journal is no mode" in mode.reason
