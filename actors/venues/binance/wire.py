"""The bytes under a websocket: one writer at a time, and order frames written with nothing between the last
check and the socket.

trio-websocket does the handshake, the reading and the control frames. An order does not go through its queue
and locks, where a kill could arrive between check and write; it is framed here and given to the socket in the
same step.
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import trio

from actors.venues.binance.ws_frames import text_frame


class Wire(trio.abc.Stream):
    """A stream that several tasks may write to; handed to trio-websocket in place of the socket."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._turn = trio.Lock()

    async def send_text(self, make: Callable[[], bytes | None]) -> None:
        """Write one text frame. `make` is called once it is our turn; its bytes go to the socket with no
        checkpoint in between. None: nothing is written."""
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            payload = make()
            if payload is not None:
                await self._stream.send_all(text_frame(payload, os.urandom(4)))
        finally:
            self._turn.release()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self._turn:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The system's certificates, read once: that takes milliseconds, and a reconnect must not stop the loop
    for them."""
    return ssl.create_default_context()


async def connect(url: str) -> tuple[Wire, str, str]:
    """Open ws:// or wss://; returns the stream, the host for the handshake, and the resource to ask for.

    Raises OSError, also for a certificate that does not verify.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    stream: trio.abc.Stream
    try:
        if secure:
            over = await trio.open_ssl_over_tcp_stream(
                host, port, https_compatible=True, ssl_context=tls_context()
            )
            await over.do_handshake()
            stream = over
        else:
            stream = await trio.open_tcp_stream(host, port)
    except trio.BrokenResourceError as error:
        raise OSError(f"{host}:{port}: {error.__cause__ or error}") from error
    query = f"?{parts.query}" if parts.query else ""
    return Wire(stream), f"{host}:{port}", f"{parts.path or '/'}{query}"
