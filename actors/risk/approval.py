"""The one place where an order is approved or refused: nothing else constructs an `ApprovedOrder`."""

from __future__ import annotations

from actors.messages import ApprovedOrder, OrderIntent, RefusedOrder
from actors.risk.reasons import Reason


def approve(intent: OrderIntent, *, reservation_id: int, send_by_ns: int) -> ApprovedOrder:
    """Permission to send until `send_by_ns` (monotonic). `reservation_id` is 0 where nothing is reserved."""
    return ApprovedOrder(intent=intent, reservation_id=reservation_id, send_by_ns=send_by_ns)


def refuse(intent: OrderIntent, reason: Reason, detail: str = "") -> RefusedOrder:
    """An expected outcome: the code, and the numbers that led to it."""
    return RefusedOrder(
        intent_id=intent.intent_id,
        strategy=intent.strategy,
        instrument=intent.instrument,
        purpose=intent.purpose,
        reason=reason.value,
        detail=detail,
    )
