"""Folding: the first page at once, a storm in a few, and never silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor import events
from supervisor.message import Message
from supervisor.paging.messages import Incident
from supervisor.paging.rules import KEYS_MAX, STORM, Fold, incident_of


def incident(key: str, title: str = "it broke", *, is_echo: bool = False) -> Incident:
    return Incident(
        key=key, title=title, done="restarted it", command="desk status", wall_ns=0, is_echo=is_echo
    )


def test_the_first_incident_of_a_key_is_paged_at_once_with_all_that_a_person_needs() -> None:
    page = Fold(lambda: "position: 3 lots, stop at 41\n").offer(incident("a"), 0)
    assert page is not None and page.title == "it broke" and page.count == 1
    assert page.text.splitlines() == [
        "since: 1970-01-01 00:00:00 UTC",
        "done: restarted it",
        "position: 3 lots, stop at 41",
        "type: desk status",
        "runbook: ops/runbooks/a.md",
    ]


def test_a_storm_of_one_kind_is_one_page_and_then_one_a_minute_with_its_count() -> None:
    fold = Fold()
    assert fold.offer(incident("a"), 0) is not None
    assert [fold.offer(incident("a", f"again {n}"), 1 + n / 10) for n in range(100)] == [None] * 100
    assert fold.due(59.9) == []
    (page,) = fold.due(60)
    assert page.count == 100 and page.title == "100 more like it in 60 s: again 99"
    assert fold.due(61) == []
    assert fold.offer(incident("a"), 90) is None, "the minute counts from the last page"
    assert [page.count for page in fold.due(120)] == [1]


def test_after_a_quiet_minute_the_same_key_is_paged_at_once_again() -> None:
    fold = Fold()
    fold.offer(incident("a"), 0)
    assert fold.due(60) == []
    assert fold.offer(incident("a"), 60) is not None


def test_another_key_does_not_wait_for_the_first() -> None:
    fold = Fold()
    assert fold.offer(incident("a"), 0) is not None
    assert fold.offer(incident("b"), 0) is not None


def test_the_same_fault_seen_from_elsewhere_is_not_even_counted() -> None:
    fold = Fold()
    fold.offer(incident("a"), 0)
    assert fold.offer(incident("a", is_echo=True), 1) is None
    assert fold.due(100) == []
    assert fold.offer(incident("b", is_echo=True), 1) is not None, "alone, it is the news"


def test_a_storm_of_many_kinds_ends_in_one_page_about_the_storm() -> None:
    fold = Fold(at_once_max=20)
    pages = [page for n in range(300) if (page := fold.offer(incident(f"k{n}"), 0.001 * n)) is not None]
    assert len(pages) == 21 and pages[-1].key == STORM
    (late,) = fold.due(60.5)
    assert late.key == STORM and late.count == 279
    assert fold.offer(incident("new"), 61) is not None


def test_what_is_remembered_has_a_bound_and_what_is_counted_is_not_forgotten() -> None:
    fold = Fold(at_once_max=10**6)
    fold.offer(incident("busy"), 0)
    fold.offer(incident("busy"), 0)
    for n in range(KEYS_MAX + 50):
        fold.offer(incident(f"k{n}"), 1)
    assert len(fold._open) == KEYS_MAX
    assert [page.key for page in fold.due(60)] == ["busy"]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 20)), max_size=80))
def test_every_incident_is_in_exactly_one_page_sooner_or_later(offers: list[tuple[str, float]]) -> None:
    fold, now, told = Fold(at_once_max=5), 0.0, 0
    for key, wait in offers:
        now += wait
        told += sum(page.count for page in fold.due(now))
        page = fold.offer(incident(key), now)
        told += page.count if page is not None else 0
    told += sum(page.count for page in fold.due(now + 61))
    assert told == len(offers)


def test_each_supervisor_fault_has_a_page_that_says_what_was_done_and_what_to_type() -> None:
    crash = events.ChildCrashed(
        name="orders",
        incarnation=1,
        error="KeyError: 'x'",
        traceback_text="",
        message_type="Fill",
        restarts=2,
        wall_ns=5,
    )
    found = incident_of(crash, 9, "desk status")
    assert found is not None and found.key == "crash/orders" and found.wall_ns == 5
    assert found.title == "orders crashed with Fill in hand: KeyError: 'x'"
    for event in (
        events.Halted(branch="venue/x", child="trade", error="bad key"),
        events.BranchGaveUp(name="venue/x", alone=True, cause="6 crashes in 60 s"),
        events.ChildStuck(name="trade", waited_s=2.0),
    ):
        found = incident_of(event, 9, "desk status")
        assert found is not None and found.done and found.command == "desk status" and found.wall_ns == 9


def test_a_branch_that_halts_and_therefore_gives_up_is_one_page() -> None:
    fold = Fold()
    halted = incident_of(events.Halted(branch="venue/x", child="trade", error="bad key"), 0, "")
    gave_up = incident_of(events.BranchGaveUp(name="venue/x", alone=True, cause="halted"), 0, "")
    assert halted is not None and gave_up is not None
    assert fold.offer(halted, 0) is not None
    assert fold.offer(gave_up, 0) is None and fold.due(60) == []


def test_an_ordinary_event_is_no_incident() -> None:
    for event in (events.ChildReady(name="x", incarnation=1, took_s=0.1), Message()):
        assert incident_of(event, 0, "") is None
