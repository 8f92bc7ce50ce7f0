"""The outbox: incidents, pages and what became of each page in each channel, on disk before anything is sent.

One SQLite file, mode 0600, every commit synced. A process that is killed leaves pending deliveries behind, and
the next one sends them: none is lost, and at most the one under way in each channel is doubled. Everything here
blocks: call it from a thread of its own, one call at a time.

Bounded: what is over for KEEP_NS is forgotten, and beyond INCIDENTS_MAX, PAGES_MAX or SILENCES_MAX the oldest
goes; incidents that are still open go last. A pending delivery older than RESEND_NS has failed: it would wake a
person for yesterday.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from supervisor.paging.messages import Incident, Page, Resolved, Severity
from supervisor.paging.outbox_file import OutboxFailed as OutboxFailed
from supervisor.paging.outbox_file import Transaction, connected, existing, in_memory, reading
from supervisor.paging.rows import DeliveryRow, DeliveryState, IncidentRow, Listing, SilenceRow, State

FILE = "pages.sqlite"
DAY_NS = 86_400 * 10**9
KEEP_NS = 30 * DAY_NS
RESEND_NS = DAY_NS
INCIDENTS_MAX = 1_000
PAGES_MAX = 5_000
SILENCES_MAX = 100
# Commits between two prunings.
PRUNE_EVERY = 200

# A key that was resolved begins again; one that was acknowledged stays so until a page leaves for it.
_REPORT = """
INSERT INTO incident (key, severity, state, since_ns, last_ns, count, title, done, command)
VALUES (:key, :severity, 'open', :at_ns, :at_ns, 1, :title, :done, :command)
ON CONFLICT (key) DO UPDATE SET
    severity = excluded.severity, title = excluded.title, done = excluded.done, command = excluded.command,
    last_ns = excluded.last_ns,
    since_ns = iif(state = 'resolved', excluded.since_ns, since_ns),
    count = iif(state = 'resolved', 1, count + 1),
    paged_ns = iif(state = 'resolved', 0, paged_ns),
    repeats = iif(state = 'resolved', 0, repeats),
    acked_by = iif(state = 'resolved', '', acked_by),
    acked_ns = iif(state = 'resolved', 0, acked_ns),
    state = iif(state = 'resolved', 'open', state)
WHERE :is_echo = 0 OR state = 'resolved'
"""
_PAGED = """
UPDATE incident SET paged_ns = ?, repeats = iif(state = 'acknowledged', 0, repeats), state = 'open'
WHERE key = ? AND state != 'resolved'
"""
_INCIDENTS = (
    "SELECT key, severity, state, since_ns, last_ns, count, title, done, command, acked_by, acked_ns, paged_ns, "
    "repeats FROM incident"
)


class Outbox:
    """`path` None: in memory, for tests and for a disk that takes nothing. Open it before anything else."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._connection: apsw.Connection | None = None
        self._commits = 0

    @property
    def blocks(self) -> bool:
        """True if calls wait for a disk."""
        return self.path is not None

    def open(self, wall_ns: int) -> str:
        """Open the file, or make it. What is not an outbox of ours is set aside, and where even that does not
        help, memory has to do: a pager that does not start pages nobody. Returns what was wrong, in words."""
        if self._connection is not None:
            return ""
        trouble = ""
        if self.path is not None:
            self._connection, trouble = connected(self.path, wall_ns)
        if self._connection is None:
            self.path = None
            self._connection = in_memory()
        # A full disk: it is tried again later, and what has to be said is said by the first page.
        with contextlib.suppress(OutboxFailed):
            self._prune(wall_ns)
        return trouble

    def look(self) -> None:
        """Open a file that must be there, and be sound: nothing is made or set aside. Raises OutboxFailed."""
        assert self.path is not None
        self._connection = existing(self.path)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- written by the pager ------------------------------------------------------------------------------

    def keep(
        self,
        changes: Sequence[Incident | Resolved],
        pages: Sequence[tuple[Page, Sequence[str]]],
        repeated: Sequence[str],
        wall_ns: int,
    ) -> list[Page]:
        """What happened, and the pages about it with the channels they go to, in one transaction.

        `repeated`: the keys that one of the pages repeats. Returns the pages with their ids. Raises OutboxFailed.
        """
        with self._transaction() as connection:
            for change in changes:
                if isinstance(change, Resolved):
                    connection.execute(
                        "UPDATE incident SET state='resolved' WHERE key GLOB ? AND state!='resolved'",
                        (change.key,),
                    )
                else:
                    connection.execute(_REPORT, _reported(change))
            kept = [self._page(page, channels, wall_ns) for page, channels in pages]
            for key in repeated:
                connection.execute(
                    "UPDATE incident SET paged_ns=?, repeats=repeats+1 WHERE key=?", (wall_ns, key)
                )
        self._commits += 1
        if self._commits % PRUNE_EVERY == 0:
            with contextlib.suppress(OutboxFailed):
                self._prune(wall_ns)
        return kept

    def settle(self, page_id: int, channel: str, state: DeliveryState, attempts: int, wall_ns: int) -> None:
        """What became of a page in a channel. Raises OutboxFailed."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE delivery SET state=?, attempts=?, at_ns=? WHERE page_id=? AND channel=?",
                (state.value, attempts, wall_ns, page_id, channel),
            )

    def pending(self, channels: Sequence[str], wall_ns: int, limit: int) -> dict[str, list[Page]]:
        """What each channel still has to send, oldest first, the newest `limit` of them. Deliveries that are too
        old, or whose channel there is no more, have failed. Raises OutboxFailed."""
        marks = ",".join("?" * len(channels))
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE delivery SET state='failed', at_ns=? WHERE state='pending' AND (channel NOT IN ({marks}) "
                "OR page_id IN (SELECT page_id FROM page WHERE at_ns < ?))",
                (wall_ns, *channels, wall_ns - RESEND_NS),
            )
            return {channel: self._pending(connection, channel, limit) for channel in channels}

    # -- asked and changed by people -----------------------------------------------------------------------

    @reading()
    def incidents(self, limit: int = INCIDENTS_MAX) -> list[IncidentRow]:
        """The newest incidents, those that are open first."""
        rows = self._open_connection.execute(
            f"{_INCIDENTS} ORDER BY state != 'open', last_ns DESC LIMIT ?", (limit,)
        )
        return [_incident(row) for row in rows]

    @reading()
    def deliveries(self, limit: int = 100) -> list[DeliveryRow]:
        """The newest deliveries first."""
        rows: Any = self._open_connection.execute(
            "SELECT page_id, channel, state, attempts, at_ns FROM delivery ORDER BY page_id DESC, channel LIMIT ?",
            (limit,),
        )
        return [DeliveryRow(a, b, DeliveryState(c), d, e) for a, b, c, d, e in rows]

    def listing(self, wall_ns: int) -> Listing:
        """Everything that a person may want to see."""
        return Listing(
            incidents=self.incidents(), silences=self.silences(wall_ns), deliveries=self.deliveries()
        )

    @reading()
    def unacknowledged(self) -> list[IncidentRow]:
        """Open incidents of severity "page", the oldest first."""
        rows = self._open_connection.execute(
            f"{_INCIDENTS} WHERE state = 'open' AND severity = 'page' ORDER BY since_ns"
        )
        return [_incident(row) for row in rows]

    def acknowledge(self, pattern: str, by: str, wall_ns: int) -> list[str]:
        """Somebody has taken over every open incident whose key is like `pattern`. Returns their keys."""
        with self._transaction() as connection:
            rows: Any = connection.execute(
                "UPDATE incident SET state='acknowledged', acked_by=?, acked_ns=? "
                "WHERE state='open' AND key GLOB ? RETURNING key",
                (by, wall_ns, pattern),
            ).fetchall()
        return sorted(key for (key,) in rows)

    def silence(self, silence: SilenceRow, wall_ns: int) -> None:
        """Replaces an earlier one of the same pattern; one whose end is past ends it. Raises OutboxFailed."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM silence WHERE until_ns <= ?", (wall_ns,))
            count: Any = connection.execute(
                "SELECT count(*) FROM silence WHERE pattern != ?", (silence.pattern,)
            ).get
            if count >= SILENCES_MAX:
                raise OutboxFailed(f"there are {SILENCES_MAX} silences already; wait until one ends")
            connection.execute(
                "INSERT OR REPLACE INTO silence VALUES (?, ?, ?, ?)",
                (silence.pattern, silence.until_ns, silence.by, silence.reason),
            )

    @reading()
    def silences(self, wall_ns: int) -> list[SilenceRow]:
        rows: Any = self._open_connection.execute(
            "SELECT pattern, until_ns, by, reason FROM silence WHERE until_ns > ? ORDER BY until_ns",
            (wall_ns,),
        )
        return [SilenceRow(*row) for row in rows]

    # -- within --------------------------------------------------------------------------------------------

    @property
    def _open_connection(self) -> apsw.Connection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    def _transaction(self) -> Transaction:
        return Transaction(self._open_connection)

    def _page(self, page: Page, channels: Sequence[str], wall_ns: int) -> Page:
        connection = self._open_connection
        row = (page.key, page.severity.value, page.title, page.text, page.count, int(page.is_repeat), wall_ns)
        connection.execute(
            "INSERT INTO page (key, severity, title, text, count, is_repeat, at_ns) VALUES (?,?,?,?,?,?,?)",
            row,
        )
        page_id = connection.last_insert_rowid()
        for channel in channels:
            connection.execute(
                "INSERT INTO delivery VALUES (?, ?, 'pending', 0, ?)", (page_id, channel, wall_ns)
            )
        if channels:
            connection.execute(_PAGED, (wall_ns, page.key))
        return msgspec.structs.replace(page, page_id=page_id)

    @staticmethod
    def _pending(connection: apsw.Connection, channel: str, limit: int) -> list[Page]:
        rows: Any = connection.execute(
            "SELECT page_id, key, title, text, count, severity, is_repeat FROM page JOIN delivery USING (page_id) "
            "WHERE channel = ? AND state = 'pending' ORDER BY page_id DESC LIMIT ?",
            (channel, limit),
        ).fetchall()
        return [
            Page(
                page_id=page_id, key=key, title=title, text=text, count=count,
                severity=Severity(severity), is_repeat=bool(is_repeat),
            )
            for page_id, key, title, text, count, severity, is_repeat in reversed(rows)
        ]  # fmt: skip

    def _prune(self, wall_ns: int) -> None:
        before_ns = wall_ns - KEEP_NS
        with self._transaction() as connection:
            connection.execute("DELETE FROM page WHERE at_ns < ?", (before_ns,))
            connection.execute(
                "DELETE FROM page WHERE page_id <= (SELECT max(page_id) FROM page) - ?", (PAGES_MAX,)
            )
            connection.execute("DELETE FROM incident WHERE state != 'open' AND last_ns < ?", (before_ns,))
            connection.execute(
                "DELETE FROM incident WHERE key IN (SELECT key FROM incident "
                "ORDER BY state = 'open' DESC, last_ns DESC LIMIT -1 OFFSET ?)",
                (INCIDENTS_MAX,),
            )
            connection.execute("DELETE FROM silence WHERE until_ns <= ?", (wall_ns,))


def _reported(incident: Incident) -> dict[str, Any]:
    return {
        "key": incident.key,
        "severity": incident.severity.value,
        "at_ns": incident.wall_ns,
        "title": incident.title,
        "done": incident.done,
        "command": incident.command,
        "is_echo": int(incident.is_echo),
    }


def _incident(row: Any) -> IncidentRow:
    key, severity, state, *rest = row
    return IncidentRow(key, Severity(severity), State(state), *rest)
