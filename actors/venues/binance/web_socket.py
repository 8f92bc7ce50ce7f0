"""A websocket that is read where its frames are used: no task and no queue between the socket and who reads it.

The handshake is wsproto's, the frames are `frame_reader.py`'s, the bytes are a `Wire`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from trio_websocket import CloseReason, ConnectionClosed, ConnectionRejected, HandshakeError
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from actors.venues.binance.frame_reader import FrameReader
from actors.venues.binance.wire import Wire, connect

# An answer to a handshake is a few hundred bytes.
_HEAD_MAX = 1 << 16
_RECEIVE_BYTES = 1 << 16
_HEAD_END = b"\r\n\r\n"
_ABNORMAL = 1006

Dial = Callable[[str], Awaitable[tuple[Wire, str, str]]]
"""URL -> the wire, the host for the handshake, the resource to ask for; raises OSError."""


class WebSocket:
    """One connection that stands. One task reads it, any may write. Pings are answered while it is read."""

    def __init__(self, wire: Wire, frame_bytes_max: int) -> None:
        self._wire = wire
        self._reader = FrameReader(frame_bytes_max)
        self._over = trio.Event()

    async def receive(self) -> bytes:
        """The next message. Raises ConnectionClosed when none will come."""
        messages = self._reader.messages
        if messages:
            # Of a burst: whoever has something to send must not wait for its end.
            await trio.lowlevel.checkpoint()
        while not messages:
            if self._reader.closed is not None:
                await self._end(self._reader.closed.code, self._reader.closed.reason)
            try:
                data = await self._wire.receive_some(_RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                await self._end(_ABNORMAL, None)
            await self.feed(data)
        return messages.popleft()

    async def feed(self, data: bytes | bytearray) -> None:
        """What was received, and what must be answered at once."""
        reader = self._reader
        reader.feed(data)
        if reader.to_send:
            answer, reader.to_send = bytes(reader.to_send), bytearray()
            try:
                await self._wire.send_all(answer)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the next read finds it closed too

    async def send(self, text: str) -> None:
        """Raises BrokenResourceError or ClosedResourceError if the connection has ended."""
        await self._wire.send_text(text.encode)

    async def aclose(self) -> None:
        """Close politely: returns when the peer's answer was read, by the task that reads."""
        goodbye = self._reader.closing(1000)
        if goodbye:
            try:
                await self._wire.send_all(goodbye)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
        await self._over.wait()

    async def _end(self, code: int, reason: str | None) -> None:
        self._over.set()
        raise ConnectionClosed(CloseReason(code, reason))


@asynccontextmanager
async def open_web_socket(
    url: str, *, frame_bytes_max: int, timeout_s: float, dial: Dial = connect
) -> AsyncIterator[WebSocket]:
    """Connect and shake hands, both within `timeout_s`. Raises OSError, HandshakeError or ConnectionRejected; the
    connection is cut when the block ends."""
    async with AsyncExitStack() as stack:
        try:
            with trio.fail_after(timeout_s):
                wire, host, resource = await dial(url)
                stack.push_async_callback(trio.aclose_forcefully, wire)
                socket = await _shake_hands(wire, host, resource, frame_bytes_max)
        except trio.TooSlowError as error:
            raise OSError(f"no connection within {timeout_s:g} s") from error
        yield socket


async def _shake_hands(wire: Wire, host: str, resource: str, frame_bytes_max: int) -> WebSocket:
    handshake = WSConnection(ConnectionType.CLIENT)
    await wire.send_all(handshake.send(Request(host=host, target=resource)))
    head = bytearray()
    while (end := head.find(_HEAD_END)) < 0:
        data = await wire.receive_some(_RECEIVE_BYTES)
        head += data
        if not data or len(head) > _HEAD_MAX:
            raise HandshakeError
    end += len(_HEAD_END)
    try:
        # What follows the head are frames already, and not the handshake's to read.
        handshake.receive_data(bytes(head[:end]))
        for event in handshake.events():
            if isinstance(event, AcceptConnection):
                socket = WebSocket(wire, frame_bytes_max)
                await socket.feed(head[end:])
                return socket
            if isinstance(event, RejectConnection):
                raise ConnectionRejected(event.status_code, tuple(event.headers), None)
    except RemoteProtocolError as error:
        raise HandshakeError from error
    raise HandshakeError
