"""How a tree starts, stops and shows itself."""

from __future__ import annotations

from typing import Any

import pytest
from cast import (
    Do,
    Note,
    Player,
    Trouble,
    at,
    branch,
    child,
    crash_child,
    letters,
    lives,
    simulate,
    states,
    texts,
)

from supervisor.errors import TreeError
from supervisor.events import ChildCrashed, ChildStarted, ChildStopped
from supervisor.node import State
from supervisor.policy import End
from supervisor.report import tree_report
from supervisor.simulation import Simulation
from supervisor.spec import Backoff, Branch, Budget, Child, GiveUp, Strategy, walk


def refuse(player: Player) -> None:
    raise Trouble("cannot start")


def at_address(name: str) -> Any:
    from supervisor.mailbox import Address

    return Address(name)


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


def test_rest_for_one_restarts_the_crashed_child_and_those_to_its_right() -> None:
    log: list[Any] = []
    sim = simulate(branch(*letters(log), strategy=Strategy.REST_FOR_ONE))
    crash_child(sim, "c")
    assert lives(log)[5:] == ["-e", "-d", "+c", "+d", "+e"]


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
