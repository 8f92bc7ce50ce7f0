"""Restarts as Erlang/OTP has them: who with whom, how often, how soon, and who gives up."""

from __future__ import annotations

from typing import Any

import pytest
from cast import (
    Alarm,
    Do,
    Fact,
    Note,
    Player,
    Trouble,
    at,
    branch,
    child,
    crash,
    crash_child,
    letters,
    lives,
    simulate,
    states,
    texts,
)

from supervisor.actor import Halt
from supervisor.events import BranchGaveUp, Halted
from supervisor.message import Down
from supervisor.node import State
from supervisor.policy import End
from supervisor.spec import Backoff, Budget, GiveUp, Restart, Strategy

NO_WAIT = Backoff(min_s=0.0)


def test_one_for_all_stops_the_others_right_to_left_and_starts_all_left_to_right() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log), strategy=Strategy.ONE_FOR_ALL))
    crash_child(sim, "c")
    assert lives(log)[5:] == ["-e", "-d", "-b", "-a", "+a", "+b", "+c", "+d", "+e"]


@pytest.mark.parametrize(
    ("restart", "after_crash", "after_finish"),
    [(Restart.PERMANENT, 2, 2), (Restart.TRANSIENT, 2, 1), (Restart.TEMPORARY, 1, 1)],
)
def test_permanent_transient_and_temporary_children(
    restart: Restart, after_crash: int, after_finish: int
) -> None:
    for what, lives_wanted in ((crash, after_crash), (lambda player: player.finish(), after_finish)):
        log: list[Any] = []
        sim = simulate(branch(child("a", log, restart=restart), child("b", log)))
        sim.tell(at(sim, "a").address, Do(what=what))
        sim.run_for(10)
        assert at(sim, "a").incarnation == lives_wanted
        assert at(sim, "b").incarnation == 1


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_a_temporary_child_is_stopped_with_its_siblings_but_never_restarted(strategy: Strategy) -> None:
    log: list[Any] = []
    sim = simulate(
        branch(
            child("a", log), child("t", log, restart=Restart.TEMPORARY), child("c", log), strategy=strategy
        )
    )
    crash_child(sim, "a")
    assert lives(log)[3:] == ["-c", "-t", "+a", "+c"]
    assert states(sim)["t"] == "finished"


def test_the_first_restart_is_immediate_then_50_ms_doubling_to_5_s() -> None:
    log: list[Any] = []
    sim = simulate(branch(child("a", log, backoff=Backoff(jitter=0.0))))
    waits = []
    for _ in range(10):
        sim.tell(at(sim, "a").address, Do(what=crash))
        began = sim.now_s
        sim.settle()
        while at(sim, "a").state is State.BACKOFF:
            sim.run_for((sim.dispatcher.next_ns - sim.world.time_ns) / 1e9)
        waits.append(round(sim.now_s - began, 6))
    assert waits == [0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_the_backoff_starts_again_after_a_minute_of_health() -> None:
    sim = simulate(branch(child("a", [])))
    crash_child(sim, "a")
    crash_child(sim, "a", seconds=0.04)
    assert at(sim, "a").state is State.BACKOFF
    sim.run_for(61)
    crash_child(sim, "a")
    assert at(sim, "a").state is State.RUNNING


def test_jitter_keeps_two_children_that_fell_together_from_coming_back_together() -> None:
    sim = simulate(branch(child("a", []), child("b", [])))
    for _ in range(2):
        for name in "ab":
            sim.tell(at(sim, name).address, Do(what=crash))
        sim.settle()
    times = [at(sim, name).timer.at_ns - sim.world.time_ns for name in "ab"]
    assert times[0] != times[1] and all(45_000_000 <= ns <= 55_000_000 for ns in times)


def test_one_crash_more_than_the_budget_stops_the_branch_and_counts_as_one_of_its_parent() -> None:
    log: list[Any] = []
    inner = branch(
        *letters(log, "bc", backoff=NO_WAIT), name="inner", budget=Budget(crashes_max=2, within_s=60)
    )
    sim = simulate(branch(child("a", log), inner, child("d", log), name="root"))
    for _ in range(2):
        crash_child(sim, "b")
    assert sim.dispatcher.root.children[1].restarts == 0
    crash_child(sim, "b", seconds=1)
    assert lives(log)[4:] == ["+b", "+b", "-c", "+b", "+c"]
    assert sim.dispatcher.root.children[1].restarts == 1
    assert [event for event in sim.events if isinstance(event, BranchGaveUp)] == [
        BranchGaveUp(name="inner", alone=False, cause="Trouble: asked for")
    ]
    # It has its whole budget again.
    for _ in range(2):
        crash_child(sim, "b")
    assert sim.dispatcher.root.children[1].restarts == 1


def test_crashes_that_are_further_apart_than_the_window_never_spend_the_budget() -> None:
    sim = simulate(branch(child("a", [], backoff=NO_WAIT), budget=Budget(crashes_max=2, within_s=10)))
    for _ in range(20):
        crash_child(sim, "a", seconds=5.1)
    assert at(sim, "a").incarnation == 21


def test_the_root_that_gives_up_ends_the_tree_and_everything_in_it() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log, "ab", backoff=NO_WAIT), budget=Budget(crashes_max=1)))
    for _ in range(2):
        crash_child(sim, "a")
    end, error = sim.dispatcher.supervision.finished or (None, None)
    assert end is End.CRASHED and isinstance(error, Trouble)
    assert lives(log)[2:] == ["+a", "-b"]
    assert not sim.tell(at(sim, "b").address, Note(text="anybody?"))


def test_a_branch_that_gives_up_alone_stays_down_and_its_siblings_never_notice() -> None:
    log: list[Any] = []
    venue = branch(*letters(log, "bc"), name="venue", budget=Budget(crashes_max=0), on_give_up=GiveUp.ALONE)
    for strategy in Strategy:
        log.clear()
        sim = simulate(branch(child("a", log), venue, child("d", log), strategy=strategy, budget=Budget(0)))
        crash_child(sim, "b", seconds=100)
        assert lives(log) == ["+a", "+b", "+c", "+d", "-c"]
        assert states(sim) == {
            "root": "running",
            "a": "running",
            "venue": "gave_up",
            "b": "stopped",
            "c": "stopped",
            "d": "running",
        }
        assert BranchGaveUp(name="venue", alone=True, cause="Trouble: asked for") in sim.events
        assert not sim.tell(at(sim, "c").address, Note(text="closed"))


def test_halt_stops_its_branch_for_good_and_is_published() -> None:
    log: list[Any] = []

    def halt(player: Player) -> None:
        raise Halt("the key was revoked")

    inner = branch(*letters(log, "bc"), name="inner")
    sim = simulate(branch(child("a", log), inner, child("d", log)))
    sim.tell(at(sim, "b").address, Do(what=halt))
    sim.run_for(100)
    assert lives(log) == ["+a", "+b", "+c", "+d", "-c"]
    assert Halted(branch="inner", child="b", error="Halt: the key was revoked") in sim.events
    assert states(sim)["inner"] == "halted" and states(sim)["d"] == "running"


def test_a_halt_takes_along_those_that_fall_with_its_branch() -> None:
    log: list[Any] = []

    def halt(player: Player) -> None:
        raise Halt("broken")

    inner = branch(child("b", log), name="inner")
    sim = simulate(branch(child("a", log), inner, child("d", log), strategy=Strategy.REST_FOR_ONE))
    sim.tell(at(sim, "b").address, Do(what=halt))
    sim.run_for(1)
    assert lives(log) == ["+a", "+b", "+d", "-d", "-a"]
    assert (sim.dispatcher.supervision.finished or (None,))[0] is End.HALTED


def test_another_child_dying_mid_restart_widens_the_restart_and_counts() -> None:
    log: list[Any] = []
    backoff = Backoff(first_s=1.0)
    sim = simulate(branch(*letters(log, "abcd", backoff=backoff), strategy=Strategy.REST_FOR_ONE))
    crash_child(sim, "c", seconds=0.5)  # d is stopped; c and d wait
    assert lives(log)[4:] == ["-d"] and states(sim)["root"] == "restarting"
    crash_child(sim, "b", seconds=0.2)
    assert lives(log)[5:] == []
    sim.run_for(5)
    assert lives(log)[5:] == ["+b", "+c", "+d"]
    assert [at(sim, name).restarts for name in "abcd"] == [0, 1, 1, 0]
    assert states(sim)["root"] == "running"


def test_a_child_that_dies_when_it_was_about_to_be_stopped_anyway_costs_nothing() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log, "abc"), strategy=Strategy.ONE_FOR_ALL, budget=Budget(crashes_max=1)))
    for name in "ca":  # c is stopped for b's crash first; a crashes before its turn has come
        sim.tell(at(sim, "b" if name == "c" else "a").address, Do(what=crash))
    sim.run_for(5)
    assert states(sim)["root"] == "running"
    assert [at(sim, name).restarts for name in "abc"] == [0, 1, 0]
    assert lives(log)[3:] == ["-c", "+a", "+b", "+c"]


def test_a_kill_that_waits_for_a_life_outlives_a_failed_restart() -> None:
    log: list[Any] = []
    fails = iter([False, True, False])

    def sometimes(player: Player) -> None:
        if next(fails):
            raise Trouble("not yet")
        player.ready()

    sim = simulate(branch(child("a", log, sometimes, backoff=Backoff(first_s=1.0))))
    crash_child(sim, "a")
    sim.tell(at(sim, "a").address, Alarm(text="alarm"))
    sim.run_for(5)
    assert at(sim, "a").incarnation == 3 and texts(log, "a") == ["alarm"]


def test_a_kill_reaches_an_actor_whose_branch_is_being_restarted() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log, "ab", backoff=Backoff(first_s=1.0)), strategy=Strategy.ONE_FOR_ALL))
    crash_child(sim, "b")
    sim.tell(at(sim, "a").address, Alarm(text="alarm"))
    sim.tell(at(sim, "a").address, Fact(text="fact"))
    sim.run_for(5)
    assert texts(log, "a") == ["alarm", "fact"]


def test_a_crash_of_a_child_is_told_to_its_watchers_with_the_reason() -> None:
    log: list[Any] = []
    inner = branch(child("b", log), name="inner", budget=Budget(0), on_give_up=GiveUp.ALONE)
    sim = simulate(branch(child("a", log), inner))
    sim.tell(at(sim, "a").address, Do(what=lambda player: player.watch(at(sim, "b").address)))
    sim.settle()
    crash_child(sim, "b")
    assert log[-1] == ("a", Down(name="b", reason="crashed"))
