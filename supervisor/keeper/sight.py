"""What the kernel knows of another process: memory in use, and how long it waited for a processor."""

from __future__ import annotations

from pathlib import Path

from supervisor.keeper.beat import READY, BeatReader
from supervisor.keeper.beater import rss_bytes
from supervisor.keeper.decide import Sight


def look_at(pid: int, reader: BeatReader | None, *, is_ready: bool) -> Sight:
    """One look at a child. `reader` None: it gives no beats."""
    rss, starved_ns = rss_bytes(pid), _starved_ns(pid)
    if reader is None:
        return Sight(is_ready=is_ready, rss_bytes=rss, starved_ns=starved_ns)
    beat = reader.read()
    return Sight(
        is_ready=is_ready and beat is not None and bool(beat.health & READY),
        sequence=beat.sequence if beat is not None else None,
        stuck=beat.stuck if beat is not None else "",
        stuck_done=beat.stuck_done if beat is not None else 0,
        rss_bytes=rss,
        starved_ns=starved_ns,
        complaint=reader.complaint(),
        running=reader.running(),
    )


def _starved_ns(pid: int) -> int:
    """How long its main thread was ready to run and had to wait: the second number of schedstat (proc(5))."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def born(pid: int) -> str:
    """When the process began, in the kernel's ticks: with the pid, it names one process. "" if it is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # State is the third field of stat, the start time the 22nd; a zombie is gone.
    return "" if after_name[0] == "Z" else after_name[19]
