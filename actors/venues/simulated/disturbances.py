"""Faults inside the exchange itself: what it hides, repeats, delays, drops, freezes or garbles on request.

A disturbance never touches the record: what really happened is written there undisturbed.
`until_us` is the time at which the fault ends by itself. `None` for a symbol or account means all of them.
"""

from __future__ import annotations


class Disturbances:
    """The switches; each is a plain method, so that the server can expose them one to one."""

    def hide_orders(self, account: str | None, until_us: int) -> None:
        """Orders accepted from now on are unknown to queries and cancels (not to streams) until then."""

    def duplicate_fills(self, account: str | None, count: int) -> None:
        """Send the next `count` fill reports (executionReport, x=TRADE) twice."""

    def delay_user_events(self, account: str | None, delay_us: int, until_us: int) -> None:
        """Send user events of the period late by `delay_us`, in order."""

    def drop_depth(self, symbol: str | None, count: int = 1) -> None:
        """Lose the next `count` depthUpdate events: a gap in U/u."""

    def freeze_depth(self, symbol: str | None, until_us: int) -> None:
        """No depthUpdate and no bookTicker, while trades go on: a stale book."""

    def freeze_all(self, symbol: str | None, until_us: int) -> None:
        """No market event at all: silence on an open socket."""

    def set_status(self, symbol: str | None, status: str, until_us: int | None = None) -> None:
        """TRADING, HALT, BREAK or CANCEL_ONLY; with `until_us` it returns to TRADING by itself then."""

    def maintenance(self, until_us: int) -> None:
        """The whole venue answers -1016 with 503 until then, and its market stands still."""

    def poison(self, symbol: str, kind: str, raw: bytes) -> None:
        """Put these very bytes on a stream of the pair (kind: depthUpdate, trade, aggTrade, bookTicker)."""

    def clear(self) -> None:
        """End every disturbance now."""
