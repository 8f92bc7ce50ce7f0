"""What is said to a journal and by it. It keeps bytes under a kind and a key, and does not know what they
mean."""

from __future__ import annotations

import msgspec

from supervisor.message import Message


class Record(msgspec.Struct, frozen=True):
    """One thing to keep. (kind, key) is unique in a journal: appending it again changes nothing, so a replay
    is harmless."""

    kind: str
    key: str
    body: bytes
    """Encoded by its owner (msgpack, by custom)."""


class Append(Message, frozen=True):
    """Keep these, all or none of them. Answered by `Appended` once they are on disk, or by `AppendFailed`."""

    records: tuple[Record, ...]
    token: int
    """The sender's own, to know the answer by."""

    def undelivered(self, written: bool) -> Message:
        # Perhaps the commit did happen. Whoever hears this must not act on the record, so nothing is lost by
        # saying no.
        return AppendFailed(token=self.token, reason="the journal is not running")


class Appended(Message, frozen=True):
    """On disk: it survives kill -9 and the loss of power."""

    token: int
    last_seq: int
    """The newest sequence number of the journal."""
    ignored: int = 0
    """How many of the records were there before, under the same kind and key."""


class AppendFailed(Message, frozen=True):
    """Not on disk, as far as anyone can promise: what depends on it must not be done."""

    token: int
    reason: str


class ReadBack(Message, frozen=True):
    """Ask for everything of these kinds, oldest first; the answer is `Records`. What was appended before is
    in it."""

    kinds: tuple[str, ...]
    after_seq: int = 0
    limit: int = 100_000


class Stored(msgspec.Struct, frozen=True):
    """One record as kept, by the holder of `epoch`, at `wall_ns` (UTC nanoseconds)."""

    seq: int
    epoch: int
    kind: str
    key: str
    body: bytes
    wall_ns: int


class Records(Message, frozen=True):
    """The answer to `ReadBack`. `more`: the limit cut it; ask again with `after_seq` of the last one."""

    records: tuple[Stored, ...]
    more: bool = False
