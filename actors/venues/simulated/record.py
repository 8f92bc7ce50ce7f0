"""The venue's own record: every order, every change of its state, every fill, rejection and balance.

Judging is done from this, so it is complete and independent of what clients were told.
"""

from __future__ import annotations


class Record:
    """Append-only; times in microseconds, prices and amounts as decimal strings with eight decimals."""

    def summary(self, account: str) -> dict[str, object]:
        """Counts of orders by status, of fills and rejections; balances {coin: {free, locked}}; fees {coin: amount}."""
        raise NotImplementedError

    def export(self) -> dict[str, object]:
        """Everything, ready for JSON: orders (with changes), fills, rejections, balances, fees."""
        raise NotImplementedError

    def digest(self) -> str:
        """A SHA-256 over everything recorded: equal for equal runs."""
        raise NotImplementedError
