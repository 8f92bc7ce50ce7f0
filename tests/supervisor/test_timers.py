"""Timers: fire when due, in order, once; forgotten when cancelled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.timers import NEVER_NS, Timer, Timers

operations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 200)),
        st.tuples(st.just("fire"), st.integers(0, 20)),
    ),
    max_size=200,
)


@given(operations)
def test_timers_behave_like_a_sorted_list(sequence: list[tuple[str, int]]) -> None:
    timers, now_ns = Timers(), 0
    handles: list[Timer] = []
    waiting: list[tuple[int, int]] = []  # (at_ns, number)
    fired: list[int] = []
    for what, value in sequence:
        if what == "set":
            number = len(handles)
            handles.append(timers.set(now_ns + value, fired.append, number))
            waiting.append((now_ns + value, number))
        elif what == "cancel" and handles:
            number = value % len(handles)
            timers.cancel(handles[number])
            waiting = [entry for entry in waiting if entry[1] != number]
        elif what == "fire":
            now_ns += value
            fired.clear()
            timers.fire(now_ns)
            due = sorted(entry for entry in waiting if entry[0] <= now_ns)
            assert fired == [number for _, number in due]
            waiting = [entry for entry in waiting if entry not in due]
        assert len(timers) == len(waiting)
        assert timers.next_ns == min(waiting, default=(NEVER_NS, 0))[0]


def test_ten_thousand_cancelled_timers_are_forgotten() -> None:
    timers = Timers()
    for number in range(10_000):
        timers.cancel(timers.set(1_000_000 + number, print))
    assert len(timers._heap) < 200


def test_a_timer_that_sets_itself_again_for_now_does_not_hold_the_loop() -> None:
    timers = Timers()
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        timers.set(5, again)

    again()
    timers.fire(5)
    assert count == 2


def test_a_timer_cancelled_by_one_that_fires_with_it_does_not_fire() -> None:
    timers = Timers()
    fired: list[str] = []
    second: list[Timer] = []
    timers.set(5, lambda: timers.cancel(second[0]))
    second.append(timers.set(5, fired.append, "second"))
    timers.fire(5)
    assert fired == [] and len(timers) == 0
