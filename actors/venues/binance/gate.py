"""The last question before an order's bytes leave: may it still go? Asked with nothing in between but the
socket."""

from __future__ import annotations

from actors.messages import PlaceOrder
from supervisor.flags import Flags

# Raised by control at the moment a mode changes; see ModeChanged.
KILL, NO_OPEN = "kill", "no_open"


def refusal(order: PlaceOrder, flags: Flags, now_ns: int, clock_measured: bool) -> str | None:
    """Why the order must not be sent, or None. Flags and the clock bind only orders that open; being late
    binds all."""
    if order.opens:
        if flags[KILL]:
            return "killed"
        if flags[NO_OPEN]:
            return "not running: no order may open"
        if not clock_measured:
            # Its deadline at the venue would be a guess, and it is the only one that binds a paused machine.
            return "the venue's clock is not measured yet"
    if now_ns > order.send_by_ns:
        return f"too late by {(now_ns - order.send_by_ns) / 1e6:.1f} ms"
    return None
