"""Runs the handlers of every actor of a process, one at a time. No trio, no I/O, no clock but the one it is
given.

Whoever owns it calls `turn` while `has_work`, or when `next_ns` has come: the Trio shell in life, a loop
that moves a simulated clock in tests. One turn is at most 256 messages or 2 ms, and one actor's share of it
0.5 ms, so that the sockets are never waiting long. Between any two messages the system queue is looked at:
a kill behind 20,000 ticks takes effect before the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from supervisor.asks import Asks
from supervisor.deadletters import DeadLetterBox, Reason
from supervisor.effects import Effect
from supervisor.flags import Flags
from supervisor.lives import Lives, PortShell
from supervisor.mailbox import Address, Envelope, Put
from supervisor.message import Answer, AskFailed, AskFailure, Lane, Message, Refused
from supervisor.node import BranchNode, Cell, State
from supervisor.reports import CrashReports
from supervisor.spec import Branch, check
from supervisor.supervision import Supervision
from supervisor.timers import NEVER_NS, Timers
from supervisor.world import World

TURN_MESSAGES = 256
TURN_NS = 2_000_000
SHARE_NS = 500_000
EVENTS_MAX = 10_000
SYSTEM_MAX = 10_000
DEAD_LETTERS_EVERY_NS = 1_000_000_000

# These pass while their receiver is STARTING: they answer what it has done itself.
REPLIES = (Answer, AskFailed, Refused)

_FAILURES: dict[Reason, AskFailure] = {"refused": "overloaded", "dropped": "overloaded"}
_NORMAL, _SYSTEM, _STARTING = Lane.NORMAL, Lane.SYSTEM, State.STARTING


class Dispatcher:
    """All cells of one process, their run queue, their timers and their asks."""

    def __init__(self, tree: Branch, world: World, ports: PortShell) -> None:
        check(tree)
        self.world = world
        self._clock = world.monotonic_ns
        self.now_ns = world.monotonic_ns()
        self.flags = Flags()
        self.effects: list[Effect] = []
        self.hand: Envelope = (Message(), None, 0)
        self.running: Cell | None = (
            None  # whose handler runs now; the overrun guard reads it from a signal handler
        )
        self.trace: Callable[[int, str, Message], None] | None = (
            None  # sees each message before its handler does
        )

        self.timers = Timers()
        self.asks = Asks(self)
        self.dead = DeadLetterBox()
        self.crashes = CrashReports()
        self.events: deque[Message] = deque()
        self.events_lost = 0

        self.root = BranchNode(tree)
        self.cells: dict[Address, Cell] = {cell.address: cell for cell in self.root.cells()}
        self._ready: deque[Cell] = deque()
        self._system: deque[tuple[Cell, Envelope]] = deque()
        self._last_timer_id = 0
        self._dead_letters_due = False
        self.lives = Lives(self, ports)
        self.supervision = Supervision(self, self.root)

    # -- turning -----------------------------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """Whether another turn would do something now."""
        return bool(self._ready or self._system or self.supervision.busy)

    @property
    def next_ns(self) -> int:
        """When a turn is needed though nothing happens meanwhile; NEVER_NS if at no time."""
        return self.timers.next_ns

    def touch(self) -> None:
        """Whoever calls in between two turns says first what time it is."""
        self.now_ns = self._clock()

    def turn(self) -> None:
        """Do what is due: at most 256 messages or 2 ms (and the rest of the handler that runs then)."""
        self.now_ns = began = self._clock()
        if self.timers.next_ns <= began:
            self.timers.fire(began)
        supervision = self.supervision
        if supervision.busy:
            supervision.step()
        left = TURN_MESSAGES
        while True:
            if self._system:
                self._deliver_system()
            if supervision.pending:
                supervision.settle()
            if not self._ready or left <= 0 or self.now_ns >= began + TURN_NS:
                return
            left = self._handle(left, began + TURN_NS)

    def _handle(self, left: int, until_ns: int) -> int:
        """Let runnable actors handle up to `left` messages; returns how many are left. Early, when a life has
        ended or a system message waits. The hot loop: what looks repeated here is a call saved."""
        ready, system, effects, clock = self._ready, self._system, self.effects, self._clock
        pending, trace, lottery = self.supervision.pending, self.trace, self.world.scheduling
        now = self.now_ns
        envelope: Envelope | None
        while ready and left > 0 and now < until_ns and not system and not pending:
            if lottery is not None:
                ready.rotate(-lottery.randrange(len(ready)))
            cell = ready.popleft()
            cell.scheduled = False
            handlers = cell.handlers
            if handlers is None:
                if cell.wake is not None:
                    cell.wake()
                continue
            actor, box, queue, before = cell.actor, cell.box, cell.queue, left
            simple, doom = cell.plain and not box.early, cell.doom
            if len(queue) > box.high_water:
                box.high_water = len(queue)
            self.running, envelope, share_ns = cell, None, now + SHARE_NS
            try:
                while left > 0:
                    if not simple:
                        envelope = box.take(held=cell.state is _STARTING)
                        if envelope is None:
                            break
                    elif queue:
                        envelope = queue.popleft()
                    else:
                        break
                    left -= 1
                    message = envelope[0]
                    handler = handlers[type(message)]
                    if handler is None:
                        self.bury(cell.name, "unhandled", envelope)
                        continue
                    self.hand = envelope
                    if trace is not None:
                        trace(now, cell.name, message)
                    handler(actor, message)
                    if doom is not None:
                        raise doom
                    if effects:
                        self.release(cell.address)
                    self.now_ns = now = clock()
                    if now >= share_ns or system or pending:
                        break
            except Exception as error:  # noqa: BLE001 - the one place where an actor's crash ends
                self.lives.crashed(cell, envelope, error)
            except BaseException as error:  # noqa: BLE001 - stops the tree, and is raised again when it has stopped
                self.lives.interrupted(cell, error)
            self.running = None
            cell.done += before - left
            if cell.room:
                self.wake_for_room(cell)
            if queue or not simple:
                self.schedule(cell)
        return left

    def wake_for_room(self, cell: Cell) -> None:
        """Wake the ports that wait for room in this mailbox, if there is some."""
        if not cell.box.full or cell.closed:
            waiting, cell.room = cell.room, []
            for wake in waiting:
                wake()

    def guard(self, cell: Cell, envelope: Envelope, function: Callable[..., None], *arguments: Any) -> None:
        """Call into an actor outside the run queue: system messages, `started`, `stopping`."""
        self.hand = envelope
        self.running = cell
        try:
            function(cell.actor, *arguments)
            self.running = None
            self.release(cell.address)
        except Exception as error:  # noqa: BLE001 - as in _handle
            self.lives.crashed(cell, envelope, error)
        except BaseException as error:  # noqa: BLE001 - as in _handle
            self.lives.interrupted(cell, error)
        self.running = None

    def _deliver_system(self) -> None:
        # Those that are told meanwhile are delivered after the next message, so two actors cannot hold the
        # loop here.
        for _ in range(len(self._system)):
            cell, envelope = self._system.popleft()
            handlers = cell.handlers
            if cell.closed:
                self.bury(cell.name, "nobody", envelope)
            elif handlers is None:
                # A port, or an actor between two lives: the first thing that it reads.
                cell.box.early.append(envelope)
                self.schedule(cell)
            else:
                handler = handlers[type(envelope[0])]
                if handler is None:
                    self.bury(cell.name, "unhandled", envelope)
                    continue
                if self.trace is not None:
                    self.trace(self.now_ns, cell.name, envelope[0])
                cell.done += 1
                self.guard(cell, envelope, handler, envelope[0])
                self.supervision.settle()

    # -- sending -----------------------------------------------------------------------------------------

    def release(self, sender: Address) -> None:
        """Do, in order, what the handler that has just returned wanted done."""
        last, plain = None, False
        for to, what, extra in self.effects:
            if to is None:
                what(*extra)
                last = None
                continue
            if to is not last:
                # Most handlers tell one receiver; several at a time, if they tell many things.
                cell = self.cells.get(to)
                last, plain = to, cell is not None and cell.plain
                if cell is not None:
                    queue, bound = cell.queue, cell.bound
            if plain and cell is not None and what.lane is _NORMAL and len(queue) < bound:
                queue.append((what, sender, extra))
                if not cell.scheduled:
                    cell.scheduled = True
                    cell.waiting_ns = self.now_ns
                    self._ready.append(cell)
            elif not self.post(to, (what, sender, extra)):
                self._refuse(to, what, sender, extra)
        self.effects.clear()

    def post(self, to: Address, envelope: Envelope, *, exempt: bool = False) -> bool:
        """Put a message into a mailbox; False if nobody will read it."""
        message = envelope[0]
        cell = self.cells.get(to)
        if message.lane is _SYSTEM:
            # Before anything else, and even if its receiver is gone: who reads the flag must not depend on
            # who listens.
            self.flags.told(message)
            if cell is not None and not cell.closed and len(self._system) < SYSTEM_MAX:
                self._system.append((cell, envelope))
                return True
        if cell is None or cell.closed:
            self.bury(to.name, "nobody", envelope)
            return False
        if cell.is_port and not cell.alive and self.lives.bounce(cell, envelope, written=False):
            return False
        if not cell.scheduled and not cell.queue:
            cell.waiting_ns = self.now_ns
        early = cell.state is not State.RUNNING and cell.passes(envelope, REPLIES)
        try:
            put, old = cell.box.put(envelope, early=early, exempt=exempt)
        except Exception as error:  # noqa: BLE001 - a `latest` key function raised: not the fault of the sender
            self.lives.report(cell, envelope, error)
            self.bury(to.name, "unhandled", envelope)
            return False
        if put is Put.REFUSED:
            self.bury(to.name, "refused", envelope)
            return False
        if put is Put.DROPPED and old is not None:
            self.bury(to.name, "dropped", old)
        elif old is not None and old[2]:
            self.asks.fail(old[2], "overloaded")
        self.schedule(cell)
        return True

    def schedule(self, cell: Cell) -> None:
        """Into the run queue, if it has something that it may read now."""
        if cell.scheduled or not cell.alive:
            return
        box = cell.box
        if (
            (cell.queue and cell.state is not _STARTING)
            or box.early
            or (cell.state is not _STARTING and len(box))
        ):
            cell.scheduled = True
            cell.waiting_ns = self.now_ns
            self._ready.append(cell)

    def _refuse(self, to: Address, message: Message, sender: Address, ask: int) -> None:
        cell, back = self.cells.get(to), self.cells.get(sender)
        # An ask has been told already. And a sender whose own mailbox is full is not told: that would grow
        # without end.
        if (
            cell is not None
            and not cell.closed
            and cell.box.full
            and not ask
            and back is not None
            and not back.box.full
        ):
            self.post(sender, (Refused(to=to.name, message_type=type(message).__name__), to, 0))

    def bury(self, to: str, reason: Reason, envelope: Envelope) -> None:
        """A dead letter; if it was a question, its asker is told."""
        self.dead.add(self.now_ns, to, reason, envelope[0])
        if envelope[2]:
            self.asks.fail(envelope[2], _FAILURES.get(reason, "actor_died"))
        if not self._dead_letters_due:
            self._dead_letters_due = True
            self.timers.set(self.now_ns + DEAD_LETTERS_EVERY_NS, self._publish_dead_letters)

    def nobody(self, message: Message) -> None:
        """A reply to a message that came from outside the tree."""
        self.bury("outside", "nobody", (message, None, 0))

    def _publish_dead_letters(self) -> None:
        self._dead_letters_due = False
        self.publish(self.dead.event())

    def publish(self, event: Message) -> None:
        if len(self.events) < EVENTS_MAX:
            self.events.append(event)
        else:
            self.events_lost += 1

    # -- timers ------------------------------------------------------------------------------------------

    def new_timer_id(self) -> int:
        self._last_timer_id += 1
        return self._last_timer_id

    def set_timer(self, cell: Cell, timer_id: int, delay_s: float, message: Message) -> None:
        at_ns = self.now_ns + max(0, int(delay_s * 1e9))
        cell.timers[timer_id] = self.timers.set(at_ns, self._timer_fired, cell, timer_id, message)

    def cancel_timer(self, cell: Cell, timer_id: int) -> None:
        timer = cell.timers.pop(timer_id, None)
        if timer is not None:
            self.timers.cancel(timer)

    def _timer_fired(self, cell: Cell, timer_id: int, message: Message) -> None:
        del cell.timers[timer_id]
        # A time-out that a full mailbox swallows would be a hang.
        self.post(cell.address, (message, cell.address, 0), exempt=True)


__all__ = ["NEVER_NS", "Dispatcher"]
