"""RiskKernel: every check of an OPEN order, in the order in which they are made; REDUCE and PROTECT pass one.

Pure. What it believes comes from others: positions from portfolio, open orders from orders, prices from the
feeds, the mode from control. Until each has spoken in this life it refuses; an error inside a check refuses
too. An approval reserves what it may add, so no order of events takes a position past its limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from actors.messages import (
    ApprovedOrder,
    DeskMode,
    OrderChanged,
    OrderIntent,
    PositionChanged,
    Purpose,
    Reconciled,
    RefusedOrder,
    VenueTrouble,
)
from actors.risk.approval import approve, refuse
from actors.risk.checks import refused_by_market, refused_by_shape
from actors.risk.config import RiskConfig
from actors.risk.day import DayLoss
from actors.risk.exits import approve_exit
from actors.risk.holding import Holding
from actors.risk.limits import Limits, atto, words
from actors.risk.reasons import Reason, Refusal
from actors.risk.reservations import Reservations

# What a check may raise on numbers that nobody foresaw. Anything else is a broken program: it crashes.
CHECK_ERRORS = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)

MODE_REASONS = {
    DeskMode.PAUSED: Reason.PAUSED,
    DeskMode.KILLED: Reason.KILLED,
    DeskMode.FLATTENING: Reason.FLATTENING,
}


class RiskKernel:
    """`first_id`: reservation ids count up from it; no earlier life may have used them, and none is 0.
    `born_ns`: when this life began (monotonic).
    """

    def __init__(
        self,
        config: RiskConfig,
        instruments: Iterable[str],
        *,
        order_window_s: float,
        first_id: int,
        born_ns: int,
    ) -> None:
        self.config = config
        self.holdings = {instrument: Holding(instrument) for instrument in instruments}
        self.reservations = Reservations()
        self.day = DayLoss(float(config.daily_loss_max))
        self.mode: DeskMode | None = None
        self._next_id = max(1, first_id)
        self._window_ns = int(order_window_s * 1e9)
        # An approval of an earlier life may still lie in orders' mailbox, unknown to a snapshot made now.
        # From here on it can no longer be sent.
        self._sure_ns = born_ns + self._window_ns
        self._book_age_max_ns = int(config.book_age_max_ms * 1e6)
        self._rate_window_ns = int(config.order_rate_window_s * 1e9)
        self._approved_ns: deque[int] = deque(maxlen=config.order_rate_max)
        self._desk_value_max = atto(config.desk_notional_max)
        self._troubles: dict[str, VenueTrouble] = {}

    # -- the check ---------------------------------------------------------------------------------

    def check(self, intent: OrderIntent, now_ns: int, wall_ns: int) -> ApprovedOrder | RefusedOrder:
        """Yes, with what it may add reserved until it ends; or no, with the reason."""
        if intent.purpose is not Purpose.OPEN:
            return self._check_exit(intent, now_ns)
        try:
            refusal = self._refusal(intent, now_ns, wall_ns)
        except CHECK_ERRORS as error:
            refusal = (Reason.CHECK_FAILED, f"{type(error).__name__}: {error}")
        if refusal is not None:
            return refuse(intent, *refusal)
        send_by_ns = self._send_by_ns(self.holdings[intent.instrument], intent)
        reservation_id = self._next_id
        self._next_id += 1
        self.reservations.reserve(intent, reservation_id, send_by_ns)
        self._approved_ns.append(now_ns)
        return approve(intent, reservation_id=reservation_id, send_by_ns=send_by_ns)

    def _check_exit(self, intent: OrderIntent, now_ns: int) -> ApprovedOrder | RefusedOrder:
        holding = self.holdings.get(intent.instrument)
        if holding is None:
            return refuse(intent, Reason.NO_POSITION, f"{intent.instrument} is not traded by this desk")
        answer = approve_exit(
            intent, holding.size_lots, holding.exit_lots(now_ns), now_ns, window_ns=self._window_ns
        )
        if isinstance(answer, ApprovedOrder) and intent.purpose is Purpose.REDUCE:
            holding.on_exit_approved(intent.intent_id, intent.size_lots, now_ns)
        return answer

    def _send_by_ns(self, holding: Holding, intent: OrderIntent) -> int:
        # The price that was checked must still be a price when the order leaves.
        return min(intent.decided_ns + self._window_ns, holding.book_ns + self._book_age_max_ns)

    def _refusal(self, intent: OrderIntent, now_ns: int, wall_ns: int) -> Refusal | None:
        holding = self.holdings.get(intent.instrument)
        if holding is None or holding.limits is None:
            return Reason.NO_RULES, f"the venue has not said the rules of {intent.instrument}"
        limits = holding.limits
        return (
            self._refused_by_desk(holding, now_ns, wall_ns)
            or self._refused_by_time(holding, intent, now_ns)
            or refused_by_market(self.config, holding, limits, intent)
            or refused_by_shape(self.config, limits, intent)
            or self._refused_by_limits(holding, limits, intent)
        )

    def _refused_by_desk(self, holding: Holding, now_ns: int, wall_ns: int) -> Refusal | None:
        if self.mode is not DeskMode.RUNNING:
            if self.mode is None:
                return Reason.PAUSED, "control has not said the mode yet"
            return MODE_REASONS[self.mode], f"the desk is {self.mode.value}"
        if not holding.is_confirmed:
            return Reason.UNRECONCILED, f"the position in {holding.instrument} is not confirmed yet"
        trouble = self._troubles.get(holding.venue)
        if trouble is not None and wall_ns < trouble.until_wall_ns:
            return Reason.HALTED, f"{trouble.kind}: {trouble.words}"
        if self.day.is_tripped:
            return (
                Reason.DAILY_LOSS,
                f"{self.day.loss:.2f} lost on {self.day.day}, of {self.config.daily_loss_max}",
            )
        if not self.day.is_durable:
            return Reason.DAY_UNKNOWN, self.day.unreadable or "the start of the day is not journalled yet"
        rate = self._approved_ns
        if len(rate) == rate.maxlen and now_ns - rate[0] < self._rate_window_ns:
            return Reason.ORDER_RATE, f"{len(rate)} entries within {self.config.order_rate_window_s} s"
        return None

    def _refused_by_time(self, holding: Holding, intent: OrderIntent, now_ns: int) -> Refusal | None:
        if not holding.book_ns:
            return Reason.BOOK_STALE, "no book"
        age_ns = now_ns - holding.book_ns
        if age_ns > self._book_age_max_ns:
            return Reason.BOOK_STALE, f"{age_ns / 1e6:.0f} ms old, of {self.config.book_age_max_ms:g}"
        late_ns = now_ns - self._send_by_ns(holding, intent)
        if late_ns >= 0:
            return Reason.TOO_LATE, f"could no longer be sent {late_ns / 1e6:.0f} ms ago"
        return None

    def _refused_by_limits(self, holding: Holding, limits: Limits, intent: OrderIntent) -> Refusal | None:
        price = intent.price_ticks
        assert price is not None, "a priceless entry was refused before"
        reservations = self.reservations
        open_orders = reservations.open_orders
        if open_orders >= self.config.open_orders_max:
            return Reason.OPEN_ORDERS_LIMIT, f"{open_orders} open, of {self.config.open_orders_max}"
        lots = holding.size_lots + reservations.outstanding(holding.instrument)[0] + intent.size_lots
        if limits.position_lots_max is not None and lots > limits.position_lots_max:
            return Reason.POSITION_LIMIT, f"would be {lots} lots, of {limits.position_lots_max}"
        price = max(price, holding.mark_ticks())
        value = limits.value(intent.size_lots, price)
        if value > limits.order_value_max:
            return Reason.NOTIONAL_LIMIT, f"order worth {words(value)}, of {self.config.order_notional_max}"
        value = limits.value(lots, price)
        if value > limits.position_value_max:
            return (
                Reason.NOTIONAL_LIMIT,
                f"position worth {words(value)}, of {self.config.position_notional_max}",
            )
        for other in self.holdings.values():
            bare = other.unprotected_lots()
            if bare:
                return Reason.UNPROTECTED, f"{bare} lots of {other.instrument} have no working stop"
            if other is not holding:
                value += self._value_at_most(other)
        if value > self._desk_value_max:
            return Reason.NOTIONAL_LIMIT, f"desk worth {words(value)}, of {self.config.desk_notional_max}"
        return None

    def _value_at_most(self, holding: Holding) -> int:
        """What an instrument may come to be worth if everything open fills."""
        if holding.limits is None:
            return 0
        bought, sold = self.reservations.outstanding(holding.instrument)
        size = holding.size_lots
        lots = max(size + bought, sold - size)
        if not lots:
            return 0
        price = max(holding.mark_ticks(), self.reservations.dearest_ticks(holding.instrument))
        if not price:
            raise ValueError(f"{lots} lots of {holding.instrument} have no price")
        return holding.limits.value(lots, price)

    # -- facts -------------------------------------------------------------------------------------

    def on_order(self, change: OrderChanged, now_ns: int) -> None:
        self.reservations.on_order(change, now_ns)
        holding = self.holdings.get(change.instrument)
        if holding is not None:
            holding.on_exit_changed(change, now_ns)

    def on_position(self, position: PositionChanged) -> None:
        """Portfolio's word; only its answer to what is asked after a `Reconciled` confirms a position."""
        holding = self.holdings.get(position.instrument)
        if holding is not None:
            holding.position = position
        self.reservations.on_booked(position)

    def on_positions(self, positions: Iterable[PositionChanged]) -> None:
        """Portfolio's answer to what was asked after a `Reconciled`: every fill until then is in it."""
        for position in positions:
            holding = self.holdings.get(position.instrument)
            if holding is not None:
                holding.position = position
                holding.is_confirmed = True

    def on_reconciled(self, message: Reconciled, now_ns: int) -> tuple[str, ...]:
        """Orders' snapshot of one account. Returns the instruments whose positions must be asked for now.

        One heard within `order_window_s` of this life's start is not taken: ask for it again after that.
        """
        if now_ns < self._sure_ns:
            return ()
        venue = message.account.partition("/")[0]
        self.reservations.rebuild(venue, message.open_orders, now_ns)
        asked = tuple(name for name, holding in self.holdings.items() if holding.venue == venue)
        for name in asked:
            self.holdings[name].is_confirmed = False
            self.holdings[name].forget_exits()
        for change in message.open_orders:
            if change.instrument in self.holdings:
                self.holdings[change.instrument].on_exit_changed(change, now_ns)
        return asked

    def on_trouble(self, trouble: VenueTrouble) -> None:
        self._troubles[trouble.venue] = trouble

    def doubt(self) -> None:
        """What is reserved may not be what is open: no entry until orders and portfolio have spoken again."""
        for holding in self.holdings.values():
            holding.is_confirmed = False

    def pnl(self) -> float | None:
        """Of the whole desk, cumulative, in quote; None while a position or a price is missing."""
        total = 0.0
        for holding in self.holdings.values():
            pnl = holding.pnl()
            if pnl is None:
                return None
            total += pnl
        return total
