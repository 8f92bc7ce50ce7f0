"""A supervisor's events as log lines: a subscriber of the runtime.

What other events are worth a line is the program's to say: it gives a function that returns their level and
words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from loguru import logger

from supervisor import events
from supervisor.message import Message
from supervisor.paging.messages import Paged, PageDelivered, PageFailed


class Line(NamedTuple):
    level: str
    words: str


Describe = Callable[[Message], Line | None]


class LogEvents:
    """Logs each event that it, or `describe`, has words for; the event's own fields go into the JSON line."""

    def __init__(self, describe: Describe | None = None) -> None:
        self._describe = describe

    def __call__(self, event: Message) -> None:
        line = line_of(event) or (self._describe(event) if self._describe is not None else None)
        if line is None:
            return
        fields = {"event": type(event).__name__}
        if isinstance(event, events.ChildCrashed):
            fields["traceback"] = event.traceback_text
        logger.bind(**fields, data=_fields(event)).log(line.level, "{}", line.words)


def _fields(event: Message) -> object:
    named = msgspec.to_builtins(event, enc_hook=str)
    named.pop("type", None)
    named.pop("traceback_text", None)
    return named


def line_of(event: Message) -> Line | None:
    """What the supervision says, in words; None for an event that is not its own."""
    match event:
        case events.ChildStarted():
            return Line(
                "INFO" if event.incarnation > 1 else "DEBUG", f"{event.name} starts, life {event.incarnation}"
            )
        case events.ChildReady():
            level = "INFO" if event.incarnation > 1 else "DEBUG"
            return Line(level, f"{event.name} is ready after {event.took_s:.3f} s")
        case events.ChildCrashed():
            hand = f" with {event.message_type} in hand" if event.message_type else ""
            return Line(
                "ERROR", f"{event.name} crashed{hand} (restarts so far: {event.restarts}): {event.error}"
            )
        case events.ChildStopped():
            return Line("DEBUG", f"{event.name} ended: {event.reason}")
        case events.ChildStuck():
            return Line(
                "CRITICAL",
                f"{event.name} does not stop; waited {event.waited_s:.1f} s; the process ends itself",
            )
        case events.BranchGaveUp():
            then = "it stays stopped, the others go on" if event.alone else "its parent decides"
            return Line("CRITICAL", f"branch {event.name} gave up ({event.cause}): {then}")
        case events.Halted():
            return Line("CRITICAL", f"branch {event.branch} halted by {event.child}: {event.error}")
        case events.ActorOverran():
            return Line(
                "ERROR", f"{event.name} was interrupted after {event.ran_s:.3f} s with {event.message_type}"
            )
        case events.DeadLetters():
            return Line("DEBUG", f"{event.total} dead letters so far: {_counts(event.counts)}")
        case Paged():
            page = event.page
            text = "\n    ".join([f"PAGE {page.page_id}: {page.title}", *page.text.splitlines()])
            return Line("ERROR", text)
        case PageDelivered():
            return Line("INFO", f"page {event.page_id} taken by {event.channel} after {event.took_s:.1f} s")
        case PageFailed():
            words = f"page {event.page_id} was NOT taken by {event.channel}: {event.reason}"
            return Line("CRITICAL", words)
        case _:
            return None


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])[:8]
    )
