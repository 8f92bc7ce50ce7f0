"""The life of an order, as a table; what is not in the table is an error.

Rules, in the order of what they cost when broken:
1. Only the venue's word ends an order that may have reached it. Silence, a lost connection and a refused
   cancel leave it UNKNOWN; UNKNOWN ends by an answer to a question, never by waiting.
2. Nothing is sent that was not journalled first. (One exception, in its row: a stop or an exit while the
   disk is full. Its number was journalled, so it is found again by its id.)
3. Words come late, twice and in any order: a fill before the acceptance, an acceptance after the end. They
   are rows here, not surprises. A late word never makes an ended order work again, except where it proves
   that we ended it wrongly (NOT_SENT, REJECTED).
"""

from __future__ import annotations

import enum

from actors.messages import OrderState, OrderStatus


class Event(enum.Enum):
    # Ours.
    JOURNALLED = "journalled"
    WITHHELD = "withheld"  # journal failed, too late, killed, lease lost: it never left
    SENT = "sent"
    SENT_UNJOURNALLED = "sent_unjournalled"
    CANCEL_SENT = "cancel_sent"
    ABSENT = "absent"  # "no such order", believed by the rule in unknown.py
    # The port's.
    NOT_SENT = "not_sent"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CANCEL_UNKNOWN = "cancel_unknown"
    # The venue's.
    REFUSED = "refused"  # an error for an answer: it never was an order
    CANCEL_REFUSED = "cancel_refused"
    ACCEPTED = "accepted"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class LifecycleError(Exception):
    """An order was told something that cannot follow from what it was told before."""


_S = OrderState
_E = Event

# The venue's last words, and the state that each means from wherever the order was.
_ENDS = {
    _E.FILLED: _S.FILLED,
    _E.CANCELED: _S.CANCELED,
    _E.EXPIRED: _S.EXPIRED,
    _E.REJECTED: _S.REJECTED,
}

TERMINAL = frozenset({_S.NOT_SENT, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED})
AT_VENUE = frozenset({_S.SENT, _S.OPEN, _S.CANCELLING, _S.UNKNOWN})
"""States in which the venue may have it working."""

STATUS_EVENT = {
    OrderStatus.NEW: _E.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: _E.PARTLY_FILLED,
    OrderStatus.FILLED: _E.FILLED,
    OrderStatus.CANCELED: _E.CANCELED,
    OrderStatus.REJECTED: _E.REJECTED,
    OrderStatus.EXPIRED: _E.EXPIRED,
}

TRANSITIONS: dict[tuple[OrderState, Event], OrderState] = {
    (_S.PLANNED, _E.JOURNALLED): _S.JOURNALLED,
    (_S.PLANNED, _E.WITHHELD): _S.NOT_SENT,
    # Exits only (sending.py sees to it): a position without its stop costs more than a missing line.
    (_S.PLANNED, _E.SENT_UNJOURNALLED): _S.SENT,
    (_S.JOURNALLED, _E.SENT): _S.SENT,
    (_S.JOURNALLED, _E.WITHHELD): _S.NOT_SENT,
    # The answer to a send.
    (_S.SENT, _E.ACCEPTED): _S.OPEN,
    # A fill can overtake its own acceptance: answer and stream are two roads.
    (_S.SENT, _E.PARTLY_FILLED): _S.OPEN,
    (_S.SENT, _E.REFUSED): _S.REJECTED,
    (_S.SENT, _E.NOT_SENT): _S.NOT_SENT,
    # No answer is not a "no".
    (_S.SENT, _E.OUTCOME_UNKNOWN): _S.UNKNOWN,
    # Working.
    (_S.OPEN, _E.ACCEPTED): _S.OPEN,
    (_S.OPEN, _E.PARTLY_FILLED): _S.OPEN,
    (_S.OPEN, _E.CANCEL_SENT): _S.CANCELLING,
    # The stream had said NEW before the connection was lost: the venue's word stands.
    (_S.OPEN, _E.OUTCOME_UNKNOWN): _S.OPEN,
    # Two words of the venue that contradict each other: ask.
    (_S.OPEN, _E.REFUSED): _S.UNKNOWN,
    (_S.OPEN, _E.ABSENT): _S.UNKNOWN,
    # A refused or lost cancel of the life before this, heard late.
    (_S.OPEN, _E.CANCEL_REFUSED): _S.UNKNOWN,
    (_S.OPEN, _E.CANCEL_UNKNOWN): _S.UNKNOWN,
    # Being cancelled; a fill may win the race.
    (_S.CANCELLING, _E.ACCEPTED): _S.CANCELLING,
    (_S.CANCELLING, _E.PARTLY_FILLED): _S.CANCELLING,
    (_S.CANCELLING, _E.OUTCOME_UNKNOWN): _S.CANCELLING,
    (_S.CANCELLING, _E.REFUSED): _S.UNKNOWN,
    # "Unknown order sent" to a cancel means filled, cancelled before, or not known yet: ask which.
    (_S.CANCELLING, _E.CANCEL_REFUSED): _S.UNKNOWN,
    (_S.CANCELLING, _E.CANCEL_UNKNOWN): _S.UNKNOWN,
    # In doubt; only words of the venue, or the port's certainty that nothing left, end it.
    (_S.UNKNOWN, _E.ACCEPTED): _S.OPEN,
    (_S.UNKNOWN, _E.PARTLY_FILLED): _S.OPEN,
    (_S.UNKNOWN, _E.REFUSED): _S.REJECTED,
    # Of a life before this one: its wish was still in the port's inbox.
    (_S.UNKNOWN, _E.NOT_SENT): _S.NOT_SENT,
    (_S.UNKNOWN, _E.OUTCOME_UNKNOWN): _S.UNKNOWN,
    (_S.UNKNOWN, _E.CANCEL_REFUSED): _S.UNKNOWN,
    (_S.UNKNOWN, _E.CANCEL_UNKNOWN): _S.UNKNOWN,
    (_S.UNKNOWN, _E.ABSENT): _S.NOT_SENT,
    # Ended by us, and the venue knows it after all: it works, and is dealt with as such.
    (_S.NOT_SENT, _E.ACCEPTED): _S.OPEN,
    (_S.NOT_SENT, _E.PARTLY_FILLED): _S.OPEN,
    (_S.NOT_SENT, _E.NOT_SENT): _S.NOT_SENT,
    (_S.NOT_SENT, _E.REFUSED): _S.NOT_SENT,
    (_S.NOT_SENT, _E.JOURNALLED): _S.NOT_SENT,
    (_S.REJECTED, _E.ACCEPTED): _S.UNKNOWN,
    (_S.REJECTED, _E.PARTLY_FILLED): _S.OPEN,
    (_S.REJECTED, _E.REFUSED): _S.REJECTED,
    # A cancel and a fill in the same instant: executions are facts, so FILLED outranks the other ends.
    (_S.CANCELED, _E.FILLED): _S.FILLED,
    (_S.EXPIRED, _E.FILLED): _S.FILLED,
}

for _state in (_S.SENT, _S.OPEN, _S.CANCELLING, _S.UNKNOWN, _S.NOT_SENT, _S.REJECTED):
    for _event, _end in _ENDS.items():
        TRANSITIONS[_state, _event] = _end
for _state in (_S.FILLED, _S.CANCELED, _S.EXPIRED):
    # Late and repeated words about an order that ended at the venue.
    for _event in (_E.ACCEPTED, _E.PARTLY_FILLED, _E.REFUSED, *_ENDS):
        TRANSITIONS.setdefault((_state, _event), _state)
for _state in TERMINAL:
    for _event in (_E.OUTCOME_UNKNOWN, _E.CANCEL_REFUSED, _E.CANCEL_UNKNOWN):
        TRANSITIONS.setdefault((_state, _event), _state)


def advance(client_id: str, state: OrderState, event: Event) -> OrderState:
    """The state after `event`. Raises LifecycleError if the table has no such row."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LifecycleError(
            f"order {client_id} is {state.value} and was told {event.value!r}, which cannot follow. Nothing "
            "is sent on that belief: orders starts anew and asks the venue. If it repeats, the port that "
            "said it is at fault, or lifecycle.py lacks a row"
        ) from None
