"""Recordings: one frame a line with its time of receipt, read as a stream, gzip, zstandard or plain.

Two formats, told apart line by line:
- F1: `<receive time, ns since the epoch> <raw frame>` (what Nightdesk and hftbacktest write);
- F2: `<receive time, s since the epoch>: <raw frame>`, beside `URL <-> t` (connected), `URL <- t: <frame>`
  (sent by the client), `URL -> t: <body>` (a REST answer), `configuration: {...}` (what cryptofeed writes).
The format of the file around it is told by its first bytes, never by its name.
"""

from __future__ import annotations

import enum
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import zstandard

# The longest line that can be a frame: a full depth snapshot of 5000 levels a side is 400 KB.
LINE_MAX = 16 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
# A torn or foreign compressed file shows itself by one of these.
_TORN = (EOFError, zlib.error, zstandard.ZstdError)


class Kind(enum.Enum):
    FRAME = "frame"  # received on a stream; F1 does not tell a REST answer apart, its body does
    RESPONSE = "response"  # the body of a REST answer
    SENT = "sent"
    CONNECTED = "connected"
    CONFIGURATION = "configuration"


class Recorded(NamedTuple):
    """One usable line. `receive_ns` is since the Unix epoch by the recorder's clock; 0 if none is given."""

    line: int
    receive_ns: int
    kind: Kind
    raw: bytes


class RecordingError(ValueError):
    """A recording, or a line of it, that cannot be read: says which line, and how many before it could."""

    def __init__(self, path: Path, line: int, usable: int, what: str) -> None:
        self.path = path
        self.line = line
        self.usable = usable
        self.what = what
        super().__init__(f"{path}, line {line}: {what} ({usable} usable lines before it)")


def records(
    path: Path | str, *, unusable: Callable[[RecordingError], None] | None = None
) -> Iterator[Recorded]:
    """The usable lines of a recording, in order, with memory for one line at a time.

    What cannot be read raises RecordingError; with `unusable`, it is handed there instead and reading goes
    on at the next line (a torn end and a broken compression have no next line). A file that cannot be
    opened raises OSError.
    """
    path = Path(path)
    line = usable = 0
    with path.open("rb") as file:
        try:
            lines = _opened(file)
            while True:
                text = lines.readline(LINE_MAX)
                if not text:
                    return
                line += 1
                if not text.strip():
                    continue
                found = _parse(text, line)
                if isinstance(found, Recorded):
                    usable += 1
                    yield found
                    continue
                error = RecordingError(path, line, usable, found)
                if unusable is None:
                    raise error
                unusable(error)
        except _TORN as reason:
            error = RecordingError(
                path, line + 1, usable, f"the compressed file is torn or damaged: {reason}"
            )
            if unusable is None:
                raise error from None
            unusable(error)


def _opened(file: BinaryIO) -> io.BufferedIOBase:
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        return io.BufferedReader(_Unpacked(file, lambda: zlib.decompressobj(wbits=31)))
    if magic == _ZSTD:
        unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        return io.BufferedReader(_Unpacked(file, lambda: unpacker.decompressobj()))
    return cast("io.BufferedIOBase", file)


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """Gives all that can be unpacked before it says that the rest is torn. The libraries' own readers lose up
    to a buffer of it, or take a torn file for a short one."""

    def __init__(self, file: BinaryIO, unpacker: Callable[[], _Unpacker]) -> None:
        self._file = file
        self._new = unpacker
        self._unpacker = unpacker()
        self._packed = b""
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left:
            packed = self._packed or self._file.read(1 << 16)
            self._packed = b""
            if not packed:
                if not self._unpacker.eof:
                    raise EOFError("its end is missing")
                return 0
            if self._unpacker.eof:
                # Several packed files, one after the other, are one.
                self._unpacker = self._new()
            self._left = self._unpacker.decompress(packed)
            self._packed = self._unpacker.unused_data
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _parse(text: bytes, line: int) -> Recorded | str:
    """The line, or what is wrong with it."""
    if not text.endswith(b"\n") and len(text) >= LINE_MAX:
        return f"longer than {LINE_MAX} bytes, so it is no frame"
    head, space, rest = text.partition(b" ")
    rest = rest.rstrip(b"\r\n")
    if space and rest and head.isdigit():
        if len(head) > 20:
            return f"its time of receipt has {len(head)} digits, which is no number of nanoseconds"
        return Recorded(line, int(head), Kind.FRAME, rest)
    if head == b"configuration:":
        return Recorded(line, 0, Kind.CONFIGURATION, rest)
    if space and rest and head.endswith(b":") and (at_ns := _nanoseconds(head[:-1])) is not None:
        return Recorded(line, at_ns, Kind.FRAME, rest)
    arrow, space, rest = rest.partition(b" ")
    kind = {b"<->": Kind.CONNECTED, b"<-": Kind.SENT, b"->": Kind.RESPONSE}.get(arrow)
    if space and kind is not None:
        when, _, body = rest.partition(b": ")
        at_ns = _nanoseconds(when)
        if at_ns is not None:
            return Recorded(line, at_ns, kind, body)
    if not text.isascii() or b"\x00" in text:
        return "not text; this is no recording"
    return f"starts with {text[:40]!r}, where a time of receipt and a frame were expected"


def _nanoseconds(text: bytes) -> int | None:
    """ "1617666422.653664" -> 1617666422653664000, without the rounding of a float."""
    seconds, _, fraction = text.partition(b".")
    if not seconds.isdigit() or (fraction and not fraction.isdigit()) or len(seconds) > 11:
        return None
    return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or 0)
