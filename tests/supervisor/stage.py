"""A running tree under Trio for the tests of ports: ports that do what a function says, and everything the
tree published."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from cast import Fact

from supervisor.errors import TreeGaveUp
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import PortLink
from supervisor.runtime import Runtime, run
from supervisor.spec import Branch, Child

A, P, Q = Address("a"), Address("p"), Address("q")
Body = Callable[[PortLink], Awaitable[None]]


class Order(Message, frozen=True):
    """What a port may die with."""

    number: int

    def undelivered(self, written: bool) -> Message:
        return Fact(text=f"{self.number} {'unknown' if written else 'not sent'}")


class Bodied:
    """A port that does what a function says."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def run(self, link: PortLink) -> None:
        await self._body(link)


def port(address: Address, body: Body, **spec: Any) -> Child:
    return Child(address, lambda: Bodied(body), **spec)


async def echo(link: PortLink) -> None:
    link.ready()
    while True:
        message = await link.receive()
        link.reply(message)


class Scene:
    """A running tree, and everything it said."""

    def __init__(self) -> None:
        self.runtime: Runtime
        self.events: list[Message] = []
        self.last_words: list[str] = []
        self.result: BaseException | None = None

    def of(self, kind: type[Message]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def incarnation(self, address: Address) -> int:
        return self.runtime.dispatcher.cells[address].incarnation


@asynccontextmanager
async def running(tree: Branch) -> AsyncIterator[Scene]:
    scene = Scene()
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[Runtime]) -> None:
            try:
                await run(
                    tree,
                    subscribers=[scene.events.append],
                    last_resort=scene.last_words.append,
                    task_status=task_status,
                )
            except (TreeGaveUp, KeyboardInterrupt) as error:
                scene.result = error

        scene.runtime = await nursery.start(serve)
        yield scene
        scene.runtime.stop()
