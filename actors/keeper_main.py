"""The keeper of one desk: exchange (if the config has one of its own) and engine as processes, watched from outside.

It reads the config for what it keeps, and nothing of it for trading. The live view, if there is a terminal,
is drawn here from the engine's own status, so a stalled engine does not stall the picture.
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
from actors.exchange import set_aside
from actors.settings import Settings
from supervisor.keeper.decide import EXIT_CONFIG, Limits, Phase
from supervisor.keeper.keeper import Announced, ChildProcess, Keeper
from supervisor.keeper.lifeline import Lifeline
from supervisor.keeper.log import KeeperLog
from supervisor.keeper.notify import Notifier
from supervisor.telemetry import operator
from supervisor.telemetry.operator import NotRunning, Refusal

ENGINE, VENUE = "engine", "venue"
RESULT_FILE, ENGINE_LOG_FILE, VENUE_LOG_FILE = "result.json", "engine.log", "venue.log"
COMMAND = "nightdesk status"
# Beside flattening: the venue's answers, the end of the tree, and the comparison with the record.
STOP_S = 12.0
POLL_S = 0.25
LAST_WORDS_BYTES = 4000


def run_kept(
    config: Path,
    *,
    for_s: float | None = None,
    summary: Path | None = None,
    recording: Path | None = None,
    overrides: Sequence[str] = (),
    view: bool = True,
) -> int:
    """As `actors.run.run_desk`, in processes. Returns 1 where the run disagrees with the venue's record or the engine
    was given up, 78 where a key was wrong. Raises ConfigError before anything has started."""
    # First of all: what systemd set is not for our children, and the end of who started us is our end.
    notifier, lifeline = Notifier.take(), Lifeline.take()
    settings = looked_at(config, overrides, recording)
    state = settings.desk.state_dir
    if settings.simulated is not None:
        set_aside(state)
    (state / RESULT_FILE).unlink(missing_ok=True)
    drawn = view and sys.stdout.isatty()
    log = KeeperLog(state, echo=not drawn)
    keeper = Keeper(
        children(config, asked(overrides, recording), settings, drawn=drawn),
        state,
        notifier=notifier,
        log=log,
        command=COMMAND,
    )
    try:
        trio.run(_main, keeper, state, for_s, view, lifeline, restrict_keyboard_interrupt_to_checkpoints=True)
    finally:
        log.stop()
    return _finish(keeper, state, summary)


def children(config: Path, asked: Sequence[str], settings: Settings, *, drawn: bool) -> list[ChildProcess]:
    """The processes of a desk, in start order."""
    state = settings.desk.state_dir
    sets = [word for each in asked for word in ("--set", each)]
    engine = [sys.executable, "-m", "actors.engine_process", str(config), *sets, "--result"]
    engine += [str(state / RESULT_FILE), *(["--quiet"] if drawn else [])]

    def engine_args(announced: Announced) -> list[str]:
        port = announced.get(VENUE)
        return [*engine, "--venue-port", port] if port is not None else engine

    flatten_s = settings.desk.flatten_s if settings.desk.on_stop == "flatten" else 0.0
    kept = [
        ChildProcess(
            ENGINE,
            engine_args,
            settings.keeper.limits(stop_s=flatten_s + STOP_S),
            output=state / ENGINE_LOG_FILE if drawn else None,
        )
    ]
    if settings.simulated is not None:
        venue = [sys.executable, "-m", "actors", VENUE, str(config), *sets]
        # A second one would not know what the first one did. Without it the desk shows what a dead venue does.
        limits = Limits(stall_s=None, comes_back=False, stop_s=3.0)
        output = state / VENUE_LOG_FILE
        kept.insert(0, ChildProcess(VENUE, lambda _: venue, limits, output=output, is_essential=False))
    return kept


async def _main(
    keeper: Keeper, state: Path, for_s: float | None, view: bool, lifeline: Lifeline | None
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, keeper, signals)

            async def when_ready(task_status: trio.TaskStatus[Keeper]) -> None:
                await keeper.run(task_status=task_status)
                nursery.cancel_scope.cancel()

            # If it gives up before all are ready, it is over, and `start` has nothing to hand us.
            with contextlib.suppress(RuntimeError):
                await nursery.start(when_ready)
                if lifeline is not None:
                    lifeline.ready()
                if view:
                    nursery.start_soon(_show, keeper, state)
                if for_s is not None:
                    await trio.sleep(for_s)
                    keeper.stop(f"after {for_s:g} s")


async def _stop_on_signal(keeper: Keeper, signals: AsyncIterator[int]) -> None:
    async for number in signals:
        keeper.stop(signal.Signals(number).name)


async def _show(keeper: Keeper, state: Path) -> None:
    """The engine's own picture, asked for four times a second; the last one while there is no engine."""
    # Not at the top: a service draws nothing, and need not carry it.
    from actors.view import ViewModel, show

    model: ViewModel | None = None

    def ask() -> ViewModel | None:
        try:
            answer = operator.get(operator.read(state), "/status")
            return msgspec.convert(answer["view"], ViewModel)
        except (NotRunning, Refusal, KeyError, TypeError, msgspec.ValidationError):
            return None

    def now() -> ViewModel:
        assert model is not None
        (engine,) = (ward for ward in keeper.wards if ward.name == ENGINE)
        if engine.phase is Phase.RUNNING:
            return model
        return msgspec.structs.replace(model, mode=f"engine {engine.phase.value}")

    async with trio.open_nursery() as nursery:
        while True:
            found = await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
            if found is not None:
                first, model = model is None, found
                if first:
                    nursery.start_soon(show, now)
            await trio.sleep(POLL_S)


def _finish(keeper: Keeper, state: Path, summary: Path | None) -> int:
    """Print what the engine left behind, and say how it went."""
    try:
        result = msgspec.json.decode((state / RESULT_FILE).read_bytes())
    except (OSError, msgspec.DecodeError):
        _last_words(state / ENGINE_LOG_FILE)
        if keeper.exit_code == EXIT_CONFIG:
            return EXIT_CONFIG
        sys.stderr.write(f"the engine left no summary; see {state} and `{COMMAND}`\n")
        return keeper.exit_code or 1
    sys.stdout.write(result["words"])
    (engine,) = (ward for ward in keeper.wards if ward.name == ENGINE)
    if engine.life > 1:
        sys.stdout.write(
            f"the engine had {engine.life} lives; crashes, restarts and pages are those of the last\n"
        )
    if summary is not None:
        summary.write_bytes(msgspec.json.format(msgspec.json.encode(result["summary"]), indent=2) + b"\n")
    return keeper.exit_code or (1 if isinstance(result["summary"]["agrees"], list) else 0)


def _last_words(output: Path) -> None:
    with contextlib.suppress(OSError), output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - LAST_WORDS_BYTES))
        sys.stderr.write(file.read().decode("utf-8", "replace"))
