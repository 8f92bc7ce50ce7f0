"""Tells systemd how we are: the sd_notify protocol, one datagram each, never waiting.

The socket does not block: when systemd does not read, the queue fills, and a keeper that waited for it would
stop watching. What does not fit is lost; the next one follows soon. Protocol: sd_notify(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

STATUS_CHARS_MAX = 200


class Notifier:
    """Says nothing, and returns False, where nobody listens: not started by systemd."""

    def __init__(self, address: str = "", *, watchdog_s: float | None = None) -> None:
        """`address`: a path, or "@name" of the abstract namespace. `watchdog_s`: how long systemd waits for the
        next sign of life; None: it does not ask for any."""
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def take(cls, environ: MutableMapping[str, str] = os.environ) -> Notifier:
        """As systemd asked this process to; our children are not asked, so the variables go."""
        address = environ.pop("NOTIFY_SOCKET", "")
        period = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        asked = period.isdigit() and int(period) > 0 and pid in ("", str(os.getpid()))
        return cls(address, watchdog_s=int(period) / 1e6 if asked else None)

    def ready(self) -> bool:
        return self._send("READY=1")

    def watchdog(self) -> bool:
        """Still alive, and still looking."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        return self._send("STOPPING=1")

    def status(self, words: str) -> bool:
        """One line for `systemctl status`."""
        return self._send("STATUS=" + " ".join(words.split())[:STATUS_CHARS_MAX])

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, line: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(line.encode(), self._address)
        except OSError:  # full, or nobody there (any more): neither may stop us
            return False
        return True
