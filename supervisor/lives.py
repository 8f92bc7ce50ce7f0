"""How a life begins and ends: what is built, what is kept, who is told. Who gets another life is
`supervision`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from supervisor.actor import Actor
from supervisor.effects import Life
from supervisor.errors import ChaosCrash, Halt, Overran, StartTimedOut
from supervisor.events import ActorOverran, ChildReady, ChildStarted, ChildStopped, ChildStuck
from supervisor.handlers import handlers_of
from supervisor.mailbox import Envelope
from supervisor.message import Down, DownReason, Lane, Message
from supervisor.node import Cell, State
from supervisor.policy import End
from supervisor.reports import RawCrash
from supervisor.spec import Restart

if TYPE_CHECKING:
    from supervisor.dispatcher import Dispatcher
    from supervisor.mailbox import Address
    from supervisor.port import Port

# A message that survives restarts, and ended this many lives in a row, is the cause: it goes to the dead
# letters.
POISON_LIVES = 3
# In hand while `started` or `stopping` runs.
NOTHING = Message()


class PortShell(Protocol):
    """What runs the ports: Trio tasks in life."""

    def begin(self, cell: Cell, port: Port) -> None:
        """Start a life; `Lives.port_ended` must be called when it has ended."""

    def cancel(self, cell: Cell) -> None:
        """Ask the life to end."""

    def stuck(self, cell: Cell) -> None:
        """It did not end in time: nothing in this process can end it."""


class Lives:
    """Begins and ends the lives of every cell of one dispatcher."""

    def __init__(self, dispatcher: Dispatcher, ports: PortShell) -> None:
        self._dispatcher = dispatcher
        self._ports = ports

    # -- beginning ---------------------------------------------------------------------------------------

    def begin(self, cell: Cell) -> None:
        """A new life. It is STARTING, or RUNNING already, or has ENDED already, when this returns."""
        dispatcher = self._dispatcher
        cell.incarnation += 1
        cell.closed = False
        cell.ready_ns = None
        cell.doom = None
        cell.started_ns = dispatcher.now_ns
        cell.enter(State.STARTING, dispatcher.now_ns)
        dispatcher.publish(ChildStarted(name=cell.name, incarnation=cell.incarnation))
        try:
            child = cell.spec.start()
            actor = child if isinstance(child, Actor) else None
            handlers = handlers_of(type(actor)) if actor is not None else None
        except Exception as error:  # noqa: BLE001 - a factory that raises is a crash of its child
            self.crashed(cell, None, error)
            return
        if actor is None:
            assert not isinstance(child, Actor)
            cell.is_port = True
            self._ports.begin(cell, child)
        else:
            actor._life = Life(dispatcher, cell)
            cell.actor, cell.handlers = actor, handlers
            if type(actor).started is Actor.started:
                self.ready(cell)
            else:
                dispatcher.guard(cell, self._no_message(), type(actor).started)
        dispatcher.schedule(cell)
        if cell.state is State.STARTING:
            at_ns = dispatcher.now_ns + int(cell.spec.start_timeout_s * 1e9)
            cell.timer = dispatcher.timers.set(at_ns, self._start_timed_out, cell)

    def ready(self, cell: Cell) -> None:
        """The child called `ready()`; calling it again means nothing."""
        if cell.state is not State.STARTING:
            return
        dispatcher = self._dispatcher
        self._cancel_timer(cell)
        cell.ready_ns = dispatcher.now_ns
        cell.plain = cell.box.simple
        cell.enter(State.RUNNING, dispatcher.now_ns)
        took_s = (dispatcher.now_ns - cell.started_ns) / 1e9
        dispatcher.publish(ChildReady(name=cell.name, incarnation=cell.incarnation, took_s=took_s))
        dispatcher.schedule(cell)
        dispatcher.supervision.became_ready(cell)

    def _start_timed_out(self, cell: Cell) -> None:
        limit = cell.spec.start_timeout_s
        self.doom(cell, StartTimedOut(f"{cell.name} was not ready() within start_timeout_s = {limit:g} s"))

    # -- ending ------------------------------------------------------------------------------------------

    def stop(self, cell: Cell) -> None:
        """Ask a life to end. An actor has ended when this returns; a port gets `stop_timeout_s`."""
        dispatcher = self._dispatcher
        self._cancel_timer(cell)
        cell.plain = False
        cell.enter(State.STOPPING, dispatcher.now_ns)
        actor = cell.actor
        if actor is None:
            self._cancel_port(cell)
            return
        dispatcher.guard(cell, self._no_message(), type(actor).stopping)
        if cell.state is State.STOPPING:
            self._ended(cell, "stopped", End.STOPPED, None)

    def finish(self, cell: Cell) -> None:
        """The actor wants no more of this life."""
        if cell.actor is not None and cell.alive:
            self._ended(cell, "finished", End.FINISHED, None)

    def crashed(self, cell: Cell, envelope: Envelope | None, error: BaseException) -> None:
        """A life raised, with this in hand; nothing of what that handler did is released."""
        dispatcher = self._dispatcher
        dispatcher.effects.clear()
        if envelope is not None:
            self._hand_back(cell, envelope)
        self.report(cell, envelope, error)
        if isinstance(error, Overran):
            event = ActorOverran(
                name=cell.name,
                incarnation=cell.incarnation,
                message_type=_type_of(envelope),
                ran_s=error.ran_s,
            )
            dispatcher.publish(event)
        self._ended(cell, "crashed", self._judge(cell, error), error)

    def interrupted(self, cell: Cell, error: BaseException) -> None:
        """KeyboardInterrupt or SystemExit: never a reason to restart, always one to stop everything."""
        self._dispatcher.effects.clear()
        self._ended(cell, "stopped", End.STOPPED, None)
        self._dispatcher.supervision.interrupt(error)

    def port_ended(
        self, cell: Cell, in_hand: list[tuple[Envelope, bool]], error: BaseException | None
    ) -> None:
        """The task of a port has ended. `in_hand`: what it had received and not settled, and whether it was
        written."""
        for envelope, written in in_hand:
            if not self.bounce(cell, envelope, written=written):
                self._dispatcher.bury(cell.name, "crashed", envelope)
        stopping = cell.state is State.STOPPING and cell.doom is None
        error = cell.doom or error
        if error is not None and not isinstance(error, Exception):
            self._ended(cell, "stopped", End.STOPPED, None)
            self._dispatcher.supervision.interrupt(error)
            return
        if error is not None:
            # Also when it crashed while it was being stopped: that is a bug, though nothing is restarted
            # for it.
            self.report(cell, None, error)
        if stopping:
            self._ended(cell, "stopped", End.STOPPED, None)
        elif error is None:
            self._ended(cell, "finished", End.FINISHED, None)
        else:
            self._ended(cell, "crashed", self._judge(cell, error), error)

    def chaos(self, cell: Cell) -> None:
        """Crash the present life as if by itself."""
        self.doom(cell, ChaosCrash(f"{cell.name} was asked to crash"))

    def doom(self, cell: Cell, error: Exception) -> None:
        """Crash a life from outside: at once, or, if it has messages to read, with the next one in its
        hand."""
        if not cell.alive or cell.doom is not None or cell.state is State.STOPPING:
            return
        if cell.is_port:
            self._cancel_timer(cell)
            cell.doom = error
            self._cancel_port(cell)
        elif isinstance(error, ChaosCrash) and cell.scheduled:
            cell.doom = error
        else:
            self.crashed(cell, None, error)

    def _ended(self, cell: Cell, reason: DownReason, end: End, error: BaseException | None) -> None:
        dispatcher = self._dispatcher
        self._cancel_timer(cell)
        if cell.timers:
            for timer in cell.timers.values():
                dispatcher.timers.cancel(timer)
            cell.timers.clear()
        if end is End.FINISHED and cell.ready_ns is None:
            # It never was what its siblings wait for.
            end = End.UNREADY if cell.spec.restart is Restart.PERMANENT else End.FINISHED
        cell.actor = cell.handlers = cell.wake = None
        cell.plain = False
        cell.enter(State.ENDED, dispatcher.now_ns)
        self._sift(cell)
        if cell.asked or cell.owed:
            dispatcher.asks.life_ended(cell)
        if cell.watchers:
            self._tell_watchers(cell, reason)
        if reason != "crashed":
            dispatcher.publish(ChildStopped(name=cell.name, incarnation=cell.incarnation, reason=reason))
        dispatcher.supervision.ended(cell, end, error)

    def _judge(self, cell: Cell, error: BaseException) -> End:
        if cell.state is State.STOPPING and cell.doom is None:
            return End.STOPPED
        if isinstance(error, Halt):
            return End.HALTED
        return End.UNREADY if cell.ready_ns is None else End.CRASHED

    # -- what is kept ------------------------------------------------------------------------------------

    def close(self, cell: Cell) -> None:
        """No life will follow: what waits, and what is told from now on, goes to the dead letters."""
        cell.closed = True
        for envelope in cell.box.clear():
            if not (cell.is_port and self.bounce(cell, envelope, written=False)):
                self._dispatcher.bury(cell.name, "flushed", envelope)
        self._dispatcher.wake_for_room(cell)

    def bounce(self, cell: Cell, envelope: Envelope, *, written: bool) -> bool:
        """Tell the sender what became of a message that a port did not settle; False if its class does not
        say."""
        message, sender, ask = envelope
        back = message.undelivered(written)
        if back is None:
            return False
        if ask:
            self._dispatcher.asks.answer(ask, back, cell.address)
        elif sender is not None:
            self._dispatcher.post(sender, (back, cell.address, 0), exempt=True)
        return True

    def _sift(self, cell: Cell) -> None:
        """Flush the mailbox of what a new life must not act on."""
        if cell.box.only_facts(cell.spec.ports) and not cell.is_port:
            return
        gone = cell.box.sift(
            # A kill that nobody has read yet is never old.
            keep=lambda envelope: envelope[0].survives_restart or envelope[0].lane is Lane.SYSTEM,
            early=lambda envelope: cell.passes(envelope, ()),
        )
        for envelope in gone:
            if not (cell.is_port and self.bounce(cell, envelope, written=False)):
                self._dispatcher.bury(cell.name, "flushed", envelope)

    def _hand_back(self, cell: Cell, envelope: Envelope) -> None:
        message = envelope[0]
        if message is NOTHING:
            return
        if not message.survives_restart:
            self._dispatcher.bury(cell.name, "crashed", envelope)
            return
        # The same object: two equal facts are two facts.
        cell.poison_lives = cell.poison_lives + 1 if cell.poison is message else 1
        cell.poison = message
        if cell.poison_lives >= POISON_LIVES:
            cell.poison, cell.poison_lives = None, 0
            self._dispatcher.bury(cell.name, "poison", envelope)
        else:
            cell.box.put_back(envelope, early=bool(cell.box.early) or cell.state is State.STARTING)

    # -- who is told -------------------------------------------------------------------------------------

    def watch(self, watcher: Cell, address: Address) -> None:
        """The present life of `watcher` hears of every end of a life at `address`."""
        dispatcher = self._dispatcher
        cell = dispatcher.cells.get(address)
        if cell is not None:
            cell.watchers[watcher] = watcher.incarnation
        if cell is None or cell.closed or (cell.incarnation > 0 and not cell.alive):
            down = Down(name=address.name, reason="not_running")
            dispatcher.post(watcher.address, (down, address, 0))

    def _tell_watchers(self, cell: Cell, reason: DownReason) -> None:
        for watcher, incarnation in list(cell.watchers.items()):
            if watcher.alive and watcher.incarnation == incarnation:
                down = Down(name=cell.name, reason=reason)
                self._dispatcher.post(watcher.address, (down, cell.address, 0))
            else:
                del cell.watchers[watcher]

    def report(self, cell: Cell, envelope: Envelope | None, error: BaseException) -> None:
        """Note a crash, to be formatted later."""
        dispatcher = self._dispatcher
        wall_ns = dispatcher.world.wall_ns()
        crash = RawCrash(cell, cell.name, cell.incarnation, error, _type_of(envelope), cell.restarts, wall_ns)
        event = dispatcher.crashes.add(crash)
        if event is not None:
            dispatcher.publish(event)

    def report_outsider(self, name: str, error: BaseException) -> None:
        """Note the crash of something that is no child."""
        crash = RawCrash(None, name, 0, error, None, 0, self._dispatcher.world.wall_ns())
        event = self._dispatcher.crashes.add(crash)
        if event is not None:
            self._dispatcher.publish(event)

    # -- ports -------------------------------------------------------------------------------------------

    def _cancel_port(self, cell: Cell) -> None:
        dispatcher = self._dispatcher
        at_ns = dispatcher.now_ns + int(cell.spec.stop_timeout_s * 1e9)
        cell.timer = dispatcher.timers.set(at_ns, self._stuck, cell)
        self._ports.cancel(cell)

    def _stuck(self, cell: Cell) -> None:
        self._dispatcher.publish(ChildStuck(name=cell.name, waited_s=cell.spec.stop_timeout_s))
        self._ports.stuck(cell)

    # -- small things ------------------------------------------------------------------------------------

    def _cancel_timer(self, cell: Cell) -> None:
        if cell.timer is not None:
            self._dispatcher.timers.cancel(cell.timer)
            cell.timer = None

    def _no_message(self) -> Envelope:
        # A new tuple each time: the overrun guard tells one call from the next by it.
        return (NOTHING, None, 0)


def _type_of(envelope: Envelope | None) -> str | None:
    return None if envelope is None or envelope[0] is NOTHING else type(envelope[0]).__name__
