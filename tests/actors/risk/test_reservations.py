"""A reservation counts what is not in the position yet, and is given back exactly once."""

from __future__ import annotations

from risk_builders import BTC, ETH, NOW, WALL, S, approved, changed, intent, position, ready, reconciled

from actors.messages import ApprovedOrder, OrderState, Reconciled
from actors.risk.kernel import RiskKernel
from actors.risk.reservations import SILENCE_NS


def one() -> tuple[RiskKernel, ApprovedOrder]:
    kernel = ready()
    return kernel, approved(kernel.check(intent(200), NOW, WALL))


def left(kernel: RiskKernel) -> int:
    return kernel.reservations.outstanding(BTC)[0]


def test_a_fill_moves_from_the_reservation_to_the_position_only_when_it_is_booked() -> None:
    kernel, order = one()
    kernel.on_order(changed(order, OrderState.OPEN), NOW)
    kernel.on_order(changed(order, OrderState.OPEN, 50), NOW)
    assert left(kernel) == 200
    kernel.on_position(position(50, client_id="c1", booked=50))
    assert left(kernel) == 150
    kernel.on_order(changed(order, OrderState.CANCELED, 120), NOW)
    assert left(kernel) == 70  # filled, not booked
    kernel.on_position(position(120, client_id="c1", booked=120))
    assert left(kernel) == 0 and len(kernel.reservations) == 0


def test_a_fill_may_be_booked_before_its_orders_end_is_heard_of() -> None:
    kernel, order = one()
    kernel.on_position(position(200, client_id="c1", booked=200))
    kernel.on_order(changed(order, OrderState.FILLED, 200), NOW)
    assert len(kernel.reservations) == 0


def test_an_end_that_is_told_twice_gives_back_once() -> None:
    kernel, order = one()
    second = approved(kernel.check(intent(100), NOW, WALL))
    for _ in range(3):
        kernel.on_order(changed(order, OrderState.EXPIRED), NOW)
    assert left(kernel) == 100
    kernel.on_order(changed(second, OrderState.EXPIRED, client_id="c2"), NOW)
    assert left(kernel) == 0


def test_an_order_that_risk_does_not_know_is_reserved_until_it_ends() -> None:
    _, order = one()
    fresh = ready()
    fresh.on_order(changed(order, OrderState.UNKNOWN), NOW)
    assert left(fresh) == 200
    fresh.on_order(changed(order, OrderState.EXPIRED), NOW)
    assert left(fresh) == 0


def test_an_order_whose_end_is_the_first_word_of_it_reserves_nothing() -> None:
    _, order = one()
    fresh = ready()
    fresh.on_order(changed(order, OrderState.FILLED, 200), NOW)
    assert left(fresh) == 0


def test_after_a_restart_the_snapshot_is_what_is_reserved() -> None:
    _, order = one()
    fresh = ready()
    fresh.on_reconciled(reconciled(changed(order, OrderState.OPEN, 50)), NOW)
    fresh.on_positions([position(50)])
    assert left(fresh) == 150
    fresh.on_order(changed(order, OrderState.FILLED, 200), NOW)
    fresh.on_position(position(200, client_id="c1", booked=200))
    assert left(fresh) == 0


def test_a_snapshot_of_one_venue_leaves_the_others_reservations_alone() -> None:
    kernel = ready(BTC, ETH)
    order = approved(kernel.check(intent(200), NOW, WALL))
    kernel.on_order(changed(order, OrderState.OPEN), NOW)
    other = Reconciled(account="kraken/main", epoch=1, positions={}, open_orders=(), differences=())
    assert kernel.on_reconciled(other, NOW) == ()
    assert left(kernel) == 200


def test_what_was_approved_a_moment_ago_outlives_a_snapshot_that_lacks_it_until_it_cannot_be_sent() -> None:
    kernel, order = one()
    kernel.on_reconciled(reconciled(), order.send_by_ns + SILENCE_NS)
    assert left(kernel) == 200
    kernel.on_reconciled(reconciled(), order.send_by_ns + SILENCE_NS + 1)
    assert left(kernel) == 0


def test_silence_about_an_approval_or_about_a_fill_is_noticed() -> None:
    kernel, order = one()
    assert not kernel.reservations.silent(order.send_by_ns + SILENCE_NS)
    assert kernel.reservations.silent(order.send_by_ns + SILENCE_NS + 1)
    kernel.on_order(changed(order, OrderState.OPEN), NOW)
    assert not kernel.reservations.silent(NOW + 3600 * S)  # orders has it in hand
    kernel.on_order(changed(order, OrderState.FILLED, 200), NOW)
    assert kernel.reservations.silent(NOW + SILENCE_NS + 1)  # portfolio owes it
