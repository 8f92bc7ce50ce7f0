"""Actor: what a program writes. Synchronous handlers, one per message type; nothing they do leaves before
they return.

    class Greeter(Actor):
        def on_hello(self, message: Hello) -> None:
            self.reply(Welcome(name=message.name))

A handler never waits. Its tells, asks, timers, watches and published events are buffered, and released
together when it returns; if it raises, none of them ever happened, the object is thrown away and its
factory builds the next life. So a handler is all or nothing, there is no re-entrancy, and a crash has one
exact place. Whatever must wait is a Port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.errors import Halt as Halt
from supervisor.errors import HandlerError as HandlerError
from supervisor.mailbox import Address
from supervisor.message import Message

if TYPE_CHECKING:
    from supervisor.effects import Asker, Life
    from supervisor.flags import Flags
    from supervisor.world import World


class Actor:
    """Subclass it and write `on_<anything>(self, message: SomeMessage) -> None`; the annotation, one class
    or a union of them, decides what it gets. A message that no handler takes is a dead letter."""

    # Set by the runtime before `started`; an actor must not use what follows in its own __init__.
    _life: Life

    # -- what an actor may override ----------------------------------------------------------------

    def started(self) -> None:
        """The first thing of each life. Override it to ask first, and call `ready()` later, in a handler."""
        self.ready()

    def stopping(self) -> None:
        """The last thing of a life that was asked to stop; what it tells is still released. Not called
        after a crash."""

    # -- what an actor knows -----------------------------------------------------------------------

    @property
    def address(self) -> Address:
        return self._life.address

    @property
    def incarnation(self) -> int:
        """1 in the first life."""
        return self._life.incarnation

    @property
    def now_ns(self) -> int:
        """Monotonic nanoseconds; the same throughout one handler."""
        return self._life.turn.now_ns

    @property
    def now_s(self) -> float:
        """Monotonic seconds; the same throughout one handler."""
        return self._life.turn.now_ns / 1e9

    @property
    def wall_ns(self) -> int:
        """Nanoseconds of UTC since 1970, for stamps on what leaves the process."""
        return self._life.turn.world.wall_ns()

    @property
    def world(self) -> World:
        return self._life.turn.world

    @property
    def flags(self) -> Flags:
        """The process-wide flags that system messages raise and lower at once."""
        return self._life.turn.flags

    @property
    def sender(self) -> Address | None:
        """Who sent the message in hand; None if it came from outside the tree."""
        return self._life.turn.hand[1]

    @property
    def asker(self) -> Asker:
        """Whom `reply` would answer. Keep it to answer after this handler has returned."""
        return self._life.asker()

    # -- what an actor does: buffered, released when the handler returns ---------------------------

    def ready(self) -> None:
        """End STARTING: the messages that were held are delivered from now on."""
        self._life.ready()

    def tell(self, to: Address, message: Message) -> None:
        self._life.effects.append((to, message, 0))

    def reply(self, message: Message, to: Asker | None = None) -> None:
        """Answer the message in hand, or the one whose `asker` was kept: completes an ask, tells a teller."""
        self._life.reply(message, to)

    def ask(self, to: Address, question: Message, *, timeout_s: float) -> int:
        """Returns an ask id; exactly one `Answer` or `AskFailed` that bears it will follow within
        `timeout_s`."""
        return self._life.ask(to, question, timeout_s)

    def after(self, delay_s: float, message: Message) -> int:
        """Deliver `message` to this life after `delay_s` seconds; returns a timer id. Timers die with the
        life."""
        return self._life.after(delay_s, message)

    def cancel_timer(self, timer_id: int) -> None:
        """Once the handler has returned the timer will not fire; one that has fired already is let be."""
        self._life.cancel_timer(timer_id)

    def watch(self, address: Address) -> None:
        """From now on, and for the rest of this life, a `Down` follows the end of each life at `address`:
        after its last words. At once if it is down already."""
        self._life.watch(address)

    def publish(self, event: Message) -> None:
        """Hand an event to the process's subscribers (logs, pages, status)."""
        self._life.publish(event)

    def finish(self) -> None:
        """End this life when the handler returns, without a crash; a TRANSIENT child then stays down."""
        self._life.finish()
