"""The outbox's file: made, opened, checked and, where it cannot be used, set aside. One transaction at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

APPLICATION_ID = 0x4E445031  # "NDP1"
SCHEMA_VERSION = 1
# Some 64 MiB in pages of 4 KiB: far above what its bounded rows can need.
FILE_PAGES_MAX = 16_384

_SCHEMA = """
CREATE TABLE incident (
    key TEXT PRIMARY KEY, severity TEXT NOT NULL, state TEXT NOT NULL, since_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL, count INTEGER NOT NULL, title TEXT NOT NULL, done TEXT NOT NULL,
    command TEXT NOT NULL, acked_by TEXT NOT NULL DEFAULT '', acked_ns INTEGER NOT NULL DEFAULT 0,
    paged_ns INTEGER NOT NULL DEFAULT 0, repeats INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE page (
    page_id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL,
    text TEXT NOT NULL, count INTEGER NOT NULL, is_repeat INTEGER NOT NULL, at_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE delivery (
    page_id INTEGER NOT NULL REFERENCES page ON DELETE CASCADE, channel TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, at_ns INTEGER NOT NULL, PRIMARY KEY (page_id, channel)
) STRICT;
CREATE INDEX pending ON delivery (channel, page_id) WHERE state = 'pending';
CREATE TABLE silence (
    pattern TEXT PRIMARY KEY, until_ns INTEGER NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
"""


class OutboxFailed(Exception):
    """Nothing was written; says why."""


def connected(path: Path, wall_ns: int) -> tuple[apsw.Connection | None, str]:
    """The file's connection, or None, and what was wrong, in words.

    What is not an outbox of this version, or is damaged, is kept under another name, and a new one made. What the
    disk does not let us do is not the file's fault: it stays where it is.
    """
    try:
        return _connected(path), ""
    except (apsw.NotADBError, apsw.CorruptError, OutboxFailed) as error:
        trouble = f"{path}: {error}; it is set aside as {path.name}.unusable-{wall_ns}"
    except (apsw.Error, OSError) as error:
        return None, f"{path}: {error}; pages are kept in memory until the next start"
    try:
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            if each.exists():
                each.rename(each.with_name(f"{each.name}.unusable-{wall_ns}"))
        return _connected(path), trouble
    except (apsw.Error, OSError, OutboxFailed) as error:
        return None, f"{trouble}, but there can be no new one ({error}): pages are kept in memory"


def existing(path: Path) -> apsw.Connection:
    """The connection of a file that is there. Raises OutboxFailed, with nothing changed."""
    try:
        return _prepared(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE))
    except apsw.Error as error:
        raise OutboxFailed(f"{path}: {error}") from error


def in_memory() -> apsw.Connection:
    return _prepared(apsw.Connection(":memory:"))


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """What the disk does not let us read comes out as OutboxFailed."""
    try:
        yield
    except apsw.Error as error:
        raise OutboxFailed(str(error)) from error


class Transaction:
    """All of it or nothing; apsw's own errors come out as OutboxFailed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> apsw.Connection:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise OutboxFailed(str(error)) from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        failed = error
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except apsw.Error as refused:
                failed = refused
        if failed is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(failed, apsw.Error):
            raise OutboxFailed(str(failed)) from failed


def _connected(path: Path) -> apsw.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made here and not by SQLite, so that nobody else can read it for even a moment; its log inherits the mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    connection = apsw.Connection(str(path))
    try:
        return _prepared(connection)
    except (apsw.Error, OutboxFailed):
        connection.close()
        raise


def _prepared(connection: apsw.Connection) -> apsw.Connection:
    connection.set_busy_timeout(2_000)
    application: Any = connection.execute("PRAGMA application_id").get
    version: Any = connection.execute("PRAGMA user_version").get
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and (application != APPLICATION_ID or version != SCHEMA_VERSION):
        raise OutboxFailed(f"not an outbox of this version (application {application:#x}, version {version})")
    verdict = connection.execute("PRAGMA integrity_check(1)").get
    if verdict != "ok":
        raise OutboxFailed(f"damaged: {verdict}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA max_page_count={FILE_PAGES_MAX}")
    if not tables:
        with connection:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    return connection
