"""The tables and the arithmetic of supervision."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.policy import VERDICTS, End, Phase, Spending, Verdict, comes_back, delay_s, first_to_fall
from supervisor.spec import Backoff, Budget, Restart, Strategy


def test_every_end_has_a_verdict_in_every_phase() -> None:
    assert set(VERDICTS) == set(itertools.product(Phase, End))


def test_nothing_is_restarted_while_its_branch_stops() -> None:
    assert {VERDICTS[Phase.STOPPING, end] for end in End} == {Verdict.GO_ON}


def test_a_failed_first_start_aborts_and_a_failed_restart_is_tried_again() -> None:
    assert VERDICTS[Phase.STARTING, End.UNREADY] is Verdict.ABORT
    assert VERDICTS[Phase.RUNNING, End.UNREADY] is Verdict.RESTART
    assert VERDICTS[Phase.RESTARTING, End.UNREADY] is Verdict.RESTART


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(Strategy.ONE_FOR_ONE, None), (Strategy.ONE_FOR_ALL, 0), (Strategy.REST_FOR_ONE, 3)],
)
def test_who_falls_with_the_fourth_child(strategy: Strategy, expected: int | None) -> None:
    assert first_to_fall(strategy, 3) == expected


def test_who_comes_back() -> None:
    assert [comes_back(kind, End.CRASHED) for kind in Restart] == [True, True, False]
    assert [comes_back(kind, End.FINISHED) for kind in Restart] == [True, False, False]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_backoff_stays_within_its_bounds_however_long_the_streak(streak: int, draw: float) -> None:
    backoff = Backoff()
    wait = delay_s(backoff, streak, draw)
    if streak == 0:
        assert wait == 0
    else:
        assert 0.05 * 0.9 <= wait <= 5.0 * 1.1


@given(st.integers(1, 6), st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_the_budget_counts_like_a_plain_count_over_the_window(crashes_max: int, gaps: list[int]) -> None:
    budget = Budget(crashes_max, within_s=100e-9)
    spending = Spending(budget)
    now_ns, absorbed = 0, []
    for gap in gaps:
        now_ns += gap
        in_window = [time for time in absorbed if now_ns - time <= 100]
        fits = spending.crash(now_ns)
        assert fits == (len(in_window) < crashes_max)
        if fits:
            absorbed.append(now_ns)
