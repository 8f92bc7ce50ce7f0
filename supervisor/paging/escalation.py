"""What is paged again because nobody has acknowledged it, and what a silence holds back. Pure.

Repeats are one page for all that is due, however many that are: after a storm a person needs its list, not its
echo. A silence always has an end; what is still open then is paged at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from supervisor.paging.messages import Page, Severity
from supervisor.paging.rows import IncidentRow, SilenceRow, State

UNACKNOWLEDGED = "unacknowledged"
# Named one by one in a repeat; of the rest it says how many they are.
NAMED_MAX = 10


class Escalation(msgspec.Struct, frozen=True):
    """Again `after_s` without an acknowledgement, at most `times` times."""

    after_s: float = 60.0
    times: int = 3

    def due(
        self, rows: Sequence[IncidentRow], silences: Sequence[SilenceRow], wall_ns: int
    ) -> list[IncidentRow]:
        """Those to page now. One that was silenced when it came (never paged) is due when the silence ends."""
        return [
            row for row in rows if self._is_due(row, wall_ns) and not silenced(row.key, silences, wall_ns)
        ]

    def _is_due(self, row: IncidentRow, wall_ns: int) -> bool:
        if row.state is not State.OPEN or row.severity is not Severity.PAGE or row.repeats >= self.times:
            return False
        quiet_since_ns = max(row.paged_ns, row.since_ns)
        return wall_ns - quiet_since_ns >= self.after_s * 1e9


def silenced(key: str, silences: Sequence[SilenceRow], wall_ns: int) -> bool:
    """True if a silence covers this key now."""
    return any(wall_ns < each.until_ns and fnmatchcase(key, each.pattern) for each in silences)


def repeat(rows: Sequence[IncidentRow], context: str, wall_ns: int) -> Page:
    """One page for all of them (at least one)."""
    oldest_s = (wall_ns - min(row.since_ns for row in rows)) / 1e9
    minutes = f"{oldest_s / 60:.0f} min" if oldest_s >= 90 else f"{oldest_s:.0f} s"
    if len(rows) == 1:
        title, key = f"not acknowledged for {minutes}: {rows[0].title}", rows[0].key
        about = [f"count: {rows[0].count}", f"done: {rows[0].done}"]
    else:
        title, key = f"{len(rows)} incidents not acknowledged, the first for {minutes}", UNACKNOWLEDGED
        about = [f"{row.key}: {row.title}" for row in rows[:NAMED_MAX]]
        about += [f"and {len(rows) - NAMED_MAX} more"] if len(rows) > NAMED_MAX else []
    ack = f"nightdesk page ack {rows[0].key}" if len(rows) == 1 else "nightdesk page ack '*'"
    text = "\n".join(
        [*about, *filter(None, context.splitlines()), f"type: {rows[0].command}", f"stop this: {ack}"]
    )
    return Page(page_id=0, key=key, title=title, text=text, count=len(rows), is_repeat=True)
