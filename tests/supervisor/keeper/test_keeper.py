"""The keeper with real processes: whatever a child does is seen, ended and mended, and nothing is left behind.

The children are small programs with a real tree, a real dispatcher and the overrun guard off, so that what the
keeper is for reaches it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from supervisor.keeper.decide import EXIT_CONFIG, Limits
from supervisor.keeper.dumps import KEPT_MAX, Dump, innermost
from supervisor.keeper.incidents import Incidents
from supervisor.keeper.keeper import ChildProcess, Keeper
from supervisor.keeper.notify import Notifier
from supervisor.paging.messages import Incident
from supervisor.spec import Budget

CHILD = """
import signal, sys, threading, time, trio
from supervisor.actor import Actor
from supervisor.keeper.beater import Beater
from supervisor.keeper.lifeline import Lifeline
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.runtime import run
from supervisor.spec import Branch, Child, Strategy

lifeline, beater = Lifeline.take(leave_s=1.9), Beater.take()
FAULT = sys.argv[1]

class Go(Message, frozen=True):
    pass

class Worker(Actor):
    def on_go(self, message: Go) -> None:
        if FAULT == "loop":
            while True:
                pass
        if FAULT == "c-call":
            sum(range(10**10))
        if FAULT == "segfault":
            import ctypes
            ctypes.string_at(0)
        if FAULT == "memory":
            self.kept = b"x" * 150_000_000

class Deaf:
    # Works never: its mailbox fills while the loop turns.
    async def run(self, link):
        link.ready()
        await trio.Event().wait()

worker, deaf = Address("worker"), Address("deaf")
tree = Branch("root", Strategy.ONE_FOR_ONE, (Child(worker, Worker), Child(deaf, Deaf)))

async def main():
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            runtime = await nursery.start(lambda task_status: run(tree, task_status=task_status))
            nursery.start_soon(beater.beat, runtime.progress)
            lifeline.ready("here")
            nursery.start_soon(faults, runtime)
            async for _ in signals:
                runtime.stop()
                nursery.cancel_scope.cancel()

async def faults(runtime):
    await trio.sleep(0.15)
    if FAULT == "exit":
        sys.stdout.flush()
        import os
        os._exit(int(sys.argv[2]))
    runtime.tell(deaf if FAULT == "deadlock" else worker, Go())

trio.run(main)
"""
# No wait on this machine's mood: generous grace, everything else as in life.
LIMITS = Limits(grace_s=20.0, progress_s=1.0, stop_s=3.0)


def child(fault: str, *more: str, limits: Limits = LIMITS, name: str = "engine") -> ChildProcess:
    command = [sys.executable, "-c", CHILD, fault, *more]
    return ChildProcess(name, lambda _: command, limits)


@asynccontextmanager
async def kept(folder: Path, *children: ChildProcess) -> AsyncIterator[Keeper]:
    keeper = Keeper(children, folder, command="look")
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.run)
            yield keeper
            keeper.stop("the test is over")


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - what other processes do, nobody here is told
        await trio.sleep(0.01)


def told(keeper: Keeper) -> list[Incident]:
    return [incident for _, incident in keeper.incidents.waiting()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def first_life(keeper: Keeper) -> int:
    await until(lambda: keeper.wards[0].phase.value == "running")
    pid = keeper.pid(keeper.wards[0].name)
    assert pid is not None
    return pid


@pytest.mark.parametrize(
    ("fault", "key", "within_s", "where"),
    [
        ("segfault", "died", 1.0, "string_at"),
        ("loop", "silent", 4.0, "on_go"),
        ("c-call", "silent", 4.0, "on_go"),
        ("deadlock", "stuck", 6.0, ""),
    ],
)
async def test_a_fault_is_told_its_stacks_are_kept_and_another_life_begins(
    tmp_path: Path, fault: str, key: str, within_s: float, where: str
) -> None:
    async with kept(tmp_path, child(fault)) as keeper:
        pid = await first_life(keeper)
        began_s = trio.current_time()
        await until(lambda: told(keeper))
        took_s = trio.current_time() - began_s - 0.15
        await until(lambda: keeper.wards[0].life == 2)
        incident = told(keeper)[0]
        assert not is_alive(pid)
    assert incident.key == f"process/engine/{key}" and f"pid {pid}" in incident.title
    assert took_s < within_s
    dump = max((tmp_path / "dumps").glob("engine-*.txt"), key=lambda path: path.read_text().count("File"))
    assert where in innermost(dump.read_text())
    if fault == "deadlock":
        assert "deaf has work and has not moved" in incident.title
        assert "Tasks, and where each of them waits" in dump.read_text() and "port deaf" in dump.read_text()


async def test_a_killed_child_is_seen_at_once(tmp_path: Path) -> None:
    async with kept(tmp_path, child("none")) as keeper:
        pid = await first_life(keeper)
        began_s = trio.current_time()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: told(keeper))
        assert trio.current_time() - began_s < 0.5
        assert "killed by SIGKILL" in told(keeper)[0].title
        await until(lambda: keeper.wards[0].life == 2 and keeper.wards[0].phase.value == "running")
    assert len(told(keeper)) == 1


async def test_a_frozen_child_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with kept(tmp_path, child("none")) as keeper:
        pid = await first_life(keeper)
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: keeper.wards[0].life == 2)
        assert not is_alive(pid)
    assert [each.key for each in told(keeper)] == ["process/engine/silent"]


async def test_a_child_that_is_too_large_is_told_to_go_before_it_is_killed(tmp_path: Path) -> None:
    limits = Limits(grace_s=20.0, rss_bytes_max=130_000_000)
    async with kept(tmp_path, child("memory", limits=limits)) as keeper:
        await first_life(keeper)
        await until(lambda: keeper.wards[0].life == 2)
        # It ended by itself: SIGTERM came over its lifeline.
        assert keeper.wards[0].exit_code == 0
    assert told(keeper)[0].key == "process/engine/memory"


async def test_who_keeps_dying_is_given_up_once_and_the_keeper_ends_with_1(tmp_path: Path) -> None:
    limits = Limits(grace_s=20.0, budget=Budget(crashes_max=1, within_s=60.0))
    keeper = Keeper([child("exit", "3", limits=limits)], tmp_path, command="look")
    with trio.fail_after(30):
        assert await keeper.run() == 1
    assert [each.key.rpartition("/")[2] for each in told(keeper)] == ["died", "died", "gave-up"]
    assert "stays down" in told(keeper)[2].done


async def test_a_wrong_config_ends_the_keeper_with_the_same_exit_code(tmp_path: Path) -> None:
    keeper = Keeper([child("exit", str(EXIT_CONFIG))], tmp_path, command="look")
    with trio.fail_after(30):
        assert await keeper.run() == EXIT_CONFIG


async def test_a_program_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    limits = Limits(budget=Budget(crashes_max=1, within_s=60.0))
    missing = ChildProcess("engine", lambda _: [str(tmp_path / "nowhere")], limits)
    keeper = Keeper([missing], tmp_path, command="look")
    with trio.fail_after(10):
        assert await keeper.run() == 1
    assert "could not be started" in told(keeper)[0].title


async def test_a_stop_ends_everything_in_order_and_tells_nobody(tmp_path: Path) -> None:
    async with kept(tmp_path, child("none", name="a"), child("none", name="b")) as keeper:
        await until(lambda: all(ward.phase.value == "running" for ward in keeper.wards))
        pids = [keeper.pid("a"), keeper.pid("b")]
    assert keeper.exit_code == 0 and told(keeper) == []
    assert not any(is_alive(pid) for pid in pids if pid is not None)


async def test_systemd_hears_when_all_are_ready_that_it_still_looks_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        notifier = Notifier(str(tmp_path / "notify"), watchdog_s=0.4)
        keeper = Keeper([child("none")], tmp_path, notifier=notifier, command="look")
        heard: list[bytes] = []

        def hear() -> list[bytes]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(systemd.recv(4096))
            return heard

        async def listen() -> None:
            # As systemd does: a queue that nobody empties holds ten messages, and the notifier waits for nobody.
            while True:
                hear()
                await trio.sleep(0.02)

        with trio.fail_after(30):
            async with trio.open_nursery() as listening:
                listening.start_soon(listen)
                async with trio.open_nursery() as nursery:
                    await nursery.start(lambda task_status: keeper.run(task_status=task_status))
                    assert b"READY=1" in hear()
                    heard.clear()
                    await trio.sleep(1.0)
                    assert 5 <= hear().count(b"WATCHDOG=1") <= 12
                    keeper.stop("the test is over")
                listening.cancel_scope.cancel()
        assert b"STOPPING=1" in hear()


async def test_a_busy_machine_kills_nobody(tmp_path: Path) -> None:
    async with kept(tmp_path, child("none")) as keeper:
        pid = await first_life(keeper)
        hogs = [
            await trio.lowlevel.open_process([sys.executable, "-c", "while True: pass"])
            for _ in range(os.cpu_count() or 1)
        ]
        try:
            await trio.sleep(10)
        finally:
            for hog in hogs:
                hog.kill()
                await hog.wait()
        assert keeper.pid("engine") == pid and told(keeper) == []


KEEPER = textwrap.dedent(
    """
    import sys, trio
    from pathlib import Path
    from supervisor.keeper.keeper import ChildProcess, Keeper
    command = [sys.executable, "-c", sys.argv[2], sys.argv[3]]
    keeper = Keeper([ChildProcess("engine", lambda _: command)], Path(sys.argv[1]), command="look")
    async def main():
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: keeper.run(task_status=task_status))
            print(keeper.pid("engine"), flush=True)
    trio.run(main)
    """
)


def killed_keeper(folder: Path) -> int:
    """Start a keeper, kill it, and return the pid of its child."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(folder), CHILD, "none"], stdout=subprocess.PIPE
    ) as keeper:
        assert keeper.stdout is not None
        pid = int(keeper.stdout.readline())
        if folder.name == "frozen":
            os.kill(pid, signal.SIGSTOP)
        keeper.kill()
    return pid


def test_when_the_keeper_is_killed_its_children_are_gone_within_2_s(tmp_path: Path) -> None:
    pid = killed_keeper(tmp_path)
    deadline_s = time.monotonic() + 2
    while is_alive(pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


async def test_a_child_that_could_not_notice_is_ended_by_the_next_keeper_before_it_starts_another(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "frozen"
    folder.mkdir()
    pid = killed_keeper(folder)
    assert is_alive(pid)
    async with kept(folder, child("none")) as keeper:
        await until(lambda: keeper.wards[0].life == 1)
        assert not is_alive(pid)
        await first_life(keeper)


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, supervisor.keeper.keeper\n"
        "print(*({'ccxt', 'apprise', 'httpx', 'loguru', 'apsw', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_dumps_are_bounded_and_an_empty_one_leaves_no_file(tmp_path: Path) -> None:
    for number in range(KEPT_MAX + 5):
        dump = Dump(tmp_path, "engine", number * 1_000_000_000)
        os.write(dump.descriptor, b"x")
        assert dump.close() == "x"
    assert len(list(tmp_path.iterdir())) == KEPT_MAX
    empty = Dump(tmp_path, "engine", 10**18)
    assert empty.close() == "" and not empty.path.exists()


def test_incidents_are_read_in_order_until_taken_and_a_broken_file_holds_nobody_up(tmp_path: Path) -> None:
    spool = Incidents(tmp_path / "incidents")
    for number in range(3):
        assert spool.put(Incident(key=f"k{number}", title="t", done="d", command="c", wall_ns=1_000 + number))
    (spool.folder / "00000000000000000000-1-000000.json").write_text("{not json")
    waiting = Incidents(tmp_path / "incidents").waiting()
    assert [incident.key for _, incident in waiting] == ["k0", "k1", "k2"]
    spool.taken(waiting[0][0])
    assert [incident.key for _, incident in spool.waiting()] == ["k1", "k2"]
