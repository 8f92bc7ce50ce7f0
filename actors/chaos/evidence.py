"""What a journal on disk holds, read the way a coroner would: from a copy, which is opened instead of the original.

Opening a journal moves its log into the file. Done to the original, that would mend what the next start of the desk
has to mend by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec

from actors import messages as m
from actors.chaos.judge import Booked, Kept
from actors.orders.journal_records import FILL, INTENT, KINDS, MARK
from actors.risk.day import KIND as DAY
from actors.risk.mode_record import KIND as MODE
from actors.tally import symbol_of
from actors.tree import JOURNAL_FILE
from supervisor.failover.local import EPOCH_FILE
from supervisor.journal.messages import ReadBack, Stored
from supervisor.journal.store import SqliteStore

ALL_KINDS = (*KINDS, MARK, DAY, MODE)
PAGE = 10_000

_fills = msgspec.msgpack.Decoder(m.Fill)


def copied(state_dir: Path, into: Path) -> Path:
    """A copy of the journal and of its log, just as they lie there; returns the copy's path."""
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in into.glob(f"{JOURNAL_FILE}*"):
        old.unlink()
    # Without the -shm: it is memory of the dead process, and is made anew from the log.
    for name in (JOURNAL_FILE, f"{JOURNAL_FILE}-wal"):
        if (state_dir / name).exists():
            shutil.copy2(state_dir / name, into / name)
    return into / JOURNAL_FILE


def read(path: Path) -> Kept:
    """Open a journal, which checks its integrity, and read it whole. Raises JournalRefused if it is damaged."""
    store = SqliteStore(path)
    try:
        records = tuple(_records(store))
    finally:
        store.close()
    return Kept(
        keys=tuple((each.epoch, each.seq, each.kind, each.key) for each in records),
        intents={each.key: each.wall_ns for each in records if each.kind == INTENT},
        fills=tuple(_booked(each) for each in records if each.kind == FILL),
    )


def epoch(state_dir: Path) -> int:
    """The number of the last holder of the lease, by its own counter; 0 if there never was one."""
    path = state_dir / EPOCH_FILE
    if not path.exists():
        return 0
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found: Any = connection.execute("SELECT epoch FROM lease").get
        return int(found or 0)
    finally:
        connection.close()


def tear(state_dir: Path, keep_bytes: int) -> bool:
    """Cut the journal's log after so many bytes, as a disk may that lost power; False if it has no log."""
    log = state_dir / f"{JOURNAL_FILE}-wal"
    if not log.exists() or log.stat().st_size <= keep_bytes:
        return False
    with log.open("r+b") as file:
        file.truncate(keep_bytes)
    return True


def log_bytes(state_dir: Path) -> int:
    """How long the journal's log is; 0 without one."""
    log = state_dir / f"{JOURNAL_FILE}-wal"
    return log.stat().st_size if log.exists() else 0


def _records(store: SqliteStore) -> Iterator[Stored]:
    after_seq = 0
    while True:
        page = store.read(ReadBack(kinds=ALL_KINDS, after_seq=after_seq, limit=PAGE))
        yield from page.records
        if not page.more:
            return
        after_seq = page.records[-1].seq


def _booked(stored: Stored) -> Booked:
    fill = _fills.decode(stored.body)
    return Booked(
        symbol_of(fill.instrument),
        fill.trade_id,
        fill.order_id,
        fill.side.value,
        fill.price,
        fill.size,
        fill.fee,
        fill.fee_coin,
    )
