"""The child's side of being watched: one task that beats as long as the process is well.

It runs in the loop that it vouches for, by timer, so an idle child beats too. A beat says that the loop
turns, and which child of the tree has waited longest with work; while the process's own health check
complains there is none. Asked by the parent, it writes where every task waits.
"""

from __future__ import annotations

import faulthandler
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

import trio

from supervisor.keeper.beat import READY, STOPPING, Beat, BeatWriter

if TYPE_CHECKING:
    from supervisor.report import Progress

# "BEAT_FD,DUMP_FD": the page to beat in, and the file that stacks are written to.
VARIABLE = "SUPERVISOR_WATCHED"
BEAT_S = 0.1
# A mailbox that was not read for a shorter time than this is ordinary life.
STUCK_S = 1.0
TASKS_MAX = 500
FRAMES_MAX = 30


class Beater:
    """Take it first thing in `main`; then run `beat` in the loop that is to be watched."""

    def __init__(self, writer: BeatWriter, dump: int) -> None:
        self._writer = writer
        self._dump = dump
        self._stopping = False
        # SIGABRT, and whatever else kills with a signal of its own making, leaves the stacks of all threads.
        faulthandler.enable(file=dump, all_threads=True)

    @classmethod
    def take(cls) -> Beater | None:
        """What this process was started with; None if nobody watches it."""
        beat, _, dump = os.environ.pop(VARIABLE, "").partition(",")
        if not beat.isdigit() or not dump.isdigit():
            return None
        for descriptor in (int(beat), int(dump)):
            os.set_inheritable(descriptor, False)
        writer = BeatWriter(int(beat))
        os.close(int(beat))
        return cls(writer, int(dump))

    @property
    def on_running(self) -> Callable[[str], None]:
        """For the overrun guard: notes which actor runs."""
        return self._writer.running

    def stopping(self) -> None:
        """It is being ended in order."""
        self._stopping = True

    async def beat(
        self, progress: Callable[[], Sequence[Progress]], health: Callable[[], str] = lambda: ""
    ) -> None:
        """Beat until cancelled. `health` returns a complaint; while there is one there is no beat."""
        while True:
            complaint = health()
            if complaint:
                self._writer.complain(complaint)
            else:
                said = beat_of(progress(), now_ns=time.monotonic_ns(), rss_bytes=rss_bytes())
                bits = READY | (STOPPING if self._stopping else 0)
                self._writer.beat(replace(said, health=bits))
            if self._writer.was_asked():
                os.write(self._dump, tasks_text().encode())
            await trio.sleep(BEAT_S)


def beat_of(progress: Sequence[Progress], *, now_ns: int, rss_bytes: int) -> Beat:
    """What a look at the tree says. Who waits for a life of its own is not stuck."""
    worst = max((each for each in progress if each.is_running), key=lambda each: each.waiting_s, default=None)
    is_stuck = worst is not None and worst.waiting_s >= STUCK_S
    return Beat(
        at_ns=now_ns,
        done=sum(each.done for each in progress),
        digest=zlib.crc32(b"".join(each.done.to_bytes(8, "little") for each in progress)),
        rss_bytes=rss_bytes,
        stuck=worst.name if worst is not None and is_stuck else "",
        stuck_done=worst.done if worst is not None and is_stuck else 0,
        stuck_ns=int(worst.waiting_s * 1e9) if worst is not None and is_stuck else 0,
    )


_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_bytes(pid: int | None = None) -> int:
    """The memory that a process (this one) has in use; 0 if that cannot be known."""
    try:
        with open(f"/proc/{pid or 'self'}/statm", "rb") as file:  # noqa: PTH123 - ten times a second
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def tasks_text() -> str:
    """Every task of this Trio loop, and where it waits."""
    root = trio.lowlevel.current_root_task()
    lines = ["Tasks, and where each of them waits:"]
    todo = [(root, 0)] if root is not None else []
    count = 0
    while todo and count < TASKS_MAX:
        task, depth = todo.pop()
        count += 1
        lines.append(f"{'  ' * depth}{task.name}")
        for number, (frame, line) in enumerate(task.iter_await_frames()):
            if number < FRAMES_MAX:
                lines.append(f"{'  ' * depth}    {_where(frame, line)}")
        for nursery in task.child_nurseries:
            todo += [(child, depth + 1) for child in nursery.child_tasks]
    return "\n".join(lines) + "\n\n"


def _where(frame: FrameType, line: int) -> str:
    return f'File "{frame.f_code.co_filename}", line {line} in {frame.f_code.co_name}'
