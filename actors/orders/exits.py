"""Stops and exits: looks at each position as it is and sends what is missing. A loop over levels, not a
reaction to edges: whatever was lost, refused, half done or adopted, the next look sees it.

How a position ends: by the strategy's exit, by its stop, or by the exits decided here (flatten; no verified
stop in time; a stop that the market has passed without filling it). All pass the injected exit check.
"""

from __future__ import annotations

from actors.messages import (
    ApprovedOrder,
    OrderIntent,
    OrderKind,
    Purpose,
    RefusedOrder,
    Side,
)
from actors.orders.desk import Desk, Line, S
from actors.orders.flatten import Slice, next_slice
from actors.orders.guard import NOT_FILLING, Guard, View
from actors.orders.protection import (
    CancelStop,
    ReplaceStop,
    Step,
    exit_pieces,
    next_steps,
    stop_kind,
    stop_ticks_for,
)
from actors.orders.sending import Sender, exit_tif


class Exits:
    """Keeps every position under a stop, or sells it."""

    def __init__(self, desk: Desk, sender: Sender, guard: Guard) -> None:
        self._desk = desk
        self._guard = guard
        self._sender = sender
        config = desk.config
        self._pause_ns = int(config.slice_pause_s * S)

    # -- the loop ----------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at every instrument that something happened to."""
        touched = self._desk.touched
        while touched:
            # Sorted: what is sent first must not depend on the hash of a name.
            for instrument in sorted(touched):
                touched.discard(instrument)
                self._react(self._desk.lines[instrument])

    def tick(self) -> None:
        """Time has passed: look at every instrument."""
        for line in self._desk.lines.values():
            self._desk.touch(line.instrument)
        self.look()

    def _react(self, line: Line) -> None:
        desk = self._desk
        if not desk.may_exit(line):
            return
        view = self._guard.view(line)
        if view is None:
            return
        now_ns = desk.shell.now_ns
        self._guard.settle_stop_price(line, view, now_ns)
        self._guard.keep_time(line, view, now_ns)
        if view.position == 0 or self._guard.is_dust(line, view, view.position):
            line.leaving, line.tries = "", 0
        if now_ns < line.retry_ns:
            return
        if self._leave(line, view, now_ns):
            return
        if now_ns < line.gather_ns and any(desk.known.of(line.instrument, Purpose.OPEN)):
            return
        steps = next_steps(
            view.position, view.exit_lots, view.held_lots, view.covers, view.grid, line.stop_ticks
        )
        for step in steps:
            self._send(line, self._guard.view(line) or view, step)

    def _leave(self, line: Line, view: View, now_ns: int) -> bool:
        """Send the next part of an exit that is wanted; False if none is, or none can be sent now."""
        reason = line.leaving or self._desk.flatten_wanted()
        if not reason or view.exits or now_ns < line.pause_ns or view.position == 0:
            return False
        if self._guard.is_dust(line, view, view.position):
            return False
        if view.position < line.slice_lots:
            line.tries = 0
        part = self._next_slice(line, view, now_ns)
        if part is None:
            return False
        kind = OrderKind.MARKET if part.price_ticks is None else OrderKind.LIMIT
        intent = self._intent(line, Purpose.REDUCE, kind, part.lots, part.price_ticks, None, reason)
        if self._exit(line, view, intent):
            return False
        line.tries += 1
        line.slice_lots = view.position
        line.pause_ns = now_ns + self._pause_ns
        return True

    def _next_slice(self, line: Line, view: View, now_ns: int) -> Slice | None:
        config = self._desk.config
        bids = line.bids if self._guard.bid(line, now_ns) else ()
        if line.leaving == NOT_FILLING:
            # Graded: with a limit while there is a price to go by, then across.
            share, tries_max = 1.0, config.chase_tries if bids else 0
        elif line.leaving:
            share, tries_max = 1.0, 0
        else:
            share, tries_max = config.slice_share, config.flatten_tries
        return next_slice(
            view.position,
            bids,
            view.grid,
            cap=config.slippage_cap,
            share=share,
            tries=line.tries,
            tries_max=tries_max,
        )

    def reduce(self, approved: ApprovedOrder) -> None:
        """The strategy's exit: takes the place of the stop, and what it leaves gets its stop back."""
        intent = approved.intent
        line = self._desk.lines.get(intent.instrument)
        view = self._guard.view(line) if line is not None and self._desk.may_exit(line) else None
        if line is None or view is None:
            refusal = "not_reconciled"
        elif view.exits:
            refusal = "exit_running"
        elif intent.kind not in (OrderKind.LIMIT, OrderKind.MARKET):
            # On spot an exit that rests locks the coins of its stop.
            refusal = "exit_would_rest"
        elif min(intent.size_lots, view.position) <= 0:
            refusal = "no_position"
        else:
            refusal = self._exit(line, view, intent)
        if refusal:
            self._sender.refuse(approved, refusal)

    def _exit(self, line: Line, view: View, intent: OrderIntent) -> str:
        """Send an exit in pieces, each in the place of the stop that it displaces. Returns why not, or ""."""
        lots = min(intent.size_lots, view.position)
        pieces = exit_pieces(lots, view.free, view.covers)
        price_ticks = intent.price_ticks or line.stop_ticks
        if not pieces:
            return "stop_in_flight"
        pieces = [p for p in pieces if not price_ticks or not view.grid.is_dust(p.lots, price_ticks)]
        if not pieces:
            return "below_minimum"
        displaced = {piece.replaces for piece in pieces}
        working = (
            view.exit_lots + view.held_lots + sum(c.lots for c in view.covers if c.client_id not in displaced)
        )
        for piece in pieces:
            part = OrderIntent(
                intent_id=intent.intent_id,
                strategy=intent.strategy,
                instrument=intent.instrument,
                side=intent.side,
                purpose=Purpose.REDUCE,
                kind=intent.kind,
                tif=exit_tif(intent.kind),
                size_lots=piece.lots,
                price_ticks=intent.price_ticks,
                decided_ns=intent.decided_ns,
                reason=intent.reason,
            )
            refusal = self._permit(part, view.position, working, piece.replaces)
            if refusal:
                return refusal
            working += piece.lots
        return ""

    # -- stops -------------------------------------------------------------------------------------

    def _send(self, line: Line, view: View, step: Step) -> None:
        if isinstance(step, CancelStop):
            order = self._desk.known.live.get(step.client_id)
            if order is not None:
                self._sender.want_cancel(order, "more stops than position")
            return
        replaces = step.client_id if isinstance(step, ReplaceStop) else ""
        prefers_market = self._desk.config.stop_prefers_market
        # After a refusal the other kind is tried, whatever the reason was.
        kind = stop_kind(view.grid, line.refused_stops, prefers_market ^ (line.failures % 2 == 1))
        if kind is None:
            if not line.leaving:
                self._guard.start_leaving(line, view, "the venue takes no stop here")
            return
        if not line.stop_ticks:
            return  # no price yet; the clock runs
        stop_ticks = self._stop_ticks(line, view)
        limit = None
        if kind is OrderKind.STOP_LIMIT:
            limit = max(1, int(stop_ticks * (1 - self._desk.config.stop_limit_band)))
        intent = self._intent(line, Purpose.PROTECT, kind, step.lots, limit, stop_ticks, "stop")
        working = (
            view.exit_lots + view.held_lots + sum(c.lots for c in view.covers if c.client_id != replaces)
        )
        self._permit(intent, view.position, working, replaces)

    def _stop_ticks(self, line: Line, view: View) -> int:
        """Where a new stop goes: as wanted, and below the market if that has fallen through what was
        wanted."""
        bid = self._guard.bid(line, self._desk.shell.now_ns)
        if not (bid and line.leaving):
            return line.stop_ticks
        distance = self._desk.config.stop_distance
        ticks = stop_ticks_for(view.grid.ticks_below(bid), None, distance, distance)
        return min(line.stop_ticks, ticks)

    def _permit(self, intent: OrderIntent, position: int, working: int, replaces: str) -> str:
        """Ask the exit check, then number and journal the order. Returns why not, or ""."""
        verdict = self._desk.exit_check(intent, position, working)
        if isinstance(verdict, RefusedOrder):
            self._desk.shell.publish(verdict)
            self._desk.back_off(intent.instrument)
            return verdict.reason
        if self._sender.prepare(verdict, replaces) is None:
            self._desk.back_off(intent.instrument)
            return "no_ids"
        return ""

    def _intent(
        self,
        line: Line,
        purpose: Purpose,
        kind: OrderKind,
        lots: int,
        price_ticks: int | None,
        stop_ticks: int | None,
        reason: str,
    ) -> OrderIntent:
        return OrderIntent(
            intent_id=self._desk.next_intent_id(),
            strategy="orders",
            instrument=line.instrument,
            side=Side.SELL,
            purpose=purpose,
            kind=kind,
            tif=exit_tif(kind),
            size_lots=lots,
            price_ticks=price_ticks,
            stop_ticks=stop_ticks,
            decided_ns=self._desk.shell.now_ns,
            reason=reason,
        )
