"""The child's end of its parent's lifeline: a socket that says "ready" one way and "the parent is gone" the
other.

No trio: it works in any process that we start. A parent may die of kill -9, so nothing that it would have to
do can tell; that its sockets are closed, the kernel sees to.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

VARIABLE = "SUPERVISOR_LIFELINE"
LINE_BYTES_MAX = 65_536


class Lifeline:
    """Take it first thing in `main`: from then on the end of the parent means SIGTERM to this process."""

    def __init__(self, line: socket.socket, leave_s: float | None = None) -> None:
        self._line = line
        self._leave_s = leave_s
        self.is_cut = False
        """The parent is gone, or wants us to end as if it were."""
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    @classmethod
    def take(cls, *, leave_s: float | None = None) -> Lifeline | None:
        """The one that this process was started with; None if it was started by hand.

        `leave_s`: how long it may tidy up without its parent; after that it kills itself, since nobody else is
        left to. None: as long as it takes."""
        number = os.environ.pop(VARIABLE, "")
        if not number.isdigit():
            return None
        line = socket.socket(fileno=int(number))
        # It came through one exec; it must not go through another, or a grandchild would hold it open.
        line.set_inheritable(False)
        return cls(line, leave_s)

    def ready(self, words: str = "") -> None:
        """Tell the parent that this process does its work now; `words` are one line for it (a port, say)."""
        self._line.sendall(words.replace("\n", " ").encode()[: LINE_BYTES_MAX - 1] + b"\n")

    def _watch(self) -> None:
        try:
            while self._line.recv(4096):
                pass
        except OSError:
            pass
        self.is_cut = True
        os.kill(os.getpid(), signal.SIGTERM)
        if self._leave_s is None:
            return
        time.sleep(self._leave_s)
        os.kill(os.getpid(), signal.SIGKILL)
