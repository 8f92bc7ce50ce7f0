"""The keeper: starts the processes, looks at each twenty times a second, and does what `decide.py` says.

It imports little and owns nothing that can be lost. What it finds becomes an incident on disk for whoever
pages. A deliberate stop is announced to every ward first, so nothing is restarted during it. If the keeper
itself dies, its children's lifelines end them, and systemd, whose watchdog it feeds, starts it again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from supervisor.keeper import beat, dumps, leftovers, processes, words
from supervisor.keeper.beat import BeatReader
from supervisor.keeper.beater import VARIABLE
from supervisor.keeper.decide import EXIT_CONFIG, Act, Do, Fault, Limits, Phase, Sight, Ward
from supervisor.keeper.incidents import FOLDER, Incidents
from supervisor.keeper.leftovers import Started
from supervisor.keeper.log import KeeperLog
from supervisor.keeper.notify import Notifier
from supervisor.keeper.sight import born, look_at
from supervisor.paging.messages import Incident

LOOK_S = 0.05
COULD_NOT_START = 127
_SIGNALS = {Do.TERM: signal.SIGTERM, Do.ABORT: signal.SIGABRT, Do.KILL: signal.SIGKILL}

Announced = Mapping[str, str]
"""What each child that is ready said of itself, by name."""


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """One process to keep: how it is started, and its limits. It must say `ready` on its lifeline."""

    name: str
    # Program and arguments; those that stand before it in the list are ready by then.
    args: Callable[[Announced], Sequence[str]]
    limits: Limits = field(default_factory=Limits)
    env: Mapping[str, str] = field(default_factory=dict)
    # Its standard output and error; None: ours.
    output: Path | None = None
    # When it gives up, there is nothing left to keep the others for.
    is_essential: bool = True


class _Kid:
    """One child process with its ward."""

    def __init__(self, spec: ChildProcess) -> None:
        self.spec = spec
        self.ward = Ward(spec.name, spec.limits)
        self.process: processes.Process | None = None
        self.reader: BeatReader | None = None
        self.is_ready = False
        self.settled = trio.Event()  # it runs, or it never will
        self.over = trio.Event()  # ended for good

    def sight(self) -> Sight:
        if self.process is None or not self.ward.is_alive:
            return Sight()
        return look_at(self.process.pid, self.reader, is_ready=self.is_ready)


class Keeper:
    """Keeps `children`, in start order, and everything about them in `folder`."""

    def __init__(
        self,
        children: Sequence[ChildProcess],
        folder: Path,
        *,
        notifier: Notifier | None = None,
        log: KeeperLog | None = None,
        command: str,
    ) -> None:
        """`command`: what a person should type to see more; it stands in every incident."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.announced: dict[str, str] = {}
        self.exit_code = 0
        self.incidents = Incidents(folder / FOLDER)
        self._kids = [_Kid(spec) for spec in children]
        self._folder = folder
        self._notifier = notifier if notifier is not None else Notifier()
        self._own_log = log is None
        self._log = log if log is not None else KeeperLog(folder)
        self._command = command
        self._stop = trio.Event()
        self._nursery: trio.Nursery

    @property
    def wards(self) -> list[Ward]:
        return [kid.ward for kid in self._kids]

    def pid(self, name: str) -> int | None:
        """Of the present life of a child."""
        (kid,) = (kid for kid in self._kids if kid.spec.name == name)
        return kid.process.pid if kid.process is not None else None

    def stop(self, reason: str) -> None:
        """End everything in order, right to left; `run` then returns."""
        if not self._stop.is_set():
            self._log("INFO", f"stops: {reason}")
            self._notifier.stopping()
            self._stop.set()

    async def run(self, *, task_status: trio.TaskStatus[Keeper] = trio.TASK_STATUS_IGNORED) -> int:
        """Keep them until `stop`, or until one that is essential gave up; returns the exit code: 0, 1 if one
        gave up, EXIT_CONFIG if that was for its config. `task_status` comes when all are ready."""
        try:
            for each in await leftovers.end(self._folder):
                self._log(
                    "ERROR", f"killed {each.name} (pid {each.pid}), left behind by the keeper before us"
                )
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._watch)
                self._nursery.start_soon(self._start_all, task_status)
                await self._stop.wait()
                for kid in self._kids:
                    kid.ward.let_go()
                for kid in reversed(self._kids):
                    # On its ladder SIGKILL comes at the end; what even that does not end is left to systemd.
                    limits = kid.spec.limits
                    with trio.move_on_after(limits.stop_s + limits.abort_s + limits.leave_s + 1.0):
                        self._perform(kid, kid.ward.stop(time.monotonic_ns()))
                        await kid.over.wait()
                self._nursery.cancel_scope.cancel()
        finally:
            if self._own_log:
                self._log.stop()
            self._notifier.close()
        return self.exit_code

    # -- the tasks ------------------------------------------------------------------------------------------

    async def _start_all(self, task_status: trio.TaskStatus[Keeper]) -> None:
        for kid in self._kids:
            if self._stop.is_set():
                return
            self._perform(kid, kid.ward.start(time.monotonic_ns()))
            await kid.settled.wait()
        if not self._stop.is_set():
            self._log("INFO", "all processes are ready")
            self._notifier.ready()
            task_status.started(self)

    async def _watch(self) -> None:
        said, fed_s = "", 0.0
        feed_s = (self._notifier.watchdog_s or float("inf")) / 4
        while True:
            for kid in self._kids:
                self._perform(kid, kid.ward.look(time.monotonic_ns(), kid.sight()))
            # Only here: whoever feeds the watchdog has looked at every child.
            if trio.current_time() - fed_s >= feed_s:
                fed_s = trio.current_time()
                self._notifier.watchdog()
            now = words.status(self.wards)
            if now != said:
                said = now
                self._notifier.status(now)
                self._log("DEBUG", now)
            await trio.sleep(LOOK_S)

    async def _live(self, kid: _Kid) -> None:
        """One life of one process, from exec to waitpid."""
        kid.is_ready = False
        dump = dumps.Dump(self._folder / dumps.FOLDER, kid.spec.name, time.time_ns())
        page = beat.make()
        try:
            code = await self._run_process(kid, page, dump)
        finally:
            os.close(page)
            if kid.reader is not None:
                kid.reader.close()
            kid.reader = None
            text = dump.close()
        where = dumps.innermost(text)
        kept = f"; stacks in {dump.path}" if text else ""
        at = f" at {where}" if where else ""
        self._log(
            "INFO" if self._stop.is_set() else "ERROR",
            f"{kid.spec.name} {words.how_it_ended(code)}{at}{kept}",
            child=kid.spec.name,
            life=kid.ward.life,
            exit_code=code,
        )
        # The words of a death are where it was; the pid is still that of this life.
        self._perform(kid, kid.ward.ended(time.monotonic_ns(), code), at=f"{at}{kept}".lstrip("; "))
        kid.process = None
        self._write_down()
        self._note(kid)

    async def _run_process(self, kid: _Kid, page: int, dump: dumps.Dump) -> int:
        spec = kid.spec
        try:
            process = await processes.start(
                spec.name,
                spec.args(self.announced),
                env={**spec.env, VARIABLE: f"{page},{dump.descriptor}"},
                output=spec.output,
                pass_fds=(page, dump.descriptor),
            )
        except OSError as error:
            self._log("ERROR", f"{spec.name} cannot be started: {error}")
            return COULD_NOT_START
        dump.release()
        try:
            kid.process, kid.reader = process, BeatReader(page) if spec.limits.stall_s is not None else None
            self._log("INFO", f"{spec.name} starts, life {kid.ward.life}", child=spec.name, pid=process.pid)
            self._write_down()
            if kid.ward.phase is Phase.ENDING:  # stopped in the moment of its birth
                process.signal(signal.SIGKILL)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, kid, process)
                code = await process.gone()
                nursery.cancel_scope.cancel()
        finally:
            await process.stop(0.0)
        return code

    async def _hear(self, kid: _Kid, process: processes.Process) -> None:
        try:
            self.announced[kid.spec.name] = await process.ready()
        except (processes.ProcessDied, trio.ClosedResourceError, trio.BrokenResourceError):
            return  # waitpid says the rest
        kid.is_ready = True
        # A child without beats is ready the moment it says so.
        self._perform(kid, kid.ward.look(time.monotonic_ns(), kid.sight()))

    # -- acts -----------------------------------------------------------------------------------------------

    def _perform(self, kid: _Kid, acts: Sequence[Act], *, at: str = "") -> None:
        for act in acts:
            match act.do:
                case Do.START:
                    self._nursery.start_soon(self._live, kid, name=f"process {kid.spec.name}")
                case Do.TELL:
                    assert act.fault is not None
                    self._tell(kid, act.fault, act.words or at)
                case Do.ASK_TASKS if kid.reader is not None:
                    kid.reader.ask_tasks()
                case Do.LEAVE if kid.process is not None:
                    kid.process.cut()
                case Do.TERM | Do.ABORT | Do.KILL if kid.process is not None:
                    self._log("DEBUG", f"{act.do.value} to {kid.spec.name}")
                    kid.process.signal(_SIGNALS[act.do])
                case _:
                    pass
        self._note(kid)

    def _note(self, kid: _Kid) -> None:
        if kid.ward.phase in (Phase.RUNNING, Phase.ENDED):
            kid.settled.set()
        if kid.ward.phase is Phase.ENDED and kid.process is None:
            kid.over.set()
            if kid.ward.gave_up and kid.spec.is_essential and not self._stop.is_set():
                self.exit_code = EXIT_CONFIG if kid.ward.exit_code == EXIT_CONFIG else 1
                self.stop(f"{kid.spec.name} is given up")

    def _tell(self, kid: _Kid, fault: Fault, said: str) -> None:
        told: Incident = words.incident(
            kid.ward,
            fault,
            said,
            pid=kid.process.pid if kid.process is not None else None,
            code=kid.ward.exit_code,
            command=self._command,
            wall_ns=time.time_ns(),
        )
        kept = self.incidents.put(told)
        level = "CRITICAL" if fault is Fault.GAVE_UP or not kept else "ERROR"
        self._log(level, f"{told.title}; {told.done}", incident=told.key, kept=kept)

    def _write_down(self) -> None:
        alive = [
            Started(kid.spec.name, kid.process.pid, born(kid.process.pid))
            for kid in self._kids
            if kid.process is not None
        ]
        try:
            leftovers.write(self._folder, alive)
        except OSError as error:  # a full disk: the lifelines still hold
            self._log("ERROR", f"cannot write down the children: {error}")
