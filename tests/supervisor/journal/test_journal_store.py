"""The journal's storage keeps its promises: the same ones in a file and in memory, and a file's own."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from supervisor.journal import store as store_module
from supervisor.journal.memory import MemoryStore
from supervisor.journal.messages import Append, Appended, AppendFailed, ReadBack, Record
from supervisor.journal.store import JournalRefused, SqliteStore, Store


def append(token: int, *records: tuple[str, str, bytes]) -> Append:
    return Append(token=token, records=tuple(Record(*record) for record in records))


@pytest.fixture(params=["file", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    if request.param == "memory":
        return MemoryStore
    return lambda: SqliteStore(tmp_path / "journal.sqlite")


# --- The contract, for every kind of journal ---------------------------------------------------------------


def test_what_was_appended_is_read_back_in_order_with_its_epoch_and_time(make: Callable[[], Store]) -> None:
    store = make()
    answers = store.append(
        [append(1, ("intent", "a", b"1"), ("fill", "x", b"2")), append(2, ("intent", "b", b"3"))], 7, 99
    )
    assert answers == [Appended(token=1, last_seq=3), Appended(token=2, last_seq=3)]
    records = store.read(ReadBack(kinds=("intent",))).records
    assert [(r.seq, r.epoch, r.kind, r.key, r.body, r.wall_ns) for r in records] == [
        (1, 7, "intent", "a", b"1", 99),
        (3, 7, "intent", "b", b"3", 99),
    ]


def test_the_same_kind_and_key_is_kept_once_and_the_first_body_stays(make: Callable[[], Store]) -> None:
    store = make()
    store.append([append(1, ("fill", "x", b"first"))], 1, 0)
    answers = store.append([append(2, ("fill", "x", b"second"), ("fill", "y", b"new"))], 2, 0)
    assert answers == [Appended(token=2, last_seq=2, ignored=1)]
    assert [r.body for r in store.read(ReadBack(kinds=("fill",))).records] == [b"first", b"new"]


def test_the_same_key_under_another_kind_is_another_record(make: Callable[[], Store]) -> None:
    store = make()
    store.append([append(1, ("fill", "x", b"1"), ("order", "x", b"2"))], 1, 0)
    assert len(store.read(ReadBack(kinds=("fill", "order"))).records) == 2


def test_a_limit_cuts_visibly_and_reading_goes_on_after_it(make: Callable[[], Store]) -> None:
    store = make()
    store.append([append(1, *(("fill", str(n), b"") for n in range(5)))], 1, 0)
    first = store.read(ReadBack(kinds=("fill",), limit=3))
    assert first.more and len(first.records) == 3
    rest = store.read(ReadBack(kinds=("fill",), limit=3, after_seq=first.records[-1].seq))
    assert not rest.more and [r.key for r in rest.records] == ["3", "4"]


def test_the_highest_epoch_is_known(make: Callable[[], Store]) -> None:
    store = make()
    assert store.epoch_max == 0
    store.append([append(1, ("a", "b", b""))], 12, 0)
    assert store.epoch_max == 12


def test_a_full_disk_is_an_answer_and_keeps_nothing_of_the_group(tmp_path: Path) -> None:
    full_file = SqliteStore(tmp_path / "journal.sqlite", pages_max=12)
    for store in (full_file, MemoryStore(room=3)):
        store.append([append(1, ("small", "a", b"x"))], 1, 0)
        answers = store.append([append(2, ("small", "b", b"x")), append(3, *_many(200))], 1, 0)
        assert [type(answer) for answer in answers] == [AppendFailed, AppendFailed]
        assert "disk is full" in answers[0].reason  # type: ignore[union-attr]
        assert [r.key for r in store.read(ReadBack(kinds=("small", "big"))).records] == ["a"]
        # And it goes on working with what fits.
        assert store.append([append(4, ("small", "c", b"x"))], 1, 0) == [Appended(token=4, last_seq=2)]


def _many(count: int) -> list[tuple[str, str, bytes]]:
    return [("big", str(n), bytes(1000)) for n in range(count)]


# --- A file's own promises
# -----------------------------------------------------------------------------------


def test_a_journal_opened_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.sqlite"
    first = SqliteStore(path)
    first.append([append(1, ("a", "1", b"x"))], 3, 0)
    first.close()
    again = SqliteStore(path)
    assert (again.last_seq, again.epoch_max) == (1, 3)
    assert again.append([append(2, ("a", "2", b"y"))], 4, 0) == [Appended(token=2, last_seq=2)]


def test_nobody_else_may_read_the_journal_or_its_log(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    store = SqliteStore(path)
    store.append([append(1, ("a", "1", b"x"))], 1, 0)
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_commit_is_synced_and_never_checkpoints_by_itself(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    assert store._connection.execute("PRAGMA synchronous").get == 2
    assert store._connection.execute("PRAGMA journal_mode").get == "wal"
    for n in range(30):
        store.append([append(n, *(("a", f"{n}/{m}", bytes(4000)) for m in range(50)))], 1, 0)
    assert store.wants_tidying
    store.tidy()
    assert not store.wants_tidying
    # The log is reused from its beginning now, and does not grow for ever.
    size = (tmp_path / "journal.sqlite-wal").stat().st_size
    store.append([append(99, ("b", "b", bytes(4000)))], 1, 0)
    assert (tmp_path / "journal.sqlite-wal").stat().st_size == size


def test_a_journal_of_a_newer_version_is_refused_with_what_to_do_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    SqliteStore(path).close()
    other = apsw.Connection(str(path))
    other.execute("PRAGMA user_version=7")
    other.close()
    before = path.read_bytes()
    with pytest.raises(JournalRefused, match=r"journal version 7.*knows up to 1.*newer program"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"a shopping list, not a journal\n" * 100)
    with pytest.raises(JournalRefused, match="not a journal"):
        SqliteStore(path)
    assert path.read_bytes().startswith(b"a shopping list")
    assert stat.S_IMODE(path.stat().st_mode) & 0o044, "not ours: even its mode stays"


def test_the_database_of_another_program_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(JournalRefused, match="another program"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_damaged_journal_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    store = SqliteStore(path)
    store.append([append(1, *_many(300))], 1, 0)
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:40960] = os.urandom(32768)
    path.write_bytes(content)
    with pytest.raises(JournalRefused, match=r"damaged.*backup"):
        SqliteStore(path)


def test_a_folder_in_its_place_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(JournalRefused, match="cannot be opened"):
        SqliteStore(tmp_path / "journal.sqlite")


def test_an_sqlite_with_the_wal_reset_bug_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module.apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(JournalRefused, match=r"3\.51\.2.*pinned apsw"):
        SqliteStore(tmp_path / "journal.sqlite")


def test_a_torn_last_record_is_cut_and_everything_before_it_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    store = SqliteStore(path)
    for n in range(10):
        store.append([append(n, ("fill", str(n), bytes(3000)))], 1, 0)
    # A copy of the files as a power cut would leave them, the last write half done.
    for cut in (1, 100, 4096, 5000):
        torn = tmp_path / f"torn{cut}" / "journal.sqlite"
        torn.parent.mkdir()
        torn.write_bytes(path.read_bytes())
        log = (tmp_path / "journal.sqlite-wal").read_bytes()
        Path(f"{torn}-wal").write_bytes(log[:-cut])
        again = SqliteStore(torn)
        keys = [r.key for r in again.read(ReadBack(kinds=("fill",))).records]
        assert keys == [str(n) for n in range(9)], f"cut by {cut}"
        assert again.append([append(1, ("fill", "9", b"again"))], 2, 0) == [Appended(token=1, last_seq=10)]
        again.close()


WRITER = """
import sys
from pathlib import Path
from supervisor.journal.messages import Append, Record
from supervisor.journal.store import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
n = store.last_seq
while True:
    n += 1
    store.append([Append(token=n, records=(Record("fill", str(n), bytes(300)),))], 1, 0)
    print(n, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    acknowledged = 0
    for round_ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(20 + 17 * round_):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            # What it still acknowledged before it died counts too; the last line may be torn.
            for line in child.stdout.read().split(b"\n")[:-1]:
                acknowledged = int(line)
        store = SqliteStore(path)
        kept = [int(r.key) for r in store.read(ReadBack(kinds=("fill",))).records]
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= acknowledged
        store.close()


def test_a_full_file_system_is_an_answer_too(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a tmpfs is not permitted here; the page limit stands for it above")
    try:
        store = SqliteStore(mount / "journal.sqlite")
        store.append([append(1, ("small", "a", b"x"))], 1, 0)
        answers = store.append([append(2, *_many(400))], 1, 0)
        assert isinstance(answers[0], AppendFailed) and "free space" in answers[0].reason
        assert [r.key for r in store.read(ReadBack(kinds=("small", "big"))).records] == ["a"]
        assert isinstance(store.append([append(3, ("small", "b", b"x"))], 1, 0)[0], Appended)
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
