"""Stack dumps of children that had to be ended: a file for each life, a bounded number kept.

The parent opens the file, so that a child that can no longer open anything still writes into it. A life that
left nothing leaves no file.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "dumps"
KEPT_MAX = 20
# The dump of one life: a hundred threads of a hundred frames are less.
BYTES_SHOWN_MAX = 200_000
_FRAME = re.compile(r'^\s+File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>\S+)')


class Dump:
    """One life's file. Hand `descriptor` to the child, then `release` it; `close` when the life is over."""

    def __init__(self, folder: Path, name: str, wall_ns: int) -> None:
        stamp = datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%S.%f")
        self.path = folder / f"{name}-{stamp}.txt"
        try:
            self.descriptor = self._open(folder)
        except OSError:  # a full disk must not keep a child from its next life
            self.descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def _open(self, folder: Path) -> int:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        older = sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime, reverse=True)
        # The one that is made now counts too.
        for path in older[KEPT_MAX - 1 :]:
            path.unlink(missing_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def release(self) -> None:
        """The child has its own end by now."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def close(self) -> str:
        """What is in it; an empty one is removed."""
        self.release()
        try:
            text = self.path.read_text(errors="replace")[:BYTES_SHOWN_MAX]
            if not text:
                self.path.unlink()
        except OSError:
            return ""
        return text


def innermost(text: str) -> str:
    """Where the main thread was, as "name (file:line)", from a faulthandler dump; "" if it does not say.

    The main thread stands last, its newest frame first.
    """
    last = text.rpartition("hread 0x")[2]
    for line in last.splitlines():
        found = _FRAME.match(line)
        if found:
            return f"{found['name']} ({Path(found['file']).name}:{found['line']})"
    return ""
