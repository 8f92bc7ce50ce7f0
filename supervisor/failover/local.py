"""The lease of one host: a locked file says who holds it, a counter beside it says how many held it before.

The kernel frees the lock at any death of its holder, kill -9 included. Each new holder takes the next number
(the *epoch*) in a transaction of its own before it says `Leading`, so no two holders ever bear the same one.
A frozen holder keeps the lock: that is safe, and the keeper's business. The folder must be on a local disk:
over a network, a lock means nothing.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import trio

from supervisor.errors import Halt
from supervisor.failover.messages import Fenced, Leading, WhoLeads

if TYPE_CHECKING:
    from supervisor.mailbox import Address
    from supervisor.port import PortLink

LOCK_FILE = "lease.lock"
EPOCH_FILE = "lease.sqlite"
# A waiting process asks this often; so a dead holder's place stands empty for this long at most.
POLL_S = 0.05
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs"})

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), store_id TEXT NOT NULL, epoch INTEGER NOT NULL
) STRICT;
"""


class LeasePort:
    """Takes the lease in `state_dir`, tells `Leading` to each of `owners`, and answers `WhoLeads`.

    If another process holds it: Halts with words that name it; with `waits`, tells `Fenced`, and leads once
    the holder is gone.
    """

    def __init__(self, state_dir: Path, owners: tuple[Address, ...] = (), *, waits: bool = False) -> None:
        self._state_dir = state_dir
        self._owners = owners
        self._waits = waits

    async def run(self, link: PortLink) -> None:
        refuse_remote(self._state_dir)
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        # O_CLOEXEC: a child that inherited the lock would hold it after our death.
        path = self._state_dir / LOCK_FILE
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not take(lock):
                held = Fenced(reason=holder_words(path))
                if not self._waits:
                    raise Halt(held.reason)
                link.ready()
                self._tell_all(link, held)
                await self._wait(link, lock, held)
            leading = await trio.to_thread.run_sync(next_epoch, self._state_dir / EPOCH_FILE)
            link.ready()
            self._tell_all(link, leading)
            while True:
                if isinstance(await link.receive(), WhoLeads):
                    link.reply(leading)
        finally:
            os.close(lock)

    async def _wait(self, link: PortLink, lock: int, held: Fenced) -> None:
        while not take(lock):
            with trio.move_on_after(POLL_S):
                if isinstance(await link.receive(), WhoLeads):
                    link.reply(held)

    def _tell_all(self, link: PortLink, message: Leading | Fenced) -> None:
        link.publish(message)
        for owner in self._owners:
            link.tell(owner, message)


def take(lock: int) -> bool:
    """Take the lock of an open file if it is free, and write into the file who we are."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.fchmod(lock, 0o600)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return True


def holder_words(path: Path) -> str:
    """Who holds the lock file, and what to do about it."""
    pid = path.read_text().strip() or "unknown"
    return (
        f"{path}: another process (pid {pid}) already runs on this state folder. Stop it first, or give this "
        "one a state_dir of its own; two desks on one account would trade against each other"
    )


def next_epoch(path: Path) -> Leading:
    """Count one holder more in the file `path`, durably, and return its identity. Raises Halt if the file is
    not what it was."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(str(path))
        try:
            connection.execute("PRAGMA synchronous=FULL")
            with connection:
                connection.execute(_SCHEMA)
                row: Any = connection.execute(
                    "INSERT INTO lease VALUES (1, ?, 1) ON CONFLICT (one) DO UPDATE SET epoch = epoch + 1 "
                    "RETURNING store_id, epoch",
                    (secrets.token_hex(8),),
                ).fetchone()
        finally:
            connection.close()
    except apsw.Error as error:
        raise Halt(
            f"{path}: the epoch counter cannot be used ({error}). Restore it from the backup of this state "
            "folder, or move the whole folder away; a counter that starts again would repeat order ids"
        ) from error
    return Leading(store_id=row[0], epoch=row[1])


def refuse_remote(folder: Path, mounts: str | None = None) -> None:
    """Raise Halt if `folder` is on a network file system. `mounts`: the text of /proc/self/mounts."""
    if mounts is None:
        source = Path("/proc/self/mounts")
        mounts = source.read_text() if source.exists() else ""
    where = folder.resolve()
    best, kind = Path("/"), ""
    for line in mounts.splitlines():
        _, point, file_system, *_ = line.split(" ")
        # A space in a mount point is written \040.
        candidate = Path(point.replace("\\040", " "))
        if where.is_relative_to(candidate) and len(candidate.parts) >= len(best.parts):
            best, kind = candidate, file_system
    if kind in _REMOTE:
        raise Halt(
            f"{folder}: on a network file system ({kind}, mounted at {best}), where a lock proves nothing; "
            "put state_dir on a local disk"
        )
