"""One traded pair compiled from its configuration: ticks, lots and the decimal strings that Binance prints.

Inside the book everything is an integer of tick or lot; a string has eight decimals; money is Decimal.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from actors.venues.simulated.config import SymbolConfig

_UNIT = 10**8
_QUANTUM = Decimal("0.00000001")


class Pair:
    """A pair and its arithmetic. `tick_units` and `lot_units` are tick and lot in units of 1e-8."""

    __slots__ = ("base", "config", "lot", "lot_units", "quote", "symbol", "tick", "tick_units")

    def __init__(self, config: SymbolConfig) -> None:
        self.config = config
        self.symbol = config.symbol
        self.base = config.base
        self.quote = config.quote
        self.tick = config.tick_size
        self.lot = config.step_size
        self.tick_units = int(config.tick_size * _UNIT)
        self.lot_units = int(config.step_size * _UNIT)

    def price_text(self, ticks: int) -> str:
        units = ticks * self.tick_units
        return f"{units // _UNIT}.{units % _UNIT:08d}"

    def size_text(self, lots: int) -> str:
        units = lots * self.lot_units
        return f"{units // _UNIT}.{units % _UNIT:08d}"

    def price(self, ticks: int) -> Decimal:
        return self.tick * ticks

    def size(self, lots: int) -> Decimal:
        return self.lot * lots

    def ticks(self, price: Decimal) -> int:
        """The price in ticks; the caller has checked that it is a multiple."""
        return int(price / self.tick)

    def lots(self, size: Decimal) -> int:
        """The size in lots, rounded down."""
        return int(size / self.lot)

    def paid(self, ticks: int, lots: int) -> Decimal:
        """What a trade costs in the quote asset, cut to eight decimals as the venue books it."""
        return (self.tick * ticks * (self.lot * lots)).quantize(_QUANTUM, ROUND_FLOOR)

    def reserve(self, ticks: int, lots: int) -> Decimal:
        """What a resting buy order locks: rounded up, so that the parts paid can never exceed it."""
        return (self.tick * ticks * (self.lot * lots)).quantize(_QUANTUM, ROUND_CEILING)

    def value_text(self, product: int) -> str:
        """A sum of ticks·lots as a decimal string with eight decimals."""
        units = product * self.tick_units * self.lot_units // _UNIT
        return f"{units // _UNIT}.{units % _UNIT:08d}"


def money(amount: Decimal) -> str:
    """An amount with Binance's eight decimals."""
    return f"{amount:.8f}"


def cut(amount: Decimal) -> Decimal:
    """An amount cut to the eight decimals in which the venue books."""
    return amount.quantize(_QUANTUM, ROUND_FLOOR)
