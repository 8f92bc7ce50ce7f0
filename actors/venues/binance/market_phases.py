"""The phases of a market-data session, as a table, and what it asks of its pump.

Rules: there is at most one connection that counts, and at most one on its way beside it. One that must be
replaced is closed only after its successor has proven itself and has been merged with it; so a planned
reconnect has no hole, and a successor that fails costs nothing.
"""

from __future__ import annotations

import enum

import msgspec


class Phase(enum.Enum):
    DOWN = "down"  # no proven connection; perhaps one is on its way
    UP = "up"  # one
    OPENING = "opening"  # one, and it must be replaced; its successor is on its way, or soon will be
    MERGING = "merging"  # one, and its proven successor


class Event(enum.Enum):
    PROVEN = "proven"  # the connection on its way has shown that it works
    FAILED = "failed"  # the connection on its way, or the successor, has ended
    LOST = "lost"  # the one that counts has ended
    RENEW = "renew"  # the one that counts must be replaced
    MERGED = "merged"  # the successor alone is enough


TRANSITIONS: dict[tuple[Phase, Event], Phase] = {
    (Phase.DOWN, Event.PROVEN): Phase.UP,
    (Phase.DOWN, Event.FAILED): Phase.DOWN,
    (Phase.UP, Event.RENEW): Phase.OPENING,
    (Phase.UP, Event.LOST): Phase.DOWN,
    (Phase.OPENING, Event.PROVEN): Phase.MERGING,
    # The old connection still carries everything; the next attempt waits its turn.
    (Phase.OPENING, Event.FAILED): Phase.OPENING,
    # The successor becomes the connection that everybody waits for.
    (Phase.OPENING, Event.LOST): Phase.DOWN,
    (Phase.MERGING, Event.MERGED): Phase.UP,
    (Phase.MERGING, Event.LOST): Phase.UP,
    # Back to one, which must still be replaced.
    (Phase.MERGING, Event.FAILED): Phase.OPENING,
}


def after(phase: Phase, event: Event) -> Phase:
    """The next phase; RuntimeError for what the table does not know."""
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise RuntimeError(f"a session that is {phase.value} cannot meet {event.value}") from None


class Open(msgspec.Struct, frozen=True):
    """Open connection number `connection` to `url`; then tell `on_open`, or `on_closed` with the reason."""

    connection: int
    url: str


class Send(msgspec.Struct, frozen=True):
    connection: int
    text: str


class Close(msgspec.Struct, frozen=True):
    """Close it, or stop opening it; its `on_closed` may follow and is ignored."""

    connection: int
    reason: str


Action = Open | Send | Close
