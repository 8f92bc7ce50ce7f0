"""What travels between actors: frozen records, and the notices that the runtime itself sends.

A message is a fact (`OrderFilled`) or a wish (`OrderIntent`). Its class says how it travels: whether it
outlives a crash of its receiver, whether it overtakes everything else, what its sender is told if a port
dies with it in hand.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import ClassVar, Literal

import msgspec


class Lane(enum.Enum):
    """Which queue a message waits in."""

    NORMAL = "normal"
    # One queue for the whole process, looked at between any two messages. For kill and stop; for nothing
    # else.
    SYSTEM = "system"


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """The root of every message. Subclass it with `frozen=True`, and keep only immutable values in it:
    the receiver and the sender hold the same object."""

    # Kept in the mailbox (and retried, if it was in hand) when its receiver restarts. True for facts that
    # happen once, such as fills; False for wishes, approvals and commands, which a new life must not act
    # on.
    survives_restart: ClassVar[bool] = False
    lane: ClassVar[Lane] = Lane.NORMAL

    # SYSTEM messages only: the process-wide flag that telling this message raises or lowers at once, before
    # its receiver has run. Who is about to do something that cannot be undone reads the flag last.
    raises_flag: ClassVar[str | None] = None
    lowers_flag: ClassVar[str | None] = None

    def undelivered(self, written: bool) -> Message | None:
        """What to tell the sender when the port that had this message dies, or has no life at the moment.

        `written` is False when nothing of it can have left this process, and True once the port has called
        `link.written(message)`. None (the default) says that the sender need not be told.
        """
        return None


class Notice(Message, frozen=True):
    """Sent by the runtime, never by an actor. Waits in the normal lane, and no full mailbox keeps it out."""


class Answer(Notice, frozen=True):
    """The reply to an `ask`. `ask_id` is what `ask` returned."""

    ask_id: int
    message: Message


AskFailure = Literal["actor_died", "overloaded", "timeout"]


class AskFailed(Notice, frozen=True):
    """No reply to an `ask` will come; one that comes nevertheless is a dead letter."""

    ask_id: int
    to: str
    reason: AskFailure


class Refused(Notice, frozen=True):
    """The mailbox of `to` was full (overflow REFUSE); the message was not taken."""

    to: str
    message_type: str


class Dropped(Notice, frozen=True):
    """This actor's own mailbox was full (overflow DROP_OLDEST) and lost `count` messages of one type and key.

    It is read before whatever was left in the queue, once, however many were lost meanwhile.
    """

    message_type: str
    key: Hashable
    count: int


DownReason = Literal["crashed", "finished", "stopped", "gave_up", "halted", "not_running"]


class Down(Notice, frozen=True):
    """A life of the watched child has ended; its last words were queued before this."""

    name: str
    reason: DownReason
