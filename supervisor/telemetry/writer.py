"""Writes log lines from a thread of its own, so that a pipe that nobody reads, or a slow disk, never stops
the program.

The queue is bounded: what does not fit is dropped and counted, and the count is written as soon as there is
room again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from pathlib import Path
from typing import IO, Protocol

LINES_MAX = 10_000


class Sink(Protocol):
    """Where lines end up. Called by one thread only."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class Writer:
    """Hand it to loguru as a sink; `stop` writes what is left, for at most `timeout_s`."""

    def __init__(self, sink: Sink, *, lines_max: int = LINES_MAX) -> None:
        self._sink = sink
        self._lines: deque[str] = deque()
        self._lines_max = lines_max
        self._dropped = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def __call__(self, line: str) -> None:
        with self._changed:
            if len(self._lines) >= self._lines_max:
                self._dropped += 1
                return
            self._lines.append(str(line))
            self._changed.notify()

    def stop(self, timeout_s: float = 1.0) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._stopping:
                    self._changed.wait()
                lines, self._lines = self._lines, deque()
                dropped, self._dropped = self._dropped, 0
            if not lines and self._stopping:
                return
            if dropped:
                lines.append(f"({dropped} log lines were dropped here: their reader was too slow)\n")
            # A reader that went away, or a full disk: there is no place left to say so.
            with contextlib.suppress(OSError, ValueError):
                self._sink.write("".join(lines))
                self._sink.flush()


class RotatingFile:
    """A file of at most about `bytes_max`, mode 0600, and `kept` older ones beside it (.1 is the newest of
    them)."""

    def __init__(self, path: Path, *, bytes_max: int, kept: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._kept = kept
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file, self._size = self._open()

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        if self._size and self._size + len(data) > self._bytes_max:
            self._rotate()
        self._file.write(data)
        self._size += len(data)

    def flush(self) -> None:
        self._file.flush()

    def _open(self) -> tuple[IO[bytes], int]:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "ab"), os.fstat(descriptor).st_size

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._kept, 0, -1):
            older = self._path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if not self._kept:
            self._path.unlink()
        self._file, self._size = self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
