"""Coins by name: fees in the coin they were paid in, and the balances that the venue last said."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from actors.messages import Balance

ZERO = Decimal(0)


class Ledger:
    """Bounded by the number of coins that the account knows."""

    def __init__(self) -> None:
        self.fees: dict[str, Decimal] = {}
        """coin -> paid so far"""
        self.unvalued: dict[str, Decimal] = {}
        """coin -> paid at a time when it had no known price in quote"""
        self.balances: dict[str, Decimal] = {}
        """coin -> free and locked, as the venue last said"""

    def pay(self, coin: str, fee: Decimal) -> None:
        if fee:
            self.fees[coin] = self.fees.get(coin, ZERO) + fee

    def pay_third(self, coin: str, fee: Decimal, price: Decimal | None) -> Decimal:
        """A fee in a coin that is neither base nor quote. Returns its value in quote; 0 without a `price`."""
        self.pay(coin, fee)
        if price is None and fee:
            self.unvalued[coin] = self.unvalued.get(coin, ZERO) + fee
            return ZERO
        return fee * (price or ZERO)

    def on_balances(self, balances: Iterable[Balance]) -> None:
        for balance in balances:
            self.balances[balance.coin] = balance.free + balance.locked
