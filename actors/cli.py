"""The `nightdesk` command: reads what was typed, calls what does it, and says how it went.

Exit codes: 0 it worked; 1 it did not; 2 the command was typed wrong; 78 a config or a key is wrong, and
nothing was started (systemd is told not to try again on that one). What a command does is imported when it
runs, so `--help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from actors.cli_pages import Json, State, page
from actors.guard import WrongPackage, check_packages

OK, FAILED, USAGE, CONFIG_WRONG = 0, 1, 2, 78

app = App(
    name="nightdesk",
    help="A supervised crypto scalping desk. First time: `nightdesk run configs/demo.toml`",
    help_format="plaintext",
    version_flags=["--version"],
)
bench = App(name="bench", help="Measure this machine: `nightdesk bench runtime`")
chaos = App(name="chaos", help="Break something on purpose: `nightdesk chaos crash orders`")
live = App(name="live", help="Break a desk of its own, again and again, and judge by the venue's record")
app.command(bench)
app.command(page)
app.command(chaos)
chaos.command(live)

Set = Annotated[
    list[str] | None,
    Parameter(
        name="--set", negative="", help="Override a value: --set risk.daily_loss_max=50. May be given again."
    ),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        check_packages()
        code = app(
            list(sys.argv[1:] if arguments is None else arguments),
            exit_on_error=False,
            print_error=True,
            help_on_error=False,
            error_console=Console(stderr=True),
            result_action="return_value",
        )
    except CycloptsError:
        return USAGE
    except WrongPackage as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return 130
    return code if isinstance(code, int) else OK


@app.command
def run(
    config: Path,
    /,
    *,
    for_s: Annotated[float | None, Parameter(name="--for")] = None,
    summary: Path | None = None,
    recording: Path | None = None,
    set_: Set = None,
    view: bool = True,
    keeper: Annotated[bool, Parameter(show=False, negative="")] = False,
) -> int:
    """Run a desk until Ctrl-C, SIGTERM or --for seconds.

    Example: nightdesk run configs/demo.toml --for 60 --summary summary.json

    Parameters
    ----------
    config
        A TOML file, such as configs/demo.toml.
    for_s
        End in order after so many seconds, as Ctrl-C would.
    summary
        Write the summary to this file, as JSON.
    recording
        Play this recording instead of the config's own, where market = "recording" (configs/replay.toml).
    view
        Draw the live view, if this is a terminal; otherwise print a line each five seconds.
    """
    if for_s is not None and not for_s > 0:
        return _say("--for: must be more than 0 seconds", USAGE)
    if summary is not None and (summary.is_dir() or not summary.resolve().parent.is_dir()):
        # Said now: after a long run it would cost the summary.
        return _say(f"--summary {summary}: name a file in a folder that exists", USAGE)
    if keeper:
        # In processes, watched from outside; becomes the only way once all of it has been proven.
        from actors.keeper_main import run_kept as run_desk
    else:
        from actors.run import run_desk
    return _configured(
        lambda: run_desk(
            config, for_s=for_s, summary=summary, recording=recording, overrides=set_ or [], view=view
        )
    )


@app.command
def venue(config: Path, /, *, set_: Set = None) -> int:
    """Run the simulated exchange of a config alone, until Ctrl-C or SIGTERM.

    Example: nightdesk venue configs/demo.toml

    Parameters
    ----------
    config
        A TOML file with a table [simulated].
    """
    from actors.venue_process import serve_venue

    return _configured(lambda: serve_venue(config, set_ or []))


@app.command
def replay(
    recording: Path, /, *, check: Annotated[bool, Parameter(negative="")] = False, json: Json = False
) -> int:
    """Read a recording and check that the books made from it are right.

    Example: nightdesk replay btcusdt.raw.gz --check --json

    Parameters
    ----------
    recording
        A recording of a venue's streams.
    check
        Drive it through the desk's own books and count what is wrong. (To trade on one, run
        configs/replay.toml.)
    """
    from actors.replay.check import examine

    if not check:
        words = f"to check its books: nightdesk replay {recording} --check\n"
        return _say(
            f"{words}to trade on it: nightdesk run configs/replay.toml --recording {recording}", USAGE
        )
    try:
        report, torn = examine(recording)
    except OSError as error:
        return _say(f"{recording}: cannot be read ({error.strerror or error})", FAILED)
    _print_result(report, json)
    if torn is not None:
        _say(torn, FAILED)
    is_right = not (report.gaps or report.crossed or report.unusable_lines or report.checksum_bad)
    return OK if is_right and report.bookticker_equal == report.bookticker_compared else FAILED


@bench.command(name="runtime")
def bench_runtime(*, json: Json = False) -> int:
    """Hops, restarts, kill and bursts of the dispatcher, against plain Trio, in the same run.

    Example: nightdesk bench runtime --json
    """
    from actors.bench.runtime import measure

    _print_result(measure(), json)
    return OK


@bench.command(name="path")
def bench_path(*, json: Json = False) -> int:
    """From a tick's bytes to an order's bytes through the production tree.

    Example: nightdesk bench path --json
    """
    from actors.bench.path import measure

    _print_result(measure(), json)
    return OK


@app.command
def status(*, state: State = None, json: Json = False) -> int:
    """Show the running desk: its tree, books, positions with their stops, and what went wrong last.

    Example: nightdesk status
    """
    from actors.remote import print_status

    return print_status(state, as_json=json)


def _verb(verb: str, state: Path | None, reason: str) -> int:
    from actors.remote import give

    return give(verb, state, reason=reason)


@app.command
def pause(reason: str = "", *, state: State = None) -> int:
    """Open nothing more. Positions, and their stops, are managed as before.

    Example: nightdesk pause "news at 14:00"

    Parameters
    ----------
    reason
        For the log and the pages.
    """
    return _verb("pause", state, reason)


@app.command
def kill(reason: str = "", *, state: State = None) -> int:
    """Cancel every entry, keep the stops, open nothing until a person types `nightdesk resume`.

    Example: nightdesk kill "this looks wrong"

    Parameters
    ----------
    reason
        For the log and the pages.
    """
    return _verb("kill", state, reason)


@app.command
def flatten(reason: str = "", *, state: State = None) -> int:
    """Kill, and then sell what is held, in slices, within the slippage cap.

    Example: nightdesk flatten "done for today"

    Parameters
    ----------
    reason
        For the log and the pages.
    """
    return _verb("flatten", state, reason)


@app.command
def resume(reason: str = "", *, state: State = None) -> int:
    """Lift a pause, a kill or a flatten. Only a person can.

    Example: nightdesk resume "checked the positions"

    Parameters
    ----------
    reason
        For the log and the pages.
    """
    return _verb("resume", state, reason)


@chaos.command(name="crash")
def chaos_crash(name: str, /, *, state: State = None) -> int:
    """Crash one actor or port of the running desk, to see that it comes back.

    Example: nightdesk chaos crash strategy/binance/BTCUSDT

    Parameters
    ----------
    name
        As `nightdesk status` shows it: orders, feed/binance/BTCUSDT, trade/binance ...
    """
    from actors.remote import give

    return give("crash", state, name=name)


Trials = Annotated[int, Parameter(name="--trials")]
Keep = Annotated[
    Path | None, Parameter(name="--keep", help="Keep journal, logs and configs in this folder, for a look.")
]


@live.command(name="crashes")
def live_crashes(
    *,
    trials: Annotated[int | None, Parameter(name="--trials")] = None,
    only: Annotated[list[str] | None, Parameter(name="--only", negative="")] = None,
    seed: int = 1,
    set_: Set = None,
    keep: Keep = None,
    json: Json = False,
) -> int:
    """Crash every actor and port of a trading desk in turn; it must come back, alone, and cost nothing.

    Example: nightdesk chaos live crashes --trials 13 --json

    Parameters
    ----------
    trials
        How many crashes; without it every child twice, which takes about three minutes.
    only
        Crash this child only. May be given again.
    seed
        Of the moments at which it crashes.
    """
    from actors.chaos.crashes import measure

    if trials is not None and trials < 1:
        return _say("--trials: must be 1 or more", USAGE)
    return _judged(lambda: measure(trials, only=only or [], seed=seed, overrides=set_ or [], keep=keep), json)


@live.command(name="kill9")
def live_kill9(
    *, trials: Trials = 200, seed: int = 1, set_: Set = None, keep: Keep = None, json: Json = False
) -> int:
    """Kill -9 a trading desk again and again; every order must be known and every fill booked once.

    Example: nightdesk chaos live kill9 --trials 20 --json

    Parameters
    ----------
    trials
        How many kills; each takes about three seconds.
    seed
        Of the moments at which it is killed.
    """
    from actors.chaos.kill9 import measure

    if trials < 1:
        return _say("--trials: must be 1 or more", USAGE)
    return _judged(lambda: measure(trials, seed=seed, overrides=set_ or [], keep=keep), json)


def _judged(measure: Callable[[], Any], as_json: bool) -> int:
    """Run a play and print its verdict; the exit code says whether it was good."""

    def work() -> int:
        verdict = measure()
        _print_result(verdict, as_json)
        return OK if verdict.ok else FAILED

    return _configured(work)


def _configured(work: Callable[[], int]) -> int:
    """Do what reads a config. What can be said in words is; any other exception is a bug, and shows
    itself."""
    from supervisor.config import ConfigError
    from supervisor.errors import StartFailed, TreeGaveUp
    from supervisor.keeper.processes import ProcessDied
    from supervisor.secret import SecretError

    try:
        return work()
    except (ConfigError, SecretError, StartFailed, TreeGaveUp, ProcessDied) as error:
        told: list[BaseException] = [error]
    except ExceptionGroup as group:
        known, unsaid = group.split((ConfigError, SecretError, StartFailed, TreeGaveUp, ProcessDied))
        if unsaid is not None or known is None:
            raise
        told = _leaves(known)
    for each in told:
        _say(each, FAILED)
    if all(isinstance(each, (ConfigError, SecretError)) for each in told):
        return _say("nothing was started", CONFIG_WRONG)
    return FAILED


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _print_result(result: Any, as_json: bool) -> None:
    import msgspec

    if as_json:
        sys.stdout.write(msgspec.json.encode(result, enc_hook=str).decode() + "\n")
        return
    for name, value in msgspec.to_builtins(result, enc_hook=str).items():
        sys.stdout.write(f"{name:<28} {value:.4g}\n" if isinstance(value, float) else f"{name:<28} {value}\n")


def _say(words: object, code: int) -> int:
    sys.stderr.write(f"{words}\n")
    return code
