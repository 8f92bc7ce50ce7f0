"""Faults inside the exchange itself: what it hides, repeats, delays, drops, freezes or garbles on request.

A disturbance never touches the record: what really happened is written there undisturbed. `until_us` is the
time at which the fault ends by itself. `None` for a symbol or an account means all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

STATUSES = ("TRADING", "HALT", "BREAK", "CANCEL_ONLY")

_ALL = ""

_Value = TypeVar("_Value")


class Disturbances:
    """The switches; each is a plain method, so that the server can expose them one to one.

    The exchange asks the second half of this class at the places where a fault can act.
    """

    def __init__(self, emit_raw: Callable[[str, str, bytes], None], accepted: Callable[[], int]) -> None:
        self._emit_raw = emit_raw
        # How many orders the venue has accepted: times can be equal, counts cannot.
        self._accepted = accepted
        self.clear()

    # --- the switches

    def hide_orders(self, account: str | None, until_us: int) -> None:
        """Orders accepted from now on are unknown to queries until then; streams and cancels know them."""
        self._hide[account or _ALL] = (self._accepted(), until_us)

    def duplicate_fills(self, account: str | None, count: int) -> None:
        """Send the next `count` fill reports (executionReport, x=TRADE) twice."""
        self._duplicate[account or _ALL] = count

    def delay_user_events(self, account: str | None, delay_us: int, until_us: int) -> None:
        """Send user events that arise until then late by `delay_us`, in order."""
        self._delay[account or _ALL] = (delay_us, until_us)

    def drop_depth(self, symbol: str | None, count: int = 1) -> None:
        """Lose the next `count` depthUpdate events of the pair (of each pair): a gap in U/u."""
        self._dropped.clear()
        self._drop[symbol or _ALL] = count

    def freeze_depth(self, symbol: str | None, until_us: int) -> None:
        """No depthUpdate and no bookTicker, while trades go on: a stale book. What was held back follows."""
        self._frozen_depth[symbol or _ALL] = until_us

    def freeze_all(self, symbol: str | None, until_us: int) -> None:
        """No market event at all: silence on an open socket. Trades of that time are never sent."""
        self._frozen[symbol or _ALL] = until_us

    def set_status(self, symbol: str | None, status: str, until_us: int | None = None) -> None:
        """TRADING, HALT, BREAK or CANCEL_ONLY; with `until_us` it returns to TRADING by itself then.

        Raises ValueError for another word.
        """
        if status not in STATUSES:
            raise ValueError(f"status {status!r} is none of {', '.join(STATUSES)}")
        self._status[symbol or _ALL] = (status, until_us)

    def maintenance(self, until_us: int) -> None:
        """The whole venue answers -1016 with 503 until then, and its market stands still."""
        self._maintenance_us = until_us

    def poison(self, symbol: str, kind: str, raw: bytes) -> None:
        """Put these very bytes on a stream of the pair (kind: depthUpdate, trade, aggTrade, bookTicker)."""
        self._emit_raw(symbol, kind, raw)

    def clear(self) -> None:
        """End every disturbance now."""
        self._hide: dict[str, tuple[int, int]] = {}
        self._duplicate: dict[str, int] = {}
        self._delay: dict[str, tuple[int, int]] = {}
        self._drop: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._frozen_depth: dict[str, int] = {}
        self._frozen: dict[str, int] = {}
        self._status: dict[str, tuple[str, int | None]] = {}
        self._maintenance_us = 0

    # --- what the exchange asks

    def hides(self, account: str, number: int, now_us: int) -> bool:
        """Whether a query may not yet know the order that was accepted as this number."""
        return any(since < number and now_us < until for since, until in _both(self._hide, account))

    def repeats(self, account: str) -> bool:
        """Whether this fill report is sent twice; counts down."""
        for key in (account, _ALL):
            if self._duplicate.get(key, 0) > 0:
                self._duplicate[key] -= 1
                return True
        return False

    def delay_us(self, account: str, now_us: int) -> int:
        """By how much a user event that arises now is late."""
        return max((delay for delay, until in _both(self._delay, account) if now_us < until), default=0)

    def drops_depth(self, symbol: str) -> bool:
        """Whether this depthUpdate is lost; counts down."""
        if self._drop.get(symbol, 0) > 0:
            self._drop[symbol] -= 1
            return True
        # For "every pair", each pair loses the same number.
        dropped = self._dropped.get(symbol, 0)
        if dropped < self._drop.get(_ALL, 0):
            self._dropped[symbol] = dropped + 1
            return True
        return False

    def silent_until(self, symbol: str, now_us: int) -> int:
        """Until when no market event at all may leave for the pair; 0 when it may."""
        until = max(_both(self._frozen, symbol), default=0)
        return until if now_us < until else 0

    def stale_until(self, symbol: str, now_us: int) -> int:
        """Until when no book event may leave for the pair; 0 when it may."""
        until = max(*_both(self._frozen_depth, symbol), *_both(self._frozen, symbol), 0, 0)
        return until if now_us < until else 0

    def status(self, symbol: str, now_us: int) -> str:
        """The pair's status now."""
        if now_us < self._maintenance_us:
            return "BREAK"
        for status, until in _both(self._status, symbol):
            if until is None or now_us < until:
                return status
        return "TRADING"

    def in_maintenance(self, now_us: int) -> bool:
        return now_us < self._maintenance_us

    def next_us(self, now_us: int) -> int | None:
        """When a status ends by itself, so that the exchange can open again exactly then."""
        times = [until for _status, until in self._status.values() if until is not None and until > now_us]
        if self._maintenance_us > now_us:
            times.append(self._maintenance_us)
        return min(times, default=None)

    def is_quiet(self) -> bool:
        """Whether no status or maintenance was ever asked for: the fast path of the exchange."""
        return not self._status and not self._maintenance_us


def _both(table: dict[str, _Value], key: str) -> list[_Value]:
    """The settings for this one and for all."""
    return [table[name] for name in (key, _ALL) if name in table]
