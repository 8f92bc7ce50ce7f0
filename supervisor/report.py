"""The whole tree as one message: what `nightdesk status` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from supervisor.message import Message
from supervisor.node import BranchNode, Cell
from supervisor.node import State as NodeState

if TYPE_CHECKING:
    from supervisor.dispatcher import Dispatcher

Kind = Literal["branch", "actor", "port"]
State = Literal[
    "stopped",
    "starting",
    "running",
    "restarting",
    "backoff",
    "stopping",
    "ended",
    "finished",
    "gave_up",
    "halted",
]


class NodeReport(Message, frozen=True):
    """One branch or child. Counters are since the process started; a branch has no mailbox (all 0)."""

    name: str
    kind: Kind
    state: State
    since_s: float  # how long in this state
    incarnation: int
    restarts: int
    done: int  # messages handled
    depth: int
    high_water: int
    refused: int
    dropped: int
    conflated: int
    last_error: str | None
    children: tuple[NodeReport, ...]


class TreeReport(Message, frozen=True):
    """The tree as of `at_ns` (UTC)."""

    at_ns: int
    root: NodeReport
    flags: tuple[str, ...]
    dead_letters: dict[str, int]


class Progress(Message, frozen=True):
    """What a watchdog compares: a mailbox that is not empty while `done` stands still is a child that is
    stuck."""

    name: str
    done: int
    depth: int
    waiting_s: float  # how long nothing was taken from a mailbox that is not empty; 0 when it is
    is_running: bool  # False: it starts, waits for its next life or ends, and messages wait for that


def tree_report(dispatcher: Dispatcher) -> TreeReport:
    """The tree as it is now."""
    return TreeReport(
        at_ns=dispatcher.world.wall_ns(),
        root=_node(dispatcher.root, dispatcher.now_ns),
        flags=dispatcher.flags.raised(),
        dead_letters=dispatcher.dead.counts,
    )


def progress(dispatcher: Dispatcher) -> list[Progress]:
    """Every child, in start order."""
    now_ns = dispatcher.now_ns
    return [
        Progress(
            name=cell.name,
            done=cell.done,
            depth=len(cell.box),
            waiting_s=(now_ns - cell.waiting_ns) / 1e9 if cell.waiting_ns and len(cell.box) else 0.0,
            is_running=cell.state is NodeState.RUNNING,
        )
        for cell in dispatcher.cells.values()
    ]


def _node(node: Cell | BranchNode, now_ns: int) -> NodeReport:
    cell = node if isinstance(node, Cell) else None
    box = cell.box if cell is not None else None
    kind: Kind = "branch" if cell is None else "port" if cell.is_port else "actor"
    return NodeReport(
        name=node.name,
        kind=kind,
        state=node.state.value,
        since_s=(now_ns - node.since_ns) / 1e9,
        incarnation=node.incarnation,
        restarts=node.restarts,
        done=cell.done if cell is not None else 0,
        depth=len(box) if box is not None else 0,
        high_water=box.high_water if box is not None else 0,
        refused=box.refused if box is not None else 0,
        dropped=box.dropped if box is not None else 0,
        conflated=box.conflated if box is not None else 0,
        last_error=node.last_error,
        children=tuple(_node(child, now_ns) for child in node.children)
        if isinstance(node, BranchNode)
        else (),
    )
