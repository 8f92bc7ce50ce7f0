"""Supervision as Erlang/OTP has it: who restarts with whom, how often, in which order, and who is told."""

from __future__ import annotations

from typing import Any

import pytest
from cast import Alarm, Do, Fact, Note, Player, Trouble, branch, child, crash, lives, simulate, texts

from supervisor.actor import Halt
from supervisor.errors import TreeError
from supervisor.events import BranchGaveUp, ChildCrashed, ChildStarted, ChildStopped, Halted
from supervisor.message import Down
from supervisor.node import State
from supervisor.policy import End
from supervisor.report import tree_report
from supervisor.simulation import Simulation
from supervisor.spec import Backoff, Branch, Budget, Child, GiveUp, Restart, Strategy, walk

NO_WAIT = Backoff(min_s=0.0)


def letters(log: list[Any], names: str = "abcde", **spec: Any) -> list[Child]:
    return [child(name, log, **spec) for name in names]


def at(sim: Simulation, name: str) -> Any:
    return next(cell for cell in sim.dispatcher.cells.values() if cell.name == name)


def crash_child(sim: Simulation, name: str, *, seconds: float = 0.0) -> None:
    sim.tell(at(sim, name).address, Do(what=crash))
    sim.run_for(seconds)


def states(sim: Simulation) -> dict[str, str]:
    found: dict[str, str] = {}
    todo = [tree_report(sim.dispatcher).root]
    while todo:
        node = todo.pop()
        found[node.name] = node.state
        todo += node.children
    return found


def test_children_start_left_to_right_each_once_the_one_before_is_ready_and_stop_right_to_left() -> None:
    log: list[Any] = []

    def slow(player: Player) -> None:
        player.after(1, Do(what=lambda later: later.ready()))

    sim = simulate(
        branch(
            child("a", log, slow),
            branch(child("b", log, slow), child("c", log), name="inner"),
            child("d", log),
        )
    )
    assert lives(log) == ["+a"]
    sim.run_for(1.5)
    assert lives(log) == ["+a", "+b"]
    sim.run_for(1)
    assert lives(log) == ["+a", "+b", "+c", "+d"] and sim.dispatcher.root.state is State.RUNNING
    sim.stop()
    assert lives(log)[4:] == ["-d", "-c", "-b", "-a"]
    assert sim.dispatcher.supervision.finished == (End.STOPPED, None)


def test_one_for_one_restarts_the_crashed_child_alone() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log)))
    crash_child(sim, "c")
    assert lives(log)[5:] == ["+c"]


def test_one_for_all_stops_the_others_right_to_left_and_starts_all_left_to_right() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log), strategy=Strategy.ONE_FOR_ALL))
    crash_child(sim, "c")
    assert lives(log)[5:] == ["-e", "-d", "-b", "-a", "+a", "+b", "+c", "+d", "+e"]


def test_rest_for_one_restarts_the_crashed_child_and_those_to_its_right() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log), strategy=Strategy.REST_FOR_ONE))
    crash_child(sim, "c")
    assert lives(log)[5:] == ["-e", "-d", "+c", "+d", "+e"]


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


def refuse(player: Player) -> None:
    raise Trouble("cannot start")


def test_a_failed_first_start_stops_what_was_started_and_starts_nothing_more() -> None:
    log: list[Any] = []
    sim = simulate(branch(child("a", log), child("b", log), child("c", log, refuse), child("d", log)))
    assert lives(log) == ["+a", "+b", "+c", "-b", "-a"]
    end, error = sim.dispatcher.supervision.finished or (None, None)
    assert end is End.UNREADY and str(error) == "cannot start"


def test_a_child_that_is_not_ready_in_time_has_failed_to_start() -> None:
    log: list[Any] = []
    never = child("b", log, lambda player: None, start_timeout_s=2)
    sim = simulate(branch(child("a", log), never))
    sim.run_for(1.9)
    assert sim.dispatcher.supervision.finished is None
    sim.run_for(0.2)
    assert (sim.dispatcher.supervision.finished or (None,))[0] is End.UNREADY
    assert "start_timeout_s = 2 s" in next(e.error for e in sim.events if isinstance(e, ChildCrashed))


def test_a_failed_restart_is_tried_again_through_the_budget() -> None:
    log: list[Any] = []
    fails = iter([False, True, True, False])

    def sometimes(player: Player) -> None:
        if next(fails):
            raise Trouble("not yet")
        player.ready()

    sim = simulate(branch(child("a", log, sometimes), child("b", log), budget=Budget(crashes_max=3)))
    crash_child(sim, "a", seconds=10)
    assert at(sim, "a").state is State.RUNNING and at(sim, "a").incarnation == 4
    crash_child(sim, "a", seconds=1)  # the fourth within the window
    assert (sim.dispatcher.supervision.finished or (None,))[0] is End.CRASHED


def test_a_venue_branch_that_cannot_start_does_not_keep_the_desk_from_starting() -> None:
    log: list[Any] = []
    venue = branch(child("b", log, refuse), name="venue", on_give_up=GiveUp.ALONE)
    sim = simulate(branch(venue, child("d", log)))
    assert sim.dispatcher.root.state is State.RUNNING and states(sim)["venue"] == "gave_up"


def test_a_child_that_was_ready_and_crashes_while_later_ones_start_is_restarted() -> None:
    log: list[Any] = []

    def slow(player: Player) -> None:
        player.after(1, Do(what=lambda later: later.ready()))

    for strategy, expected in (
        (Strategy.ONE_FOR_ONE, ["+a", "+b", "+a", "+c"]),
        (Strategy.ONE_FOR_ALL, ["+a", "+b", "-b", "+a", "+b", "+c"]),
        (Strategy.REST_FOR_ONE, ["+a", "+b", "-b", "+a", "+b", "+c"]),
    ):
        log.clear()
        sim = simulate(branch(child("a", log), child("b", log, slow), child("c", log), strategy=strategy))
        sim.run_for(0.5)
        crash_child(sim, "a", seconds=5)
        assert lives(log) == expected


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


def test_a_child_that_dies_while_its_branch_stops_is_not_restarted() -> None:
    log: list[Any] = []

    def die(player: Player) -> None:
        raise Trouble("while stopping")

    class Fragile(Player):
        def stopping(self) -> None:
            super().stopping()
            die(self)

    fragile = Child(at_address("b"), lambda: Fragile("b", log))
    sim = simulate(branch(child("a", log), fragile, child("c", log)))
    sim.stop()
    assert lives(log) == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert sim.dispatcher.supervision.finished == (End.STOPPED, None)
    assert any(isinstance(event, ChildCrashed) for event in sim.events)


def at_address(name: str) -> Any:
    from supervisor.mailbox import Address

    return Address(name)


def test_a_tree_that_is_stopped_before_it_started_starts_nothing() -> None:
    log: list[Any] = []
    sim = simulate(branch(child("a", log)), start=False)
    sim.stop()
    assert log == [] and sim.dispatcher.supervision.finished == (End.STOPPED, None)


def test_the_last_words_of_a_stopping_child_are_read_by_those_that_stop_after_it() -> None:
    log: list[Any] = []
    to = at_address("a")

    class Polite(Player):
        def stopping(self) -> None:
            self.tell(to, Note(text=f"bye from {self.name}"))

    sim = simulate(
        branch(
            child("a", log, address=to),
            Child(at_address("b"), lambda: Polite("b", log)),
            Child(at_address("c"), lambda: Polite("c", log)),
        )
    )
    sim.stop()
    assert texts(log, "a") == ["bye from c", "bye from b"]


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


def test_the_tree_is_one_message_that_shows_names_states_restarts_and_mailboxes() -> None:
    log: list[Any] = []
    sim = simulate(branch(child("a", log), branch(child("b", log), name="inner")))
    crash_child(sim, "b", seconds=3)
    sim.tell(at(sim, "b").address, Note(text="waits"))
    report = tree_report(sim.dispatcher)
    b = report.root.children[1].children[0]
    assert (b.name, b.kind, b.state, b.incarnation, b.restarts, b.depth) == ("b", "actor", "running", 2, 1, 1)
    assert b.last_error == "Trouble: asked for" and b.since_s == pytest.approx(3)
    assert report.root.kind == "branch" and report.dead_letters == {"Do/crashed": 1}


def test_events_tell_each_life_from_start_to_end() -> None:
    sim = simulate(branch(child("a", [])))
    crash_child(sim, "a")
    sim.stop()
    told = [event for event in sim.events if isinstance(event, ChildStarted | ChildStopped | ChildCrashed)]
    assert [(type(e).__name__, e.incarnation) for e in told if not isinstance(e, ChildCrashed)] == [
        ("ChildStarted", 1),
        ("ChildStarted", 2),
        ("ChildStopped", 2),
    ]
    crashed = next(event for event in told if isinstance(event, ChildCrashed))
    assert (crashed.incarnation, crashed.message_type, crashed.error) == (1, "Do", "Trouble: asked for")
    assert 'raise Trouble("asked for")' in crashed.traceback_text


def test_a_tree_that_names_two_children_alike_is_refused_before_anything_starts() -> None:
    log: list[Any] = []
    with pytest.raises(TreeError, match="two nodes of the tree are called 'a'"):
        Simulation(branch(child("a", log), branch(child("a", log), name="inner")))
    with pytest.raises(TreeError, match="no children"):
        Simulation(Branch("root", Strategy.ONE_FOR_ONE, ()))
    assert log == []


def test_walk_visits_the_tree_in_start_order() -> None:
    tree = branch(child("a", []), branch(child("b", []), name="inner"), child("c", []))
    assert [node.name for node in walk(tree)] == ["root", "a", "inner", "b", "c"]


@pytest.mark.parametrize(
    "spec", [{"crashes_max": -1}, {"within_s": 0}, {"jitter": 1.0}, {"min_s": 6.0}, {"factor": 0.5}]
)
def test_a_budget_or_backoff_that_makes_no_sense_is_refused(spec: dict[str, Any]) -> None:
    kind: Any = Budget if set(spec) & {"crashes_max", "within_s"} else Backoff
    with pytest.raises(TreeError):
        kind(**spec)


def test_chaos_crashes_an_idle_actor_at_once_and_a_busy_one_with_its_next_message_in_hand() -> None:
    log: list[Any] = []
    sim = simulate(branch(child("a", log)))
    sim.crash("a")
    sim.settle()
    assert at(sim, "a").incarnation == 2
    sim.tell(at(sim, "a").address, Note(text="in hand"))
    sim.crash("a")
    sim.run_for(1)
    assert at(sim, "a").incarnation == 3
    assert [event.message_type for event in sim.events if isinstance(event, ChildCrashed)] == [None, "Note"]
