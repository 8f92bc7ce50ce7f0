"""The whole tree as one message: what `nightdesk status` prints."""

from __future__ import annotations

from typing import Literal

from supervisor.message import Message

Kind = Literal["branch", "actor", "port"]
State = Literal[
    "stopped", "starting", "running", "restarting", "backoff", "stopping", "gave_up", "halted", "finished"
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
    waiting_s: float  # how long the mailbox has not been empty; 0 when it is
