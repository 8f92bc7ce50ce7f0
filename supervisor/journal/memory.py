"""A journal without a disk, for simulation and benches: an actor with the same messages, the same answers, no
wait.

`MemoryStore` is the disk: made once, outside the tree, so that what was acknowledged outlives the actor's
crash.
"""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.actor import Actor
from supervisor.failover.messages import Fenced, Leading, WhoLeads
from supervisor.journal.messages import Append, Appended, AppendFailed, ReadBack, Records, Stored
from supervisor.journal.store import Store
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed


class MemoryStore:
    """Records in a list. `room` is how many more fit before the disk counts as full; None: no end."""

    def __init__(self, *, room: int | None = None) -> None:
        self.last_seq = 0
        self.epoch_max = 0
        self.room = room
        self.records: list[Stored] = []
        self._known: set[tuple[str, str]] = set()

    def append(self, appends: Sequence[Append], epoch: int, wall_ns: int) -> list[Appended | AppendFailed]:
        answers: list[Appended | AppendFailed] = []
        if self.room is not None and sum(len(one.records) for one in appends) > self.room:
            return [AppendFailed(token=one.token, reason="the disk is full") for one in appends]
        for one in appends:
            ignored = 0
            for record in one.records:
                if (record.kind, record.key) in self._known:
                    ignored += 1
                    continue
                self._known.add((record.kind, record.key))
                self.last_seq += 1
                if self.room is not None:
                    self.room -= 1
                self.records.append(
                    Stored(self.last_seq, epoch, record.kind, record.key, record.body, wall_ns)
                )
            answers.append(Appended(token=one.token, last_seq=self.last_seq, ignored=ignored))
        self.epoch_max = max(self.epoch_max, epoch)
        # One transaction, as on a disk: everybody hears the same newest sequence number.
        return [
            Appended(token=one.token, last_seq=self.last_seq, ignored=one.ignored)
            for one in answers
            if isinstance(one, Appended)
        ]

    def read(self, wanted: ReadBack) -> Records:
        found = [r for r in self.records if r.kind in wanted.kinds and r.seq > wanted.after_seq]
        return Records(records=tuple(found[: wanted.limit]), more=len(found) > wanted.limit)


class MemoryJournal(Actor):
    """The journal's address in a tree without a disk. `lease` None: it leads itself, under epoch 1."""

    def __init__(self, store: Store, lease: Address | None = None) -> None:
        self._store = store
        self._lease = lease
        self._epoch = 1 if lease is None else 0

    def started(self) -> None:
        if self._lease is None:
            self.ready()
        else:
            self.ask(self._lease, WhoLeads(), timeout_s=5.0)

    def on_append(self, message: Append) -> None:
        if not self._epoch:
            self.reply(AppendFailed(token=message.token, reason="this process does not hold the lease"))
            return
        for answer in self._store.append([message], self._epoch, self.wall_ns):
            self.reply(answer)

    def on_read_back(self, message: ReadBack) -> None:
        self.reply(self._store.read(message))

    def on_answer(self, message: Answer) -> None:
        self.on_lease(message.message)  # type: ignore[arg-type]
        self.ready()

    def on_ask_failed(self, message: AskFailed) -> None:
        raise RuntimeError(f"the lease does not say who leads: {message.reason}")

    def on_lease(self, message: Leading | Fenced) -> None:
        self._epoch = message.epoch if isinstance(message, Leading) else 0
