"""Asks end, watches tell, and both belong to the life that made them."""

from __future__ import annotations

from typing import Any

import pytest
from cast import (
    Do,
    Note,
    Player,
    branch,
    child,
    crash,
    simulate,
)

from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Down, Message
from supervisor.simulation import Simulation
from supervisor.spec import Backoff

A, B, C = Address("a"), Address("b"), Address("c")


def pair(log: list[Any], **b: Any) -> Simulation:
    return simulate(branch(child("a", log, address=A), child("b", log, address=B, **b)))


def asking(answers: list[Any]) -> Any:
    def act(player: Player) -> None:
        answers.append(player.ask(B, answers[0], timeout_s=1.0))

    return Do(what=act)


def outcome(sim: Simulation, log: list[Any], question: Message, seconds: float = 3) -> list[Any]:
    """What A gets to hear after it asked B this."""
    sim.tell(A, asking([question]))
    sim.run_for(seconds)
    return [entry[1] for entry in log if entry[0] == "a"]


def test_an_ask_is_answered_once() -> None:
    log: list[Any] = []
    heard = outcome(pair(log), log, Do(what=lambda player: player.reply(Note(text="yes"))))
    assert heard == [Answer(ask_id=1, message=Note(text="yes"))]


def test_an_ask_can_be_answered_after_the_handler_returned() -> None:
    log: list[Any] = []
    sim = pair(log)

    def keep(player: Player) -> None:
        asker = player.asker
        player.after(0.5, Do(what=lambda later: later.reply(Note(text="late but good"), asker)))

    assert outcome(sim, log, Do(what=keep)) == [Answer(ask_id=1, message=Note(text="late but good"))]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Do(what=crash), "actor_died"),  # crashes with the question in hand
        (Note(text="ignored"), "timeout"),
        (
            Do(what=lambda player: player.tell(B, Do(what=crash))),
            "actor_died",
        ),  # crashes later, without an answer
        (Do(what=lambda player: player.finish()), "actor_died"),
    ],
)
def test_an_ask_never_ends_in_silence(question: Message, reason: str) -> None:
    log: list[Any] = []
    heard = outcome(pair(log), log, question)
    assert heard == [AskFailed(ask_id=1, to="b", reason=reason)]  # type: ignore[arg-type]


def test_an_ask_to_a_full_mailbox_is_overloaded_and_to_nobody_fails_at_once() -> None:
    log: list[Any] = []
    small = Address("small", bound=1)
    sim = simulate(branch(child("a", log, address=A), child("small", log, address=small)))

    def act(player: Player) -> None:
        player.tell(small, Note(text="fills it"))
        player.ask(small, Note(text="too much"), timeout_s=1)
        player.ask(Address("nobody"), Note(text="hello?"), timeout_s=1)

    sim.tell(A, Do(what=act))
    sim.settle()
    assert [entry[1] for entry in log if entry[0] == "a"] == [
        AskFailed(ask_id=1, to="small", reason="overloaded"),
        AskFailed(ask_id=2, to="nobody", reason="actor_died"),
    ]


def test_a_late_reply_is_a_dead_letter_and_harms_nobody() -> None:
    log: list[Any] = []
    sim = pair(log)

    def keep(player: Player) -> None:
        asker = player.asker
        player.after(2, Do(what=lambda later: later.reply(Note(text="too late"), asker)))

    assert outcome(sim, log, Do(what=keep)) == [AskFailed(ask_id=1, to="b", reason="timeout")]
    assert sim.dispatcher.dead.event().counts == {"Note/late": 1}


def test_an_ask_and_a_timer_die_with_the_life_that_made_them() -> None:
    log: list[Any] = []
    sim = pair(log)

    def act(player: Player) -> None:
        player.after(0.5, Note(text="timer of the first life"))
        player.ask(B, Do(what=answer_late), timeout_s=5)

    def answer_late(player: Player) -> None:
        asker = player.asker
        player.after(0.5, Do(what=lambda later: later.reply(Note(text="for the first life"), asker)))

    sim.tell(A, Do(what=act))
    sim.settle()
    sim.tell(A, Do(what=crash))
    sim.run_for(10)
    assert [entry for entry in log if entry[0] == "a"] == []
    assert len(sim.dispatcher.asks) == 0 and len(sim.dispatcher.timers) == 0


def test_down_follows_the_last_words_of_the_child_and_no_full_mailbox_keeps_it_out() -> None:
    log: list[Any] = []
    small = Address("small", bound=2)
    watcher = child("small", log, address=small)
    sim = simulate(branch(watcher, child("b", log, address=B)))
    sim.tell(small, Do(what=lambda player: player.watch(B)))
    sim.settle()

    def last_words(player: Player) -> None:
        player.tell(small, Note(text="1"))
        player.tell(small, Note(text="2"))
        player.tell(B, Do(what=crash))

    for _ in range(2):
        sim.tell(B, Do(what=last_words))
        sim.run_for(1)
    down = Down(name="b", reason="crashed")
    seen = [entry[1] for entry in log if entry[0] == "small"]
    assert seen == [Note(text="1"), Note(text="2"), down] * 2  # and it goes on watching


def test_watching_who_is_down_already_says_so_at_once() -> None:
    log: list[Any] = []
    sim = pair(log, backoff=Backoff(first_s=1.0))
    sim.tell(B, Do(what=crash))
    sim.settle()
    sim.tell(A, Do(what=lambda player: player.watch(B)))
    sim.settle()
    assert ("a", Down(name="b", reason="not_running")) in log


def test_a_watch_ends_with_the_life_that_watched() -> None:
    log: list[Any] = []
    sim = pair(log)
    sim.tell(A, Do(what=lambda player: player.watch(B)))
    sim.tell(A, Do(what=crash))
    sim.settle()
    sim.tell(B, Do(what=crash))
    sim.settle()
    assert not any(isinstance(entry[1], Down) for entry in log)
