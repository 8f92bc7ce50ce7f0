"""What systemd is told, over real sockets, and that telling it never waits."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from supervisor.keeper.notify import Notifier


@pytest.fixture(params=["file", "abstract"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[socket.socket, str]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    request.addfinalizer(listener.close)
    if request.param == "file":
        address = str(tmp_path / "notify")
        listener.bind(address)
    else:
        address = f"@nightdesk-test-{os.getpid()}-{time.monotonic_ns()}"
        listener.bind("\0" + address[1:])
    listener.settimeout(5)
    return listener, address


def test_each_word_is_one_datagram(server: tuple[socket.socket, str]) -> None:
    listener, address = server
    notifier = Notifier.take({"NOTIFY_SOCKET": address})
    assert notifier.ready() and notifier.watchdog() and notifier.status("two\nlines") and notifier.stopping()
    heard = [listener.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"STATUS=two lines", b"STOPPING=1"]
    notifier.close()


def test_a_full_queue_is_not_waited_for(server: tuple[socket.socket, str]) -> None:
    _, address = server
    notifier = Notifier(address)
    began_s = time.monotonic()
    sent = 0
    while notifier.watchdog():
        sent += 1
        assert sent < 100_000
    assert sent > 0
    assert time.monotonic() - began_s < 3
    notifier.close()


def test_where_nobody_listens_nothing_happens(tmp_path: Path) -> None:
    assert not Notifier().ready()
    gone = Notifier(str(tmp_path / "nobody"))
    assert not gone.ready()
    gone.close()
    assert not gone.ready()


def test_the_watchdog_period_is_taken_only_if_it_is_meant_for_us_and_children_do_not_see_it() -> None:
    mine = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.take(mine)
    assert notifier.watchdog_s == 10.0 and mine == {}
    notifier.close()
    assert Notifier.take({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}).watchdog_s is None
    assert Notifier.take({"WATCHDOG_USEC": "soon"}).watchdog_s is None
