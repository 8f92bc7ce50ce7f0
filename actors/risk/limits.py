"""What an instrument's rules and the config allow, as integers made once, so that a check is exact and fast.

A price is ticks and a size is lots, so a value is ticks times lots, each worth tick * lot of the quote coin.
To add instruments with different ticks, values are counted in atto-quote: 1e-18 of the quote coin.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from actors.messages import InstrumentRules
from actors.risk.config import RiskConfig

ATTO = 10**18
_PPM = 1_000_000


def atto(value: Decimal) -> int:
    """Quote to atto-quote, rounded down: a limit is never rounded up."""
    return int((value * ATTO).to_integral_value(ROUND_FLOOR))


class Limits:
    """The limits of one instrument."""

    __slots__ = (
        "keep_ppm",
        "lot",
        "order_value_max",
        "position_lots_max",
        "position_value_max",
        "rules",
        "size_max_lots",
        "size_min_lots",
        "stop_value_min",
        "tick",
        "unit",
        "value_min",
    )

    def __init__(self, rules: InstrumentRules, config: RiskConfig) -> None:
        self.rules = rules
        self.tick = float(rules.tick)
        self.lot = float(rules.lot)
        unit = rules.tick * rules.lot * ATTO
        if unit != unit.to_integral_value() or unit <= 0:
            raise ValueError(f"{rules.instrument}: tick {rules.tick} times lot {rules.lot} is below 1e-18")
        # Atto-quote for one lot at a price of one tick.
        self.unit = int(unit)
        self.order_value_max = atto(config.order_notional_max)
        self.position_value_max = atto(config.position_notional_max)
        size = config.position_max.get(rules.instrument)
        self.position_lots_max = None if size is None else int(size / rules.lot)
        self.size_min_lots = max(1, int((rules.size_min / rules.lot).to_integral_value(ROUND_CEILING)))
        self.size_max_lots = int(rules.size_max / rules.lot)
        self.value_min = atto(rules.notional_min)
        self.stop_value_min = atto(rules.notional_min * (1 + Decimal(str(config.dust_margin))))
        # What a fee in the bought coin leaves, in millionths.
        self.keep_ppm = _PPM - int((Decimal(str(config.fee_bps)) * 100).to_integral_value(ROUND_CEILING))

    def value(self, lots: int, price_ticks: int) -> int:
        """What `lots` are worth at a price, in atto-quote."""
        return lots * price_ticks * self.unit

    def sellable_lots(self, lots: int) -> int:
        """Whole lots left of `lots` bought, when the fee is taken in the bought coin."""
        return lots * self.keep_ppm // _PPM


def words(value: int) -> str:
    """Atto-quote for a person."""
    return f"{Decimal(value) / ATTO:.8f}".rstrip("0").rstrip(".")
