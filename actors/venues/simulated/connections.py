"""The venue's connections: which are taken, what serves them, and how they are cut.

Plain HTTP is http.py's, websockets are sockets.py's; here they are joined to the venue's parts. A request
that was read is carried out even if its client is gone before the answer: at a real venue nothing calls it
back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import trio

from actors.venues.simulated import rest, streams, wsapi
from actors.venues.simulated.control import Cut
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.gate import Admitted, Answer, Outcome
from actors.venues.simulated.http import HttpConnection, UpgradeRequest
from actors.venues.simulated.limits import TooMany
from actors.venues.simulated.rest import HttpRequest, HttpResponse
from actors.venues.simulated.sockets import Kind, Socket

if TYPE_CHECKING:
    from actors.venues.simulated.server import VenueServer

CONNECT_WEIGHT = 2
GOING_AWAY = 1001


class Connections:
    """All open connections of one venue."""

    def __init__(self, venue: VenueServer) -> None:
        self._venue = venue
        self._sockets: dict[int, Socket] = {}
        self._open = 0

    def start(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def accept(self, stream: trio.SocketStream) -> None:
        """One connection from its first byte to its end."""
        venue = self._venue
        async with stream:
            if self._open >= venue.config.http.connections_max:
                return
            if venue.faults.unreachable(venue.clock.now_us()):
                return
            try:
                ip: str = stream.socket.getpeername()[0]
            except OSError:
                # The peer was gone before it could be named.
                return
            self._open += 1
            try:
                connection = HttpConnection(stream, ip, venue.config.http, venue.on_http, self._refuse_socket)
                upgrade = await connection.run()
                if upgrade is not None:
                    await self._on_socket(stream, upgrade)
            finally:
                self._open -= 1

    def _refuse_socket(self, request: HttpRequest) -> HttpResponse | None:
        """The response to a websocket that may not be opened; None when it may."""
        path = request.path
        is_api = path == "/ws-api/v3"
        if not is_api and path not in ("/ws", "/stream") and not path.startswith("/ws/"):
            return rest.page(404, "Not Found")
        now_us = self._venue.clock.now_us()
        try:
            self._venue.limits.connect(request.ip, CONNECT_WEIGHT if is_api else 0, now_us)
        except TooMany as error:
            self._venue.logbook.note("socket_refused", now_us, ip=request.ip, status=error.http_status)
            refusal = Answer(status=error.http_status, error=error, retry_at_us=error.retry_at_us)
            return rest.response(refusal, self._venue.limits.used_weight(request.ip, now_us), now_us)
        return None

    async def _on_socket(self, stream: trio.SocketStream, upgrade: UpgradeRequest) -> None:
        request = upgrade.request
        kind: Kind = "ws-api" if request.path == "/ws-api/v3" else "streams"
        socket = Socket(stream, kind, request.ip, self._venue.config.sockets)
        self._sockets[id(socket)] = socket
        self._venue.logbook.connected(kind, request.ip, self._venue.clock.now_us())
        try:
            if kind == "ws-api":
                await self._run_api(socket, upgrade)
            else:
                await self._run_streams(socket, upgrade)
        finally:
            del self._sockets[id(socket)]
            self._venue.logbook.disconnected(kind, socket.why, self._venue.clock.now_us())

    async def _run_streams(self, socket: Socket, upgrade: UpgradeRequest) -> None:
        combined, names = _stream_names(upgrade.request.target)
        ends: list[Callable[[], None]] = []
        session = streams.MarketSession(
            self._venue.hub, socket.send, combined, names, self._venue.config.sockets.streams_max
        )
        ends.append(session.close)
        for name in names:
            # A listenKey in place of a stream's name: the user data stream of old.
            try:
                account = self._venue.listen_keys.account(name, self._venue.clock.now_us())
            except VenueError:
                continue
            number = self._venue.hub.watch(account, _raw_event(socket, name, combined))
            ends.append(partial(self._venue.hub.unwatch, number))

        async def on_text(text: str) -> None:
            socket.send(session.on_text(text))

        try:
            await socket.run(upgrade, on_text)
        finally:
            for end in ends:
                end()

    async def _run_api(self, socket: Socket, upgrade: UpgradeRequest) -> None:
        venue = self._venue
        session = wsapi.Session(venue.gate, venue.hub, socket.ip, upgrade.request.query, socket.send)
        in_flight = trio.Semaphore(venue.config.sockets.in_flight_max)

        async def on_text(text: str) -> None:
            request = session.parse(text)
            if isinstance(request, bytes):
                venue.logbook.note("not_a_request", venue.clock.now_us(), ip=socket.ip)
                socket.send(request)
                if session.malformed >= wsapi.MALFORMED_MAX:
                    socket.end("disconnected", 1008)
                return
            admitted = venue.gate.admit(request.call)
            if isinstance(admitted, Answer):
                self._reply(socket, session, request, Outcome("answer", admitted))
            elif admitted.verdict.before_us or admitted.verdict.after_us:
                # Delayed requests overtake each other, hold up nobody, and outlive their connection.
                await in_flight.acquire()
                self._nursery.start_soon(self._late, socket, session, request, admitted, in_flight)
            else:
                outcome = await venue.complete(admitted, session.local)
                self._reply(socket, session, request, outcome)

        try:
            await socket.run(upgrade, on_text)
        finally:
            session.close()

    async def _late(
        self,
        socket: Socket,
        session: wsapi.Session,
        request: wsapi.Request,
        admitted: Admitted,
        in_flight: trio.Semaphore,
    ) -> None:
        try:
            outcome = await self._venue.complete(admitted, session.local)
            self._reply(socket, session, request, outcome)
        finally:
            in_flight.release()

    def _reply(
        self, socket: Socket, session: wsapi.Session, request: wsapi.Request, outcome: Outcome
    ) -> None:
        if outcome.end == "answer":
            socket.send(session.render(request, outcome.answer))
        elif outcome.end == "drop":
            socket.end("dropped by a fault", None)
        if outcome.answer.status == 418:
            socket.end("banned", 1008)
        self._venue.flush()

    # --- Cutting -----------------------------------------------------------------------------------------

    def cut(self, cut: Cut) -> None:
        told = frozenset(self._sockets.values())
        if cut.announced:
            self.announce_shutdown()
        self._nursery.start_soon(self._cut_later, cut, told)

    async def _cut_later(self, cut: Cut, told: frozenset[Socket]) -> None:
        await trio.sleep(cut.after_s)
        for socket in list(self._sockets.values()):
            # A server that goes takes those with it whom it has told; who connects meanwhile meets another one.
            if cut.announced and socket not in told:
                continue
            if cut.scope in ("all", socket.kind):
                socket.end(
                    "shutdown" if cut.announced else "cut by a fault", GOING_AWAY if cut.announced else None
                )

    def announce_shutdown(self) -> None:
        """Tell every websocket that the server is about to go."""
        now_us = self._venue.clock.told_us()
        for socket in list(self._sockets.values()):
            frame = wsapi.shutdown_frame if socket.kind == "ws-api" else streams.shutdown_frame
            socket.send(frame(now_us))


def _raw_event(socket: Socket, name: str, combined: bool) -> Callable[[object], None]:
    return lambda event: socket.send(streams.user_frame(name, event, combined))


def _stream_names(target: str) -> tuple[bool, list[str]]:
    """Whether a connection is combined, and the streams that its URL names."""
    parts = urlsplit(target)
    if parts.path == "/stream":
        names = parse_qs(parts.query).get("streams", [""])[0]
        return True, [name for name in names.split("/") if name]
    return False, [name for name in parts.path.removeprefix("/ws").split("/") if name]
