"""HTTP/1.1 on one connection: requests in, responses out, until the client leaves or asks for a websocket.

h11 does the protocol, Trio the waiting. Everything is bounded: header and body sizes, the time a request may
take to arrive, the time a response may take to leave, the time a connection may idle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Literal

import h11
import msgspec
import trio

from actors.venues.simulated.rest import HttpRequest, HttpResponse, as_json
from actors.venues.simulated.server_config import HttpConfig

CHUNK = 65_536
# How long a request that is never answered keeps its connection, if the client waits that long.
HOLD_S = 120.0
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Ending(msgspec.Struct, frozen=True):
    """Instead of a response: cut the connection, or hold it open and say nothing."""

    how: Literal["drop", "hold"]


class UpgradeRequest(msgspec.Struct, frozen=True):
    """A client that asks for a websocket, with the bytes that it sent too early."""

    request: HttpRequest
    headers: list[tuple[bytes, bytes]]
    trailing: bytes


Handler = Callable[[HttpRequest], Awaitable[HttpResponse | Ending]]
Refuse = Callable[[HttpRequest], HttpResponse | None]


class HttpConnection:
    """One client. `handler` answers requests; `refuse` gives the response to a websocket that may not be."""

    def __init__(
        self, stream: trio.abc.Stream, ip: str, config: HttpConfig, handler: Handler, refuse: Refuse
    ) -> None:
        self._stream = stream
        self._ip = ip
        self._config = config
        self._handler = handler
        self._refuse = refuse
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=config.header_bytes_max)

    async def run(self) -> UpgradeRequest | None:
        """Serve until the client leaves, breaks the protocol or is cut off (None), or wants a websocket.

        Never raises for what a client does.
        """
        try:
            while True:
                upgrade = await self._turn()
                if upgrade is not None or {self._h11.our_state, self._h11.their_state} != {h11.DONE}:
                    return upgrade
                self._h11.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._last_word(error.error_status_hint, str(error))
        except trio.TooSlowError:
            await self._last_word(408, "the request took too long")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The client is gone.
            pass
        return None

    async def _turn(self) -> UpgradeRequest | None:
        """One request and its response; the connection goes on if h11 is then DONE."""
        if not await self._has_begun():
            return None
        with trio.fail_after(self._config.read_s):
            head = await self._event()
            if not isinstance(head, h11.Request):
                return None
            if sum(len(name) + len(value) for name, value in head.headers) > self._config.header_bytes_max:
                # h11 itself refuses only a head that is too long before it is complete.
                await self._last_word(431, f"the headers are above {self._config.header_bytes_max} bytes")
                return None
            request = self._head(head)
            if request.headers.get("upgrade", "").lower() == "websocket":
                refusal = self._refuse(request)
                if refusal is None:
                    return UpgradeRequest(request, list(head.headers), self._h11.trailing_data[0])
                if await self._body(request):
                    await self._send(refusal)
                return None
            if not await self._body(request):
                return None
        outcome = await self._handler(request)
        if isinstance(outcome, HttpResponse):
            await self._send(outcome)
        elif outcome.how == "hold":
            with trio.move_on_after(HOLD_S):
                while await self._stream.receive_some(CHUNK):
                    pass
        return None

    def _head(self, head: h11.Request) -> HttpRequest:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return HttpRequest(head.method.decode(), head.target.decode("latin-1"), headers, b"", self._ip)

    async def _body(self, request: HttpRequest) -> bool:
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > self._config.body_bytes_max:
                await self._last_word(413, f"the body is above {self._config.body_bytes_max} bytes")
                return False
        request.body = bytes(body)
        return isinstance(event, h11.EndOfMessage)

    async def _has_begun(self) -> bool:
        """Wait for the first byte of a request; False when the connection idled too long."""
        if self._h11.trailing_data[0]:
            return True
        with trio.move_on_after(self._config.idle_s):
            self._h11.receive_data(bytes(await self._stream.receive_some(CHUNK)))
            return True
        return False

    async def _event(self) -> object:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(bytes(await self._stream.receive_some(CHUNK)))
        return event

    async def _send(self, response: HttpResponse) -> None:
        headers = [
            ("date", formatdate(usegmt=True)),
            ("server", "nightdesk-venue"),
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            *response.headers,
        ]
        reason = _REASONS.get(response.status, "")
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        data = self._h11.send(head) or b""
        data += self._h11.send(h11.Data(data=response.body)) or b""
        data += self._h11.send(h11.EndOfMessage()) or b""
        with trio.fail_after(self._config.write_s):
            await self._stream.send_all(data)

    async def _last_word(self, status: int, reason: str) -> None:
        """Say what was wrong, if there is still somebody to say it to; the connection ends here."""
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        response = as_json(status, {"error": reason})
        response.headers = [("connection", "close")]
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            await self._send(response)
