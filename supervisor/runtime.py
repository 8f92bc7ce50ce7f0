"""The Trio shell: one task turns the dispatcher, one task runs each port. Decides nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import trio

from supervisor.dispatcher import Dispatcher
from supervisor.errors import Halt, StartFailed, TreeGaveUp
from supervisor.lastresort import LastResort, end_process
from supervisor.link import Link, ask
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.node import Cell, State
from supervisor.overrun import OverrunGuard
from supervisor.policy import End
from supervisor.port import Port
from supervisor.report import Progress, TreeReport, progress, tree_report
from supervisor.reports import one_line, unwrap
from supervisor.spec import Branch
from supervisor.timers import NEVER_NS
from supervisor.world import RealWorld, World

Subscriber = Callable[[Message], None]

# Crash reports are formatted this long after the crash, when the burst that it is part of is over; well
# within 100 ms.
REPORT_DELAY_S = 0.02
FROM_THREADS_MAX = 10_000


async def run(
    tree: Branch,
    *,
    world: World | None = None,
    subscribers: Sequence[Subscriber] = (),
    overruns: OverrunGuard | None = None,
    last_resort: LastResort = end_process,
    task_status: trio.TaskStatus[Runtime] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the tree until it is stopped. `task_status` gets the Runtime once the root is ready.

    `overruns` interrupts handlers that run too long; without it only the keeper would notice them.
    `last_resort` is called when nothing in this process can help any more. Raises StartFailed if the first
    start fails, TreeGaveUp if the root gives up or halts. Cancelling it stops the tree in order, each child
    within its `stop_timeout_s`.
    """
    await Runtime(tree, world or _world(), subscribers, overruns, last_resort)._serve(task_status)


class Runtime:
    """A running tree, as the rest of the process sees it."""

    def __init__(
        self,
        tree: Branch,
        world: World,
        subscribers: Sequence[Subscriber],
        overruns: OverrunGuard | None,
        last_resort: LastResort,
    ) -> None:
        self.dispatcher = Dispatcher(tree, world, self)
        self.subscribers_failed = 0
        self._subscribers = list(subscribers)
        self._overruns = overruns
        self._last_resort = last_resort
        self._by_name = {cell.name: cell for cell in self.dispatcher.cells.values()}
        self._links: dict[Cell, Link] = {}
        self._parked: trio.lowlevel.Task | None = None
        self._armed_ns = NEVER_NS  # the parked task wakes by itself at this time, or a little before
        self._announced = False  # the root has been ready
        self._broken: BaseException | None = None  # what a turn in a port's task has died of
        self.port_woken = False  # a port has been given something since events were last published
        self._crashed = trio.Event()
        self._from_threads: deque[tuple[Address, Message]] = deque()
        self._token = trio.lowlevel.current_trio_token()
        self._nursery: trio.Nursery

    # -- for the rest of the process ---------------------------------------------------------------------

    def tree(self) -> TreeReport:
        """All of it, as of now."""
        self.dispatcher.touch()
        return tree_report(self.dispatcher)

    def progress(self) -> list[Progress]:
        """One for each child, for a watchdog to compare with what it saw last."""
        self.dispatcher.touch()
        return progress(self.dispatcher)

    def tell(self, to: Address, message: Message) -> bool:
        """From any Trio task of this process; False if it was not taken."""
        self.dispatcher.touch()
        taken = self.dispatcher.post(to, (message, None, 0))
        self.wake()
        return taken

    def tell_from_thread(self, to: Address, message: Message) -> None:
        """From any thread, or from a signal handler. Raises RuntimeError beyond
        10,000 waiting."""
        if len(self._from_threads) >= FROM_THREADS_MAX:
            raise RuntimeError(
                f"{FROM_THREADS_MAX} messages from threads wait already; the loop is not running"
            )
        self._from_threads.append((to, message))
        self._token.run_sync_soon(self._take_from_threads, idempotent=True)

    async def ask(self, to: Address, question: Message, *, timeout_s: float) -> Message:
        """From any Trio task. Raises ActorDied, Overloaded or AskTimeout."""
        return await ask(self, None, to, question, timeout_s)

    def stop(self) -> None:
        """Stop the tree in order, right to left; `run` then returns."""
        if self.dispatcher.supervision.finished is None:
            self.dispatcher.touch()
            self.dispatcher.supervision.stop()
            self.wake()

    def crash(self, name: str) -> None:
        """Crash the child called `name`: with the next message in its hand, or at once if it has none.
        Raises KeyError, with the names that there are, if there is none of that name."""
        if name not in self._by_name:
            raise KeyError(f"no child is called {name!r}; there are: {', '.join(self._by_name)}")
        self.dispatcher.touch()
        self.dispatcher.lives.chaos(self._by_name[name])
        self.wake()

    def wake(self) -> None:
        """There may be something to do."""
        if self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task)

    def turn_now(self) -> None:
        """One turn here, in the task of the port that calls it, if the dispatcher's own is parked: a pass of the
        loop is saved. What is left over, to be done or to be published, is that task's."""
        if self._parked is None:
            return
        if not self._announced:
            self.wake()
            return
        dispatcher = self.dispatcher
        try:
            if self._overruns is not None:
                self._overruns.arm()
            dispatcher.turn()
        except BaseException as error:  # noqa: BLE001 - not the port's fault: raised where a turn belongs
            self._broken = error
        if (
            dispatcher.has_work
            or dispatcher.events
            or dispatcher.crashes
            or dispatcher.next_ns < self._armed_ns
            or dispatcher.supervision.finished is not None
            or self._broken is not None
        ):
            self.wake()

    # -- the task that turns the dispatcher --------------------------------------------------------------

    async def _serve(self, task_status: trio.TaskStatus[Runtime]) -> None:
        try:
            async with trio.open_nursery() as outer:
                outer.start_soon(self._stop_when_cancelled)
                # A cancelled tree stops in order, and only then lets the cancellation through; every wait
                # below is bounded.
                with trio.CancelScope(shield=True):
                    async with trio.open_nursery() as self._nursery:
                        self._nursery.start_soon(self._format_crashes)
                        await self._turn(task_status)
                        self._nursery.cancel_scope.cancel()
                outer.cancel_scope.cancel()
        finally:
            self._flush()
        self._raise_outcome()

    async def _turn(self, task_status: trio.TaskStatus[Runtime]) -> None:
        dispatcher = self.dispatcher
        supervision = dispatcher.supervision
        guard = self._overruns
        with OverrunGuard.watching(guard, dispatcher, self._last_resort):
            supervision.start()
            while supervision.finished is None:
                # A scope for its deadline only. One that has expired is spent, and replaced.
                with trio.CancelScope() as scope:
                    self._armed_ns = NEVER_NS
                    while supervision.finished is None and not scope.cancel_called:
                        if guard is not None:
                            guard.arm()
                        dispatcher.turn()
                        if self._broken is not None:
                            raise self._broken
                        if dispatcher.events:
                            await self._publish_after_ports()
                        if dispatcher.crashes:
                            self._crashed.set()
                        if not self._announced and dispatcher.root.state is State.RUNNING:
                            self._announced = True
                            task_status.started(self)
                        if dispatcher.has_work:
                            await trio.lowlevel.cancel_shielded_checkpoint()
                            continue
                        if supervision.finished is not None:
                            # It ended in this very turn: nothing would wake a parked loop.
                            break
                        # Later than armed for: let it wake once too often, that is cheaper than to arm again.
                        if dispatcher.next_ns < self._armed_ns:
                            self._armed_ns = dispatcher.next_ns
                            scope.deadline = self._deadline(self._armed_ns)
                        self._parked = trio.lowlevel.current_task()
                        await trio.lowlevel.wait_task_rescheduled(self._abort_park)
                        if dispatcher.events:
                            # Of a turn in a port's task.
                            await self._publish_after_ports()

    def _deadline(self, at_ns: int) -> float:
        if at_ns == NEVER_NS:
            return math.inf
        wait_ns = at_ns - self.dispatcher.world.monotonic_ns()
        # A microsecond late rather than early: too early would be a turn for nothing.
        return trio.current_time() + max(0, wait_ns) / 1e9 + 1e-6

    def _abort_park(self, _: object) -> trio.lowlevel.Abort:
        # The deadline has come. Not raised as Cancelled, which costs more than the turn: just woken.
        self.wake()
        return trio.lowlevel.Abort.FAILED

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.stop()

    def _take_from_threads(self) -> None:
        self.dispatcher.touch()
        for _ in range(len(self._from_threads)):
            to, message = self._from_threads.popleft()
            self.dispatcher.post(to, (message, None, 0))
        self.wake()

    # -- events and reports ------------------------------------------------------------------------------

    async def _publish_after_ports(self) -> None:
        if self.port_woken:
            # An order that a port was just given leaves before the log hears of it. Trio runs the tasks of one
            # pass in any order, so it takes two until that port has certainly had its turn.
            self.port_woken = False
            await trio.lowlevel.cancel_shielded_checkpoint()
            await trio.lowlevel.cancel_shielded_checkpoint()
        self._publish()

    def _publish(self) -> None:
        events = self.dispatcher.events
        while events:
            event = events.popleft()
            for subscriber in tuple(self._subscribers):
                try:
                    subscriber(event)
                except Exception as error:  # noqa: BLE001 - a log that fails must not fail the desk
                    self._subscribers.remove(subscriber)
                    self.subscribers_failed += 1
                    self.dispatcher.lives.report_outsider(f"subscriber {subscriber!r}", error)

    async def _format_crashes(self) -> None:
        while True:
            await self._crashed.wait()
            self._crashed = trio.Event()
            await trio.sleep(REPORT_DELAY_S)
            while self.dispatcher.crashes:
                self.dispatcher.publish(self.dispatcher.crashes.format_next())
                self._publish()
                await trio.lowlevel.checkpoint()

    def _flush(self) -> None:
        """At the end: whatever has not been reported yet."""
        while self.dispatcher.crashes:
            self.dispatcher.publish(self.dispatcher.crashes.format_next())
        if self.dispatcher.dead.total:
            self.dispatcher.publish(self.dispatcher.dead.event())
        self._publish()

    def _raise_outcome(self) -> None:
        supervision = self.dispatcher.supervision
        if supervision.interrupted is not None:
            raise supervision.interrupted
        end, error = supervision.finished or (End.STOPPED, None)
        cause = f": {one_line(error)}" if error is not None else ""
        if end is End.UNREADY:
            raise StartFailed(f"the tree {self.dispatcher.root.name!r} could not start{cause}") from error
        if end is not End.STOPPED:
            how = "halted" if end is End.HALTED else "gave up"
            raise TreeGaveUp(f"the tree {self.dispatcher.root.name!r} {how}{cause}") from error

    # -- ports -------------------------------------------------------------------------------------------

    def begin(self, cell: Cell, port: Port) -> None:
        link = self._links[cell] = Link(self, cell)
        cell.wake = link.wake
        self._nursery.start_soon(self._live, cell, port, link, name=f"port {cell.name}")

    def cancel(self, cell: Cell) -> None:
        self._links[cell].scope.cancel()

    def stuck(self, cell: Cell) -> None:
        self._publish()
        self._last_resort(
            f"port {cell.name!r} did not end within stop_timeout_s = {cell.spec.stop_timeout_s:g} s"
        )

    async def _live(self, cell: Cell, port: Port, link: Link) -> None:
        """One life of one port, in a scope of its own."""
        error: BaseException | None = None
        cancelled: BaseException | None = None
        try:
            with link.scope:
                await port.run(link)
        except BaseException as caught:  # noqa: BLE001 - what is not a crash is raised again below
            error, cancelled = essence(caught)
        self.dispatcher.touch()
        self.dispatcher.lives.port_ended(cell, link.in_hand(), error)
        self.wake()
        if cancelled is not None:
            raise cancelled


def essence(caught: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """What a port died of, and the cancellation that must go on, out of whatever its nurseries wrapped them
    in.

    An interrupt counts most, then `Halt`, then a single error; several errors stay a group.
    """
    if isinstance(caught, trio.Cancelled):
        return None, caught
    if not isinstance(caught, BaseExceptionGroup):
        return caught, None
    cancelled, rest = caught.split(trio.Cancelled)
    if rest is None:
        return None, cancelled
    for kind in ((KeyboardInterrupt, SystemExit), Halt):
        found: BaseException | None = rest.subgroup(kind)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is not None:
            return found, cancelled
    return unwrap(rest), cancelled


class _TrioWorld(RealWorld):
    """Life, but with Trio's clock: so that a tree under Trio's MockClock lives in its time."""

    def __init__(self) -> None:
        super().__init__()
        self.monotonic_ns = lambda: int(trio.current_time() * 1e9)


def _world() -> World:
    mocked = hasattr(trio.lowlevel.current_clock(), "autojump_threshold")
    return _TrioWorld() if mocked else RealWorld()
