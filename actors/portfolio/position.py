"""One instrument's position and P&L, in Decimal, by average cost.

Method: average cost. What comes in joins the average; what goes out leaves at the average, and the difference
to its price is realised. Every amount of coins is in exactly one place, so at any price
    cash + size * price = realised - fees + unrealised,
where cash is what the fills moved in quote. Divisions are rounded once, to 1e-12 of the quote coin, and both
sides of the books get the same rounded number: the equation holds to the last digit.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from actors.messages import Fill, InstrumentRules, Side

ZERO = Decimal(0)
_GRAIN = Decimal("1e-12")
# Prices times sizes of any listed coin fit; the default of 28 digits does not always.
_DIGITS = 60


class Position:
    """Base coins held through fills, what they cost, and what was earned."""

    __slots__ = ("cash", "cost", "fees", "gained", "rules", "size")

    def __init__(self, rules: InstrumentRules) -> None:
        self.rules = rules
        self.size = ZERO
        """Signed, in base, dust included."""
        self.cost = ZERO
        """What `size` was bought for, in quote; negative when short."""
        self.cash = ZERO
        """What fills moved in quote: negative when buying."""
        self.gained = ZERO
        """Realised before fees."""
        self.fees = ZERO
        """Valued in quote when they were paid."""

    def book(self, fill: Fill) -> None:
        """One execution. A fee in base shrinks what is held, one in quote the cash; for others see `pay`."""
        with localcontext() as context:
            context.prec = _DIGITS
            self._trade(fill.size if fill.side is Side.BUY else -fill.size, fill.price)
            if fill.fee_coin == self.rules.quote:
                self.cash -= fill.fee
                self.fees += fill.fee
            elif fill.fee_coin == self.rules.base:
                # As if the fee's coins were sold at the fill's price, and the money paid to the venue.
                self._trade(-fill.fee, fill.price)
                self.cash -= fill.fee * fill.price
                self.fees += fill.fee * fill.price

    def pay(self, fee: Decimal) -> None:
        """A fee in a third coin, valued in quote; the coin itself is in the ledger."""
        self.fees += fee

    def adopt(self, size: Decimal, price: Decimal) -> None:
        """The venue holds `size` more than the fills say: taken in at `price`, so that no profit appears."""
        with localcontext() as context:
            context.prec = _DIGITS
            self._trade(size, price)

    def _trade(self, size: Decimal, price: Decimal) -> None:
        """`size` coins in (negative: out) at `price`; a trade through zero closes first, then opens."""
        self.cash -= size * price
        if self.size * size < 0:
            out = size if abs(size) <= abs(self.size) else -self.size
            left = self.cost if out == -self.size else (self.cost * -out / self.size).quantize(_GRAIN)
            self.gained += -out * price - left
            self.cost -= left
            self.size += out
            size -= out
        self.size += size
        self.cost += size * price

    # -- questions ---------------------------------------------------------------------------------

    @property
    def size_lots(self) -> int:
        """Whole lots, toward zero: what can be sold."""
        return int(self.size / self.rules.lot)

    @property
    def dust(self) -> Decimal:
        """What is held beyond whole lots."""
        return self.size - self.size_lots * self.rules.lot

    @property
    def average_price(self) -> Decimal:
        """0 when nothing is held."""
        return (self.cost / self.size).quantize(_GRAIN) if self.size else ZERO

    @property
    def realised(self) -> Decimal:
        """Net of all fees that have a value in quote."""
        return self.gained - self.fees

    def unrealised(self, price: Decimal) -> Decimal:
        return self.size * price - self.cost
