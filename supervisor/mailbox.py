"""Mailboxes: bounded, named, and clear about what happens when they are full.

A mailbox has three ways in, served in this order: what may be read while its owner is STARTING (`early`),
the normal lane in the order of arrival, and `latest`, where the newest message of each key replaces the one
before it. A message of `latest` is served as soon as the normal lane is empty, and after 64 normal messages
at the latest, so neither starves the other.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from supervisor.message import Dropped, Message, Notice

# One of `latest` is served after this many normal messages, even if more are waiting.
LATEST_EVERY = 64


class Overflow(enum.Enum):
    """What a full mailbox does with one more message."""

    REFUSE = "refuse"  # the sender gets `Refused`
    DROP_OLDEST = "drop_oldest"  # the oldest goes; the owner gets `Dropped` once


class Address:
    """Names a mailbox. Made once, handed to everybody who tells it something; outlives every life behind it.

    `bound` limits the normal lane. `latest` names the message types that do not queue: the newest of each
    key wins (`{BookView: lambda view: view.instrument}`). `dropped_key` says what one `Dropped` notice
    speaks for under DROP_OLDEST (for depth diffs: the instrument, so that each broken book is marked once).
    """

    __slots__ = ("bound", "dropped_key", "latest", "name", "overflow")

    def __init__(
        self,
        name: str,
        *,
        bound: int = 10_000,
        overflow: Overflow = Overflow.REFUSE,
        latest: Mapping[type[Message], Callable[[Any], Hashable]] | None = None,
        dropped_key: Callable[[Any], Hashable] | None = None,
    ) -> None:
        if not name or bound < 1:
            raise ValueError(f"Address({name!r}, bound={bound}): needs a name, and a bound of at least 1")
        self.name = name
        self.bound = bound
        self.overflow = overflow
        self.latest = dict(latest) if latest else {}
        self.dropped_key = dropped_key

    def __repr__(self) -> str:
        return f"Address({self.name!r})"


# A message on its way: the message, its sender, and the id of the ask that it is the question of, or 0. A
# bare tuple, since one is made for every message and a NamedTuple costs six times as much.
Envelope = tuple[Message, Address | None, int]


class Put(enum.Enum):
    """What became of a message that was put in."""

    TAKEN = "taken"
    REPLACED = "replaced"  # taken; an older one of the same key was thrown away
    REFUSED = "refused"
    DROPPED = "dropped"  # taken; the oldest was thrown away


class Mailbox:
    """The queues behind one address. Pure: knows nothing of who reads them."""

    __slots__ = (
        "_drops",
        "_latest",
        "_latest_keys",
        "_since_latest",
        "address",
        "bound",
        "conflated",
        "dropped",
        "early",
        "high_water",
        "queue",
        "refused",
    )

    def __init__(self, address: Address) -> None:
        self.address = address
        self.bound = address.bound
        self.queue: deque[Envelope] = deque()
        self.early: deque[Envelope] = deque()
        self._latest_keys = address.latest
        self._latest: dict[tuple[type[Message], Hashable], Envelope] = {}
        self._drops: dict[tuple[str, Hashable], int] = {}
        self._since_latest = 0
        self.high_water = self.refused = self.dropped = self.conflated = 0

    def __len__(self) -> int:
        return len(self.queue) + len(self.early) + len(self._latest) + len(self._drops)

    @property
    def simple(self) -> bool:
        """What comes in is read in the order of arrival, and nothing is ever thrown away for something
        newer."""
        return not self._latest_keys and self.address.overflow is Overflow.REFUSE

    @property
    def full(self) -> bool:
        return len(self.queue) >= self.bound

    def put(
        self, envelope: Envelope, *, early: bool = False, exempt: bool = False
    ) -> tuple[Put, Envelope | None]:
        """Take a message in; returns what became of it, and the older one that was thrown away for it, if
        any.

        `early`: it may be read while the owner is STARTING. `exempt`: the bound does not keep it out.
        """
        kind = type(envelope[0])
        key_of = self._latest_keys.get(kind)
        if key_of is not None:
            # A key that is waiting keeps its place, so a busy instrument cannot push a quiet one back.
            key = (kind, key_of(envelope[0]))
            old = self._latest.get(key)
            self._latest[key] = envelope
            if old is None:
                return Put.TAKEN, None
            self.conflated += 1
            return Put.REPLACED, old
        if early:
            self.early.append(envelope)
            return Put.TAKEN, None
        queue = self.queue
        if len(queue) < self.bound or exempt or isinstance(envelope[0], Notice):
            queue.append(envelope)
            self.note_depth()
            return Put.TAKEN, None
        if self.address.overflow is Overflow.REFUSE:
            self.refused += 1
            return Put.REFUSED, None
        old = self._drop_oldest()
        if old is None:
            self.refused += 1
            return Put.REFUSED, None
        queue.append(envelope)
        return Put.DROPPED, old

    def take(self, *, held: bool = False) -> Envelope | None:
        """The next message to read, or None. `held`: only what may be read while STARTING."""
        if self.early:
            return self.early.popleft()
        if held:
            return None
        if self._drops:
            (kind, key), count = next(iter(self._drops.items()))
            del self._drops[(kind, key)]
            return Dropped(message_type=kind, key=key, count=count), None, 0
        queue = self.queue
        latest = self._latest
        if latest and (not queue or self._since_latest >= LATEST_EVERY):
            self._since_latest = 0
            return latest.pop(next(iter(latest)))
        if queue:
            if latest:
                self._since_latest += 1
            return queue.popleft()
        return None

    def put_back(self, envelope: Envelope, *, early: bool) -> None:
        """Return a message that was taken, to be the next one read."""
        kind = type(envelope[0])
        key_of = self._latest_keys.get(kind)
        if key_of is not None:
            # Unless a newer one came meanwhile.
            self._latest.setdefault((kind, key_of(envelope[0])), envelope)
        elif early:
            self.early.appendleft(envelope)
        else:
            self.queue.appendleft(envelope)

    def sift(self, keep: Callable[[Envelope], bool], early: Callable[[Envelope], bool]) -> list[Envelope]:
        """Throw out, and return in order, whatever `keep` does not keep; of the rest, `early` may be read
        while STARTING."""
        gone: list[Envelope] = []
        waiting = (*self.early, *self.queue)
        # In place: the dispatcher holds on to these queues.
        self.early.clear()
        self.queue.clear()
        for envelope in waiting:
            if not keep(envelope):
                gone.append(envelope)
            elif early(envelope):
                self.early.append(envelope)
            else:
                self.queue.append(envelope)
        for key, envelope in list(self._latest.items()):
            if not keep(envelope):
                gone.append(self._latest.pop(key))
        return gone

    def only_facts(self, ports: tuple[Address, ...]) -> bool:
        """True if nothing would be thrown out, or change its place, when the owner restarts."""
        if self.early or self._latest or self._drops:
            return False
        for message, sender, _ in self.queue:
            if not message.survives_restart or sender is self.address or sender in ports:
                return False
        return True

    def clear(self) -> list[Envelope]:
        """Empty it; returns what was in it."""
        self._drops.clear()
        return self.sift(keep=lambda _: False, early=lambda _: False)

    def note_depth(self) -> None:
        depth = len(self.queue)
        if depth > self.high_water:
            self.high_water = depth

    def _drop_oldest(self) -> Envelope | None:
        for index, envelope in enumerate(self.queue):
            # The runtime's own words (Down, Answer ...) are owed; a waiting question is failed by the caller.
            if not isinstance(envelope[0], Notice):
                del self.queue[index]
                self.dropped += 1
                key_of = self.address.dropped_key
                key = (type(envelope[0]).__name__, key_of(envelope[0]) if key_of else None)
                self._drops[key] = self._drops.get(key, 0) + 1
                return envelope
        return None
