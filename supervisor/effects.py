"""What a life may do to the rest of the tree, buffered until its handler returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from supervisor.flags import Flags
from supervisor.mailbox import Address, Envelope
from supervisor.message import Message
from supervisor.world import World


class Asker(NamedTuple):
    """Whom to answer, and which of its questions (0: it only told)."""

    address: Address | None
    ask: int


# (destination, message, ask id), or (None, operation, arguments).
Effect = tuple[Address | None, Any, Any]


class Turn:
    """What all lives of a process share while one handler runs."""

    now_ns: int
    hand: Envelope
    world: World
    flags: Flags


class Life:
    """One incarnation of one child, as its actor sees it."""

    address: Address
    incarnation: int
    turn: Turn
    effects: list[Effect]

    def asker(self) -> Asker:
        raise NotImplementedError

    def ready(self) -> None:
        raise NotImplementedError

    def reply(self, message: Message, to: Asker | None) -> None:
        raise NotImplementedError

    def ask(self, to: Address, question: Message, timeout_s: float) -> int:
        raise NotImplementedError

    def after(self, delay_s: float, message: Message) -> int:
        raise NotImplementedError

    def cancel_timer(self, timer_id: int) -> None:
        raise NotImplementedError

    def watch(self, address: Address) -> None:
        raise NotImplementedError

    def publish(self, event: Message) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError
