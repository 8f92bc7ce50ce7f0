"""Messages that reached nobody: counted by type and reason, the last of them kept to look at."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

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


class DeadLetter(NamedTuple):
    at_ns: int
    to: str
    reason: Reason
    message: Message


class DeadLetterBox:
    """Bounded in what it keeps; exact in what it counts."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.total = 0
        self.last: deque[DeadLetter] = deque(maxlen=KEPT_MAX)

    def add(self, at_ns: int, to: str, reason: Reason, message: Message) -> None:
        key = f"{type(message).__name__}/{reason}"
        if key not in self.counts and len(self.counts) >= KINDS_MAX:
            key = f"other/{reason}"
        self.counts[key] = self.counts.get(key, 0) + 1
        self.total += 1
        self.last.append(DeadLetter(at_ns, to, reason, message))

    def event(self) -> DeadLetters:
        return DeadLetters(total=self.total, counts=dict(self.counts))
