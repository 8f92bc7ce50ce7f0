"""The exit check: whatever is approved brings the position nearer to zero. And approval has one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_builders import NOW, intent, reason

from actors.messages import ApprovedOrder, Purpose, RefusedOrder, Side
from actors.risk.exits import approve_exit, exit_check

ROOT = Path(__file__).parents[3]
WINDOW_NS = 300_000_000


def check(
    lots: int, held: int, leaving: int = 0, *, side: Side = Side.SELL, purpose: Purpose = Purpose.REDUCE
) -> ApprovedOrder | RefusedOrder:
    wish = intent(lots, side=side, purpose=purpose, stop=None)
    return approve_exit(wish, held, leaving, NOW, window_ns=WINDOW_NS)


@pytest.mark.parametrize(
    ("lots", "held", "leaving", "side", "code"),
    [
        (200, 200, 0, Side.SELL, ""),
        (50, 200, 150, Side.SELL, ""),
        (51, 200, 150, Side.SELL, "would_increase"),
        (201, 200, 0, Side.SELL, "would_increase"),
        (1, 200, 0, Side.BUY, "would_increase"),
        (1, 0, 0, Side.SELL, "no_position"),
        (0, 200, 0, Side.SELL, "size"),
        (-5, 200, 0, Side.SELL, "size"),
        (200, -200, 0, Side.BUY, ""),
        (200, -200, 0, Side.SELL, "would_increase"),
        # What is said to be leaving is never less than nothing.
        (201, 200, -50, Side.SELL, "would_increase"),
    ],
)
def test_an_exit_can_only_bring_the_position_nearer_to_zero(
    lots: int, held: int, leaving: int, side: Side, code: str
) -> None:
    assert reason(check(lots, held, leaving, side=side)) == code
    assert reason(check(lots, held, leaving, side=side, purpose=Purpose.PROTECT)) == code


def test_an_entry_is_never_approved_as_an_exit() -> None:
    assert reason(check(1, 200, purpose=Purpose.OPEN)) == "not_an_exit"


def test_the_check_that_orders_holds_needs_nothing_but_the_order_itself() -> None:
    answer = exit_check(0.3)(intent(200, side=Side.SELL, purpose=Purpose.PROTECT), 200, 0)
    assert isinstance(answer, ApprovedOrder)
    assert (answer.send_by_ns, answer.reservation_id) == (NOW + WINDOW_NS, 0)


exits = st.tuples(st.integers(-10, 1000), st.sampled_from(Side), st.sampled_from(Purpose))


@given(st.integers(-1000, 1000), st.lists(exits, max_size=20), st.randoms())
def test_all_approved_exits_together_never_pass_through_zero(
    held: int, wishes: list[tuple[int, Side, Purpose]], chance: object
) -> None:
    position, working = held, 0
    for lots, side, purpose in wishes:
        if isinstance(check(lots, position, working, side=side, purpose=purpose), ApprovedOrder):
            working += lots
        # Some of what works fills, some is cancelled.
        filled = min(working, lots % 7 if lots > 0 else 0)
        position += filled if held < 0 else -filled
        working -= filled
        assert position * held >= 0 and working <= abs(position)


def test_only_approval_py_constructs_an_approved_order() -> None:
    """Types carry the permission to send, so making one anywhere else would be a forged signature."""
    makers = set()
    for path in [*ROOT.glob("actors/**/*.py"), *ROOT.glob("supervisor/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if name == "ApprovedOrder":
                    makers.add(path.relative_to(ROOT).as_posix())
    assert makers == {"actors/risk/approval.py"}
