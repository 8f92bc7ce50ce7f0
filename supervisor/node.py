"""The state of one child or branch while the tree runs; `spec.py` is what it was built from."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from supervisor.mailbox import Mailbox
from supervisor.message import Message
from supervisor.policy import End, Phase, Spending
from supervisor.spec import Branch, Child
from supervisor.timers import Timer

if TYPE_CHECKING:
    from supervisor.actor import Actor
    from supervisor.handlers import HandlerTable
    from supervisor.mailbox import Address, Envelope


class State(enum.Enum):
    STOPPED = "stopped"  # not started yet, or between two lives
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"  # branches only
    BACKOFF = "backoff"  # waits for its next life
    STOPPING = "stopping"
    ENDED = "ended"  # its end has not been judged yet
    FINISHED = "finished"  # by itself, and is not restarted
    GAVE_UP = "gave_up"
    HALTED = "halted"


# There is no life, and nothing under way that would begin one.
DOWN = (State.STOPPED, State.BACKOFF, State.FINISHED, State.GAVE_UP, State.HALTED)
# And it stays so until the whole branch above is started anew.
OUT = (State.FINISHED, State.GAVE_UP, State.HALTED)

ALIVE = (State.RUNNING, State.STARTING, State.STOPPING)


class Node:
    """What children and branches have in common: a state, and a history of restarts."""

    __slots__ = (
        "incarnation",
        "index",
        "last_error",
        "name",
        "parent",
        "ready_ns",
        "restarts",
        "since_ns",
        "started_ns",
        "state",
        "streak",
        "timer",
    )

    def __init__(self, name: str, parent: BranchNode | None, index: int) -> None:
        self.name = name
        self.parent = parent
        self.index = index
        self.state = State.STOPPED
        self.since_ns = self.started_ns = 0
        self.ready_ns: int | None = None  # of the present life
        self.incarnation = 0
        self.restarts = 0
        self.streak = 0  # restarts since it was last healthy for long enough
        self.last_error: str | None = None
        # The one wait that it is in: for ready(), for its end, or for the end of its backoff.
        self.timer: Timer | None = None

    def enter(self, state: State, now_ns: int) -> None:
        self.state = state
        self.since_ns = now_ns


class Cell(Node):
    """One child: its mailbox, its present life, its counters. Outlives its lives, as its Address does."""

    __slots__ = (
        "actor",
        "address",
        "asked",
        "bound",
        "box",
        "closed",
        "done",
        "doom",
        "handlers",
        "is_port",
        "owed",
        "plain",
        "poison",
        "poison_lives",
        "queue",
        "room",
        "scheduled",
        "spec",
        "timers",
        "waiting_ns",
        "wake",
        "watchers",
    )

    def __init__(self, spec: Child, parent: BranchNode, index: int) -> None:
        super().__init__(spec.name, parent, index)
        self.spec = spec
        self.address: Address = spec.address
        self.box = Mailbox(spec.address)
        # The two that every tell reads, without a further hop.
        self.queue = self.box.queue
        self.bound = self.box.bound
        self.actor: Actor | None = None
        self.handlers: HandlerTable | None = None
        self.is_port = False
        self.plain = False  # RUNNING, and its mailbox is simple: a tell is one append
        self.closed = False  # no further life will come: what is told goes to the dead letters
        self.scheduled = False  # in the run queue
        self.wake: Any = None  # ports: wakes the task if it waits for a message
        self.room: list[Any] = []  # wakes tasks that wait for room in this mailbox
        self.doom: BaseException | None = None  # to be crashed with this
        self.done = 0
        self.waiting_ns = 0  # when the mailbox began not to be empty, or was last read from
        self.poison: Message | None = None
        self.poison_lives = 0  # how many lives in a row `poison` has ended
        # Of the present life:
        self.timers: dict[int, Timer] = {}
        self.asked: dict[int, None] = {}  # ids of the asks it waits for
        # Of the mailbox: ids of the asks that are in it, or were taken out and are not answered.
        self.owed: dict[int, None] = {}
        self.watchers: dict[Cell, int] = {}  # -> the watcher's incarnation

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    def passes(self, envelope: Envelope, replies: tuple[type[Message], ...]) -> bool:
        """Whether it may read this while STARTING: replies to its own asks, its own and its own ports'
        words."""
        sender = envelope[1]
        return sender is self.address or sender in self.spec.ports or isinstance(envelope[0], replies)


class BranchNode(Node):
    """One branch, and what it is busy with."""

    __slots__ = ("children", "outcome", "phase", "resume_ns", "spec", "spending", "to_start", "to_stop")

    def __init__(self, spec: Branch, parent: BranchNode | None = None, index: int = 0) -> None:
        super().__init__(spec.name, parent, index)
        self.spec = spec
        self.phase = Phase.STARTING
        self.spending = Spending(spec.budget)
        # Indices of children: to be stopped, the next one last; to be started, the next one first.
        self.to_stop: list[int] = []
        self.to_start: list[int] = []
        self.resume_ns = 0  # a restart of several waits until then, once they have stopped
        self.outcome: tuple[End, BaseException | None] = (End.STOPPED, None)  # what its stopping will end as
        self.children: tuple[Cell | BranchNode, ...] = tuple(
            BranchNode(child, self, i) if isinstance(child, Branch) else Cell(child, self, i)
            for i, child in enumerate(spec.children)
        )

    def cells(self) -> list[Cell]:
        """Every child below, in start order."""
        found: list[Cell] = []
        for child in self.children:
            found.extend(child.cells() if isinstance(child, BranchNode) else [child])
        return found
