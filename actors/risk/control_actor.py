"""Control: the latched mode of the desk. A restriction takes effect at once and is journalled; `resume` only
takes effect once it is in the journal.

What it cannot read back it takes for PAUSED. While the journal is still being read, commands restrict at
once, and are applied again to what it says: a `pause` typed meanwhile must not undo a kill from before.

A restriction that no journal could take (a full disk) outlives a crash of this actor all the same: the flags of
the process say what was in force, and only what is stricter of the two counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.messages import (
    CommandRefused,
    DeskMode,
    EntriesAllowed,
    EntriesForbidden,
    FlattenDone,
    KillLatched,
    KillLifted,
    ModeChanged,
    ModeNotDurable,
    ModeWanted,
    OperatorCommand,
    PauseLatched,
    PauseLifted,
    Verb,
)
from actors.risk.latch import EVENTS, STRICTNESS, TRANSITIONS, Event, refusal
from actors.risk.mode_record import KIND, mode_of, record_of
from supervisor.actor import Actor
from supervisor.effects import Asker
from supervisor.journal.messages import Append, Appended, AppendFailed, ReadBack, Records
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Message

READ_TIMEOUT_S = 2.0
APPEND_TIMEOUT_S = 2.0
RETRY_S = 1.0
# Commands that wait for the journal to be read. A person types a few; more than this is a fault.
HELD_MAX = 100


class TryAgain(Message, frozen=True):
    """To itself: read the journal again, or write to it again."""


class _Command(NamedTuple):
    event: Event
    by: str
    reason: str
    asker: Asker | None
    """Whom to tell when it is durable."""


class ControlActor(Actor):
    """`told` hears every change in the system lane: risk, orders, strategies."""

    def __init__(self, *, journal: Address, told: Sequence[Address]) -> None:
        self._journal = journal
        self._told = tuple(told)
        self._mode = ModeChanged(
            mode=DeskMode.PAUSED, by="control", reason="the journal is being read", wall_ns=0
        )
        # What the life before had in force, by the flags that outlive it; the journal may lack it.
        self._standing: ModeChanged | None = None
        self._is_restored = False
        self._reading = 0
        self._held: list[_Command] = []
        # The append under way: its ask id, the mode that it writes, and who waits for it.
        self._writing = 0
        self._writes: ModeChanged = self._mode
        self._waiting: list[Asker] = []
        # A resume in hand; a restriction that comes meanwhile takes its place.
        self._resume: _Command | None = None
        self._must_write = False

    def started(self) -> None:
        standing = DeskMode.KILLED if self.flags["kill"] else DeskMode.PAUSED
        if self.flags["kill"] or self.flags["pause"]:
            self._standing = self._mode = ModeChanged(
                mode=standing,
                by="control",
                reason="in force before control was restarted",
                wall_ns=self.wall_ns,
            )
        # Up before anything is known; whoever runs on under an older mode learns the new one in a moment.
        self.tell(self.address, EntriesForbidden())
        self._read()
        self.ready()

    # -- commands ----------------------------------------------------------------------------------

    def on_command(self, command: OperatorCommand) -> None:
        event = EVENTS[command.verb]
        no = refusal(event, command.by)
        if no:
            self._refuse(command.verb, no, self.asker)
            return
        self._take(_Command(event, command.by, command.reason, self.asker))

    def on_flatten_done(self, message: FlattenDone) -> None:
        if self._mode.mode is DeskMode.FLATTENING:
            self._take(_Command(Event.FLAT, "orders", "nothing is left to reduce", None))

    def on_mode_wanted(self, message: ModeWanted) -> None:
        self.reply(self._mode)

    def on_flag(
        self,
        message: EntriesForbidden | EntriesAllowed | KillLatched | KillLifted | PauseLatched | PauseLifted,
    ) -> None:
        """Telling it was all: the flag is up, or down."""

    def _take(self, command: _Command) -> None:
        if not self._is_restored:
            if len(self._held) >= HELD_MAX:
                self._refuse(Verb.PAUSE, "too many commands wait for the journal to be read", command.asker)
                return
            self._held.append(command)
            if command.event is not Event.RESUME:
                self._change(TRANSITIONS[(self._mode.mode, command.event)], command)
            return
        if command.event is Event.RESUME:
            self._resume = command
        else:
            if self._resume is not None:
                self._refuse(
                    Verb.RESUME, f"a {command.event.value} came before it was durable", self._resume.asker
                )
                self._resume = None
            self._change(TRANSITIONS[(self._mode.mode, command.event)], command)
            if command.asker is not None:
                self._waiting.append(command.asker)
        self._must_write = True
        self._write()

    # -- the mode ----------------------------------------------------------------------------------

    def _change(self, mode: DeskMode, command: _Command) -> None:
        self._announce(ModeChanged(mode=mode, by=command.by, reason=command.reason, wall_ns=self.wall_ns))

    def _announce(self, changed: ModeChanged) -> None:
        """Flags first: they are up the moment this handler returns, before anybody has read anything."""
        self._mode = changed
        is_running = changed.mode is DeskMode.RUNNING
        is_killed = changed.mode in (DeskMode.KILLED, DeskMode.FLATTENING)
        self.tell(self.address, EntriesAllowed() if is_running else EntriesForbidden())
        self.tell(self.address, KillLatched() if is_killed else KillLifted())
        # Not for the pause that only means that the journal has not been read.
        is_meant = bool(self._is_restored or self._standing or self._held)
        is_paused = changed.mode is DeskMode.PAUSED and is_meant
        self.tell(self.address, PauseLatched() if is_paused else PauseLifted())
        for address in self._told:
            self.tell(address, changed)
        self.publish(changed)

    def _refuse(self, verb: Verb, reason: str, asker: Asker | None) -> None:
        answer = CommandRefused(verb=verb, reason=reason)
        if asker is not None and asker.address is not None:
            self.reply(answer, asker)
        self.publish(answer)

    # -- the journal -------------------------------------------------------------------------------

    def _read(self) -> None:
        self._reading = self.ask(self._journal, ReadBack(kinds=(KIND,)), timeout_s=READ_TIMEOUT_S)

    def _write(self) -> None:
        """One append at a time, so that the last record in the journal is the last that was meant."""
        if self._writing or not self._must_write:
            return
        self._must_write = False
        resume = self._resume
        self._writes = (
            self._mode
            if resume is None
            else ModeChanged(mode=DeskMode.RUNNING, by=resume.by, reason=resume.reason, wall_ns=self.wall_ns)
        )
        record = record_of(self._writes, key=f"{self.wall_ns}/{self.world.new_id()}")
        self._writing = self.ask(
            self._journal, Append(records=(record,), token=0), timeout_s=APPEND_TIMEOUT_S
        )

    def on_answer(self, answer: Answer) -> None:
        if answer.ask_id == self._reading:
            assert isinstance(answer.message, Records)
            self._restore(answer.message)
        elif isinstance(answer.message, Appended):
            self._written()
        else:
            reason = answer.message.reason if isinstance(answer.message, AppendFailed) else "a strange answer"
            self._not_written(reason)

    def on_ask_failed(self, failed: AskFailed) -> None:
        if failed.ask_id == self._reading:
            self._cannot_read(f"the journal does not answer: {failed.reason}")
        else:
            self._not_written(failed.reason)

    def on_try_again(self, message: TryAgain) -> None:
        if self._is_restored:
            self._write()
        else:
            self._read()

    def _written(self) -> None:
        self._writing = 0
        written, resume = self._writes, self._resume
        if resume is not None and written.mode is DeskMode.RUNNING and not self._must_write:
            self._resume = None
            self._announce(written)
            if resume.asker is not None:
                self._waiting.append(resume.asker)
        if not self._must_write:
            for asker in self._waiting:
                if asker.address is not None:
                    self.reply(self._mode, asker)
            self._waiting.clear()
        self._write()

    def _not_written(self, reason: str) -> None:
        self._writing = 0
        # A failed append may still have reached the disk. Had it been a resume, a crash would now wake up
        # running: so the mode in force is written over it, until that is durable.
        self._must_write = True
        if self._resume is not None:
            self._refuse(Verb.RESUME, f"not durable: {reason}; the mode stays", self._resume.asker)
            self._resume = None
        self.publish(ModeNotDurable(mode=self._mode.mode, reason=reason))
        self.after(RETRY_S, TryAgain())

    def _cannot_read(self, reason: str) -> None:
        if not self._held:
            mode = self._mode.mode
            self._announce(ModeChanged(mode=mode, by="control", reason=reason, wall_ns=self.wall_ns))
        self.publish(ModeNotDurable(mode=self._mode.mode, reason=reason))
        self.after(RETRY_S, TryAgain())

    def _restore(self, records: Records) -> None:
        self._is_restored = True
        self._mode = mode_of(records.records, self.wall_ns)
        standing = self._standing
        if standing is not None and STRICTNESS[self._mode.mode] < STRICTNESS[standing.mode]:
            self._mode, self._must_write = standing, True
        held, self._held = self._held, []
        if all(command.event is Event.RESUME for command in held):
            self._announce(self._mode)
        # Otherwise what was typed meanwhile is announced, and never the laxer mode before it.
        for command in held:
            self._take(command)
        self._write()
