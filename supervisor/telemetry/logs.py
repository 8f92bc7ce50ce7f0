"""Log lines: readable on a terminal, one JSON object a line for a machine, secrets in neither.

loguru carries them; a thread of its own writes them. Variables' values never go into a traceback (`diagnose`
is off), and the chatter of libraries is let through from WARNING on only: httpx, for one, logs signed URLs at
INFO.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from loguru import logger
from msgspec import Meta

from supervisor.telemetry.redaction import redacted
from supervisor.telemetry.writer import RotatingFile, Sink, Writer

if TYPE_CHECKING:
    from loguru import Record

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

_COLOURS = {"DEBUG": "2", "INFO": "0", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;41"}


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[log]"""

    # Nothing below INFO is written on the way of a tick; DEBUG is for a desk that is being looked at.
    level: Level = "INFO"
    # "auto": text on a terminal, JSON where standard error is a pipe or a file (systemd's journal keeps it).
    format: Literal["auto", "text", "json"] = "auto"
    # Also, or instead (while the live view has the terminal), into this file.
    file: Path | None = None
    # A disk that logs have filled takes the journal down with it. So: this much, times files_kept + 1.
    file_bytes_max: Annotated[int, Meta(ge=10_000)] = 50_000_000
    files_kept: Annotated[int, Meta(ge=0, le=100)] = 4


class Logs:
    """The sinks of this process. `stop` flushes them; nothing is logged afterwards."""

    def __init__(self, writers: list[Writer]) -> None:
        self._writers = writers

    def stop(self) -> None:
        logger.remove()
        for writer in self._writers:
            writer.stop()


def start(config: LogConfig, *, stream: Sink | None = None, terminal: bool = True) -> Logs:
    """Log as `config` says. `terminal` False: not on standard error, because something else draws there."""
    logger.remove()
    _intercept_libraries()
    writers: list[Writer] = []
    sink = stream if stream is not None else sys.stderr
    if terminal:
        is_terminal = bool(getattr(sink, "isatty", bool)())
        as_json = config.format == "json" or (config.format == "auto" and not is_terminal)
        writers.append(_add(sink, config.level, as_json=as_json, colour=is_terminal))
    if config.file is not None:
        file = RotatingFile(config.file, bytes_max=config.file_bytes_max, kept=config.files_kept)
        writers.append(_add(file, config.level, as_json=config.format != "text", colour=False))
    return Logs(writers)


def _add(sink: Sink, level: Level, *, as_json: bool, colour: bool) -> Writer:
    writer = Writer(sink)

    def write(message: Any) -> None:
        record: Record = message.record
        writer(json_line(record) if as_json else text_line(record, colour=colour))

    # The format gives nothing: the sink makes the line from the record, tracebacks included, and redacts it
    # as a whole.
    logger.add(write, level=level, format=lambda _record: "", diagnose=False, backtrace=False, catch=True)
    return writer


def text_line(record: Record, *, colour: bool) -> str:
    """For a person: time, level, words, and where they come from."""
    level = record["level"].name
    line = f"{record['time']:%H:%M:%S.%f}"[:-3] + f" {level:<8} {redacted(record['message'])}"
    line += _indented(_exception(record))
    if "traceback" in record["extra"]:
        line += _indented(redacted(str(record["extra"]["traceback"])))
    return f"\x1b[{_COLOURS.get(level, '0')}m{line}\x1b[0m\n" if colour else f"{line}\n"


def json_line(record: Record) -> str:
    """For a machine: one object; what was bound to the record (`logger.bind`) is in it by name."""
    line: dict[str, Any] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="microseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "where": f"{record['name']}:{record['line']}",
    }
    line |= {name: value for name, value in record["extra"].items() if name not in line}
    if exception := _exception(record):
        line["exception"] = exception
    # Strings are redacted one by one, before they are quoted: a mask must not eat a closing quote.
    return msgspec.json.encode(_redacted_all(line), enc_hook=str).decode() + "\n"


def _redacted_all(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted_all(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted_all(item) for item in value]
    return value


def _exception(record: Record) -> str:
    found = record["exception"]
    if found is None or found.value is None:
        return ""
    return redacted("".join(traceback.format_exception(found.value)).rstrip())


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.splitlines())


class _ToLoguru(logging.Handler):
    """Brings what libraries log through `logging` into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        def place(ours: Record) -> None:
            ours["name"], ours["line"], ours["function"] = record.name, record.lineno, record.funcName

        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.patch(place).opt(exception=record.exc_info).log(level, "{}", record.getMessage())


def _intercept_libraries() -> None:
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in ("httpx", "httpcore", "trio-websocket", "apprise"):
        logging.getLogger(name).setLevel(logging.WARNING)
