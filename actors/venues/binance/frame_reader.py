"""The receiving half of a websocket client, without I/O: bytes in; messages, and what must be answered, out.

Nearly every frame of a market stream is one whole text frame, and that one is cut out of the bytes here, in a
tenth of the time. Every other frame (fragments, pings, closes, text that is not ASCII, whatever is malformed) is
handed, byte by byte, to wsproto, which knows RFC 6455; its word on it is final.
"""

from __future__ import annotations

from collections import deque

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

_TEXT, _FINAL, _MASKED = 0x81, 0x80, 0x80
_CONTROL = 0x08
# The longest payload that a header of so many bytes (without its mask) is too long for.
_SIZE_MIN = {2: -1, 4: 125, 10: 65_535}
TOO_BIG = 1009


class FrameReader:
    """`feed` it what the socket gives; then take `messages`, write `to_send`, and look at `closed`.

    No extension may have been negotiated. A message above `bytes_max` closes the connection with 1009.
    """

    def __init__(self, bytes_max: int) -> None:
        self.messages: deque[bytes] = deque()
        self.to_send = bytearray()
        """Pongs, and our part of a close."""
        self.closed: CloseConnection | None = None
        """Why nothing more will come: the peer's close, or what it did wrong."""
        self._bytes_max = bytes_max
        self._wsproto = Connection(ConnectionType.CLIENT)
        self._rest = b""  # the beginning of a frame
        self._owed = 0  # so many bytes of a frame that wsproto has begun to read are still to come
        self._in_pieces = False  # a fragmented message has begun
        self._pieces: list[bytes] = []
        self._pieces_size = 0

    def feed(self, data: bytes | bytearray) -> None:
        """Bytes as they come; where they are cut means nothing. After the end they are ignored."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        if self._owed:
            at = min(self._owed, end)
            self._owed -= at
            self._hand_over(data[:at])
        while at < end and self.closed is None:
            body, size = _extent(data, at, end)
            if not body:
                break
            stop = body + size
            # A shorter form would have done: malformed, and wsproto's to refuse. So is one with a mask.
            is_minimal = size > _SIZE_MIN[body - at]
            if data[at] == _TEXT and is_minimal and data[at + 1] < _MASKED and not self._in_pieces:
                if size > self._bytes_max:
                    self._refuse_size()
                    break
                payload = bytes(data[body:stop])
                if payload.isascii():
                    if stop > end:
                        break
                    self.messages.append(payload)
                    at = stop
                    continue
            at = self._begin(data, at, end, stop)
        if self.closed is None:
            self._rest = bytes(data[at:])

    def closing(self, code: int) -> bytes:
        """Our own close, to be written; b"" if one side has closed already."""
        if self._wsproto.state is not ConnectionState.OPEN:
            return b""
        return self._wsproto.send(CloseConnection(code=code))

    def _begin(self, data: bytes | bytearray, at: int, end: int, stop: int) -> int:
        """Give a frame that is not ours to read to wsproto; returns how far the bytes are used up."""
        first = data[at]
        if data[at + 1] & _MASKED:
            stop += 4
        if not first & _CONTROL:
            self._in_pieces = not first & _FINAL
        self._owed = max(0, stop - end)
        self._hand_over(data[at : min(stop, end)])
        return min(stop, end)

    def _hand_over(self, data: bytes | bytearray) -> None:
        self._wsproto.receive_data(bytes(data))
        for event in self._wsproto.events():
            if isinstance(event, Ping):
                if self._wsproto.state is ConnectionState.OPEN:
                    self.to_send += self._wsproto.send(event.response())
            elif isinstance(event, TextMessage | BytesMessage):
                self._piece(event)
            elif isinstance(event, CloseConnection):
                self._close(event)
            if self.closed is not None:
                return

    def _piece(self, event: TextMessage | BytesMessage) -> None:
        piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._pieces.append(piece)
        self._pieces_size += len(piece)
        if self._pieces_size > self._bytes_max:
            self._refuse_size()
        elif event.message_finished:
            self.messages.append(b"".join(self._pieces))
            self._pieces.clear()
            self._pieces_size = 0

    def _refuse_size(self) -> None:
        self._pieces.clear()
        self._close(CloseConnection(code=TOO_BIG, reason=f"a message above {self._bytes_max} bytes"))

    def _close(self, event: CloseConnection) -> None:
        self.closed = event
        # Its answer, or our own word on what was wrong; nothing, if it answers a close of ours.
        if self._wsproto.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            self.to_send += self._wsproto.send(CloseConnection(code=event.code, reason=event.reason))


def _extent(data: bytes | bytearray, at: int, end: int) -> tuple[int, int]:
    """Where a frame's payload begins, its mask not counted, and how long it is; (0, 0): not known yet."""
    if end - at < 2:
        return 0, 0
    size = data[at + 1] & 0x7F
    if size < 126:
        return at + 2, size
    body = at + (4 if size == 126 else 10)
    if end < body:
        return 0, 0
    return body, int.from_bytes(data[at + 2 : body], "big")
