"""A working stop at the venue for every position: what is missing, what is too much, what an exit displaces.

Pure: it looks at the position and at the orders as they are now and names the next step; it remembers
nothing, so a restart, a lost answer and a partial fill need no case of their own.

On spot a resting sell locks its coins, so a second stop cannot stand over coins that a first one holds.
Hence:
- A position that grows gets a *further* stop for the growth: nothing is cancelled, the gap is nil. Only when
  the venue's limit on stops per instrument (MAX_NUM_ALGO_ORDERS) is near is the smallest one replaced by a
  larger, in one request.
- An exit takes the place of a stop in one request (cancelReplace, STOP_ON_FAILURE), stop by stop; what the
  exit does not need of a stop's coins gets a new stop in the same breath.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from actors.messages import OrderKind
from actors.orders.quantise import Grid

# Of the venue's limit on stop orders, kept free for the stop that replaces one.
_SPARE = 1


class Cover(NamedTuple):
    """One PROTECT order that may be at the venue, or is on its way there."""

    client_id: str
    lots: int
    stop_ticks: int
    open: bool
    """The venue has said that it stands, and no cancel is out: it can be replaced."""


class PlaceStop(NamedTuple):
    lots: int


class ReplaceStop(NamedTuple):
    client_id: str
    lots: int


class CancelStop(NamedTuple):
    client_id: str


Step = PlaceStop | ReplaceStop | CancelStop


class Piece(NamedTuple):
    """A part of an exit: `lots`, taking the place of the stop `replaces` (empty: from coins that no stop
    holds)."""

    lots: int
    replaces: str


def next_steps(
    position_lots: int,
    exit_lots: int,
    held_lots: int,
    covers: Sequence[Cover],
    grid: Grid,
    stop_ticks: int,
) -> list[Step]:
    """What to send now so that the stops cover the position, and no more than it.

    `exit_lots`: what working exits will sell; their coins are not free for a stop. `held_lots`: of stops
    that are being cancelled, and not free before the venue says so. `covers`: every other stop.
    `stop_ticks`: where a new stop goes.
    """
    missing = position_lots - exit_lots - sum(cover.lots for cover in covers)
    if missing < 0:
        return _too_much(-missing, covers, grid)
    missing -= held_lots
    if missing <= 0:
        return []
    room = max(1, grid.rules.algo_orders_max - _SPARE)
    if len(covers) < room:
        # Below the venue's smallest order it is dust, and waits for company.
        return [] if grid.is_dust(missing, stop_ticks) else [PlaceStop(min(missing, grid.lots_max))]
    smallest = min((cover for cover in covers if cover.open), key=lambda cover: cover.lots, default=None)
    if smallest is None or grid.is_dust(missing, stop_ticks):
        return []
    return [ReplaceStop(smallest.client_id, smallest.lots + missing)]


def _too_much(excess: int, covers: Sequence[Cover], grid: Grid) -> list[Step]:
    """Stops for more than we hold would sell the owner's coins: take the smallest away first."""
    steps: list[Step] = []
    for cover in sorted((cover for cover in covers if cover.open), key=lambda cover: cover.lots):
        if excess <= 0:
            break
        left = cover.lots - excess
        if left > 0 and not grid.is_dust(left, cover.stop_ticks):
            steps.append(ReplaceStop(cover.client_id, left))
        else:
            steps.append(CancelStop(cover.client_id))
        excess -= cover.lots
    return steps


def exit_pieces(lots: int, free_lots: int, covers: Sequence[Cover]) -> list[Piece]:
    """How an exit of `lots` is cut: each stop that it displaces is replaced by one piece of it.

    `free_lots`, which no order holds, ride along with the first piece, so that no crumb of its own is sent.
    Stops that are not `open` cannot be replaced; what only they hold is left out, and the caller tries again
    later.
    """
    pieces: list[Piece] = []
    free = max(0, free_lots)
    if free >= lots:
        return [Piece(lots, "")]
    for cover in sorted((cover for cover in covers if cover.open), key=lambda cover: -cover.lots):
        if lots <= 0:
            break
        take = min(lots, cover.lots + free)
        pieces.append(Piece(take, cover.client_id))
        lots -= take
        free = 0
    if not pieces and free:
        pieces.append(Piece(free, ""))
    return pieces


def stop_ticks_for(entry_ticks: int, wanted_ticks: int | None, distance: float, distance_min: float) -> int:
    """Where the stop of a long position goes: as the intent wanted it, but never closer to the entry than
    `distance_min` (a stop inside the spread triggers at once); without a wish, `distance` below. Fractions
    of price."""
    nearest = math.floor(entry_ticks * (1 - distance_min))
    if wanted_ticks is None:
        return max(1, min(nearest, math.floor(entry_ticks * (1 - distance))))
    return max(1, min(nearest, wanted_ticks))


def stop_kind(grid: Grid, refused: frozenset[OrderKind], prefers_market: bool) -> OrderKind | None:
    """Which stop the venue takes here, or None if it takes none: then nothing may be opened.

    A stop-market cannot be left behind by a fast market; a stop-limit can, and is chased. `refused`: kinds
    that the venue has refused since (venues have moved stop orders to other endpoints overnight: -4120).
    """
    kinds = [(OrderKind.STOP_MARKET, "STOP_LOSS"), (OrderKind.STOP_LIMIT, "STOP_LOSS_LIMIT")]
    if not prefers_market:
        kinds.reverse()
    for kind, word in kinds:
        if kind not in refused and grid.allows(word):
            return kind
    return None


class UnprotectedClock:
    """Nanoseconds in which a position had less than its stop, beyond the time allowed for placing the first.

    The allowance runs from the fill that opened or grew the position; a stop that was there and went has
    none.
    """

    __slots__ = ("allowed_until_ns", "since_ns", "total_ns")

    def __init__(self) -> None:
        self.since_ns = 0
        self.allowed_until_ns = 0
        self.total_ns = 0

    @property
    def running(self) -> bool:
        return self.since_ns > 0

    def grew(self, now_ns: int, allowance_ns: int) -> None:
        """An entry filled: its stop is allowed some time."""
        if not self.since_ns:
            self.since_ns = now_ns
            self.allowed_until_ns = now_ns + allowance_ns

    def uncovered(self, now_ns: int) -> None:
        """The stops that stand are not enough (told as often as one likes)."""
        if not self.since_ns:
            self.since_ns = self.allowed_until_ns = now_ns

    def covered(self, now_ns: int) -> None:
        """Enough stops stand at the venue, or there is nothing to protect."""
        self.total_ns = self.counted_ns(now_ns)
        self.since_ns = 0

    def counted_ns(self, now_ns: int) -> int:
        """The total up to now."""
        if not self.since_ns:
            return self.total_ns
        return self.total_ns + max(0, now_ns - self.allowed_until_ns)
