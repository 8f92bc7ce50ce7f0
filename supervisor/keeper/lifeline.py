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
# Without its parent a process may tidy up for so long. Nobody is left to kill it but itself.
LEAVE_S = 1.9


class Lifeline:
    """Take it first thing in `main`: from then on the end of the parent means SIGTERM to this process."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.is_cut = False
        """The parent is gone, or wants us to end as if it were: within LEAVE_S."""
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    @classmethod
    def take(cls) -> Lifeline | None:
        """The one that this process was started with; None if it was started by hand."""
        number = os.environ.pop(VARIABLE, "")
        if not number.isdigit():
            return None
        line = socket.socket(fileno=int(number))
        # It came through one exec; it must not go through another, or a grandchild would hold it open.
        line.set_inheritable(False)
        return cls(line)

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
        time.sleep(LEAVE_S)
        os.kill(os.getpid(), signal.SIGKILL)
