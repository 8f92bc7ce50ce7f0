"""The Trio shell: one task turns the dispatcher, one task runs each port. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.report import Progress, TreeReport
from supervisor.spec import Branch
from supervisor.world import World

Subscriber = Callable[[Message], None]


class Runtime:
    """A running tree, as the rest of the process sees it."""

    def tree(self) -> TreeReport:
        raise NotImplementedError

    def progress(self) -> list[Progress]:
        raise NotImplementedError

    def tell(self, to: Address, message: Message) -> bool:
        """From any Trio task of this process; False if it was not taken."""
        raise NotImplementedError

    def tell_from_thread(self, to: Address, message: Message) -> None:
        """From any thread, or from a signal handler."""
        raise NotImplementedError

    async def ask(self, to: Address, question: Message, *, timeout_s: float) -> Message:
        """From any Trio task. Raises ActorDied, Overloaded or AskTimeout."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the tree in order, right to left; `run` then returns."""
        raise NotImplementedError

    def crash(self, name: str) -> None:
        """Crash the child called `name`: with the next message in its hand, or at once if it has none."""
        raise NotImplementedError


async def run(
    tree: Branch,
    *,
    world: World | None = None,
    subscribers: Sequence[Subscriber] = (),
    task_status: trio.TaskStatus[Runtime] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the tree until it is stopped. `task_status` gets the Runtime once the root is ready.

    Raises StartFailed if the first start fails, TreeGaveUp if the root gives up. Cancelling it stops the
    tree in order.
    """
    raise NotImplementedError
