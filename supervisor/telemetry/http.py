"""A small HTTP/1.1 server on h11, for a handful of local readers. Every wait in it is bounded.

A client that stops reading or sending costs one connection for a few seconds, and nothing else: each read and
write has a deadline, headers and body have a size, clients a number. Nothing is shielded, so its port can be
cancelled at any time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import h11
import msgspec
import trio

READ_S = 5.0
WRITE_S = 5.0
# A kept-alive connection may be silent for so long.
IDLE_S = 15.0
HEADER_BYTES_MAX = 16_384
# Less than the headers may have, or one read could bring too many at once.
READ_BYTES = 8_192
BODY_BYTES_MAX = 65_536
CLIENTS_MAX = 16


class Request(msgspec.Struct, frozen=True):
    """Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Response(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str = "application/json"


Handle = Callable[[Request], Awaitable[Response]]


def json_response(status: int, content: object) -> Response:
    return Response(status, msgspec.json.encode(content, enc_hook=str) + b"\n")


class HttpServer:
    """Answers requests with `handle`; `serve` runs until it is cancelled."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._clients = 0

    async def serve(self, listeners: list[trio.SocketListener]) -> None:
        await trio.serve_listeners(self._client, listeners)

    async def _client(self, stream: trio.SocketStream) -> None:
        self._clients += 1
        try:
            if self._clients <= CLIENTS_MAX:
                await self._converse(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # the client went away, or does not read: its affair
        finally:
            self._clients -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES_MAX)
        wait_s = READ_S
        while True:
            try:
                request = await _read(connection, stream, wait_s)
            except h11.RemoteProtocolError as error:
                refusal = json_response(error.error_status_hint, {"error": str(error)})
                await _write(connection, stream, refusal, with_body=True)
                await _part(stream)
                return
            if request is None:
                return
            response = await self._handle(request)
            await _write(connection, stream, response, with_body=request.method != "HEAD")
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()
            wait_s = IDLE_S


async def _read(connection: h11.Connection, stream: trio.SocketStream, wait_s: float) -> Request | None:
    """The next request; None if the client has gone, or is silent for too long."""
    head: h11.Request | None = None
    body = bytearray()
    with trio.move_on_after(wait_s):
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    await stream.send_all(connection.send(go_on) or b"")
                connection.receive_data(await stream.receive_some(READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES_MAX:
                    raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                path = head.target.decode("latin-1").partition("?")[0]
                return Request(head.method.decode("latin-1"), path, headers, bytes(body))
            else:
                return None
    return None


async def _part(stream: trio.SocketStream) -> None:
    """Let the client read what it was told: closing at once, with its words unread, would take them back."""
    await stream.send_eof()
    with trio.move_on_after(1.0):
        while await stream.receive_some(READ_BYTES):
            pass


async def _write(
    connection: h11.Connection, stream: trio.SocketStream, response: Response, *, with_body: bool
) -> None:
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    head = h11.Response(
        status_code=response.status,
        headers=[
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ],
    )
    data = connection.send(head) or b""
    if with_body:
        data += connection.send(h11.Data(data=response.body)) or b""
    data += connection.send(h11.EndOfMessage()) or b""
    with trio.fail_after(WRITE_S):
        await stream.send_all(data)
