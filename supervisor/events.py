"""What the supervision tells the world: logs, pages and the status page subscribe to these."""

from __future__ import annotations

from supervisor.message import DownReason, Message


class ChildStarted(Message, frozen=True):
    """A new life has begun; it is STARTING until `ChildReady`."""

    name: str
    incarnation: int


class ChildReady(Message, frozen=True):
    """The child called `ready()`; messages held for it are being delivered."""

    name: str
    incarnation: int
    took_s: float


class ChildCrashed(Message, frozen=True):
    """A life ended with an exception. Published at most 100 ms after the crash, once the traceback is
    formatted."""

    name: str
    incarnation: int
    error: str  # one line: type and text
    traceback_text: str
    message_type: str | None  # what it had in hand; None when it was not handling a message
    restarts: int  # of this child so far, this one not counted
    wall_ns: int


class ChildStopped(Message, frozen=True):
    """A life ended without a crash of its own: asked to stop, or finished."""

    name: str
    incarnation: int
    reason: DownReason


class ChildStuck(Message, frozen=True):
    """A port did not end within its `stop_timeout_s`; the process is about to end itself."""

    name: str
    waited_s: float


class BranchGaveUp(Message, frozen=True):
    """A branch has spent its budget, or could not start. `alone`: it stays stopped; otherwise its parent
    decides."""

    name: str
    alone: bool
    cause: str


class Halted(Message, frozen=True):
    """A child raised `Halt`: its branch has stopped and will not be restarted without a person."""

    branch: str
    child: str
    error: str


class ActorOverran(Message, frozen=True):
    """A handler was interrupted after `ran_s` seconds."""

    name: str
    incarnation: int
    message_type: str | None
    ran_s: float


class DeadLetters(Message, frozen=True):
    """Messages that reached nobody, at most one report a second. `counts` is since the start: (type,
    reason) -> number, as "OrderIntent/refused"."""

    total: int
    counts: dict[str, int]
