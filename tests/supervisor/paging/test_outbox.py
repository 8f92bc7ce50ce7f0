"""The outbox: what was committed is sent, whatever dies; what is over goes; nobody else reads it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.paging.messages import Incident, Page, Resolved
from supervisor.paging.outbox import DAY_NS, INCIDENTS_MAX, PRUNE_EVERY, Outbox, OutboxFailed
from supervisor.paging.rows import DeliveryState, SilenceRow, State

T = 1_700_000_000 * 10**9


def incident(key: str = "a", at_ns: int = T, *, is_echo: bool = False) -> Incident:
    return Incident(key=key, title=f"{key} broke", done="did", command="type", wall_ns=at_ns, is_echo=is_echo)


def page(key: str = "a") -> Page:
    return Page(page_id=0, key=key, title=f"{key} broke", text="text", count=1)


def opened(path: Path | None) -> Outbox:
    outbox = Outbox(path)
    assert outbox.open(T) == ""
    return outbox


def test_an_incident_counts_until_it_is_over_and_then_begins_anew() -> None:
    outbox = opened(None)
    outbox.keep([incident(), incident(at_ns=T + 1), incident(is_echo=True)], [], [], T)
    (row,) = outbox.incidents()
    assert (row.count, row.since_ns, row.last_ns, row.state) == (2, T, T + 1, State.OPEN)
    outbox.keep([Resolved(key="a"), incident(at_ns=T + 9)], [], [], T)
    (row,) = outbox.incidents()
    assert (row.count, row.since_ns, row.state) == (1, T + 9, State.OPEN)


def test_an_acknowledged_incident_is_not_repeated_and_is_open_again_once_it_is_paged_again() -> None:
    outbox = opened(None)
    outbox.keep([incident("a"), incident("b/1")], [(page(), ["x"])], [], T)
    assert outbox.acknowledge("a", "me", T) == ["a"] and outbox.acknowledge("a", "me", T) == []
    assert [row.key for row in outbox.unacknowledged()] == ["b/1"]
    outbox.keep([incident("a")], [], [], T)
    assert [row.key for row in outbox.unacknowledged()] == ["b/1"]
    outbox.keep([incident("a")], [(page(), ["x"])], [], T)
    assert {row.key for row in outbox.unacknowledged()} == {"a", "b/1"}


def test_what_is_pending_survives_and_what_was_taken_too_old_or_has_no_channel_does_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pages.sqlite"
    first = opened(path)
    first.keep([], [(page("old"), ["x"])], [], T - 2 * DAY_NS)
    kept = first.keep([], [(page("a"), ["x", "gone"]), (page("b"), ["x"])], [], T)
    first.settle(kept[1].page_id, "x", DeliveryState.ACCEPTED, 1, T)
    first.close()
    again = opened(path)
    assert [each.key for each in again.pending(["x"], T, 10)["x"]] == ["a"]
    states = {(row.page_id, row.channel): row.state.value for row in again.deliveries()}
    assert list(states.values()).count("failed") == 2 and list(states.values()).count("accepted") == 1
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_what_a_killed_process_had_committed_is_still_pending(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from supervisor.paging.messages import Incident, Page\n"
        "from supervisor.paging.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1])); outbox.open(0)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    page = Page(page_id=0, key=f'k{n}', title='t', text='', count=1)\n"
        "    incident = Incident(key=f'k{n}', title='t', done='', command='', wall_ns=n)\n"
        "    kept = outbox.keep([incident], [(page, ['x'])], [], n)\n"
        "    print(kept[0].page_id, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(40):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    told = 40 + len(child.stdout.read().split())
    child.wait()
    child.stdout.close()
    outbox = Outbox(path)
    assert outbox.open(1) == ""
    pending = [each.page_id for each in outbox.pending(["x"], 1, 10**6)["x"]]
    # The last commit may have been killed before it was told of.
    assert pending[:told] == list(range(1, told + 1)) and len(pending) <= told + 1
    assert len(outbox.unacknowledged()) == min(len(pending), INCIDENTS_MAX)


def test_the_outbox_is_bounded_and_open_incidents_go_last() -> None:
    outbox = opened(None)
    outbox.keep([incident("open")], [], [], T)
    for at in range(PRUNE_EVERY - 1):
        keys = [f"k{at}-{n}" for n in range(10)]
        outbox.keep([each for key in keys for each in (incident(key, T + 1), Resolved(key=key))], [], [], T)
    rows = outbox.incidents(10**6)
    assert len(rows) == INCIDENTS_MAX and rows[0].key == "open"


def test_a_silence_ends_by_itself() -> None:
    outbox = opened(None)
    outbox.silence(SilenceRow("venue/*", T + 10, "me", "maintenance"), T)
    assert [row.pattern for row in outbox.silences(T + 9)] == ["venue/*"]
    assert outbox.silences(T + 10) == []


def test_a_file_that_is_no_outbox_is_set_aside_and_paging_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    path.write_bytes(b"a shopping list, much longer than the header of any database " * 100)
    outbox = Outbox(path)
    assert "set aside" in outbox.open(T)
    assert outbox.blocks and outbox.keep([incident()], [(page(), ["x"])], [], T)[0].page_id == 1
    assert len(list(tmp_path.glob("*.unusable-*"))) == 1


def test_where_no_file_can_be_memory_has_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outbox = Outbox(tmp_path / "file" / "pages.sqlite")
    assert "memory" in outbox.open(T) and not outbox.blocks
    assert outbox.keep([], [(page(), ["x"])], [], T)[0].page_id == 1


def test_looking_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutboxFailed):
        Outbox(tmp_path / "pages.sqlite").look()
    assert list(tmp_path.iterdir()) == []
