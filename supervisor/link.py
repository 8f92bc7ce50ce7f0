"""A port's side of the runtime: its inbox, its tells and asks, and the record of what it has in hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from supervisor.effects import Asker
from supervisor.errors import ActorDied, AskTimeout, Overloaded
from supervisor.mailbox import Address, Envelope
from supervisor.message import AskFailure, Message
from supervisor.node import Cell, State

if TYPE_CHECKING:
    from supervisor.flags import Flags
    from supervisor.runtime import Runtime
    from supervisor.world import World

# So many receives or deliveries in a row may go without giving the loop back.
WITHOUT_YIELD_MAX = 16


class Link:
    """One life's `PortLink`. Everything happens on the Trio thread."""

    def __init__(self, runtime: Runtime, cell: Cell) -> None:
        self._runtime = runtime
        self._dispatcher = runtime.dispatcher
        self._cell = cell
        self.incarnation = cell.incarnation
        self.scope = trio.CancelScope()
        self._waiting: trio.lowlevel.Task | None = None
        self._last: Envelope = (Message(), None, 0)
        # By identity: two equal messages are two. Insertion order is the order of arrival.
        self._in_hand: dict[int, tuple[Envelope, bool]] = {}
        self._without_yield = 0

    # -- what it knows -----------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        return self._cell.address

    @property
    def now_ns(self) -> int:
        return self._dispatcher.world.monotonic_ns()

    @property
    def now_s(self) -> float:
        return self.now_ns / 1e9

    @property
    def wall_ns(self) -> int:
        return self._dispatcher.world.wall_ns()

    @property
    def world(self) -> World:
        return self._dispatcher.world

    @property
    def flags(self) -> Flags:
        return self._dispatcher.flags

    @property
    def sender(self) -> Address | None:
        return self._last[1]

    @property
    def asker(self) -> Asker:
        return Asker(self._last[1], self._last[2])

    # -- receiving ---------------------------------------------------------------------------------------

    def receive_nowait(self) -> Message | None:
        cell = self._cell
        box = cell.box
        box.note_depth()
        envelope = box.take(held=cell.state is State.STARTING)
        if envelope is None:
            return None
        cell.done += 1
        cell.waiting_ns = self._dispatcher.now_ns
        if cell.room:
            self._dispatcher.wake_for_room(cell)
        self._last = envelope
        self._track(envelope)
        return envelope[0]

    async def receive(self) -> Message:
        while True:
            message = self.receive_nowait()
            if message is not None:
                await self._maybe_yield()
                return message
            await self._wait_for_message()

    async def receive_batch(self, limit: int = 64) -> list[Message]:
        batch = [await self.receive()]
        while len(batch) < limit:
            message = self.receive_nowait()
            if message is None:
                break
            batch.append(message)
        return batch

    def wake(self) -> None:
        """There is something to read, or a reason to look."""
        if self._waiting is not None:
            task, self._waiting = self._waiting, None
            self._runtime.port_woken = True
            trio.lowlevel.reschedule(task)

    async def _wait_for_message(self) -> None:
        # Nothing runs between the look into the mailbox and this, so no wake-up can be lost.
        self._waiting = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._waiting = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._without_yield = 0
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def _maybe_yield(self) -> None:
        self._without_yield += 1
        if self._without_yield >= WITHOUT_YIELD_MAX:
            self._without_yield = 0
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()

    # -- what it owes ------------------------------------------------------------------------------------

    def _track(self, envelope: Envelope) -> None:
        message = envelope[0]
        if type(message).undelivered is Message.undelivered:
            return
        if len(self._in_hand) >= self._cell.bound:
            raise RuntimeError(
                f"{self._cell.name} has {len(self._in_hand)} messages in hand: "
                "call link.done(message) or link.reply when the outcome of one is known"
            )
        self._in_hand[id(message)] = (envelope, False)

    def written(self, message: Message) -> None:
        held = self._in_hand.get(id(message))
        if held is not None:
            self._in_hand[id(message)] = (held[0], True)

    def done(self, message: Message) -> None:
        self._in_hand.pop(id(message), None)

    def in_hand(self) -> list[tuple[Envelope, bool]]:
        """What was received and is not settled, in the order of arrival, and whether it was written."""
        return list(self._in_hand.values())

    # -- sending -----------------------------------------------------------------------------------------

    def tell(self, to: Address, message: Message) -> bool:
        self._dispatcher.touch()
        taken = self._dispatcher.post(to, (message, self.address, 0))
        self._runtime.wake()
        return taken

    def hand_over(self, told: Iterable[tuple[Address, Message]]) -> None:
        self._dispatcher.touch()
        for to, message in told:
            self._dispatcher.post(to, (message, self.address, 0))
        self._runtime.turn_now()

    def reply(self, message: Message, to: Asker | None = None) -> None:
        address, ask = to or self.asker
        if to is None:
            self.done(self._last[0])
        self._dispatcher.touch()
        if ask:
            self._dispatcher.asks.answer(ask, message, self.address)
        elif address is not None:
            self._dispatcher.post(address, (message, self.address, 0))
        else:
            self._dispatcher.nobody(message)
        self._runtime.wake()

    async def deliver(self, to: Address, message: Message) -> None:
        cell = self._dispatcher.cells.get(to)
        while True:
            if cell is None or cell.closed:
                raise ActorDied(
                    f"{to.name} will have no more lives; {type(message).__name__} was not delivered"
                )
            if not cell.box.full:
                self.tell(to, message)
                await self._maybe_yield()
                return
            await self._wait_for_room(cell)

    async def _wait_for_room(self, cell: Cell) -> None:
        task = trio.lowlevel.current_task()
        waiting = True

        def wake() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                trio.lowlevel.reschedule(task)

        def abort(_: object) -> trio.lowlevel.Abort:
            nonlocal waiting
            waiting = False
            if wake in cell.room:
                cell.room.remove(wake)
            return trio.lowlevel.Abort.SUCCEEDED

        cell.room.append(wake)
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def ask(self, to: Address, question: Message, *, timeout_s: float) -> Message:
        return await ask(self._runtime, self._cell, to, question, timeout_s)

    # -- the rest ----------------------------------------------------------------------------------------

    def watch(self, address: Address) -> None:
        self._dispatcher.touch()
        self._dispatcher.lives.watch(self._cell, address)
        self._runtime.wake()

    def ready(self) -> None:
        self._dispatcher.touch()
        self._dispatcher.lives.ready(self._cell)
        self._runtime.wake()

    def publish(self, event: Message) -> None:
        self._dispatcher.publish(event)
        self._runtime.wake()


async def ask(
    runtime: Runtime, asker: Cell | None, to: Address, question: Message, timeout_s: float
) -> Message:
    """Ask, and wait. Raises ActorDied, Overloaded or AskTimeout; cancelling it forgets the ask."""
    dispatcher = runtime.dispatcher
    asks = dispatcher.asks
    outcome: Message | AskFailure | None = None
    waiting: trio.lowlevel.Task | None = None

    def resolve(result: Message | AskFailure) -> None:
        nonlocal outcome, waiting
        outcome = result
        # Cleared first, and by `abort` too: to reschedule a task that no longer waits would end the whole
        # run.
        task, waiting = waiting, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def abort(_: object) -> trio.lowlevel.Abort:
        nonlocal waiting
        waiting = None
        asks.forget(ask_id)
        return trio.lowlevel.Abort.SUCCEEDED

    dispatcher.touch()
    ask_id = asks.new_id()
    asks.open(ask_id, asker, to, timeout_s, resolve)
    dispatcher.post(to, (question, asker.address if asker is not None else None, ask_id))
    runtime.wake()
    if outcome is None:
        waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
    else:
        await trio.lowlevel.checkpoint()
    if isinstance(outcome, Message):
        return outcome
    what = f"{type(question).__name__} to {to.name}"
    if outcome == "overloaded":
        raise Overloaded(f"{what}: its mailbox is full")
    if outcome == "timeout":
        raise AskTimeout(f"{what}: no answer within {timeout_s:g} s")
    raise ActorDied(f"{what}: its receiver has died, or has no life to come")
