"""The checks of an OPEN order that need no memory: the market as it is, and the order's own shape."""

from __future__ import annotations

from actors.messages import OrderIntent, OrderKind, Side
from actors.risk.config import RiskConfig
from actors.risk.holding import Holding
from actors.risk.limits import Limits, words
from actors.risk.reasons import Reason, Refusal


def refused_by_market(
    config: RiskConfig, holding: Holding, limits: Limits, intent: OrderIntent
) -> Refusal | None:
    """Is the market open, and the price near it? Ask only with a fresh book."""
    if limits.rules.status != "TRADING":
        return Reason.MARKET_STATUS, limits.rules.status
    bid, ask = holding.bid, holding.ask
    spread_bps = (ask - bid) / ask * 1e4
    if spread_bps > config.spread_max_bps or spread_bps <= 0:
        return Reason.SPREAD_TOO_WIDE, f"{spread_bps:.2f} bps, of {config.spread_max_bps:g}"
    if intent.price_ticks is not None:
        price = intent.price_ticks * limits.tick
        beyond_bps = (price / ask - 1 if intent.side is Side.BUY else 1 - price / bid) * 1e4
        if beyond_bps > config.price_band_bps:
            return Reason.PRICE_OFF_MARKET, f"{price} is {beyond_bps:.1f} bps beyond the touch"
    return None


def refused_by_shape(config: RiskConfig, limits: Limits, intent: OrderIntent) -> Refusal | None:
    """Is it an order that may be sent, whose stop protects it, and that could be sold at the stop?"""
    if intent.side is Side.SELL:
        return Reason.SIDE_NOT_ALLOWED, f"direction is {config.direction}"
    price = intent.price_ticks
    if price is None or price < 1 or intent.kind not in (OrderKind.LIMIT, OrderKind.POST_ONLY):
        return Reason.KIND_NOT_ALLOWED, f"{intent.kind.value} at {price}: an entry needs a limit price"
    stop = intent.stop_ticks
    if stop is None:
        return Reason.NO_STOP, "every entry says where its stop goes"
    if not 0 < stop < price:
        return Reason.STOP_WRONG_SIDE, f"stop at {stop} ticks, entry at {price}"
    lots = intent.size_lots
    if not limits.size_min_lots <= lots <= limits.size_max_lots:
        return Reason.SIZE, f"{lots} lots, of {limits.size_min_lots} to {limits.size_max_lots}"
    left = limits.sellable_lots(lots)
    if left < limits.size_min_lots or limits.value(left, stop) < limits.stop_value_min:
        return Reason.NOT_SELLABLE_AT_STOP, (
            f"{left} lots at the stop are worth {words(limits.value(left, stop))}, "
            f"of {words(limits.stop_value_min)}"
        )
    if config.fee_gate:
        edge_bps = ((intent.target_ticks or price) - price) / price * 1e4
        needed_bps = 2 * config.fee_bps + config.fee_gate_margin_bps
        if edge_bps < needed_bps:
            return Reason.FEE_GATE, f"{edge_bps:.2f} bps to the target, of {needed_bps:g}"
    return None
