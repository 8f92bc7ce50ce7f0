"""How much may still be asked of the venue: one account for everything on this address, shared between
processes.

Binance counts request weight per IP address and unfilled orders per account, in fixed intervals of its own
clock (a minute, ten seconds, a day), and bans an address that goes on after it was told to stop. So both
engines of a host, and whatever else runs there, draw from one set of counters, and a ban latches for all of
them.

Here is the arithmetic, over a table of integers; `budget.py` puts that table into shared memory. The venue's
own counts (X-MBX-USED-WEIGHT-1M, X-MBX-ORDER-COUNT-*, `rateLimits`) correct ours upwards, for what others on
the address use.
"""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

from actors.venues.binance.errors import UNTIL_MAX_MS, Trouble


class Use(enum.Enum):
    """What a request is for: how much of a limit it may use."""

    ROUTINE = "routine"  # snapshots, rules
    OPEN = "open"  # orders that open
    SAFETY = (
        "safety"  # cancels, exits, stops, and the questions that reconciling needs: up to the limit itself
    )


class Shares(NamedTuple):
    routine: float = 0.6
    open: float = 0.8

    def of(self, use: Use) -> float:
        return self.routine if use is Use.ROUTINE else self.open if use is Use.OPEN else 1.0


class Latch(NamedTuple):
    trouble: Trouble
    until_ms: int  # venue time

    def __str__(self) -> str:
        return f"{self.trouble.value} until {self.until_ms} (ms since 1970, venue time)"


class Table(Protocol):
    """64-bit integers: a list, or a `memoryview` of shared memory."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


# Two tables of the same shape, one for the address and one for the account: a latch (trouble, until_ms), then
# windows of four.
LATCH = 0
_LENGTH, _LIMIT, _INDEX, _USED = range(4)
COLUMNS = 12

# The address's only window, and the account's two.
WEIGHT = 4
ORDERS_10S, ORDERS_DAY = 4, 8

_TROUBLES = (None, Trouble.RATE_LIMITED, Trouble.BANNED, Trouble.ORDERS_LIMITED)


def reset_host(table: Table) -> None:
    """Until exchangeInfo was read: the weight limit that holds since 2023-08-25."""
    _reset(table, ((WEIGHT, 60_000, 6_000),))


def reset_account(table: Table) -> None:
    """Until exchangeInfo was read: less than any account's order limits."""
    _reset(table, ((ORDERS_10S, 10_000, 50), (ORDERS_DAY, 86_400_000, 160_000)))


def take(
    host: Table, account: Table, shares: Shares, use: Use, weight: int, orders: int, at_ms: int
) -> str | None:
    """Draw `weight` and `orders` at `at_ms` (venue time). None when granted; else why not, and nothing was
    drawn."""
    held = latch(host, at_ms)
    if held is None and orders:
        held = latch(account, at_ms)
    if held is not None:
        return str(held)
    wanted = [(host, WEIGHT, weight, "weight")]
    if orders:
        wanted += [
            (account, ORDERS_10S, orders, "orders per 10 s"),
            (account, ORDERS_DAY, orders, "orders per day"),
        ]
    share = shares.of(use)
    for table, window, amount, name in wanted:
        used, limit = _used(table, window, at_ms), table[window + _LIMIT]
        if used + amount > limit * share:
            return (
                f"{name}: {used} of {limit} used, {amount} more wanted,"
                f" {use.value} requests may use {share:.0%}"
            )
    for table, window, amount, _ in wanted:
        used = _used(table, window, at_ms)
        table[window + _INDEX] = at_ms // table[window + _LENGTH]
        table[window + _USED] = used + amount
    return None


def saw(table: Table, window: int, used: int, sent_ms: int, at_ms: int) -> None:
    """The venue counts `used`. Only believed within one interval: an answer from across a boundary counts the
    old one."""
    length = table[window + _LENGTH]
    if sent_ms // length == at_ms // length and used > _used(table, window, at_ms):
        table[window + _INDEX] = at_ms // length
        table[window + _USED] = used


def set_limit(table: Table, window: int, limit: int) -> None:
    """What exchangeInfo states; an absurd number changes nothing."""
    if 0 < limit < 1 << 40:
        table[window + _LIMIT] = limit


def set_latch(table: Table, held: Latch, at_ms: int) -> None:
    """Hold back until then; never shorter than what stands at `at_ms`, and a ban is not forgotten over a
    mere limit."""
    old = latch(table, at_ms)
    banned = held.trouble is Trouble.BANNED or (old is not None and old.trouble is Trouble.BANNED)
    table[LATCH] = _TROUBLES.index(Trouble.BANNED if banned else held.trouble)
    table[LATCH + 1] = held.until_ms if old is None else max(held.until_ms, old.until_ms)


def latch(table: Table, at_ms: int) -> Latch | None:
    """What holds requests back at `at_ms`, if anything does. One that would outlast the longest ban was set
    by another clock, and holds nothing."""
    kind, until_ms = table[LATCH], table[LATCH + 1]
    if not 0 < until_ms - at_ms <= UNTIL_MAX_MS or not 0 < kind < len(_TROUBLES):
        return None
    trouble = _TROUBLES[kind]
    assert trouble is not None
    return Latch(trouble, until_ms)


def used_share(table: Table, window: int, at_ms: int) -> float:
    return _used(table, window, at_ms) / max(1, table[window + _LIMIT])


def _used(table: Table, window: int, at_ms: int) -> int:
    same = table[window + _INDEX] == at_ms // table[window + _LENGTH]
    return table[window + _USED] if same else 0


def _reset(table: Table, windows: tuple[tuple[int, int, int], ...]) -> None:
    for column in range(COLUMNS):
        table[column] = 0
    for window, length_ms, limit in windows:
        table[window + _LENGTH] = length_ms
        table[window + _LIMIT] = limit
