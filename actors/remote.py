"""Commands for a desk that runs already: finds it by its state folder, asks, and prints what it says."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from supervisor.telemetry import operator
from supervisor.telemetry.operator import NotRunning, OperatorFile, Refusal

VARIABLE = "NIGHTDESK_STATE_DIR"
HINT = (
    "To start one: nightdesk run configs/demo.toml. If it runs elsewhere, name the state_dir of its config: "
    "--state DIR"
)


def find(state: Path | None) -> OperatorFile:
    """The desk that is meant. Raises NotRunning, saying where it was looked for, if there is none, or more
    than one."""
    named = state if state is not None else (Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None)
    if named is not None:
        try:
            return operator.read(named)
        except NotRunning as error:
            raise NotRunning(f"{error}. {HINT}") from None
    running, stale = [], []
    for folder in operator.search(Path()):
        try:
            running.append((folder, operator.read(folder)))
        except NotRunning as error:
            stale.append(str(error))
    if len(running) == 1:
        return running[0][1]
    if running:
        folders = ", ".join(str(folder) for folder, _ in running)
        raise NotRunning(f"more than one desk runs here; say which one: --state DIR, with one of {folders}")
    raise NotRunning(f"{'; '.join(stale) or f'no desk runs below {Path.cwd()}'}. {HINT}")


def give(verb: str, state: Path | None, *, reason: str = "", name: str = "") -> int:
    """Give a command and print the answer; returns the exit code."""
    by = f"operator:{getpass.getuser()}"
    return _tell(
        state,
        lambda desk: operator.command(desk, verb, by=by, reason=reason, name=name),
        lambda desk, answer: sys.stdout.write(f"{desk.name}: {answer['said']}\n"),
    )


def print_status(state: Path | None, *, as_json: bool) -> int:
    """Print the snapshot of the desk; returns the exit code."""
    return _tell(
        state,
        lambda desk: operator.get(desk, "/status"),
        lambda _, answer: _print_json(answer) if as_json else _print_view(answer),
    )


def _tell(
    state: Path | None,
    ask: Callable[[OperatorFile], Any],
    show: Callable[[OperatorFile, Any], object],
) -> int:
    try:
        desk = find(state)
        show(desk, ask(desk))
    except (NotRunning, Refusal) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _print_json(answer: Any) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


def _print_view(answer: Any) -> None:
    """The same picture as the live view, once."""
    from rich.console import Console

    from actors.view import HEIGHT_USUAL, ViewModel, render

    try:
        model = msgspec.convert(answer["view"], ViewModel)
    except (KeyError, TypeError, msgspec.ValidationError):
        # Another version of the desk: what it says is still worth more than nothing.
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
        return
    # Into a pipe, as wide as the view is at its best.
    width = None if sys.stdout.isatty() else 100
    height = max(HEIGHT_USUAL, len(model.tree) + 14)
    console = Console(width=width, height=height)
    console.print(render(model, height=height))
