"""Agreeing with the venue: first start, restart, reconnect and takeover are this one path, a table.

Rules:
1. Nothing is opened before OPEN_GATE; memory and journal are never believed over the venue.
2. The user stream is awaited first, and fills that it brings are kept aside, so that nothing falls between
   reading and listening. They are replayed after the readings agree, each once.
3. Entries of older lives are swept, one by one, by our prefix; stops and exits are adopted. Orders that are
   not ours are reported and left alone.
4. Two readings in a row must agree, with nothing in doubt between them, before the result is believed; and
   then, before anything else, every unprotected position gets its stop.
5. Orders already in flight outlive their sender: the order window (plus uncertainty) is waited out after
   that, and everything is swept, read and agreed upon again. Only then the gate opens.
6. A lost stream, an audit that disagrees or too much to keep aside starts over; a lost lease stops all of it.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from actors.messages import AccountSnapshot, OrderStatus
from actors.orders.book_of_orders import FillIdentity, identity
from actors.orders.lifecycle import LifecycleError


class Phase(enum.Enum):
    NO_LEASE = "no_lease"
    JOURNAL = "journal"  # reading our own records, reserving numbers
    RULES = "rules"  # awaiting the venue's rules of each instrument
    STREAM = "stream"  # awaiting the user stream's acknowledgement
    READ_FIRST = "read_first"
    SWEEP_FIRST = "sweep_first"
    AGREE_FIRST = "agree_first"  # until two readings agree
    WINDOW = "window"  # protecting; what was in flight may still arrive
    READ_SECOND = "read_second"
    SWEEP_SECOND = "sweep_second"
    AGREE_SECOND = "agree_second"
    PROTECT = "protect"
    OPEN_GATE = "open"


class Input(enum.Enum):
    LEADING = "leading"  # of an epoch that is new to us
    FENCED = "fenced"
    JOURNAL_READ = "journal_read"
    RULES_KNOWN = "rules_known"
    STREAM_UP = "stream_up"
    STREAM_DOWN = "stream_down"
    READ = "read"
    SWEPT = "swept"  # nothing of ours is left that opens, or that is in doubt
    WINDOW_OVER = "window_over"
    AGREED = "agreed"  # this reading equals the one before
    DIFFERED = "differed"
    ENTRIES_FOUND = "entries_found"  # this reading holds entries, or something in doubt
    PROTECTED = "protected"
    DOUBT = "doubt"  # an audit disagrees, or the buffer ran over: start over


_P = Phase
_I = Input

AGREEING = frozenset({_P.AGREE_FIRST, _P.AGREE_SECOND})
READING = frozenset({_P.READ_FIRST, _P.READ_SECOND, *AGREEING})
SWEEPING = frozenset({_P.SWEEP_FIRST, _P.SWEEP_SECOND})
# From the first reading to the agreement, fills are kept aside: nobody knows which of them it holds.
BUFFERING = READING | SWEEPING

TRANSITIONS: dict[tuple[Phase, Input], Phase] = {
    (_P.JOURNAL, _I.JOURNAL_READ): _P.RULES,
    (_P.RULES, _I.RULES_KNOWN): _P.STREAM,
    (_P.STREAM, _I.STREAM_UP): _P.READ_FIRST,
    (_P.READ_FIRST, _I.READ): _P.SWEEP_FIRST,
    (_P.SWEEP_FIRST, _I.SWEPT): _P.AGREE_FIRST,
    (_P.AGREE_FIRST, _I.DIFFERED): _P.AGREE_FIRST,
    (_P.AGREE_FIRST, _I.ENTRIES_FOUND): _P.SWEEP_FIRST,
    (_P.AGREE_FIRST, _I.AGREED): _P.WINDOW,
    (_P.WINDOW, _I.WINDOW_OVER): _P.READ_SECOND,
    (_P.READ_SECOND, _I.READ): _P.SWEEP_SECOND,
    (_P.SWEEP_SECOND, _I.SWEPT): _P.AGREE_SECOND,
    (_P.AGREE_SECOND, _I.DIFFERED): _P.AGREE_SECOND,
    (_P.AGREE_SECOND, _I.ENTRIES_FOUND): _P.SWEEP_SECOND,
    (_P.AGREE_SECOND, _I.AGREED): _P.PROTECT,
    (_P.PROTECT, _I.PROTECTED): _P.OPEN_GATE,
    (_P.STREAM, _I.STREAM_DOWN): _P.STREAM,
    # The stream can be there before we are ready for it; it is asked for again in its turn.
    (_P.NO_LEASE, _I.STREAM_DOWN): _P.NO_LEASE,
    (_P.JOURNAL, _I.STREAM_DOWN): _P.JOURNAL,
    (_P.RULES, _I.STREAM_DOWN): _P.RULES,
}
for _phase in Phase:
    TRANSITIONS[_phase, _I.LEADING] = _P.JOURNAL
    TRANSITIONS[_phase, _I.FENCED] = _P.NO_LEASE
for _phase in (*BUFFERING, _P.WINDOW, _P.PROTECT, _P.OPEN_GATE):
    TRANSITIONS[_phase, _I.STREAM_DOWN] = _P.STREAM
    TRANSITIONS[_phase, _I.DOUBT] = _P.READ_FIRST


def advance(phase: Phase, event: Input) -> Phase:
    """The phase after `event`. Raises LifecycleError if the table has no such row."""
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise LifecycleError(
            f"reconcile is in {phase.value!r} and was told {event.value!r}, which cannot follow; orders "
            "starts anew. If it repeats, reconcile.py lacks a row"
        ) from None


class Reading(NamedTuple):
    """What two readings of the account must agree in."""

    orders: frozenset[tuple[str, int, OrderStatus, str]]
    coins: frozenset[tuple[str, str]]
    fills: frozenset[FillIdentity]


def reading_of(snapshot: AccountSnapshot) -> Reading:
    """The comparable part of a snapshot; Decimals as text without trailing zeros, so that 1.0 equals 1."""
    return Reading(
        frozenset(
            (order.client_id, order.order_id, order.status, str(order.filled.normalize()))
            for order in snapshot.open_orders
        ),
        frozenset(
            (balance.coin, str((balance.free + balance.locked).normalize())) for balance in snapshot.balances
        ),
        frozenset(identity(fill) for fill in snapshot.fills),
    )
