"""Balances, reservations and fees: the only place where money moves. All Decimal.

Source of the fee rules: Binance's commission FAQ (fee in the asset received; in BNB at a discount when the
account asks for it and its BNB suffices, else as usual).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from actors.venues.simulated.config import AccountConfig
from actors.venues.simulated.order import Order
from actors.venues.simulated.pair import Pair, cut

_ZERO = Decimal(0)
_BPS = Decimal("0.0001")


class Balance:
    """One coin of one account."""

    __slots__ = ("free", "locked")

    def __init__(self, free: Decimal = _ZERO) -> None:
        self.free = free
        self.locked = _ZERO


class Wallet:
    """One account: its coins, its fee rates, and which coins changed since the last account event."""

    __slots__ = ("balances", "config", "fees", "touched", "update_us")

    def __init__(self, config: AccountConfig, start_us: int) -> None:
        self.config = config
        self.balances = {coin: Balance(amount) for coin, amount in sorted(config.balances.items())}
        self.fees: dict[str, Decimal] = {}
        self.touched: dict[str, None] = {}
        self.update_us = start_us

    def of(self, coin: str) -> Balance:
        """The balance of a coin, for changing it."""
        self.touched[coin] = None
        balance = self.balances.get(coin)
        if balance is None:
            balance = self.balances[coin] = Balance()
        return balance

    def free(self, coin: str) -> Decimal:
        balance = self.balances.get(coin)
        return _ZERO if balance is None else balance.free

    def total(self, coin: str) -> Decimal:
        balance = self.balances.get(coin)
        return _ZERO if balance is None else balance.free + balance.locked


class Ledger:
    """All accounts, and what the background paid and got, so that every coin's sum stays constant."""

    def __init__(
        self, accounts: tuple[AccountConfig, ...], in_bnb: Callable[[str], Decimal | None], start_us: int
    ) -> None:
        self.wallets = {account.name: Wallet(account, start_us) for account in accounts}
        self.background: dict[str, Decimal] = {}
        # The price of one unit of a coin in BNB, or None where no pair tells it.
        self._in_bnb = in_bnb

    def transfer(self, account: str, coin: str, amount: Decimal) -> None:
        """Money from outside (or out, when negative). Raises ValueError when that much is not free."""
        balance = self.wallets[account].of(coin)
        if balance.free + amount < 0:
            raise ValueError(f"account {account} has {balance.free} {coin} free; {-amount} cannot leave it")
        balance.free += amount
        self.background[coin] = self.background.get(coin, _ZERO) - amount

    def lock(self, order: Order, amount: Decimal) -> None:
        """Reserve `amount` of what the order gives; the caller has checked that it is free."""
        balance = self.wallets[order.account].of(_given(order))
        balance.free -= amount
        balance.locked += amount
        order.locked += amount

    def relock(self, order: Order) -> None:
        """Set the reservation to what the order needs now; nothing once it is closed."""
        need = order.need() if order.is_open else _ZERO
        change = need - order.locked
        if change:
            self.lock(order, change)

    def can_lock(self, order: Order, amount: Decimal) -> bool:
        return self.wallets[order.account].free(_given(order)) >= amount

    def settle(self, order: Order, price: int, lots: int, is_maker: bool) -> tuple[Decimal, Decimal, str]:
        """Book one side of a trade; returns (quote amount, fee, the fee's coin).

        The order's `remaining` is already reduced; its reservation follows.
        """
        pair = order.pair
        wallet = self.wallets[order.account]
        paid = pair.paid(price, lots)
        size = pair.size(lots)
        base, quote = wallet.of(pair.base), wallet.of(pair.quote)
        given, gives = (quote, paid) if order.is_buy else (base, size)
        if order.locked:
            still = order.need() if order.remaining else _ZERO
            # What a better price saved goes back with the part that is no longer needed.
            given.locked -= order.locked - still
            given.free += order.locked - still - gives
            order.locked = still
        else:
            given.free -= gives
        if order.is_buy:
            base.free += size
        else:
            quote.free += paid
        fee, coin = self._fee(wallet, order, size, paid, is_maker)
        wallet.of(coin).free -= fee
        wallet.fees[coin] = wallet.fees.get(coin, _ZERO) + fee
        return paid, fee, coin

    def settle_background(self, pair: Pair, is_buy: bool, price: int, lots: int) -> None:
        """The other side of a trade with the background."""
        sign = 1 if is_buy else -1
        for coin, amount in (
            (pair.base, pair.size(lots) * sign),
            (pair.quote, -pair.paid(price, lots) * sign),
        ):
            self.background[coin] = self.background.get(coin, _ZERO) + amount

    def _fee(
        self, wallet: Wallet, order: Order, size: Decimal, paid: Decimal, is_maker: bool
    ) -> tuple[Decimal, str]:
        config = wallet.config
        pair = order.pair
        rate = (config.maker_bps if is_maker else config.taker_bps) * _BPS
        if config.bnb_fees:
            value = self._in_bnb(pair.quote)
            if value is not None:
                fee = cut(paid * rate * (1 - config.bnb_discount) * value)
                if wallet.free("BNB") >= fee:
                    return fee, "BNB"
        in_base = order.is_buy if config.fee_in == "received" else config.fee_in == "base"
        coin, fee = (pair.base, cut(size * rate)) if in_base else (pair.quote, cut(paid * rate))
        if wallet.free(coin) < fee:
            # A fee that is not taken from what was received may be missing; then it is taken from that after
            # all.
            coin, fee = (pair.base, cut(size * rate)) if order.is_buy else (pair.quote, cut(paid * rate))
        return fee, coin


def _given(order: Order) -> str:
    return order.pair.quote if order.is_buy else order.pair.base
