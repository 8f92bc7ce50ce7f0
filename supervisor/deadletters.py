"""Messages that reached nobody: counted by type and reason, the last of them kept to look at."""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from supervisor.events import DeadLetters
from supervisor.message import Message

Reason = Literal[
    "nobody",  # the address has no child, or its child will have no more lives
    "unhandled",  # no handler takes this type
    "crashed",  # was in hand when its receiver crashed
    "flushed",  # waited when its receiver crashed or stopped, and does not survive that
    "poison",  # crashed its receiver in several lives in a row
    "refused",  # the mailbox was full
    "dropped",  # the mailbox was full, and this was the oldest
    "late",  # an answer that nobody waits for any more
]

KEPT_MAX = 256
# More kinds than that are counted as one: a program that makes up types must not grow this without end.
KINDS_MAX = 1000


class DeadLetter(msgspec.Struct, frozen=True):
    at_ns: int
    to: str
    reason: Reason
    message: Message


class DeadLetterBox:
    """Bounded in what it keeps; exact in what it counts."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Reason], int] = {}
        self.total = 0
        self.last: deque[DeadLetter] = deque(maxlen=KEPT_MAX)

    def add(self, at_ns: int, to: str, reason: Reason, message: Message) -> None:
        key = (type(message).__name__, reason)
        if key not in self._counts and len(self._counts) >= KINDS_MAX:
            key = ("other", reason)
        self._counts[key] = self._counts.get(key, 0) + 1
        self.total += 1
        self.last.append(DeadLetter(at_ns, to, reason, message))

    @property
    def counts(self) -> dict[str, int]:
        """As "OrderIntent/refused" -> number."""
        return {f"{kind}/{reason}": count for (kind, reason), count in self._counts.items()}

    def event(self) -> DeadLetters:
        return DeadLetters(total=self.total, counts=self.counts)
