"""Asks that wait for their answer. Every one ends: answered, failed with its receiver, refused, or timed out.

An ask belongs to the life that asked: when that ends it is forgotten, and its answer is a dead letter. It
also belongs to the life that took the question: when that ends unanswered, the asker is told at once and
need not wait for the time-out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, AskFailure, Message
from supervisor.timers import Timer

if TYPE_CHECKING:
    from supervisor.dispatcher import Dispatcher
    from supervisor.node import Cell

# What a port's or an outsider's ask ends in: the answer, or why there is none.
Resolve = Callable[[Message | AskFailure], None]


class Pending:
    """One ask. `resolve` is None when an actor asked: it gets a message."""

    __slots__ = ("asker", "resolve", "timer", "to")

    def __init__(self, asker: Cell | None, to: Address, timer: Timer, resolve: Resolve | None) -> None:
        self.asker = asker
        self.to = to
        self.timer = timer
        self.resolve = resolve


class Asks:
    """All asks of one process that are open."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._open: dict[int, Pending] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._open)

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def open(
        self, ask_id: int, asker: Cell | None, to: Address, timeout_s: float, resolve: Resolve | None = None
    ) -> None:
        """Register it, before the question is posted."""
        dispatcher = self._dispatcher
        at_ns = dispatcher.now_ns + int(timeout_s * 1e9)
        timer = dispatcher.timers.set(at_ns, self.fail, ask_id, "timeout")
        self._open[ask_id] = Pending(asker, to, timer, resolve)
        if asker is not None:
            asker.asked[ask_id] = None
        target = dispatcher.cells.get(to)
        if target is not None:
            target.owed[ask_id] = None

    def answer(self, ask_id: int, message: Message, by: Address) -> None:
        """The reply has come; one to an ask that is not open any more is a dead letter."""
        pending = self._close(ask_id)
        if pending is None:
            self._dispatcher.bury(by.name, "late", (message, by, 0))
        elif pending.resolve is not None:
            pending.resolve(message)
        elif pending.asker is not None:
            self._dispatcher.post(pending.asker.address, (Answer(ask_id=ask_id, message=message), by, 0))

    def fail(self, ask_id: int, reason: AskFailure) -> None:
        """No reply will come."""
        pending = self._close(ask_id)
        if pending is None:
            return
        if pending.resolve is not None:
            pending.resolve(reason)
        elif pending.asker is not None:
            failed = AskFailed(ask_id=ask_id, to=pending.to.name, reason=reason)
            self._dispatcher.post(pending.asker.address, (failed, pending.to, 0))

    def forget(self, ask_id: int) -> None:
        """Nobody waits for it any more."""
        self._close(ask_id)

    def life_ended(self, cell: Cell) -> None:
        """Forget what the ended life asked; fail what it owed, except what still waits in its mailbox."""
        for ask_id in list(cell.asked):
            self.forget(ask_id)
        if cell.owed:
            waiting = {ask for _, _, ask in (*cell.box.early, *cell.box.queue)}
            for ask_id in [ask for ask in cell.owed if ask not in waiting]:
                self.fail(ask_id, "actor_died")

    def _close(self, ask_id: int) -> Pending | None:
        pending = self._open.pop(ask_id, None)
        if pending is not None:
            self._dispatcher.timers.cancel(pending.timer)
            if pending.asker is not None:
                pending.asker.asked.pop(ask_id, None)
            target = self._dispatcher.cells.get(pending.to)
            if target is not None:
                target.owed.pop(ask_id, None)
        return pending
