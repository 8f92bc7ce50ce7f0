"""A bounded file of JSON lines: what the venue saw, kept when its process dies.

Each line is one system call to a file opened for appending, so a killed process loses nothing that it wrote.
"""

from __future__ import annotations

import os
from pathlib import Path


class RecordFile:
    """Takes lines until `bytes_max`, then one last line that says so, and nothing more."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._left = bytes_max - os.fstat(self._descriptor).st_size
        self._full = self._left <= 0

    def __call__(self, line: bytes) -> None:
        if self._full:
            return
        self._left -= len(line) + 1
        self._full = self._left <= 0
        os.write(self._descriptor, (b'{"what":"full"}' if self._full else line) + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)
        self._full = True
