"""The beat: how a child shows its parent that it lives, in a page of memory that both of them see.

One writer, one reader, no lock. A beat is written whole with a checksum over it, its sequence last; the
reader takes a copy and believes it only if the checksum is right, so what was torn in writing is seen to be,
on any processor. Nothing here waits, so a child that is frozen, or that died, holds nobody up.

    bytes     what
    0-8       sequence of the last beat; 0: none yet
    8-12      CRC-32 over the sequence and the beat
    16-256    the beat: monotonic ns, counters, health, rss, the child that is stuck
    256-320   the actor that ran when the overrun timer last looked (written at any moment; may be torn)
    320-640   why no beat is given, if the child's own health check fails (likewise)
    640-641   written by the reader: the sequence number (mod 256) of its last question for tasks' stacks
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from dataclasses import dataclass

BYTES = 4096
_HEAD = struct.Struct("<QI")
_BEAT = struct.Struct("<QQIIQQQ64s")
_BEAT_AT, _RUNNING_AT, _COMPLAINT_AT, _ASKED_AT, _END = 16, 256, 320, 640, 641
_NAME_MAX = 64

# Health bits.
READY = 1  # its tree is up
STOPPING = 2  # it was asked to end, and is about it


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life. Times: CLOCK_MONOTONIC in nanoseconds, which all processes of a host share."""

    at_ns: int
    done: int = 0
    """Messages handled by all children of its tree together."""
    digest: int = 0
    """CRC-32 over each child's count: the same twice means that nobody did anything."""
    health: int = 0
    rss_bytes: int = 0
    stuck: str = ""
    """The child that has waited longest with work in its mailbox; empty: none has for a second."""
    stuck_done: int = 0
    stuck_ns: int = 0
    sequence: int = 0
    """Filled in by the writer."""


def make() -> int:
    """A new page; returns its file descriptor (close-on-exec), to be handed to a child."""
    descriptor = os.memfd_create("beat", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, BYTES)
    return descriptor


class BeatWriter:
    """The child's end."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, BYTES)
        self._sequence: int = _HEAD.unpack_from(self._page, 0)[0]
        self._asked: int = self._page[_ASKED_AT]

    def beat(self, beat: Beat) -> None:
        """Give one; a complaint is taken back by it."""
        self._sequence += 1
        packed = _BEAT.pack(
            beat.at_ns,
            beat.done,
            beat.digest,
            beat.health,
            beat.rss_bytes,
            beat.stuck_done,
            beat.stuck_ns,
            _text(beat.stuck, _NAME_MAX),
        )
        if self._page[_COMPLAINT_AT]:
            self._page[_COMPLAINT_AT] = 0
        self._page[_BEAT_AT : _BEAT_AT + _BEAT.size] = packed
        _HEAD.pack_into(self._page, 0, self._sequence, _checksum(self._sequence, packed))

    def complain(self, words: str) -> None:
        """No beat, because of this."""
        length = _ASKED_AT - _COMPLAINT_AT
        self._page[_COMPLAINT_AT:_ASKED_AT] = _text(words, length)

    def running(self, name: str) -> None:
        """The actor that runs at this moment. Cheap, and safe in a signal handler."""
        self._page[_RUNNING_AT:_COMPLAINT_AT] = _text(name, _COMPLAINT_AT - _RUNNING_AT)

    def was_asked(self) -> bool:
        """Whether the parent has asked for the tasks' stacks since the last call."""
        asked = self._page[_ASKED_AT]
        if asked == self._asked:
            return False
        self._asked = asked
        return True

    def close(self) -> None:
        self._page.close()


class BeatReader:
    """The parent's end."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, BYTES)

    def read(self) -> Beat | None:
        """The last beat; None if there was none yet, or if it is being written right now."""
        page = self._page[: _BEAT_AT + _BEAT.size]
        sequence, checksum = _HEAD.unpack_from(page, 0)
        packed = page[_BEAT_AT:]
        if not sequence or _checksum(sequence, packed) != checksum:
            return None
        at_ns, done, digest, health, rss_bytes, stuck_done, stuck_ns, stuck = _BEAT.unpack(packed)
        return Beat(
            at_ns=at_ns,
            done=done,
            digest=digest,
            health=health,
            rss_bytes=rss_bytes,
            stuck=_words(stuck),
            stuck_done=stuck_done,
            stuck_ns=stuck_ns,
            sequence=sequence,
        )

    def running(self) -> str:
        return _words(self._page[_RUNNING_AT:_COMPLAINT_AT])

    def complaint(self) -> str:
        return _words(self._page[_COMPLAINT_AT:_ASKED_AT])

    def ask_tasks(self) -> None:
        """Have the child write where each of its tasks waits, at its next beat."""
        self._page[_ASKED_AT] = (self._page[_ASKED_AT] + 1) % 256

    def close(self) -> None:
        self._page.close()


def _checksum(sequence: int, packed: bytes) -> int:
    return zlib.crc32(packed, sequence & 0xFFFFFFFF)


def _text(words: str, length: int) -> bytes:
    return words.encode("utf-8", "replace")[: length - 1].ljust(length, b"\0")


def _words(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
