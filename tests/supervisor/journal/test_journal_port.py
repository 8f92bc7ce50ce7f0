"""The journal in a tree: the same promises from the port and from its stand-in of memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from supervisor.actor import Actor
from supervisor.failover.local import LeasePort, next_epoch
from supervisor.failover.messages import Fenced, WhoLeads
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.journal.messages import Append, Appended, AppendFailed, ReadBack, Record, Records
from supervisor.journal.port import JournalPort
from supervisor.journal.store import SqliteStore
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import Port
from supervisor.runtime import Runtime, run
from supervisor.spec import Branch, Child, Strategy

JOURNAL = Address("journal")
LEASE = Address("lease")
Make = Callable[[], "Actor | Port"]


@asynccontextmanager
async def running(*children: Child) -> AsyncIterator[Runtime]:
    async with trio.open_nursery() as nursery:
        runtime = await nursery.start(run, Branch("core", Strategy.REST_FOR_ONE, children))
        yield runtime
        runtime.stop()


@pytest.fixture(params=["port", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        store = MemoryStore()
        return lambda: MemoryJournal(store)
    return lambda: JournalPort(tmp_path / "journal.sqlite")


def one(token: int, key: str, kind: str = "fill") -> Append:
    return Append(token=token, records=(Record(kind, key, key.encode()),))


async def ask(runtime: Runtime, question: Message) -> Message:
    return await runtime.ask(JOURNAL, question, timeout_s=5)


async def reborn(runtime: Runtime, child: int) -> None:
    """Wait until the child, by its place in the branch, is in its second life."""
    with trio.fail_after(5):
        while runtime.tree().root.children[child].incarnation < 2:  # noqa: ASYNC110
            await trio.sleep(0.01)


async def read(runtime: Runtime, *kinds: str) -> list[str]:
    answer = await ask(runtime, ReadBack(kinds=kinds))
    assert isinstance(answer, Records)
    return [record.key for record in answer.records]


async def test_an_append_is_answered_with_its_token_and_read_back(make: Make) -> None:
    async with running(Child(JOURNAL, make)) as runtime:
        assert await ask(runtime, one(7, "a")) == Appended(token=7, last_seq=1)
        assert await ask(runtime, one(8, "a")) == Appended(token=8, last_seq=1, ignored=1)
        assert await read(runtime, "fill") == ["a"]


async def test_what_was_acknowledged_outlives_a_crash_of_the_journal(make: Make) -> None:
    async with running(Child(JOURNAL, make)) as runtime:
        await ask(runtime, one(1, "a"))
        runtime.crash("journal")
        await reborn(runtime, 0)
        assert await ask(runtime, one(2, "b")) == Appended(token=2, last_seq=2)
        assert await read(runtime, "fill") == ["a", "b"]


async def test_a_crowd_of_appends_is_answered_one_by_one_each_in_its_order(make: Make) -> None:
    async with running(Child(JOURNAL, make)) as runtime:
        answers: list[Message] = []

        async def write(token: int) -> None:
            answers.append(await ask(runtime, one(token, str(token))))

        async with trio.open_nursery() as nursery:
            for token in range(600):
                nursery.start_soon(write, token)
        assert sorted(answer.token for answer in answers if isinstance(answer, Appended)) == list(range(600))
        assert len(await read(runtime, "fill")) == 600


async def test_a_crowd_shares_its_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    append = SqliteStore.append

    def counting(self: SqliteStore, appends: list[Append], epoch: int, wall_ns: int) -> object:
        groups.append(len(appends))
        return append(self, appends, epoch, wall_ns)

    monkeypatch.setattr(SqliteStore, "append", counting)
    async with running(Child(JOURNAL, lambda: JournalPort(tmp_path / "journal.sqlite"))) as runtime:
        async with trio.open_nursery() as nursery:
            for token in range(500):
                nursery.start_soon(ask, runtime, one(token, str(token)))
        assert sum(groups) == 500 and len(groups) < 20


async def test_records_bear_the_epoch_of_the_lease_and_a_new_life_of_it_a_higher_one(tmp_path: Path) -> None:
    stores = {"memory": MemoryStore()}
    makes: dict[str, Make] = {
        "memory": lambda: MemoryJournal(stores["memory"], LEASE),
        "port": lambda: JournalPort(tmp_path / "journal.sqlite", LEASE),
    }
    for name, make in makes.items():
        state_dir = tmp_path / name
        lease = Child(LEASE, lambda state_dir=state_dir: LeasePort(state_dir, (JOURNAL,)))
        async with running(lease, Child(JOURNAL, make)) as runtime:
            await ask(runtime, one(1, "a"))
            runtime.crash("lease")
            await reborn(runtime, 1)
            await ask(runtime, one(2, "b"))
            records = await ask(runtime, ReadBack(kinds=("fill",)))
            assert isinstance(records, Records)
            assert [record.epoch for record in records.records] == [1, 2], name


class NotLeading(Actor):
    def on_who(self, message: WhoLeads) -> None:
        self.reply(Fenced(reason="another holds it"))


async def test_without_the_lease_nothing_is_kept_and_reading_still_works(tmp_path: Path) -> None:
    store = MemoryStore()
    for make in (
        lambda: MemoryJournal(store, LEASE),
        lambda: JournalPort(tmp_path / "journal.sqlite", LEASE),
    ):
        async with running(Child(LEASE, NotLeading), Child(JOURNAL, make)) as runtime:
            answer = await ask(runtime, one(5, "a"))
            assert isinstance(answer, AppendFailed) and answer.token == 5 and "lease" in answer.reason
            assert await read(runtime, "fill") == []


async def test_a_full_disk_is_an_answer_and_the_journal_lives_on(tmp_path: Path) -> None:
    port = Child(JOURNAL, lambda: JournalPort(tmp_path / "journal.sqlite", pages_max=12))
    async with running(port) as runtime:
        big = Append(token=1, records=(Record("big", "x", bytes(100_000)),))
        answer = await ask(runtime, big)
        assert isinstance(answer, AppendFailed) and "full" in answer.reason
        assert isinstance(await ask(runtime, one(2, "a")), Appended)
        assert runtime.tree().root.children[0].restarts == 0


async def test_a_journal_that_must_not_be_used_stops_the_start_with_its_words(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="not a journal"), flatten_subgroups=True):
        async with running(Child(JOURNAL, lambda: JournalPort(path))):
            pass


async def test_an_epoch_below_the_journals_own_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    store.append([one(1, "a")], 40, 0)
    store.close()
    lease = Child(LEASE, lambda: LeasePort(tmp_path))
    with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="epoch 40.*epoch 1"), flatten_subgroups=True):
        async with running(lease, Child(JOURNAL, lambda: JournalPort(tmp_path / "journal.sqlite", LEASE))):
            pass


async def test_a_second_desk_on_the_same_state_folder_is_refused_with_words(tmp_path: Path) -> None:
    async with running(Child(LEASE, lambda: LeasePort(tmp_path))):
        with pytest.RaisesGroup(
            pytest.RaisesExc(Exception, match="another process.*state_dir"), flatten_subgroups=True
        ):
            async with running(Child(LEASE, lambda: LeasePort(tmp_path))):
                pass


async def test_a_waiting_desk_leads_with_a_higher_epoch_once_the_holder_is_gone(tmp_path: Path) -> None:
    async with running(Child(LEASE, lambda: LeasePort(tmp_path, waits=True))) as second_blocked:
        first = await second_blocked.ask(LEASE, WhoLeads(), timeout_s=1)
        async with running(Child(LEASE, lambda: LeasePort(tmp_path, waits=True))) as second:
            assert isinstance(await second.ask(LEASE, WhoLeads(), timeout_s=1), Fenced)
            second_blocked.stop()
            with trio.fail_after(3):
                while isinstance(now := await second.ask(LEASE, WhoLeads(), timeout_s=1), Fenced):  # noqa: ASYNC110
                    await trio.sleep(0.02)
            assert now.epoch == first.epoch + 1  # type: ignore[attr-defined]
    assert next_epoch(tmp_path / "lease.sqlite").epoch == 3
