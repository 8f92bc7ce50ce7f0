"""What we hold, per coin: the venue's balance less the owner's declared baseline, moved on by every fill.

A position is the part of it that can be sold: whole lots. What is below a lot is dust, and stays apart. Flat
on spot means the baseline, not zero: the owner's own coins are not ours to sell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from actors.messages import Balance, Fill, Side
from actors.orders.quantise import Grid

_NOTHING = Decimal(0)


class Holdings:
    """Coins of ours. `baseline`: coin -> what belongs to the owner (absent: nothing)."""

    def __init__(self, baseline: Mapping[str, Decimal]) -> None:
        self._baseline = dict(baseline)
        self.coins: dict[str, Decimal] = {}

    def has_baseline(self, coin: str) -> bool:
        """Some of the coin on the account is the owner's."""
        return self._baseline.get(coin, _NOTHING) > 0

    def read(self, balances: Iterable[Balance], coins: Iterable[str]) -> None:
        """Believe the venue: `coins` are set to their balance (free and locked) less the baseline; a coin
        that it does not list is one that it holds none of."""
        self.coins.update(self.ours(balances, coins))

    def ours(self, balances: Iterable[Balance], coins: Iterable[str]) -> dict[str, Decimal]:
        """What a reading of the balances says is ours, without believing it yet."""
        total = {balance.coin: balance.free + balance.locked for balance in balances}
        return {coin: total.get(coin, _NOTHING) - self._baseline.get(coin, _NOTHING) for coin in coins}

    def book(self, fill: Fill, base: str) -> None:
        """Move the base coin by an execution, and every coin that we follow by its fee."""
        moved = fill.size if fill.side is Side.BUY else -fill.size
        self.coins[base] = self.coins.get(base, _NOTHING) + moved
        if fill.fee_coin in self.coins:
            self.coins[fill.fee_coin] -= fill.fee

    def lots(self, base: str, grid: Grid) -> int:
        """The sellable position in whole lots; 0 where the owner's baseline is not even reached (long
        only)."""
        return max(0, grid.lots(self.coins.get(base, _NOTHING)))

    def dust(self, base: str, grid: Grid) -> Decimal:
        """What is held beyond whole lots; may be below 0 where a fee ate into the baseline."""
        held = self.coins.get(base, _NOTHING)
        return held - grid.rules.lot * max(0, grid.lots(held))
