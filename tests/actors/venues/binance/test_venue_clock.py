"""The venue's clock as we believe it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.venues.binance.clock import ROUND_TRIP_MAX_NS, VenueClock

MS = 1_000_000
# Venue time = monotonic time + this.
TRUE_NS = 1_700_000_000_000 * MS
WALL_NS = TRUE_NS - 40 * MS  # our wall clock is 40 ms behind


def exchange(clock: VenueClock, at_ns: int, out_ns: int, back_ns: int, true_ns: int = TRUE_NS) -> None:
    """A question sent at `at_ns`, which takes `out_ns` there and `back_ns` back."""
    stamp_ms = (at_ns + out_ns + true_ns) // MS
    received = at_ns + out_ns + back_ns
    clock.sample(at_ns, received, stamp_ms, received + WALL_NS)


trips = st.lists(
    st.tuples(st.integers(0, 400 * MS), st.integers(0, 400 * MS), st.integers(0, 5_000 * MS)),
    min_size=1,
    max_size=30,
)


@given(trips)
def test_the_truth_is_always_within_the_stated_uncertainty(legs: list[tuple[int, int, int]]) -> None:
    clock = VenueClock()
    now = 10**9
    for out_ns, back_ns, pause_ns in legs:
        exchange(clock, now, out_ns, back_ns)
        now += out_ns + back_ns + pause_ns
    wrong_ms = abs(clock.venue_ns(now, 0) - (now + TRUE_NS)) / MS
    assert wrong_ms <= clock.uncertainty_ms(now) + 1e-6


def test_the_shortest_round_trip_counts() -> None:
    clock = VenueClock()
    exchange(clock, 1 * 10**9, 300 * MS, 10 * MS)
    exchange(clock, 2 * 10**9, 2 * MS, 2 * MS)
    exchange(clock, 3 * 10**9, 10 * MS, 300 * MS)
    assert clock.uncertainty_ms(3 * 10**9) < 4
    assert abs(clock.venue_ns(3 * 10**9, 0) - (3 * 10**9 + TRUE_NS)) <= 3 * MS


def test_unmeasured_it_is_our_wall_clock_and_endlessly_uncertain() -> None:
    clock = VenueClock()
    assert not clock.measured
    assert clock.venue_ns(5, 77) == 77
    assert clock.uncertainty_ms(5) == float("inf")


def test_a_step_of_the_wall_clock_moves_no_signature_but_shows_in_the_offset() -> None:
    clock = VenueClock()
    exchange(clock, 10**9, MS, MS)
    assert abs(clock.offset_ms() - 40) < 1.5
    before = clock.venue_ns(2 * 10**9, 2 * 10**9 + WALL_NS)
    assert clock.venue_ns(2 * 10**9, 2 * 10**9 + WALL_NS + 3600 * 10**9) == before


def test_a_suspended_machine_believes_the_new_measurement_over_all_old_ones() -> None:
    clock = VenueClock()
    for k in range(5):
        exchange(clock, (1 + k) * 10**9, MS, MS)
    # Our monotonic clock stood still for ten minutes.
    exchange(clock, 10 * 10**9, 20 * MS, 20 * MS, true_ns=TRUE_NS + 600 * 10**9)
    now = 11 * 10**9
    assert abs(clock.venue_ns(now, 0) - (now + TRUE_NS + 600 * 10**9)) <= 21 * MS


def test_an_absurd_round_trip_says_nothing() -> None:
    clock = VenueClock()
    assert not clock.sample(0, ROUND_TRIP_MAX_NS + 1, 1, 1)
    assert not clock.sample(5, 4, 1, 1)
    assert not clock.measured


def test_uncertainty_grows_while_nothing_is_measured() -> None:
    clock = VenueClock()
    exchange(clock, 10**9, MS, MS)
    assert clock.uncertainty_ms(10**9) + 5 < clock.uncertainty_ms(100 * 10**9) < 20
