"""`nightdesk run`: the desk from its config to its summary, with its own exchange beside it where the config says so.

The simulated exchange is a process of its own, as a real one would be: it survives our crashes, and its record is
what the summary is compared with.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import trio

from actors.beforehand import asked, looked_at
from actors.engine import Engine
from actors.exchange import VENUE_LOG_FILE, at_venue, record_of, set_aside
from actors.messages import TradingStopped
from actors.orders.client_ids import PREFIX
from actors.settings import Settings
from actors.summary import Summary, summarise, words
from actors.tally import Tally
from actors.view import show
from supervisor.errors import StartFailed
from supervisor.keeper import processes
from supervisor.keeper.lifeline import Lifeline
from supervisor.report import TreeReport
from supervisor.telemetry import logs

VENUE_START_S = 30.0
LOG_FILE = "log.jsonl"
LAST_WORDS_BYTES = 4000


def run_desk(
    config: Path,
    *,
    for_s: float | None = None,
    summary: Path | None = None,
    recording: Path | None = None,
    overrides: Sequence[str] = (),
    view: bool = True,
) -> int:
    """Run until SIGINT, SIGTERM or `for_s` seconds; the exit code is 1 where the run disagrees with the venue's
    record. Raises ConfigError or SecretError before anything has started, StartFailed or TreeGaveUp after."""
    settings = looked_at(config, overrides, recording)
    # Started by a program, the desk ends in order when that program ends, however it does.
    lifeline = Lifeline.take()
    drawn = view and sys.stdout.isatty()
    log = settings.log
    if drawn and log.file is None:
        # The view has the terminal; what would be printed is kept beside the journal.
        log = msgspec.structs.replace(log, file=settings.desk.state_dir / LOG_FILE)
    writing = logs.start(log, terminal=not drawn)
    try:
        run = Run(config, asked(overrides, recording), settings, for_s=for_s, shown=view, lifeline=lifeline)
        done = trio.run(run.main, restrict_keyboard_interrupt_to_checkpoints=True)
    finally:
        writing.stop()
    if summary is not None:
        summary.write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n")
    return 1 if isinstance(done.agrees, list) else 0


class Run:
    """One run of one desk, and of the exchange beside it if there is one."""

    def __init__(
        self,
        config: Path,
        asked: Sequence[str],
        settings: Settings,
        *,
        for_s: float | None,
        shown: bool,
        lifeline: Lifeline | None,
    ) -> None:
        self._config = config
        self._asked = asked
        self._settings = settings
        self._for_s = for_s
        self._shown = shown
        self._lifeline = lifeline
        self._tally = Tally()

    async def main(self) -> Summary:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with self._venue():
                return await self._trade(signals)

    @contextlib.asynccontextmanager
    async def _venue(self) -> AsyncIterator[None]:
        """Our own exchange, if the config has one; [venue] then points at it."""
        if self._settings.simulated is None:
            yield
            return
        command = [sys.executable, "-m", "actors", "venue", str(self._config)]
        for each in self._asked:
            command += ["--set", each]
        state_dir = self._settings.desk.state_dir
        set_aside(state_dir)
        output = state_dir / VENUE_LOG_FILE
        from_byte = output.stat().st_size if output.exists() else 0
        venue = await processes.start("venue", command, output=output)
        try:
            self._settings = at_venue(self._settings, await _port_of(venue, output, from_byte))
            yield
        finally:
            await venue.stop()

    async def _trade(self, signals: AsyncIterator[int]) -> Summary:
        engine = Engine(self._settings, (self._tally,))
        stopped: TradingStopped | None = None
        tree: TreeReport | None = None
        async with trio.open_nursery() as nursery:
            over = trio.Event()
            runtime = await nursery.start(engine.run, over.set)
            if self._lifeline is not None:
                self._lifeline.ready()
            if self._shown:
                nursery.start_soon(show, engine.view)
            reason = await self._wait(signals, over)
            if reason:
                stopped = await engine.stop(reason)
            tree = runtime.tree()
            await over.wait()
            nursery.cancel_scope.cancel()
        recorded = await record_of(self._settings)
        result = summarise(
            self._tally,
            tree,
            pages=engine.pager.pages,
            account=self._settings.venue.account,
            prefix=PREFIX,
            record=recorded.record,
            counts=recorded.counts,
            missing=recorded.missing,
        )
        sys.stdout.write(words(result, stopped))
        return result

    async def _wait(self, signals: AsyncIterator[int], over: trio.Event) -> str:
        """Why to stop; empty if the tree ended by itself."""
        reason = ""

        async def heard() -> None:
            nonlocal reason
            async for number in signals:
                reason = signal.Signals(number).name
                nursery.cancel_scope.cancel()
                return

        async def ended() -> None:
            await over.wait()
            nursery.cancel_scope.cancel()

        with trio.move_on_after(self._for_s if self._for_s is not None else float("inf")) as timer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(heard)
                nursery.start_soon(ended)
        return f"after {self._for_s:g} s" if timer.cancelled_caught and self._for_s is not None else reason


async def _port_of(venue: processes.Process, output: Path, from_byte: int) -> int:
    """Where the exchange listens. Raises StartFailed with its last words, if it does not."""
    try:
        with trio.move_on_after(VENUE_START_S):
            return int(await venue.ready())
        why = f"it was not ready within {VENUE_START_S:g} s"
    except processes.ProcessDied as died:
        why = str(died)
    with output.open("rb") as file:
        # Appended to by every run: only what this one said counts.
        file.seek(from_byte)
        said = file.read(LAST_WORDS_BYTES).decode("utf-8", "replace").strip()
    raise StartFailed(f"the simulated exchange did not start: {said or why} (all it said: {output})")
