"""What a life may do to the rest of the tree: written down while its handler runs, done when the handler
has returned.

An effect is (destination, message, ask id) for a message, and (None, operation, arguments) for anything
else; one list for the whole process, since only one handler runs at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from supervisor.mailbox import Address
from supervisor.message import Message

if TYPE_CHECKING:
    from supervisor.dispatcher import Dispatcher
    from supervisor.node import Cell

Effect = tuple[Address | None, Any, Any]

# An actor that sets timers without end is a leak with a delay.
TIMERS_MAX = 10_000


class Asker(NamedTuple):
    """Whom to answer, and which of its questions (0: it only told)."""

    address: Address | None
    ask: int


class Life:
    """One incarnation of one actor, as `Actor` sees the runtime."""

    __slots__ = ("address", "cell", "effects", "incarnation", "turn")

    def __init__(self, dispatcher: Dispatcher, cell: Cell) -> None:
        self.turn = dispatcher
        self.cell = cell
        self.address = cell.address
        self.incarnation = cell.incarnation
        self.effects: list[Effect] = dispatcher.effects

    def asker(self) -> Asker:
        _, sender, ask = self.turn.hand
        return Asker(sender, ask)

    def ready(self) -> None:
        self._later(self.turn.lives.ready, self.cell)

    def finish(self) -> None:
        self._later(self.turn.lives.finish, self.cell)

    def reply(self, message: Message, to: Asker | None) -> None:
        address, ask = to or self.asker()
        if ask:
            self._later(self.turn.asks.answer, ask, message, self.address)
        elif address is not None:
            self.effects.append((address, message, 0))
        else:
            self._later(self.turn.nobody, message)

    def ask(self, to: Address, question: Message, timeout_s: float) -> int:
        ask_id = self.turn.asks.new_id()
        self._later(self.turn.asks.open, ask_id, self.cell, to, timeout_s)
        self.effects.append((to, question, ask_id))
        return ask_id

    def after(self, delay_s: float, message: Message) -> int:
        if len(self.cell.timers) >= TIMERS_MAX:
            raise RuntimeError(
                f"{self.address.name}: {TIMERS_MAX} timers are set already; cancel or wait for some"
            )
        timer_id = self.turn.new_timer_id()
        self._later(self.turn.set_timer, self.cell, timer_id, delay_s, message)
        return timer_id

    def cancel_timer(self, timer_id: int) -> None:
        self._later(self.turn.cancel_timer, self.cell, timer_id)

    def watch(self, address: Address) -> None:
        self._later(self.turn.lives.watch, self.cell, address)

    def publish(self, event: Message) -> None:
        self._later(self.turn.publish, event)

    def _later(self, operation: Any, *arguments: Any) -> None:
        self.effects.append((None, operation, arguments))
