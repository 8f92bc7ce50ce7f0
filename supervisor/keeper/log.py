"""The keeper's own log: JSON lines in a file of bounded size, and short words on standard error if wanted.

Written by a thread: a keeper that waits for a disk does not watch.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from supervisor.telemetry.writer import RotatingFile, Writer

FILE = "keeper.jsonl"
BYTES_MAX = 2_000_000
KEPT = 2


class KeeperLog:
    """Call it with words, and with fields for the machine."""

    def __init__(self, folder: Path, *, echo: bool = False) -> None:
        self._writer = Writer(RotatingFile(folder / FILE, bytes_max=BYTES_MAX, kept=KEPT))
        # A pipe that nobody reads must not hold us either.
        self._echo = Writer(sys.stderr) if echo else None

    def __call__(self, level: str, message: str, **fields: object) -> None:
        time = datetime.now(UTC).isoformat(timespec="microseconds")
        line = {"time": time, "level": level, "message": message, "process": "keeper", **fields}
        self._writer(msgspec.json.encode(line, enc_hook=str).decode() + "\n")
        if self._echo is not None and level != "DEBUG":
            self._echo(f"keeper: {message}\n")

    def stop(self) -> None:
        self._writer.stop()
        if self._echo is not None:
            self._echo.stop()
