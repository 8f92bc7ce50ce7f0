"""Child processes say when they are ready, end within a bound, and do not outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from supervisor.keeper.processes import Process, ProcessDied, ProcessPort, start, started
from supervisor.mailbox import Address
from supervisor.runtime import Runtime, run
from supervisor.spec import Branch, Child, Strategy

GOOD = """
import signal, sys, time
from supervisor.keeper.lifeline import Lifeline
line = Lifeline.take()
line.ready("port 4711")
while True:
    time.sleep(60)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + GOOD


async def begin(code: str, **how: object) -> Process:
    return await start("child", [sys.executable, "-c", code], **how)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


async def test_a_child_is_ready_when_it_says_so_and_ends_when_told() -> None:
    child = await begin(GOOD)
    with trio.fail_after(10):
        assert await child.ready() == "port 4711"
        await child.stop()
    assert not is_alive(child.pid)


async def test_a_child_that_ignores_sigterm_is_killed_within_the_bound() -> None:
    child = await begin(DEAF)
    with trio.fail_after(10):
        await child.ready()
        began_s = trio.current_time()
        await child.stop(term_s=0.2)
    assert trio.current_time() - began_s < 2
    assert not is_alive(child.pid)


async def test_a_child_that_dies_says_how_and_where_its_words_are(tmp_path: Path) -> None:
    output = tmp_path / "logs" / "child.log"
    child = await begin("import sys; sys.exit('no such market')", output=output)
    with pytest.raises(ProcessDied, match=r"child \(pid \d+\) ended with exit code 1; its output is in"):
        with trio.fail_after(10):
            await child.ready()
    await child.stop()
    assert output.read_text() == "no such market\n"
    assert output.stat().st_mode & 0o777 == 0o600


async def test_a_killed_child_is_named_with_its_signal() -> None:
    child = await begin(GOOD)
    with trio.fail_after(10):
        await child.ready()
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(ProcessDied, match="killed by SIGKILL"):
            await child.wait()
        await child.stop()


async def test_a_program_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        await start("child", [str(tmp_path / "nowhere")])


async def test_a_block_gets_a_child_that_is_ready_and_leaves_none_behind() -> None:
    with trio.fail_after(10):
        async with started("child", [sys.executable, "-c", GOOD]) as child:
            assert child.announced == "port 4711" and is_alive(child.pid)
        assert not is_alive(child.pid)


async def test_a_child_that_is_never_ready_is_given_up_and_ended() -> None:
    with trio.fail_after(10), pytest.raises(ProcessDied, match=r"not ready within 0\.2 s"):
        async with started("child", [sys.executable, "-c", "import time; time.sleep(60)"], within_s=0.2):
            pass


PARENT = f"""
import sys, trio
from supervisor.keeper.processes import start
async def main():
    child = await start("child", [sys.executable, "-c", {GOOD!r}])
    await child.ready()
    print(child.pid, flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


def test_a_child_does_not_outlive_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    deadline_s = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not is_alive(pid)


async def test_in_a_tree_a_child_that_dies_is_started_again() -> None:
    words: list[str] = []
    child = Child(
        Address("venue"), lambda: ProcessPort("venue", [sys.executable, "-c", GOOD], on_ready=words.append)
    )
    pids: list[int] = []
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            runtime: Runtime = await nursery.start(run, Branch("desk", Strategy.ONE_FOR_ONE, (child,)))
            pids += _children()
            os.kill(pids[0], signal.SIGKILL)
            while len(words) < 2:  # noqa: ASYNC110
                await trio.sleep(0.01)
            pids += _children()
            runtime.stop()
    assert words == ["port 4711"] * 2
    assert not any(is_alive(pid) for pid in pids)


def _children() -> list[int]:
    tasks = Path("/proc/self/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
