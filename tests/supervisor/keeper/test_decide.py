"""The keeper's decisions: what counts as broken, what follows, and that no child lives twice at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.keeper.decide import LATE_S, LOOKS_MAX, UNKILLABLE_S, Do, Fault, Limits, Phase, Sight, Ward
from supervisor.spec import Budget

S = 1_000_000_000
LOOK_NS = S // 20
LIMITS = Limits(grace_s=5.0, stall_s=1.0, progress_s=6.0, rss_bytes_max=1000, stop_s=2.0)


class Scene:
    """A ward, a clock and a child that beats by itself at each look, unless told otherwise."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.ward = Ward("engine", limits)
        self.now_ns = 100 * S
        self.sight = Sight(is_ready=True, sequence=0)
        self.beats = True
        self.done: list[Do | Fault] = []

    def look(self, gap_ns: int = LOOK_NS) -> list[Do | Fault]:
        self.now_ns += gap_ns
        if self.beats:
            self.sight = replace(self.sight, sequence=(self.sight.sequence or 0) + 1)
        return self._note(self.ward.look(self.now_ns, self.sight))

    def looks(self, seconds: float) -> list[Do | Fault]:
        return [each for _ in range(round(seconds * 20)) for each in self.look()]

    def start(self) -> Scene:
        self._note(self.ward.start(self.now_ns))
        self.look()
        assert self.ward.phase is Phase.RUNNING
        return self

    def end(self, code: int = -9) -> list[Do | Fault]:
        return self._note(self.ward.ended(self.now_ns, code))

    def stop(self) -> list[Do | Fault]:
        return self._note(self.ward.stop(self.now_ns))

    def _note(self, acts: list) -> list[Do | Fault]:  # type: ignore[type-arg]
        flat = [act.fault if act.do is Do.TELL else act.do for act in acts]
        self.done += flat
        return flat


def test_a_child_that_beats_is_left_alone() -> None:
    assert Scene().start().looks(60) == []


def test_a_silent_child_is_told_aborted_and_killed_and_only_then_started_again() -> None:
    scene = Scene().start()
    scene.beats = False
    assert scene.looks(0.9) == []
    assert scene.looks(0.2) == [Fault.SILENT, Do.ABORT]
    assert scene.looks(0.4) == [Do.KILL]
    assert scene.looks(5) == []
    assert scene.end() == []
    scene.beats = True
    assert scene.looks(0.1) == [Do.START]


def test_a_death_is_told_at_once_and_the_first_restart_does_not_wait() -> None:
    scene = Scene().start()
    assert scene.end(-11) == [Fault.DIED]
    assert scene.look() == [Do.START]


def test_a_window_in_which_the_keeper_woke_late_counts_for_nothing() -> None:
    scene = Scene().start()
    scene.beats = False
    assert [scene.look(30 * S) for _ in range(5)] == [[]] * 5
    assert scene.looks(0.9) == []
    assert scene.looks(0.2) == [Fault.SILENT, Do.ABORT]


def test_a_child_that_waits_for_a_processor_is_not_silent() -> None:
    scene = Scene().start()
    scene.beats = False
    for _ in range(40):
        scene.sight = replace(scene.sight, starved_ns=scene.sight.starved_ns + LOOK_NS)
        assert scene.look() == []
    assert scene.looks(1.1) == [Fault.SILENT, Do.ABORT]


def test_even_a_starved_child_under_a_late_keeper_is_given_up_after_a_bounded_number_of_looks() -> None:
    scene = Scene().start()
    scene.beats = False
    looks = 0
    while not scene.look(S):
        looks += 1
        assert looks < LOOKS_MAX
    assert scene.ward.fault is Fault.SILENT


def test_a_child_with_work_that_does_not_move_is_asked_for_its_tasks_first() -> None:
    scene = Scene().start()
    scene.sight = replace(scene.sight, stuck="trade", stuck_done=7)
    assert scene.looks(5.9) == []
    assert scene.looks(0.3) == [Fault.STUCK, Do.ASK_TASKS]
    assert scene.looks(0.4) == [Do.ABORT]
    assert scene.looks(0.4) == [Do.KILL]


def test_a_slow_child_that_handles_one_message_in_time_is_not_stuck() -> None:
    scene = Scene().start()
    for done in range(5):
        scene.sight = replace(scene.sight, stuck="trade", stuck_done=done)
        assert scene.looks(4) == []


def test_too_much_memory_ends_it_in_order_and_then_by_force() -> None:
    scene = Scene().start()
    scene.sight = replace(scene.sight, rss_bytes=1001)
    assert scene.look() == [Fault.MEMORY, Do.LEAVE]
    assert scene.looks(2.1) == [Do.KILL]


def test_before_its_first_beat_there_is_grace_but_not_without_end() -> None:
    scene = Scene()
    scene.beats = False
    scene.sight = Sight()
    scene.ward.start(scene.now_ns)
    assert scene.looks(5) == []
    assert scene.looks(0.2) == [Fault.UNREADY, Do.ABORT]


def test_a_deliberate_stop_is_terminated_then_forced_and_brings_nothing_back() -> None:
    scene = Scene().start()
    assert scene.stop() == [Do.TERM]
    assert scene.looks(2.1) == [Do.ABORT]
    assert scene.looks(0.4) == [Do.KILL]
    assert scene.end() == []
    assert scene.ward.phase is Phase.ENDED
    assert scene.looks(60) == []


def test_once_a_stop_is_announced_a_death_is_told_but_nothing_comes_back() -> None:
    scene = Scene().start()
    scene.ward.let_go()
    assert scene.end(1) == [Fault.DIED]
    assert scene.ward.phase is Phase.ENDED and scene.stop() == [] and scene.looks(5) == []


def test_a_stop_does_not_take_a_child_off_its_ladder() -> None:
    scene = Scene().start()
    scene.beats = False
    scene.looks(1.1)
    assert scene.stop() == []
    assert scene.looks(0.4) == [Do.KILL]
    scene.end()
    assert scene.ward.phase is Phase.ENDED


def test_what_sigkill_does_not_end_is_told_once() -> None:
    scene = Scene().start()
    scene.beats = False
    scene.looks(1.5)
    assert scene.looks(UNKILLABLE_S + 30) == [Fault.UNKILLABLE]


def test_a_child_that_keeps_dying_waits_longer_each_time_and_is_given_up_with_words() -> None:
    scene = Scene(replace(LIMITS, budget=Budget(crashes_max=3, within_s=60.0)))
    scene.start()
    waits = []
    for _ in range(3):
        assert scene.end() == [Fault.DIED]
        looks = 1
        while scene.look() != [Do.START]:
            looks += 1
        waits.append(looks)
        scene.look()
    assert waits == sorted(waits) and waits[0] == 1 and waits[2] > waits[1] > 1
    assert scene.end() == [Fault.DIED, Fault.GAVE_UP]
    assert scene.ward.gave_up and scene.looks(100) == []


def test_a_wrong_config_is_not_tried_twice() -> None:
    scene = Scene().start()
    assert scene.end(78) == [Fault.DIED, Fault.GAVE_UP]


def test_a_child_without_a_second_life_gets_none() -> None:
    scene = Scene(replace(LIMITS, comes_back=False)).start()
    assert scene.end() == [Fault.DIED, Fault.GAVE_UP]


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="without a limit is a hang"):
        Limits(stop_s=0)
    with pytest.raises(ValueError, match=r"must be more than 0\.2"):
        Limits(stall_s=0.1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["look", "look", "look", "look", "end", "stop", "let_go"]),
        st.sampled_from([LOOK_NS, LOOK_NS, LOOK_NS, S // 2, 3 * S, 40 * S]),
        st.booleans(),
        st.sampled_from([0, 2000]),
        st.sampled_from(["", "trade"]),
    ),
    max_size=300,
)


@given(STEPS)
def test_whatever_happens_no_two_lives_overlap_and_nothing_is_done_to_the_dead(steps: list) -> None:  # type: ignore[type-arg]
    scene = Scene()
    lives = 0
    alive = asked_to_stop = False
    scene._note(scene.ward.start(scene.now_ns))
    for what, gap_ns, beats, rss, stuck in steps:
        seen = len(scene.done)
        scene.beats = beats
        scene.sight = replace(scene.sight, rss_bytes=rss, stuck=stuck)
        if what == "look":
            scene.look(gap_ns)
        elif what == "end" and alive:
            scene.end()
            alive = False
        elif what == "stop":
            scene.stop()
            asked_to_stop = True
        elif what == "let_go":
            scene.ward.let_go()
            asked_to_stop = True
        for act in scene.done[seen:] if lives else scene.done:
            if act is Do.START:
                assert not alive and not (asked_to_stop and lives)
                alive, lives = True, lives + 1
            elif isinstance(act, Do):
                assert alive, act
        assert scene.ward.is_alive == alive or not lives


@given(st.lists(st.integers(min_value=1, max_value=100 * S), min_size=1, max_size=150))
def test_no_pattern_of_late_looks_ever_condemns_a_child_that_was_not_looked_at_in_time(
    gaps: list[int],
) -> None:
    scene = Scene().start()
    scene.beats = False
    late_ns = int(LATE_S * S)
    for gap_ns in gaps:
        assert scene.look(gap_ns + late_ns) == []


@given(st.sampled_from(["silent", "stuck", "memory", "unready"]), st.integers(LOOK_NS // 2, 3 * LOOK_NS))
def test_every_fault_comes_to_sigkill_within_a_bound(fault: str, gap_ns: int) -> None:
    scene = Scene()
    if fault == "unready":
        scene.beats, scene.sight = False, Sight()
        scene._note(scene.ward.start(scene.now_ns))
    else:
        scene.start()
    if fault == "silent":
        scene.beats = False
    if fault == "stuck":
        scene.sight = replace(scene.sight, stuck="trade")
    if fault == "memory":
        scene.sight = replace(scene.sight, rss_bytes=5000)
    began_ns = scene.now_ns
    while Do.KILL not in scene.done:
        scene.look(gap_ns)
        assert scene.now_ns - began_ns < 10 * S
