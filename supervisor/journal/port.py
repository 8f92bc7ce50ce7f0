"""The journal's port: many appends, one commit, one thread.

While a commit is on its way to the disk, the next appends gather in the inbox; they then share the next
commit (group commit). An answer leaves only after its commit. One thread at a time touches the file, and it
is never abandoned: a stop waits for the commit under way, and if the disk hangs, the supervisor says which
child is stuck and ends the process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import apsw
import trio

from supervisor.errors import Halt
from supervisor.failover.messages import Fenced, Leading, WhoLeads
from supervisor.journal.messages import Append, AppendFailed, ReadBack
from supervisor.journal.store import JournalRefused, SqliteStore
from supervisor.mailbox import Address
from supervisor.message import Message

if TYPE_CHECKING:
    from supervisor.effects import Asker
    from supervisor.port import PortLink

T = TypeVar("T")

# Appends in one commit. More gains nothing (the sync is shared already) and makes the first of them wait.
GROUP_MAX = 256
# How long nothing must come before the log is moved into the file.
IDLE_S = 0.05


class JournalPort:
    """Keeps what it is told in the SQLite file `path`.

    `lease` says under which epoch; until it leads, reading works and every append is answered `AppendFailed`.
    None: this process is alone, and its epoch is 1. Halts on a file that it must not use, and on an epoch
    older than one in the file.
    """

    def __init__(self, path: Path, lease: Address | None = None, *, pages_max: int | None = None) -> None:
        self._path = path
        self._lease = lease
        self._pages_max = pages_max
        self._epoch = 1 if lease is None else 0
        # Our own, so that a crowd in Trio's default limiter never makes an order wait for its commit.
        self._thread = trio.CapacityLimiter(1)

    async def run(self, link: PortLink) -> None:
        try:
            store = await self._in_thread(lambda: SqliteStore(self._path, pages_max=self._pages_max))
        except JournalRefused as refused:
            raise Halt(str(refused)) from refused
        try:
            if self._lease is not None:
                self._heed(await link.ask(self._lease, WhoLeads(), timeout_s=5.0), store)
            link.ready()
            await self._serve(link, store)
        finally:
            with trio.CancelScope(shield=True):
                await self._in_thread(store.close)

    async def _serve(self, link: PortLink, store: SqliteStore) -> None:
        while True:
            message: Message | None = await self._next(link, store)
            group: list[tuple[Append, Asker]] = []
            while isinstance(message, Append):
                group.append((message, link.asker))
                message = link.receive_nowait() if len(group) < GROUP_MAX else None
            if group:
                await self._commit(link, store, group)
                if store.must_be_tidied:
                    await self._in_thread(store.tidy)
            if isinstance(message, ReadBack):
                asker = link.asker
                link.reply(await self._in_thread(partial(store.read, message)), asker)
            elif message is not None:
                self._heed(message, store)

    async def _next(self, link: PortLink, store: SqliteStore) -> Message:
        """The next message; tidies up when none comes for a moment."""
        message = link.receive_nowait()
        if message is not None:
            return message
        if store.wants_tidying:
            with trio.move_on_after(IDLE_S):
                return await link.receive()
            await self._in_thread(store.tidy)
        return await link.receive()

    async def _commit(self, link: PortLink, store: SqliteStore, group: list[tuple[Append, Asker]]) -> None:
        if not self._epoch:
            for one, asker in group:
                link.reply(
                    AppendFailed(token=one.token, reason="this process does not hold the lease"), asker
                )
            return
        appends = [one for one, _ in group]
        epoch, wall_ns = self._epoch, link.wall_ns
        try:
            answers = await self._in_thread(lambda: store.append(appends, epoch, wall_ns))
        except apsw.Error as error:
            for one, asker in group:
                link.reply(AppendFailed(token=one.token, reason=f"the journal failed: {error}"), asker)
            raise
        for answer, (_, asker) in zip(answers, group, strict=True):
            link.reply(answer, asker)

    def _heed(self, message: Message, store: SqliteStore) -> None:
        """What the lease says."""
        if isinstance(message, Fenced):
            self._epoch = 0
        elif isinstance(message, Leading):
            if message.epoch < store.epoch_max:
                raise Halt(
                    f"{self._path}: holds records of epoch {store.epoch_max}, and the lease gave epoch "
                    f"{message.epoch}: its "
                    "counter was reset, or this is another desk's journal. Restore the lease's file that "
                    "belongs to this journal, or move the whole state folder away"
                )
            self._epoch = message.epoch

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._thread)
