"""Watches over each position: what covers it now, how long it stood without enough of a stop, and when to
give up on the stop and leave. Decides and tells; sends nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.messages import OrderState, PositionUnprotected, ProtectionChanged, Purpose
from actors.orders.book_of_orders import Order
from actors.orders.desk import Desk, Line, S
from actors.orders.flatten import is_through
from actors.orders.protection import Cover, stop_ticks_for
from actors.orders.quantise import Grid

_STANDING = (OrderState.OPEN, OrderState.CANCELLING)
NOT_FILLING = "the stop does not fill"


class View(NamedTuple):
    """One position and the orders over it, now. Lots."""

    grid: Grid
    position: int
    covers: list[Cover]
    exits: list[Order]
    exit_lots: int  # to be sold by exits
    held_lots: int  # of stops that are being cancelled: not free yet
    verified: int  # under stops that the venue has confirmed

    @property
    def free(self) -> int:
        """Held by no order."""
        return self.position - self.exit_lots - self.held_lots - sum(cover.lots for cover in self.covers)


class Guard:
    """One for all positions of the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        config = desk.config
        self._deadline_ns = int(config.stop_deadline_s * S)
        self._trigger_ns = int(config.trigger_wait_s * S)
        self._stale_ns = int(config.book_stale_s * S)

    def view(self, line: Line) -> View | None:
        """The position and what stands over it; None before the venue's rules are known."""
        desk = self._desk
        if line.grid is None:
            return None
        orders = [
            o for o in desk.known.of(line.instrument) if o.purpose is not Purpose.OPEN and o.owed is None
        ]
        successors = {o.replaces: o for o in orders if o.replaces}
        stops = [o for o in orders if o.purpose is Purpose.PROTECT]
        exits = [o for o in orders if o.purpose is Purpose.REDUCE]
        covers: list[Cover] = []
        held_lots = 0
        for o in stops:
            successor = successors.get(o.client_id)
            if successor is None and o.state is not OrderState.CANCELLING:
                is_open = o.state is OrderState.OPEN
                covers.append(Cover(o.client_id, o.remaining_lots, o.stop_ticks or 0, is_open))
            else:
                held_lots += desk.held(o, successor)
        verified = sum(o.remaining_lots for o in stops if o.verified_wall_ns and o.state in _STANDING)
        exit_lots = sum(o.remaining_lots for o in exits)
        return View(line.grid, desk.position(line), covers, exits, exit_lots, held_lots, verified)

    def settle_stop_price(self, line: Line, view: View, now_ns: int) -> None:
        """Where stops go when no entry of this life has said so: as those that stand, else below the
        market."""
        if line.stop_ticks or not view.position:
            return
        standing = [cover.stop_ticks for cover in view.covers if cover.stop_ticks]
        bid = self.bid(line, now_ns)
        if standing:
            line.stop_ticks = max(standing)
        elif bid:
            config = self._desk.config
            ticks = view.grid.ticks_below(bid)
            line.stop_ticks = stop_ticks_for(ticks, None, config.stop_distance_default, config.stop_distance)

    def is_dust(self, line: Line, view: View, lots: int) -> bool:
        """Too little for the venue to take an order for. Without any price to judge by, nothing is."""
        if not line.stop_ticks:
            return lots < view.grid.lots_min
        return view.grid.is_dust(lots, line.stop_ticks)

    def bid(self, line: Line, now_ns: int) -> float:
        """The best bid of a book that is fresh; 0.0 without one."""
        return line.bids[0][0] if line.bids and now_ns - line.book_ns <= self._stale_ns else 0.0

    # -- time without a stop -----------------------------------------------------------------------

    def keep_time(self, line: Line, view: View, now_ns: int) -> None:
        # An exit on its way to the venue sells at once: what it holds is not waiting for a stop.
        selling = sum(o.size_lots - o.filled_lots for o in view.exits if o.may_work)
        missing = view.position - view.verified - selling
        clock = line.clock
        if missing <= 0 or self.is_dust(line, view, missing):
            if clock.running:
                clock.covered(now_ns)
            if view.verified:
                line.failures = 0
        else:
            clock.uncovered(now_ns)
            if not line.leaving and now_ns - clock.since_ns >= self._deadline_ns:
                self.start_leaving(line, view, "no verified stop in time")
        self._watch_stops(line, view, now_ns)
        self._tell_protection(line, view, now_ns)

    def is_covered(self, line: Line) -> bool:
        """Nothing of the position waits for a stop."""
        return not line.clock.running and not line.leaving

    def is_flat(self, line: Line) -> bool:
        """Nothing is left to sell, or too little for the venue to take, and no order waits to sell it."""
        view = self.view(line)
        if view is None or view.exits:
            return False
        if view.position == 0:
            return not any(self._desk.known.of(line.instrument))
        return self.is_dust(line, view, view.position)

    def _watch_stops(self, line: Line, view: View, now_ns: int) -> None:
        """A stop that the market has passed must have filled; one that has not is left behind."""
        bid = self.bid(line, now_ns)
        passed = any(
            cover.open and is_through(bid, view.grid.price(cover.stop_ticks)) for cover in view.covers
        )
        if not passed:
            line.through_ns = 0
        elif not line.through_ns:
            line.through_ns = now_ns
        elif now_ns - line.through_ns >= self._trigger_ns and not line.leaving:
            self.start_leaving(line, view, NOT_FILLING)

    def start_leaving(self, line: Line, view: View, reason: str) -> None:
        """Give up on the stop: the whole position is to be sold, and everybody hears of it."""
        line.leaving, line.tries = reason, 0
        self._desk.shell.publish(
            PositionUnprotected(
                instrument=line.instrument,
                position_lots=view.position,
                protected_lots=view.verified,
                reason=reason,
            )
        )

    def _tell_protection(self, line: Line, view: View, now_ns: int) -> None:
        standing = [
            o
            for o in self._desk.known.of(line.instrument, Purpose.PROTECT)
            if o.verified_wall_ns and o.state in _STANDING
        ]
        stop = max(standing, key=lambda order: order.remaining_lots, default=None)
        news = (view.position, stop and stop.client_id, stop and stop.stop_ticks, view.verified)
        if news == line.said:
            return
        line.said = news
        changed = ProtectionChanged(
            instrument=line.instrument,
            position_lots=view.position,
            stop_client_id=stop.client_id if stop else None,
            stop_ticks=stop.stop_ticks if stop else None,
            protected_lots=view.verified,
            verified_ns=stop.verified_wall_ns if stop else 0,
            unprotected_ns=line.clock.counted_ns(now_ns),
        )
        self._desk.shell.tell(self._desk.addresses.risk, changed)
        self._desk.shell.publish(changed)

    # -- leaving -----------------------------------------------------------------------------------
