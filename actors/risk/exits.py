"""The one check of REDUCE and PROTECT: it cannot increase the position. Works while risk is down."""

from __future__ import annotations

from collections.abc import Callable

from actors.messages import ApprovedOrder, OrderIntent, Purpose, RefusedOrder, Side
from actors.risk.approval import approve, refuse
from actors.risk.reasons import Reason

ExitCheck = Callable[[OrderIntent, int, int], ApprovedOrder | RefusedOrder]
"""(intent, position_lots, working_exit_lots): what orders is given for the exits that it decides itself."""


def approve_exit(
    intent: OrderIntent, position_lots: int, working_exit_lots: int, now_ns: int, *, window_ns: int
) -> ApprovedOrder | RefusedOrder:
    """Approves an order that can only bring the position nearer to zero.

    `position_lots` is signed. `working_exit_lots` is what other exits that will not give way to this one may
    still fill, so that all of them together cannot pass through zero: for a REDUCE the other REDUCE orders
    (the stop is cancelled or replaced for it), for a PROTECT the exits that stay beside it. No flag, limit,
    halt or rate binds here. It may be sent until `now_ns + window_ns`.
    """
    if intent.purpose is Purpose.OPEN:
        return refuse(intent, Reason.NOT_AN_EXIT, "an OPEN order passes risk's own checks, not this one")
    if intent.size_lots < 1:
        return refuse(intent, Reason.SIZE, f"{intent.size_lots} lots")
    if position_lots == 0:
        return refuse(intent, Reason.NO_POSITION, "there is no position to leave")
    if (intent.side is Side.SELL) is not (position_lots > 0):
        return refuse(
            intent, Reason.WOULD_INCREASE, f"{intent.side.value} on a position of {position_lots} lots"
        )
    room = abs(position_lots) - max(0, working_exit_lots)
    if intent.size_lots > room:
        return refuse(
            intent,
            Reason.WOULD_INCREASE,
            f"{intent.size_lots} lots of {abs(position_lots)} held, {working_exit_lots} already leaving",
        )
    return approve(intent, reservation_id=0, send_by_ns=now_ns + window_ns)


def exit_check(order_window_s: float) -> ExitCheck:
    """`approve_exit` for a desk whose orders live for `order_window_s` from their decision."""
    window_ns = int(order_window_s * 1e9)

    def check(
        intent: OrderIntent, position_lots: int, working_exit_lots: int
    ) -> ApprovedOrder | RefusedOrder:
        return approve_exit(intent, position_lots, working_exit_lots, intent.decided_ns, window_ns=window_ns)

    return check
