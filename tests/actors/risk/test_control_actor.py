"""Control: a restriction is in force at once and outlives a crash; running again needs a person and the journal."""

from __future__ import annotations

import pytest

from actors.messages import (
    CommandRefused,
    DeskMode,
    FlattenDone,
    ModeChanged,
    ModeNotDurable,
    ModeWanted,
    OperatorCommand,
    Verb,
)
from actors.risk.control_actor import ControlActor
from actors.risk.mode_record import KIND, record_of
from supervisor.actor import Actor
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.journal.messages import Append, ReadBack
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Message
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Child, Strategy

CONTROL, JOURNAL, RISK, PERSON = (Address(name) for name in ("control", "journal", "risk", "status"))


class Risk(Actor):
    """Keeps the modes that it hears, and what the flags were at that moment."""

    def __init__(self, heard: list[tuple[DeskMode, tuple[str, ...]]]) -> None:
        self._heard = heard

    def on_mode(self, message: ModeChanged) -> None:
        self._heard.append(
            (message.mode, tuple(sorted(name for name in ("no_open", "kill") if self.flags[name])))
        )


class Person(Actor):
    """Asks what it is told to ask, and keeps the answers."""

    def __init__(self, answers: list[Message]) -> None:
        self._answers = answers

    def on_command(self, message: OperatorCommand | ModeWanted) -> None:
        self.ask(CONTROL, message, timeout_s=5.0)

    def on_answer(self, answer: Answer) -> None:
        self._answers.append(answer.message)

    def on_ask_failed(self, failed: AskFailed) -> None:
        self._answers.append(failed)


class Deaf(Actor):
    """A journal that answers nothing until it is told `Hear`."""

    def on_anything(self, message: Append | ReadBack) -> None:
        pass


class Desk:
    def __init__(self, store: MemoryStore | None = None, *, deaf: bool = False) -> None:
        self.store = store or MemoryStore()
        self.heard: list[tuple[DeskMode, tuple[str, ...]]] = []
        self.answers: list[Message] = []
        self.deaf = deaf
        children = (
            Child(JOURNAL, lambda: Deaf() if self.deaf else MemoryJournal(self.store)),
            Child(RISK, lambda: Risk(self.heard)),
            Child(CONTROL, lambda: ControlActor(journal=JOURNAL, told=(RISK,))),
            Child(PERSON, lambda: Person(self.answers)),
        )
        self.run = Simulation(Branch("desk", Strategy.ONE_FOR_ONE, children))
        self.run.start()

    def says(self, verb: Verb, by: str = "operator") -> Message | None:
        """The answer, once it has come."""
        before = len(self.answers)
        self.run.dispatcher.post(PERSON, (OperatorCommand(verb=verb, by=by, reason="test"), None, 0))
        self.run.settle()
        return self.answers[-1] if len(self.answers) > before else None

    @property
    def mode(self) -> DeskMode:
        return self.heard[-1][0]

    def flags(self) -> set[str]:
        return {name for name in ("no_open", "kill") if self.run.dispatcher.flags[name]}

    def journalled(self) -> int:
        return sum(record.kind == KIND for record in self.store.records)


def test_a_first_start_runs() -> None:
    desk = Desk()
    assert desk.mode is DeskMode.RUNNING and desk.flags() == set()


@pytest.mark.parametrize(
    ("verb", "mode", "flags"),
    [
        (Verb.PAUSE, DeskMode.PAUSED, {"no_open"}),
        (Verb.KILL, DeskMode.KILLED, {"no_open", "kill"}),
        (Verb.FLATTEN, DeskMode.FLATTENING, {"no_open", "kill"}),
    ],
)
def test_a_verb_is_answered_when_it_is_in_the_journal_and_outlives_every_restart(
    verb: Verb, mode: DeskMode, flags: set[str]
) -> None:
    desk = Desk()
    answer = desk.says(verb)
    assert isinstance(answer, ModeChanged) and answer.mode is mode
    assert desk.mode is mode and desk.flags() == flags and desk.journalled() == 1
    desk.run.crash("control")
    desk.run.run_for(5)
    assert desk.mode is mode and desk.flags() == flags
    again = Desk(desk.store)
    assert again.mode is mode and again.flags() == flags


def test_a_restriction_is_in_force_before_the_journal_has_it() -> None:
    desk = Desk()
    desk.store.room = 0
    assert desk.says(Verb.KILL) is None
    assert desk.mode is DeskMode.KILLED and desk.flags() == {"no_open", "kill"} and desk.journalled() == 0
    assert any(isinstance(event, ModeNotDurable) for event in desk.run.events)
    desk.store.room = None
    desk.run.run_for(2)
    assert isinstance(desk.answers[-1], ModeChanged) and desk.journalled() == 1


@pytest.mark.parametrize(
    ("verb", "mode"),
    [
        (Verb.PAUSE, DeskMode.PAUSED),
        (Verb.KILL, DeskMode.KILLED),
        # What was to be sold is no longer known to be; the kill that came with it is.
        (Verb.FLATTEN, DeskMode.KILLED),
    ],
)
def test_a_restriction_that_the_journal_could_not_take_outlives_a_crash(verb: Verb, mode: DeskMode) -> None:
    desk = Desk()
    desk.store.room = 0
    desk.says(verb)
    for _ in range(2):
        desk.run.crash("control")
        desk.run.run_for(3)
        assert desk.mode is mode and desk.journalled() == 0 and "no_open" in desk.flags()
    assert all(heard is not DeskMode.RUNNING for heard, _ in desk.heard[1:])
    desk.store.room = None
    desk.run.run_for(3)
    assert Desk(desk.store).mode is mode
    assert isinstance(desk.says(Verb.RESUME), ModeChanged) and desk.mode is DeskMode.RUNNING
    desk.run.crash("control")
    desk.run.run_for(3)
    assert desk.mode is DeskMode.RUNNING and desk.flags() == set()


def test_a_crash_while_the_journal_is_read_leaves_no_pause_behind() -> None:
    desk = Desk(deaf=True)
    desk.run.crash("control")
    desk.deaf = False
    desk.run.crash("journal")
    desk.run.run_for(5)
    assert desk.mode is DeskMode.RUNNING and desk.flags() == set()


def test_only_a_person_resumes() -> None:
    desk = Desk()
    desk.says(Verb.KILL)
    answer = desk.says(Verb.RESUME, by="risk")
    assert isinstance(answer, CommandRefused) and "only a person resumes" in answer.reason
    assert desk.mode is DeskMode.KILLED
    answer = desk.says(Verb.RESUME, by="operator:ann")
    assert isinstance(answer, ModeChanged) and answer.mode is DeskMode.RUNNING
    assert desk.mode is DeskMode.RUNNING and desk.flags() == set()
    assert Desk(desk.store).mode is DeskMode.RUNNING


def test_a_resume_that_cannot_be_journalled_changes_nothing_now_or_after_a_restart() -> None:
    desk = Desk()
    desk.says(Verb.KILL)
    desk.store.room = 0
    answer = desk.says(Verb.RESUME)
    assert isinstance(answer, CommandRefused) and "disk is full" in answer.reason
    assert desk.mode is DeskMode.KILLED and desk.flags() == {"no_open", "kill"}
    desk.store.room = None
    desk.run.run_for(2)
    # The failed append may have reached the disk after all: the kill is written once more, over it.
    assert desk.journalled() == 2 and Desk(desk.store).mode is DeskMode.KILLED


def test_a_mode_that_cannot_be_read_is_a_pause_and_is_asked_for_again() -> None:
    desk = Desk(deaf=True)
    assert desk.flags() == {"no_open"}
    desk.run.run_for(3)
    assert desk.mode is DeskMode.PAUSED
    desk.deaf = False
    desk.run.crash("journal")
    desk.run.run_for(5)
    assert desk.mode is DeskMode.RUNNING and desk.flags() == set()


def test_a_pause_typed_while_the_journal_is_read_does_not_undo_the_kill_in_it() -> None:
    store = MemoryStore()
    killed = ModeChanged(mode=DeskMode.KILLED, by="operator", reason="before the crash", wall_ns=1)
    store.append([Append(records=(record_of(killed, "1"),), token=1)], 1, 0)
    desk = Desk(store, deaf=True)
    desk.says(Verb.PAUSE)
    desk.deaf = False
    desk.run.crash("journal")
    desk.run.run_for(5)
    assert desk.mode is DeskMode.KILLED and Desk(store).mode is DeskMode.KILLED


def test_a_kill_typed_while_the_journal_is_read_is_in_force_at_once_and_never_lifted_on_the_way() -> None:
    desk = Desk(deaf=True)
    desk.says(Verb.KILL)
    assert desk.mode is DeskMode.KILLED and desk.flags() == {"no_open", "kill"}
    desk.deaf = False
    desk.run.crash("journal")
    desk.run.run_for(5)
    assert {mode for mode, _ in desk.heard} == {DeskMode.KILLED}
    assert Desk(desk.store).mode is DeskMode.KILLED


def test_when_everything_is_sold_the_kill_stays() -> None:
    desk = Desk()
    desk.says(Verb.FLATTEN)
    desk.run.tell(CONTROL, FlattenDone())
    desk.run.settle()
    assert desk.mode is DeskMode.KILLED and Desk(desk.store).mode is DeskMode.KILLED


def test_the_end_of_a_flattening_that_was_lifted_meanwhile_is_no_kill() -> None:
    desk = Desk()
    desk.says(Verb.FLATTEN)
    desk.says(Verb.RESUME)
    desk.run.tell(CONTROL, FlattenDone())
    desk.run.settle()
    assert desk.mode is DeskMode.RUNNING


def test_who_asks_is_told_the_mode() -> None:
    desk = Desk()
    desk.says(Verb.PAUSE)
    desk.run.tell(PERSON, ModeWanted())
    desk.run.settle()
    assert isinstance(desk.answers[-1], ModeChanged) and desk.answers[-1].mode is DeskMode.PAUSED


def test_the_flags_are_up_before_anybody_hears_the_mode() -> None:
    desk = Desk()
    desk.says(Verb.KILL)
    assert desk.heard[-1] == (DeskMode.KILLED, ("kill", "no_open"))
