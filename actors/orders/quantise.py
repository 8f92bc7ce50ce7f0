"""Ticks and lots to the strings that the venue takes, and back: exact, by integers.

Inside, a price is a number of ticks and a size a number of lots, so that nothing is ever rounded twice; a
venue refuses one digit too many (PRICE_FILTER, LOT_SIZE).
"""

from __future__ import annotations

import math
from decimal import Decimal

from actors.messages import InstrumentRules


class Grid:
    """The arithmetic of one instrument, compiled from its rules."""

    __slots__ = (
        "_lot_digits",
        "_lot_scale",
        "_lot_units",
        "_notional_lots_x_ticks",
        "_tick_digits",
        "_tick_float",
        "_tick_scale",
        "_tick_units",
        "lots_max",
        "lots_min",
        "rules",
    )

    def __init__(self, rules: InstrumentRules) -> None:
        """Raises ValueError if tick or lot is not above 0: nothing can be counted in them."""
        if not (rules.tick > 0 and rules.lot > 0):
            raise ValueError(
                f"{rules.instrument}: the venue says tick {rules.tick} and lot {rules.lot}; both must be "
                "above 0"
            )
        self.rules = rules
        self._tick_units, self._tick_digits = _units(rules.tick)
        self._lot_units, self._lot_digits = _units(rules.lot)
        self._tick_scale = 10**self._tick_digits
        self._lot_scale = 10**self._lot_digits
        self._tick_float = float(rules.tick)
        self.lots_min = max(1, math.ceil(rules.size_min / rules.lot))
        self.lots_max = int(rules.size_max / rules.lot) if rules.size_max > 0 else 2**62
        # lots * ticks must reach this for the venue's NOTIONAL filter.
        self._notional_lots_x_ticks = math.ceil(rules.notional_min / (rules.tick * rules.lot))

    def price_text(self, ticks: int) -> str:
        if not self._tick_digits:
            return str(ticks * self._tick_units)
        whole, part = divmod(ticks * self._tick_units, self._tick_scale)
        return f"{whole}.{part:0{self._tick_digits}d}"

    def size_text(self, lots: int) -> str:
        if not self._lot_digits:
            return str(lots * self._lot_units)
        whole, part = divmod(lots * self._lot_units, self._lot_scale)
        return f"{whole}.{part:0{self._lot_digits}d}"

    def lots(self, size: Decimal) -> int:
        """Whole lots in a size, rounded towards zero."""
        return int(size / self.rules.lot)

    def ticks(self, price: Decimal) -> int:
        """The ticks of a price that the venue said, rounded down if it is between two."""
        return int(price // self.rules.tick)

    def ticks_below(self, price: float) -> int:
        """The highest tick that is not above a market price."""
        # A float of 0.29 / 0.01 is 28.999...; a millionth of a tick is noise, not price.
        return math.floor(price / self._tick_float + 1e-6)

    def price(self, ticks: int) -> float:
        return ticks * self._tick_float

    def is_dust(self, lots: int, ticks: int) -> bool:
        """True if the venue would not take an order of this size at this price: too few lots, or too little
        money."""
        return lots < self.lots_min or lots * ticks < self._notional_lots_x_ticks

    def allows(self, order_type: str) -> bool:
        """Whether the venue lists the order type for this instrument (its own word, e.g. STOP_LOSS)."""
        return order_type in self.rules.order_types


def _units(step: Decimal) -> tuple[int, int]:
    """A step as an integer of 10**-digits: 0.05 is (5, 2), 10 is (10, 0)."""
    exponent = step.normalize().as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else 0
    return int(step.scaleb(digits)), digits
