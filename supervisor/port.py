"""Port: one Trio task that owns one piece of the outside: a socket, an HTTP client, a file.

Write what it decides as a pure session (bytes and events in, deeds out; no Trio, no clock), and let `run`
only carry bytes. A port may wait, for the outside and for room in a mailbox; an actor may not. Returning or
raising ends this life, and the supervisor decides on the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from supervisor.errors import ActorDied as ActorDied
from supervisor.errors import AskTimeout as AskTimeout
from supervisor.errors import Halt as Halt
from supervisor.errors import Overloaded as Overloaded

if TYPE_CHECKING:
    from supervisor.effects import Asker
    from supervisor.flags import Flags
    from supervisor.mailbox import Address
    from supervisor.message import Message
    from supervisor.world import World


class Port(Protocol):
    """One life of one piece of the outside."""

    async def run(self, link: PortLink) -> None:
        """Must let itself be cancelled; clean-up waits only inside bounded shields
        (`with trio.move_on_after(1, shield=True)`), within the child's `stop_timeout_s`."""


class PortLink(Protocol):
    """A port's side of its mailbox, and its way into the tree.

    A received message is *in hand* until `done(message)` or `reply`; only classes that define `undelivered`
    are tracked. When the port dies, their senders are told what `undelivered(written)` says, for those in
    hand and those still in the inbox.
    """

    @property
    def address(self) -> Address: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def now_ns(self) -> int: ...
    @property
    def now_s(self) -> float: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def world(self) -> World: ...
    @property
    def flags(self) -> Flags: ...

    @property
    def sender(self) -> Address | None:
        """Who sent the message that was received last."""

    @property
    def asker(self) -> Asker:
        """Whom `reply` would answer; keep it to answer out of order."""

    async def receive(self) -> Message:
        """The next message of the inbox, waiting for it."""

    def receive_nowait(self) -> Message | None: ...

    async def receive_batch(self, limit: int = 64) -> list[Message]:
        """At least one, at most `limit`: one write for all of them."""

    def written(self, message: Message) -> None:
        """Call it before the first byte of `message` may leave: from now on its outcome is unknown, not
        "not sent"."""

    def done(self, message: Message) -> None:
        """The outcome of `message` is known; its sender is owed nothing."""

    def reply(self, message: Message, to: Asker | None = None) -> None: ...

    def tell(self, to: Address, message: Message) -> bool:
        """Put it into the mailbox at once. False: it was full (REFUSE), or nobody will read it."""

    def hand_over(self, told: Iterable[tuple[Address, Message]]) -> None:
        """Tell each, and let the actors handle them before this returns, if the loop has nothing else to do.
        For what comes from outside and cannot wait for a pass of the loop; nothing may be half done meanwhile,
        since the messages that they cause can arrive here at once. What is not taken is a dead letter."""

    async def deliver(self, to: Address, message: Message) -> None:
        """Like tell, but wait for room. For facts that must not be lost; do not read the socket meanwhile.
        Raises ActorDied if the address will have no more lives."""

    async def ask(self, to: Address, question: Message, *, timeout_s: float) -> Message:
        """Wait for the answer. Raises ActorDied, Overloaded or AskTimeout."""

    def watch(self, address: Address) -> None:
        """A `Down` arrives in the inbox whenever a life at `address` ends."""

    def ready(self) -> None:
        """End STARTING."""

    def publish(self, event: Message) -> None: ...
