"""A journal in one SQLite file: what it refuses to open, how it commits, what it does when the disk is full.

No trio here: every call blocks, and one thread at a time makes it (`port.py` sees to that). The rules and
why:

- WAL with synchronous=FULL: a commit that was acknowledged survives kill -9 and a power cut. One transaction
  takes many appends (group commit), so that the price of the sync is shared.
- SQLite before 3.51.3 can lose or corrupt commits when two connections checkpoint at the wrong moment (the
  WAL-reset bug), and readers are second connections. So the library's version is asserted.
- A record that was being written when the process died is cut by SQLite itself: its frame's checksum does not
  match.
- Checkpoints are made here, by the writer, when it has nothing better to do; never inside a commit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import apsw

from supervisor.journal.messages import Append, Appended, AppendFailed, ReadBack, Records, Stored

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4E444A31  # "NDJ1": tells a journal from any other SQLite file
SQLITE_MIN = (3, 51, 3)
# A full integrity check reads the whole file; above this size the quick one (no index against table) has to
# do.
FULL_CHECK_BYTES_MAX = 256 * 1024 * 1024
# Pages of 4 KiB in the log: tidy up at the first, when idle; at the second, in any case.
WAL_PAGES_TIDY = 1_000
WAL_PAGES_MAX = 8_000

_SCHEMA = """
CREATE TABLE record (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    body BLOB NOT NULL, wall_ns INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq), UNIQUE (kind, key)
) STRICT;
"""
# Only (kind, key) may be there already. "INSERT OR IGNORE" would hide a doubled sequence number too: two
# writers.
_INSERT = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO NOTHING"


class JournalRefused(Exception):
    """This file cannot be used as a journal. Says why and what to do; nothing in it was changed."""


class Store(Protocol):
    """What a journal's storage does; the same for a file and for memory."""

    last_seq: int
    epoch_max: int

    def append(
        self, appends: Sequence[Append], epoch: int, wall_ns: int
    ) -> list[Appended | AppendFailed]: ...

    def read(self, wanted: ReadBack) -> Records: ...


class SqliteStore:
    """Opens `path`, or makes it (mode 0600). Raises JournalRefused. `pages_max` bounds the file, in pages of
    4 KiB."""

    def __init__(self, path: Path, *, pages_max: int | None = None) -> None:
        _demand_sound_sqlite()
        self.path = path
        self.last_seq = 0
        self.epoch_max = 0
        self._wal_pages = 0
        self._connection = _open(path)
        try:
            _identify(self._connection, path)
            path.chmod(0o600)
            self._prepare(pages_max)
        except apsw.Error as error:
            self._connection.close()
            raise JournalRefused(_damaged(path, str(error))) from error
        except JournalRefused:
            self._connection.close()
            raise

    def append(self, appends: Sequence[Append], epoch: int, wall_ns: int) -> list[Appended | AppendFailed]:
        """Keep them in one transaction, and return one answer each, in their order.

        A full disk is an answer, `AppendFailed` to all of them. Raises apsw.Error for anything worse, with
        nothing kept.
        """
        seq_before = self.last_seq
        try:
            ignored = self._commit(appends, epoch, wall_ns)
        except apsw.FullError as error:
            self.last_seq = seq_before
            reason = f"the disk is full: {error}; free space on the file system of {self.path}"
            return [AppendFailed(token=one.token, reason=reason) for one in appends]
        except apsw.Error:
            self.last_seq = seq_before
            raise
        self.epoch_max = max(self.epoch_max, epoch)
        return [
            Appended(token=one.token, last_seq=self.last_seq, ignored=count)
            for one, count in zip(appends, ignored, strict=True)
        ]

    def read(self, wanted: ReadBack) -> Records:
        """The records of these kinds after `after_seq`, oldest first, at most `limit` of them."""
        marks = ",".join("?" * len(wanted.kinds))
        rows: Any = self._connection.execute(
            f"SELECT seq, epoch, kind, key, body, wall_ns FROM record WHERE seq > ? AND kind IN ({marks}) "
            "ORDER BY epoch, seq LIMIT ?",
            (wanted.after_seq, *wanted.kinds, wanted.limit + 1),
        ).fetchall()
        kept = tuple(Stored(*row) for row in rows[: wanted.limit])
        return Records(records=kept, more=len(rows) > wanted.limit)

    @property
    def wants_tidying(self) -> bool:
        """The log has grown: tidy up as soon as there is nothing else to do."""
        return self._wal_pages >= WAL_PAGES_TIDY

    @property
    def must_be_tidied(self) -> bool:
        """The log has grown so much that an append has to wait."""
        return self._wal_pages >= WAL_PAGES_MAX

    def tidy(self) -> None:
        """Move the log into the file. A full disk is no reason to fail here: the next append will say so."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.FullError:
            return
        self._wal_pages = 0

    def close(self) -> None:
        """Close the file; the log is moved into it on the way. May be called twice."""
        self._connection.close()

    def _commit(self, appends: Sequence[Append], epoch: int, wall_ns: int) -> list[int]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            ignored = [self._insert(one, epoch, wall_ns) for one in appends]
            connection.execute("COMMIT")
        except apsw.Error:
            # SQLite has undone it already where it had to give up (a full disk, most often); twice is an
            # error.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return ignored

    def _insert(self, append: Append, epoch: int, wall_ns: int) -> int:
        ignored = 0
        for record in append.records:
            row = (epoch, self.last_seq + 1, record.kind, record.key, record.body, wall_ns)
            self._connection.execute(_INSERT, row)
            if self._connection.changes():
                self.last_seq += 1
            else:
                ignored += 1
        return ignored

    def _prepare(self, pages_max: int | None) -> None:
        connection = self._connection
        mode = connection.execute("PRAGMA journal_mode=WAL").get
        if mode != "wal":
            raise JournalRefused(
                f"{self.path}: its file system cannot hold a write-ahead log (got {mode!r}); use a local disk"
            )
        connection.execute("PRAGMA synchronous=FULL")
        if pages_max is not None:
            connection.execute(f"PRAGMA max_page_count={int(pages_max)}")
        if not connection.execute("PRAGMA user_version").get:
            with connection:
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        row: Any = connection.execute("SELECT max(seq), max(epoch) FROM record").fetchone()
        self.last_seq, self.epoch_max = row[0] or 0, row[1] or 0
        connection.set_wal_hook(self._note_wal)

    def _note_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return 0


def _demand_sound_sqlite() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SQLITE_MIN:
        raise JournalRefused(
            f"SQLite {apsw.sqlite_lib_version()} can lose commits (the WAL-reset bug, mended in 3.51.3): "
            "install the pinned apsw, which brings its own"
        )


def _open(path: Path) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made here and not by SQLite, so that nobody else can read it for even a moment; its log inherits the
        # mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(str(path))
    except (OSError, apsw.Error) as error:
        raise JournalRefused(
            f"{path}: cannot be opened ({error}); check the folder's owner and the disk"
        ) from error
    # Readers never block a writer in WAL; this is for a backup or a person's shell that holds the file for a
    # moment.
    connection.set_busy_timeout(2_000)
    return connection


def _identify(connection: apsw.Connection, path: Path) -> None:
    """Refuse what is not a journal of ours, newer than this program, or damaged. Writes nothing."""
    try:
        application = connection.execute("PRAGMA application_id").get
        version = connection.execute("PRAGMA user_version").get
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    except apsw.NotADBError as error:
        raise JournalRefused(
            f"{path}: this is not a journal, nor any SQLite file; nothing was changed. "
            "Move it away, or name another place for the journal"
        ) from error
    if application == 0 and version == 0 and tables == 0:
        return  # new, or made by a process that died before its first commit
    if application != APPLICATION_ID:
        raise JournalRefused(
            f"{path}: an SQLite file of another program (application id {application:#010x}, "
            f"not {APPLICATION_ID:#010x}); nothing was changed. Move it away, or name another place for the "
            "journal"
        )
    if version > SCHEMA_VERSION:
        raise JournalRefused(
            f"{path}: journal version {version}, and this program knows up to {SCHEMA_VERSION}; nothing was "
            "changed. Run the newer program that wrote it, or name another folder for the state"
        )
    size = path.stat().st_size
    check = "integrity_check" if size <= FULL_CHECK_BYTES_MAX else "quick_check"
    verdict = str(connection.execute(f"PRAGMA {check}(1)").get)
    if verdict != "ok":
        raise JournalRefused(_damaged(path, verdict.splitlines()[-1]))


def _damaged(path: Path, words: str) -> str:
    return (
        f"{path}: damaged ({words}). Keep the file and its -wal; restore the newest backup in its place, or, "
        "if there is none, move both away: the venue is then the only truth, and the start reconciles with it"
    )
