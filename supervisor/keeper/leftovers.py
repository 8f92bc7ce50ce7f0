"""Children that a keeper left behind: it died while they could not notice (frozen, or deaf).

Each keeper writes down whom it started; the next one on the same folder ends whoever still runs, before it
starts anything. Two engines on one account must never be.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import trio

from supervisor.keeper.sight import born

FILE = "children.json"
# A child whose lifeline is cut ends by itself within this.
LEAVE_S = 2.0


class Started(msgspec.Struct, frozen=True):
    """One process. `born` is what makes its pid unmistakable."""

    name: str
    pid: int
    born: str


def write(folder: Path, children: list[Started]) -> None:
    """Write down who runs, whole or not at all."""
    draft = folder / f".{FILE}"
    draft.write_bytes(msgspec.json.encode(children))
    draft.chmod(0o600)
    draft.replace(folder / FILE)


async def end(folder: Path, *, leave_s: float = LEAVE_S) -> list[Started]:
    """End whoever still runs; returns those that had to be killed."""
    try:
        children = msgspec.json.decode((folder / FILE).read_bytes(), type=list[Started])
    except (OSError, msgspec.DecodeError):
        return []
    await _gone(children, leave_s)
    killed = [each for each in children if _runs(each)]
    for each in killed:
        os.kill(each.pid, signal.SIGKILL)
    await _gone(killed, leave_s)
    (folder / FILE).unlink(missing_ok=True)
    return killed


async def _gone(children: list[Started], within_s: float) -> None:
    with trio.move_on_after(within_s):
        # They are not our children: nobody tells us when they end.
        while any(_runs(each) for each in children):  # noqa: ASYNC110
            await trio.sleep(0.02)


def _runs(child: Started) -> bool:
    return bool(child.born) and born(child.pid) == child.born
