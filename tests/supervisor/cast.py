"""The players of the supervision tests: small messages, actors that write down what happens to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from supervisor.actor import Actor
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Down, Dropped, Lane, Message, Refused
from supervisor.report import tree_report
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Budget, Child, Strategy
from supervisor.world import SimulatedWorld


class Note(Message, frozen=True):
    """A wish: does not survive a restart of its receiver."""

    text: str


class Fact(Message, frozen=True):
    """A fact: does."""

    survives_restart: ClassVar[bool] = True
    text: str


class Do(Message, frozen=True):
    """Makes a Player run this, as a handler."""

    what: Callable[[Player], object]

    def __repr__(self) -> str:
        # A function's own repr holds its place in memory, which is another in each process.
        return f"Do({self.what.__name__})"


class DoFact(Do, frozen=True):
    survives_restart: ClassVar[bool] = True


class Alarm(Message, frozen=True):
    lane: ClassVar[Lane] = Lane.SYSTEM
    raises_flag: ClassVar[str | None] = "alarm"
    text: str = ""


class AllClear(Message, frozen=True):
    lane: ClassVar[Lane] = Lane.SYSTEM
    lowers_flag: ClassVar[str | None] = "alarm"


class View(Message, frozen=True):
    key: str
    number: int


class Trouble(Exception):
    """The crash that tests ask for."""


class Player(Actor):
    """Does what it is told, and writes everything it sees into `log`."""

    def __init__(self, name: str, log: list[Any], on_start: Callable[[Player], object] | None = None) -> None:
        self.name = name
        self.log = log
        self.on_start = on_start

    def started(self) -> None:
        self.log.append(("started", self.name, self.incarnation))
        if self.on_start is not None:
            self.on_start(self)
        else:
            self.ready()

    def stopping(self) -> None:
        self.log.append(("stopping", self.name, self.incarnation))

    def on_do(self, message: Do) -> None:
        message.what(self)

    def on_anything(
        self, message: Note | Fact | Alarm | AllClear | View | Answer | AskFailed | Down | Dropped | Refused
    ) -> None:
        self.log.append((self.name, message))


def crash(player: Player) -> None:
    raise Trouble("asked for")


def child(
    name: str, log: list[Any], on_start: Callable[[Player], object] | None = None, **spec: Any
) -> Child:
    address = spec.pop("address", None) or Address(name)
    return Child(address, lambda: Player(name, log, on_start), **spec)


def branch(*children: Child | Branch, strategy: Strategy = Strategy.ONE_FOR_ONE, **spec: Any) -> Branch:
    spec.setdefault("budget", Budget(crashes_max=100))
    return Branch(spec.pop("name", "root"), strategy, children, **spec)


def simulate(tree: Branch, *, start: bool = True) -> Simulation:
    """First in, first out, as in life."""
    world = SimulatedWorld(0)
    world.scheduling = None
    simulation = Simulation(tree, world=world)
    if start:
        simulation.start()
    return simulation


def texts(log: list[Any], name: str) -> list[str]:
    """The texts that this player has read."""
    return [entry[1].text for entry in log if entry[0] == name and isinstance(entry[1], Note | Fact | Alarm)]


def lives(log: list[Any]) -> list[str]:
    """Starts and stops as "+a" and "-a", in order."""
    marks = {"started": "+", "stopping": "-"}
    return [marks[entry[0]] + entry[1] for entry in log if entry[0] in marks]


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
