"""The budget that everything on this host shares: what is kept for exits, and a ban that holds for all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venues.binance import weights
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.errors import Trouble
from actors.venues.binance.weights import Latch, Shares, Use

MS = 1_000_000
# A whole minute and a whole day.
NOON_MS = 1_723_161_600_000
NOON = NOON_MS * MS


class Budget:
    """The kernel over plain lists."""

    def __init__(self) -> None:
        self.host = [0] * weights.COLUMNS
        self.account = [0] * weights.COLUMNS
        weights.reset_host(self.host)
        weights.reset_account(self.account)

    def take(self, use: Use, weight: int = 1, orders: int = 0, at_ms: int = NOON_MS) -> str | None:
        return weights.take(self.host, self.account, Shares(), use, weight, orders, at_ms)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[HostBudget]:
    budget = HostBudget(tmp_path / "budget", "binance/main")
    yield budget
    budget.close()


def test_what_routine_and_open_may_not_use_is_left_for_exits() -> None:
    budget = Budget()
    assert budget.take(Use.ROUTINE, 3600) is None
    assert "routine requests may use 60%" in str(budget.take(Use.ROUTINE))
    assert budget.take(Use.OPEN, 1200) is None
    assert "open requests may use 80%" in str(budget.take(Use.OPEN))
    assert budget.take(Use.SAFETY, 1200) is None
    assert "weight: 6000 of 6000" in str(budget.take(Use.SAFETY))


def test_orders_that_open_leave_room_for_orders_that_close() -> None:
    budget = Budget()
    for _ in range(40):
        assert budget.take(Use.OPEN, orders=1) is None
    assert "orders per 10 s: 40 of 50" in str(budget.take(Use.OPEN, orders=1))
    for _ in range(10):
        assert budget.take(Use.SAFETY, orders=1) is None
    assert budget.take(Use.SAFETY, orders=1) is not None
    # A cancel is no order.
    assert budget.take(Use.SAFETY) is None


def test_a_refusal_draws_nothing() -> None:
    budget = Budget()
    for _ in range(40):
        budget.take(Use.OPEN, orders=1)
    before = list(budget.host), list(budget.account)
    assert budget.take(Use.OPEN, orders=1) is not None
    assert (budget.host, budget.account) == before


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Use)), st.integers(1, 300), st.integers(0, 3), st.integers(0, 30_000))
    )
)
def test_the_limits_are_never_passed(draws: list[tuple[Use, int, int, int]]) -> None:
    budget = Budget()
    at_ms = NOON_MS
    granted: dict[int, int] = {}
    orders: dict[int, int] = {}
    for use, weight, count, pause_ms in draws:
        at_ms += pause_ms
        if budget.take(use, weight, count, at_ms) is None:
            granted[at_ms // 60_000] = granted.get(at_ms // 60_000, 0) + weight
            orders[at_ms // 10_000] = orders.get(at_ms // 10_000, 0) + count
    assert all(total <= 6_000 for total in granted.values())
    assert all(total <= 50 for total in orders.values())


def test_a_new_minute_begins_on_the_venues_clock_not_a_minute_later() -> None:
    budget = Budget()
    assert budget.take(Use.SAFETY, 6000, at_ms=NOON_MS + 59_999) is None
    assert budget.take(Use.SAFETY, at_ms=NOON_MS + 59_999) is not None
    assert budget.take(Use.SAFETY, at_ms=NOON_MS + 60_000) is None


def test_the_venues_count_corrects_ours_upwards_and_only_within_its_minute() -> None:
    budget = Budget()
    budget.take(Use.ROUTINE, 10)
    weights.saw(budget.host, weights.WEIGHT, 5000, NOON_MS, NOON_MS + 5)
    assert "5000 of 6000" in str(budget.take(Use.OPEN))
    weights.saw(budget.host, weights.WEIGHT, 3, NOON_MS, NOON_MS + 6)
    assert "5000 of 6000" in str(budget.take(Use.OPEN))
    # An answer from across the boundary counts the minute before.
    weights.saw(budget.host, weights.WEIGHT, 5900, NOON_MS + 59_990, NOON_MS + 60_010)
    assert budget.take(Use.ROUTINE, 3600, at_ms=NOON_MS + 60_020) is None


def test_a_ban_holds_everything_and_an_order_limit_holds_orders_only() -> None:
    budget = Budget()
    weights.set_latch(budget.account, Latch(Trouble.ORDERS_LIMITED, NOON_MS + 10_000), NOON_MS)
    assert "orders_limited" in str(budget.take(Use.SAFETY, orders=1))
    assert budget.take(Use.SAFETY) is None
    weights.set_latch(budget.host, Latch(Trouble.BANNED, NOON_MS + 120_000), NOON_MS)
    for use in Use:
        assert "banned until" in str(budget.take(use))
        assert budget.take(use, at_ms=NOON_MS + 120_000) is None


def test_a_ban_is_never_shortened_nor_renamed() -> None:
    table = [0] * weights.COLUMNS
    weights.set_latch(table, Latch(Trouble.BANNED, NOON_MS + 120_000), NOON_MS)
    weights.set_latch(table, Latch(Trouble.RATE_LIMITED, NOON_MS + 1_000), NOON_MS)
    assert weights.latch(table, NOON_MS) == Latch(Trouble.BANNED, NOON_MS + 120_000)
    weights.set_latch(table, Latch(Trouble.RATE_LIMITED, NOON_MS + 180_000), NOON_MS)
    assert weights.latch(table, NOON_MS) == Latch(Trouble.BANNED, NOON_MS + 180_000)


def test_an_old_ban_does_not_turn_a_later_limit_into_a_ban() -> None:
    table = [0] * weights.COLUMNS
    weights.set_latch(table, Latch(Trouble.BANNED, NOON_MS + 1_000), NOON_MS)
    weights.set_latch(table, Latch(Trouble.RATE_LIMITED, NOON_MS + 600_000), NOON_MS + 500_000)
    assert weights.latch(table, NOON_MS + 550_000) == Latch(Trouble.RATE_LIMITED, NOON_MS + 600_000)


def test_a_latch_set_by_a_clock_that_was_years_off_does_not_hold_for_years() -> None:
    table = [0] * weights.COLUMNS
    weights.set_latch(table, Latch(Trouble.BANNED, NOON_MS + 400 * 86_400_000), NOON_MS)
    assert weights.latch(table, NOON_MS) is None


def test_the_limits_that_the_venue_states_replace_the_defaults(shared: HostBudget) -> None:
    shared.limit_weight(1200)
    shared.limit_orders(10_000, 100)
    shared.limit_orders(12_345, 1)
    shared.limit_weight(-5)
    assert "of 1200 used" in str(shared.take(Use.SAFETY, 1201, 0, NOON))
    for _ in range(100):
        assert shared.take(Use.SAFETY, 1, 1, NOON) is None
    assert "orders per 10 s: 100 of 100" in str(shared.take(Use.SAFETY, 1, 1, NOON))


def test_two_processes_draw_from_one_budget_and_a_ban_reaches_both(
    tmp_path: Path, shared: HostBudget
) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from actors.venues.binance.budget import HostBudget\n"
        "from actors.venues.binance.errors import Trouble\n"
        "from actors.venues.binance.weights import Use\n"
        f"budget = HostBudget(Path({str(tmp_path / 'budget')!r}), 'binance/main')\n"
        f"for _ in range(1000): assert budget.take(Use.SAFETY, 1, 0, {NOON}) is None\n"
        f"budget.latch(Trouble.BANNED, {NOON_MS + 1000}, {NOON})\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", script.rsplit("budget.latch", 1)[0]]) for _ in range(2)]
    for _ in range(1000):
        assert shared.take(Use.SAFETY, 1, 0, NOON) is None
    for other in others:
        assert other.wait(20) == 0
    # Lost updates are possible only where the lock was given up after its tries, never by the thousand.
    assert 2_900 <= shared.weight_share(NOON) * 6000 <= 3_000
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
    assert "banned" in str(shared.take(Use.SAFETY, 1, 0, NOON))


def test_a_stopped_holder_of_the_lock_stops_nobody(tmp_path: Path, shared: HostBudget) -> None:
    import fcntl

    with (tmp_path / "budget").open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert shared.take(Use.OPEN, 1, 1, NOON) is None


def test_accounts_share_the_weight_but_not_their_orders(tmp_path: Path, shared: HostBudget) -> None:
    second = HostBudget(tmp_path / "budget", "binance/second")
    for _ in range(50):
        assert second.take(Use.SAFETY, 10, 1, NOON) is None
    assert second.take(Use.SAFETY, 1, 1, NOON) is not None
    assert shared.take(Use.SAFETY, 1, 1, NOON) is None
    assert round(shared.weight_share(NOON) * 6000) == 501
    second.close()


@pytest.mark.parametrize("content", [b"", b"torn", b"\xff" * 4096])
def test_a_torn_or_foreign_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "budget").write_bytes(content)
    budget = HostBudget(tmp_path / "budget", "binance/main")
    assert budget.take(Use.OPEN, 1, 1, NOON) is None
    assert (tmp_path / "budget").stat().st_mode & 0o777 in (0o600, 0o644)
    budget.close()
