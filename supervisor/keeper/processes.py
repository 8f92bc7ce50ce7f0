"""Child processes: started by exec, ready when they say so, ended within a bound, and never left behind.

Started by exec and with close-on-exec, so a child shares nothing with us but its lifeline (`lifeline.py`). In
a session of its own: a Ctrl-C on the terminal is for the parent, which ends its children in order.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from supervisor.keeper.lifeline import LINE_BYTES_MAX, VARIABLE

if TYPE_CHECKING:
    from supervisor.port import PortLink

# After SIGTERM a child may tidy up for so long; then it gets SIGKILL.
TERM_S = 1.5


class ProcessDied(Exception):
    """A child process ended, and was not asked to; says how, and where its words are."""


class Process:
    """One running child. Get it from `start`; end it with `stop`, also after it died."""

    def __init__(self, name: str, process: trio.Process, line: socket.socket, output: Path | None) -> None:
        self.name = name
        self._process = process
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(line))
        self._output = output
        self.announced = ""
        """The words that it said when it was ready."""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> str:
        """Wait until it says so, and return the words it said. Raises ProcessDied. Bound it with a
        deadline."""
        heard = b""
        while not heard.endswith(b"\n"):
            part = await self._stream.receive_some(4096)
            if not part or len(heard) > LINE_BYTES_MAX:
                raise ProcessDied(await self._how_it_ended())
            heard += part
        self.announced = heard.decode().rstrip("\n")
        return self.announced

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def cut(self) -> None:
        """Cut its lifeline: it ends as if we had died."""
        self._stream.socket.close()

    async def gone(self) -> int:
        """Wait for its end, however it comes; returns the exit code, or minus the signal."""
        return await self._process.wait()

    async def wait(self) -> None:
        """Wait for its end, which nobody asked for: raises ProcessDied."""
        await self._process.wait()
        raise ProcessDied(await self._how_it_ended())

    async def stop(self, term_s: float = TERM_S) -> None:
        """End it: SIGTERM, and SIGKILL after `term_s` seconds. Takes no longer than that even if
        cancelled."""
        with trio.CancelScope(shield=True):
            if self._process.poll() is None:
                self._process.terminate()
                with trio.move_on_after(term_s):
                    await self._process.wait()
            if self._process.poll() is None:
                self._process.kill()
                await self._process.wait()
            await self._stream.aclose()

    async def _how_it_ended(self) -> str:
        with trio.move_on_after(1.0):
            await self._process.wait()
        code = self._process.returncode
        if code is None:
            how = "closed its lifeline and still runs"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        where = f"; its output is in {self._output}" if self._output is not None else ""
        return f"process {self.name} (pid {self.pid}) {how}{where}"


async def start(
    name: str,
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start `args` (a program with its path, and arguments). `env` is added to ours.

    Its output goes to the file `output` (mode 0600, appended to), or to our standard error. It has
    `pass_fds` too, under their numbers. Raises OSError if it cannot be started.
    """
    ours, theirs = socket.socketpair()
    process: trio.Process | None = None
    try:
        with theirs:
            process = await _open(args, {**os.environ, **(env or {})}, theirs, output, pass_fds)
    finally:
        if process is None:
            ours.close()
    return Process(name, process, ours, output)


@asynccontextmanager
async def started(
    name: str,
    args: Sequence[str],
    *,
    announces: bool = True,
    within_s: float = 10.0,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> AsyncIterator[Process]:
    """A child for the length of a block, ready when the block begins (`announces`) and ended after it.

    Raises ProcessDied, within the block's beginning, if it ends or is not ready `within_s` seconds after its
    start.
    """
    process = await start(name, args, env=env, output=output)
    try:
        if announces:
            with trio.move_on_after(within_s) as waiting:
                await process.ready()
            if waiting.cancelled_caught:
                raise ProcessDied(f"process {name} (pid {process.pid}) was not ready within {within_s:g} s")
        yield process
    finally:
        await process.stop()


async def _open(
    args: Sequence[str],
    env: Mapping[str, str],
    line: socket.socket,
    output: Path | None,
    more: Sequence[int],
) -> trio.Process:
    written: int = 2
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return await trio.lowlevel.open_process(
            list(args),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env={**env, VARIABLE: str(line.fileno())},
            pass_fds=(line.fileno(), *more),
            start_new_session=True,
        )
    finally:
        if output is not None:
            os.close(written)


class ProcessPort:
    """A child process as a child of the tree: ready when it says so; its death is a crash of this port.

    `on_ready` gets the words that it said.
    """

    def __init__(
        self,
        name: str,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: Path | None = None,
        on_ready: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self._name = name
        self._args = tuple(args)
        self._env = env
        self._output = output
        self._on_ready = on_ready

    async def run(self, link: PortLink) -> None:
        process = await start(self._name, self._args, env=self._env, output=self._output)
        try:
            self._on_ready(await process.ready())
            link.ready()
            await process.wait()
        finally:
            await process.stop()
