"""A pager that is killed with a page in hand: the next one delivers it, through real Apprise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import trio

from supervisor.paging.outbox import Outbox
from tests.supervisor.paging.test_channels import Webhook

PROGRAM = """
import sys, time
from pathlib import Path
import trio
from supervisor.paging.channels import PagingConfig, channels
from supervisor.paging.messages import Incident
from supervisor.paging.outbox import Outbox
from supervisor.paging.pager import Pager
from supervisor.paging.port import PagesPort
from supervisor.paging.rules import Fold

class Link:
    def ready(self): pass
    def publish(self, event): print(type(event).__name__, flush=True)
    async def receive(self): await trio.sleep_forever()

path, keys, *urls = sys.argv[1:]
pager = Pager(Fold(), wall_ns=time.time_ns, command="", outbox=Outbox(Path(path)))
for key in filter(None, keys.split(",")):
    pager(Incident(key=key, title=key, done="", command="", wall_ns=time.time_ns()))
trio.run(PagesPort(pager, channels(PagingConfig(urls=tuple(urls)))).run, Link())
"""


async def test_no_page_is_lost_and_none_comes_more_than_twice_when_the_pager_is_killed(
    tmp_path: Path,
) -> None:
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    hanging, good = f"{server.url}/hang", server.url
    try:
        _until(tmp_path, "a,b,c", [hanging, good], lines=6)
        assert sorted(each["title"] for each in server.received) == ["a", "b", "c"]
        outbox = Outbox(tmp_path / "pages.sqlite")
        outbox.look()
        assert sorted(row.key for row in outbox.unacknowledged()) == ["a", "b", "c"]
        assert [row.state.value for row in outbox.deliveries() if row.channel == "1:json"] == ["pending"] * 3
        outbox.close()
        # Killed at once after the last was taken: its outcome may not be on disk, so it may come once more.
        server.release.set()
        _until(tmp_path, "", [hanging, good], lines=3)
        titles = [each["title"] for each in server.received]
        assert all(2 <= titles.count(key) <= 4 for key in "abc"), titles
    finally:
        server.release.set()
        await trio.to_thread.run_sync(server.shutdown)
        thread.join()
        server.server_close()


def _until(folder: Path, keys: str, urls: list[str], *, lines: int) -> None:
    """Run the program until it has said so many lines, and kill it."""
    command = [sys.executable, "-c", PROGRAM, str(folder / "pages.sqlite"), keys, *urls]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(lines):
        assert child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
