"""The daily loss: counted from the journalled start of the UTC day, tripped once, remembered over restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from risk_builders import WALL, S

from actors.risk.day import DayLoss, DayRecord, day_of

DAY = 86_400 * S


def test_the_day_is_the_utc_day() -> None:
    assert day_of(WALL) == "2024-08-01"
    assert day_of(WALL - 1) == "2024-07-31"


def test_a_loss_is_counted_from_the_start_of_the_day_and_trips_beyond_the_limit() -> None:
    day = DayLoss(50.0)
    assert day.on_pnl(-500.0, WALL) == [DayRecord(day="2024-08-01", pnl=-500.0)]
    assert day.on_pnl(-550.0, WALL + S) == [] and not day.is_tripped
    assert day.on_pnl(-550.5, WALL + S) == [DayRecord(day="2024-08-01", pnl=-550.5, is_trip=True)]
    assert day.on_pnl(-600.0, WALL + S) == [] and day.is_tripped
    assert day.on_pnl(-600.0, WALL + DAY) == [DayRecord(day="2024-08-02", pnl=-600.0)]
    assert not day.is_tripped and not day.is_durable


def test_a_restart_forgives_no_loss_and_forgets_no_trip() -> None:
    start, trip = DayRecord(day="2024-08-01", pnl=0.0), DayRecord(day="2024-08-01", pnl=-60.0, is_trip=True)
    again = DayLoss(50.0)
    again.restore([DayRecord(day="2024-07-31", pnl=7.0), start])
    assert again.is_durable and again.on_pnl(-49.0, WALL + S) == [] and not again.is_tripped
    again.restore([trip])
    assert again.is_tripped and again.on_pnl(1000.0, WALL + S) == []


def test_a_trip_of_yesterday_does_not_stop_today() -> None:
    day = DayLoss(50.0)
    day.restore([DayRecord(day="2024-07-31", pnl=0.0), DayRecord(day="2024-07-31", pnl=-60.0, is_trip=True)])
    assert day.is_tripped
    assert [record.key for record in day.on_pnl(-60.0, WALL)] == ["2024-08-01/start"]
    assert not day.is_tripped


def test_a_clock_set_back_does_not_begin_a_day_again() -> None:
    day = DayLoss(50.0)
    day.on_pnl(0.0, WALL)
    assert day.on_pnl(-49.0, WALL - 1) == []
    assert day.on_pnl(-51.0, WALL - 1)[0].key == "2024-08-01/tripped"


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.integers(0, DAY // 2), st.booleans()), max_size=40))
def test_over_restarts_at_any_moment_it_is_tripped_exactly_when_the_days_loss_has_passed_the_limit(
    steps: list[tuple[float, int, bool]],
) -> None:
    day, kept = DayLoss(50.0), list[DayRecord]()
    wall, today, start, lost = WALL, "", 0.0, False
    for pnl, later, crash in steps:
        wall += later
        if crash:
            day = DayLoss(50.0)
            day.restore(kept)
        kept += day.on_pnl(pnl, wall)
        if day_of(wall) != today:
            today, start, lost = day_of(wall), pnl, False
        lost = lost or start - pnl > 50.0
        assert day.is_tripped is lost
    keys = [record.key for record in kept]
    assert len(keys) == len(set(keys))
