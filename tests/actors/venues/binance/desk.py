"""A port of Binance in a real tree, with one actor in front of it that remembers everything it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from actors import messages as m
from supervisor.actor import Actor
from supervisor.events import Halted
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import Port
from supervisor.runtime import Runtime, run
from supervisor.spec import Backoff, Branch, Child, GiveUp, Strategy

Kind = TypeVar("Kind", bound=Message)
WAIT_S = 5.0


class Send(Message, frozen=True):
    """To the recorder: tell the port this, as its own wish."""

    message: Message


class Recorder(Actor):
    """Stands where orders, feed and risk stand."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_send(self, wish: Send) -> None:
        self.tell(self._desk.port, wish.message)

    def on_order(
        self,
        message: m.OrderReport
        | m.Fill
        | m.OrderRefusedByVenue
        | m.OrderNotSent
        | m.OrderOutcomeUnknown
        | m.NoSuchOrder
        | m.CancelRefused
        | m.CancelOutcomeUnknown
        | m.QueryFailed
        | m.AccountSnapshot
        | m.BalancesChanged,
    ) -> None:
        self._desk.heard(message)

    def on_venue(
        self,
        message: m.UserStreamUp
        | m.UserStreamDown
        | m.InstrumentRules
        | m.DepthSnapshot
        | m.SnapshotFailed
        | m.ClockMeasured
        | m.VenueTrouble,
    ) -> None:
        self._desk.heard(message)


class Desk:
    def __init__(self, bound: int) -> None:
        self.orders = Address("orders", bound=bound)
        self.port = Address("port")
        self.messages: list[Message] = []
        self.events: list[Message] = []
        self.runtime: Runtime
        self._changed = trio.Event()

    def heard(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()
        self._changed = trio.Event()

    def event(self, message: Message) -> None:
        self.events.append(message)
        self._changed.set()
        self._changed = trio.Event()

    def tell(self, wish: Message) -> None:
        """As orders: answers come back to it."""
        assert self.runtime.tell(self.orders, Send(message=wish))

    async def wait(self, kind: type[Kind], **fields: Any) -> Kind:
        """The next message of that kind with those fields (or the first one not yet waited for); it is then
        forgotten."""
        return await self.wait_for(
            lambda message: (
                isinstance(message, kind)
                and all(getattr(message, name) == value for name, value in fields.items())
            ),
            f"{kind.__name__} {fields}",
        )  # type: ignore[return-value]

    async def wait_for(self, matches: Callable[[Message], bool], what: str) -> Message:
        with trio.move_on_after(WAIT_S):
            while True:
                for index, message in enumerate(self.messages):
                    if matches(message):
                        return self.messages.pop(index)
                await self._changed.wait()
        raise AssertionError(f"no {what} within {WAIT_S} s; got {self.messages}, events {self.events}")

    async def halted(self) -> str:
        with trio.fail_after(WAIT_S):
            while True:
                for event in self.events:
                    if isinstance(event, Halted):
                        return event.error
                await self._changed.wait()


@asynccontextmanager
async def desk(
    make: Callable[[Desk], Port], *, bound: int = 10_000, away_s: float = 0.0
) -> AsyncIterator[Desk]:
    """The tree runs as long as the block. `bound` is of orders' mailbox; a crashed orders is away for
    `away_s`."""
    it = Desk(bound)
    tree = Branch(
        "desk",
        Strategy.ONE_FOR_ONE,
        (
            Child(it.orders, lambda: Recorder(it), backoff=Backoff(first_s=away_s)),
            # As in life: what a venue's port breaks on stays in the venue's branch.
            Branch(
                "venue", Strategy.ONE_FOR_ONE, (Child(it.port, lambda: make(it)),), on_give_up=GiveUp.ALONE
            ),
        ),
    )
    async with trio.open_nursery() as nursery:
        stopped = trio.Event()

        async def start(task_status: trio.TaskStatus[Runtime]) -> None:
            try:
                await run(tree, subscribers=[it.event], task_status=task_status)
            finally:
                stopped.set()

        it.runtime = await nursery.start(start)
        try:
            yield it
        finally:
            it.runtime.stop()
            with trio.move_on_after(5) as scope:
                await stopped.wait()
            nursery.cancel_scope.cancel()
            assert not scope.cancelled_caught, "the tree did not stop within 5 s"
