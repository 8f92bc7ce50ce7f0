"""The mode as the journal keeps it: the newest record of kind `mode` is the mode, and one that cannot be read
is PAUSED."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.messages import DeskMode, ModeChanged
from supervisor.journal.messages import Record, Stored

KIND = "mode"


class ModeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The body, as msgpack."""

    mode: DeskMode
    by: str
    reason: str
    wall_ns: int


def record_of(changed: ModeChanged, key: str) -> Record:
    """`key` must be new: a record under a known key is taken for a repetition and ignored."""
    body = ModeRecord(mode=changed.mode, by=changed.by, reason=changed.reason, wall_ns=changed.wall_ns)
    return Record(kind=KIND, key=key, body=msgspec.msgpack.encode(body))


def mode_of(records: Sequence[Stored], wall_ns: int) -> ModeChanged:
    """The latched mode. No record at all is a first start: RUNNING."""
    if not records:
        return ModeChanged(mode=DeskMode.RUNNING, by="control", reason="first start", wall_ns=wall_ns)
    last = max(records, key=lambda stored: stored.seq)
    try:
        body = msgspec.msgpack.decode(last.body, type=ModeRecord)
    except msgspec.DecodeError as error:
        return ModeChanged(
            mode=DeskMode.PAUSED,
            by="control",
            reason=f"record {last.seq} of the journal is no mode ({error}); resume when it is safe",
            wall_ns=wall_ns,
        )
    return ModeChanged(mode=body.mode, by=body.by, reason=body.reason, wall_ns=body.wall_ns)
