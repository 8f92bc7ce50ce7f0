"""Crash reports: the raw exception is kept in the turn, and made into text off it.

Formatting a traceback costs more than restarting an actor, and a kept traceback keeps every frame alive (45
MB for 2,000 crashes). So the turn only notes the exception, and whoever drives the dispatcher formats it
soon after and lets the frames go.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from supervisor.events import ChildCrashed

if TYPE_CHECKING:
    from supervisor.node import Cell

RAW_MAX = 256
TEXT_MAX = 16_000
LINE_MAX = 300


class RawCrash(msgspec.Struct, frozen=True):
    """A crash as it was noted: cheap to make, not to be kept."""

    cell: Cell | None  # None: something that is no child
    name: str
    incarnation: int
    error: BaseException
    message_type: str | None
    restarts: int
    wall_ns: int


class CrashReports:
    """The crashes that are not formatted yet, at most RAW_MAX of them."""

    def __init__(self) -> None:
        self._raw: deque[RawCrash] = deque()

    def __len__(self) -> int:
        return len(self._raw)

    def add(self, crash: RawCrash) -> ChildCrashed | None:
        """Note one. When too many are waiting, the oldest is returned as an event without its traceback."""
        self._raw.append(crash)
        return _event(self._raw.popleft(), formatted=False) if len(self._raw) > RAW_MAX else None

    def format_next(self) -> ChildCrashed:
        return _event(self._raw.popleft(), formatted=True)


def one_line(error: BaseException) -> str:
    """Type and text on one line of at most LINE_MAX characters. An exception whose own __str__ raises is
    named only."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a report about a crash must not crash
        text = f"<its text cannot be shown: {type(broken).__name__}>"
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    line = " ".join(line.split())
    return line if len(line) <= LINE_MAX else line[: LINE_MAX - 3] + "..."


def unwrap(error: BaseException) -> BaseException:
    """The one exception inside nested groups of one; a group of several stays what it is."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def release_frames(error: BaseException) -> None:
    """Let go of every frame, and so of every local variable, that the exception and what it came from
    hold."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions
        traceback.clear_frames(one.__traceback__)
        one.__traceback__ = None


def _event(crash: RawCrash, *, formatted: bool) -> ChildCrashed:
    text = "(not formatted: too many crashes at once)"
    if formatted:
        try:
            text = "".join(traceback.TracebackException.from_exception(crash.error, compact=True).format())
        except Exception as broken:  # noqa: BLE001 - a report about a crash must not crash
            text = f"(cannot be formatted: {type(broken).__name__})"
    event = ChildCrashed(
        name=crash.name,
        incarnation=crash.incarnation,
        error=one_line(crash.error),
        # The end of a traceback says most.
        traceback_text=text[-TEXT_MAX:],
        message_type=crash.message_type,
        restarts=crash.restarts,
        wall_ns=crash.wall_ns,
    )
    if crash.cell is not None:
        crash.cell.last_error = event.error
    release_frames(crash.error)
    return event
