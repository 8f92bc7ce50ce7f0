"""One engine as a process of its own, under a keeper: it beats, and it ends in order or, without its keeper, at once.

Started by `actors/keeper_main.py`, which tells it on its command line what to trade at and where to leave its
summary. Under no keeper use `nightdesk run`.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import trio

from actors.earlier import tally_of
from actors.engine import Engine
from actors.exchange import at_venue, record_of
from actors.messages import TradingStopped
from actors.orders.client_ids import PREFIX
from actors.played import narrowed
from actors.settings import Settings, read
from actors.summary import Summary, summarise, words
from actors.tally import Tally
from actors.tree import JOURNAL_FILE
from supervisor.config import ConfigError
from supervisor.errors import StartFailed, TreeGaveUp
from supervisor.keeper.beater import Beater
from supervisor.keeper.decide import EXIT_CONFIG
from supervisor.keeper.lifeline import Lifeline
from supervisor.report import TreeReport
from supervisor.secret import SecretError
from supervisor.telemetry import logs

LOG_FILE = "log.jsonl"
# Without its keeper; a margin below the 2 s that a person is promised.
LEAVE_S = 1.9


class Result(msgspec.Struct, frozen=True):
    """What an engine that ended in order leaves behind; for the keeper to print."""

    summary: Summary
    words: str


class EngineProcess:
    """The engine of one process, from its config to its summary."""

    def __init__(self, settings: Settings, lifeline: Lifeline | None, beater: Beater | None) -> None:
        self._settings = settings
        # With an exchange of our own, the journal is of this run only, and the summary is judged by its record.
        self._ours_alone = settings.simulated is not None
        self._lifeline = lifeline
        self._beater = beater

    async def main(self) -> Result | None:
        """Trade until SIGTERM; None if there was no time left for a summary."""
        tally = tally_of(self._settings.desk.state_dir / JOURNAL_FILE) if self._ours_alone else Tally()
        on_running = self._beater.on_running if self._beater is not None else lambda _name: None
        engine = Engine(self._settings, (tally,), on_running=on_running)
        stopped: TradingStopped | None = None
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as watched:
                over = trio.Event()
                runtime = await watched.start(engine.run, over.set)
                if self._beater is not None:
                    watched.start_soon(self._beater.beat, runtime.progress)
                if self._lifeline is not None:
                    self._lifeline.ready()
                reason = await _asked_to_stop(signals, over)
                at_once = self._lifeline is not None and self._lifeline.is_cut
                if self._beater is not None:
                    self._beater.stopping()
                if reason:
                    stopped = await engine.stop("the keeper is gone" if at_once else reason, at_once=at_once)
                tree = runtime.tree()
                await over.wait()
                result = None if at_once else await self._result(tally, tree, engine, stopped)
                watched.cancel_scope.cancel()
        return result

    async def _result(
        self, tally: Tally, tree: TreeReport, engine: Engine, stopped: TradingStopped | None
    ) -> Result:
        recorded = await record_of(self._settings)
        summary = summarise(
            tally,
            tree,
            pages=engine.pager.pages,
            account=self._settings.venue.account,
            prefix=PREFIX,
            record=recorded.record,
            counts=recorded.counts,
            missing=recorded.missing,
        )
        return Result(summary, words(summary, stopped))


async def _asked_to_stop(signals: AsyncIterator[int], over: trio.Event) -> str:
    """The signal that came; empty if the tree ended by itself."""
    heard = ""

    async def ended() -> None:
        await over.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ended)
        async for number in signals:
            heard = signal.Signals(number).name
            break
        nursery.cancel_scope.cancel()
    return heard


def main(arguments: list[str]) -> int:
    """Returns the exit code: 78 for a wrong config or key, 1 if the tree could not start or gave up."""
    lifeline, beater = Lifeline.take(leave_s=LEAVE_S), Beater.take()
    asked = _parsed(arguments)
    code, result = 0, None
    try:
        settings = narrowed(read(asked.config, asked.set))
        if asked.venue_port:
            settings = at_venue(settings, asked.venue_port)
        log = settings.log
        if asked.quiet and log.file is None:
            log = msgspec.structs.replace(log, file=settings.desk.state_dir / LOG_FILE)
        writing = logs.start(log, terminal=not asked.quiet)
        try:
            process = EngineProcess(settings, lifeline, beater)
            result = trio.run(process.main, restrict_keyboard_interrupt_to_checkpoints=True)
        finally:
            writing.stop()
    except* (ConfigError, SecretError) as group:
        code = _say(group, EXIT_CONFIG)
    except* (StartFailed, TreeGaveUp) as group:
        code = _say(group, 1)
    if result is not None:
        asked.result.write_bytes(msgspec.json.encode(result))
    return code


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m actors.engine_process", allow_abbrev=False)
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--venue-port", type=int, default=0, help="of our own exchange on loopback")
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--quiet", action="store_true", help="log into the state folder only")
    return parser.parse_args(arguments)


def _say(group: BaseExceptionGroup[BaseException], code: int) -> int:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            _say(each, code)
        else:
            sys.stderr.write(f"{each}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
