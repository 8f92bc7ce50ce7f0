"""One websocket connection: frames in and out, server pings, its limits and its end.

Source of the rules: binance-spot-api-docs web-socket-streams.md (ping every 20 s, pong within a minute, 5
incoming messages a second, 24 hours of life). wsproto does the protocol, Trio the waiting. Sending never
blocks: what a slow client does not take in time ends its connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from actors.venues.simulated.http import CHUNK, UpgradeRequest
from actors.venues.simulated.server_config import SocketConfig

MESSAGE_BYTES_MAX = 65_536
BATCH_BYTES = 65_536
WRITE_S = 10.0
FAREWELL_S = 1.0

OnText = Callable[[str], Awaitable[None]]
Kind = Literal["streams", "ws-api"]


class Socket:
    """`kind` says whose rules apply: "streams" limits what the client may send, "ws-api" weighs it
    instead."""

    def __init__(self, stream: trio.abc.Stream, kind: Kind, ip: str, config: SocketConfig) -> None:
        self.kind = kind
        self.ip = ip
        self.why = "the client left"
        self._stream = stream
        self._config = config
        self._ws = WSConnection(ConnectionType.SERVER)
        self._outgoing: deque[tuple[float, Event]] = deque()
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._ending = False
        self._incoming: deque[float] = deque()
        self._parts: list[str] = []
        self._pings: deque[bytes] = deque(maxlen=16)
        self._unanswered_since: float | None = None

    # --- For others --------------------------------------------------------------------------------------

    def send(self, data: bytes, delay_us: int = 0) -> None:
        """Put a text frame in the queue, to leave not before the delay; a full queue ends the connection."""
        self._put(TextMessage(data=data.decode("utf-8", "replace")), delay_us)

    def end(self, why: str, code: int | None) -> None:
        """End the connection: with a close frame after all that is queued, or cut without a word (None)."""
        if self._ending:
            return
        self.why, self._ending = why, True
        if code is None:
            self._scope.cancel()
        else:
            self._last_word(CloseConnection(code=code, reason=why))

    async def run(self, upgrade: UpgradeRequest, on_text: OnText) -> None:
        """Carry the connection until it ends. Never raises for what a client does."""
        try:
            if not await self._accept(upgrade):
                return
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, on_text)
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._ping)
                    await trio.sleep(self._config.life_s)
                    self.end("lived its time", 1001)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, RemoteProtocolError):
            # The client is gone, too slow to take a message, or does not speak the protocol.
            pass

    # --- Tasks -------------------------------------------------------------------------------------------

    async def _accept(self, upgrade: UpgradeRequest) -> bool:
        try:
            headers = [(name, value) for name, value in upgrade.headers]
            self._ws.initiate_upgrade_connection(headers, upgrade.request.target)
            asked = next(iter(self._ws.events()), None)
            answer: Event = AcceptConnection() if isinstance(asked, Request) else RejectConnection()
        except RemoteProtocolError as error:
            answer = error.event_hint or RejectConnection()
        await self._deliver(self._ws.send(answer))
        if isinstance(answer, AcceptConnection) and upgrade.trailing:
            self._ws.receive_data(upgrade.trailing)
        return isinstance(answer, AcceptConnection)

    async def _read(self, on_text: OnText) -> None:
        while True:
            for event in self._ws.events():
                await self._on_event(event, on_text)
            data = await self._stream.receive_some(CHUNK)
            if not data:
                self._scope.cancel()
                return
            self._ws.receive_data(bytes(data))

    async def _on_event(self, event: Event, on_text: OnText) -> None:
        if isinstance(event, CloseConnection):
            if self._ending:
                self._scope.cancel()
                return
            self.why, self._ending = "the client closed", True
            # Once a close frame came, nothing but its answer may be sent.
            self._outgoing.clear()
            self._last_word(event.response())
        if self._ending:
            return
        if not self._may_send():
            self.end("too many messages", 1008)
            return
        if isinstance(event, Ping):
            self._put(event.response(), 0)
        elif isinstance(event, Pong):
            self._on_pong(bytes(event.payload))
        elif isinstance(event, TextMessage):
            self._parts.append(event.data)
            if sum(map(len, self._parts)) > MESSAGE_BYTES_MAX:
                self.end("a message above the limit", 1009)
            elif event.message_finished:
                text, self._parts = "".join(self._parts), []
                await on_text(text)
        elif isinstance(event, BytesMessage):
            self.end("a binary message", 1003)

    async def _write(self) -> None:
        while True:
            while not self._outgoing:
                self._wake = trio.Event()
                await self._wake.wait()
            due = self._outgoing[0][0]
            if due > trio.current_time():
                await trio.sleep_until(due)
            await self._deliver(self._batch())
            if self._ending and not self._outgoing:
                self._scope.cancel()

    def _batch(self) -> bytes:
        """What is due now, in one write: a burst of events costs one system call."""
        data = bytearray()
        now = trio.current_time()
        while self._outgoing and self._outgoing[0][0] <= now and len(data) < BATCH_BYTES:
            data += self._ws.send(self._outgoing.popleft()[1])
        return bytes(data)

    async def _ping(self) -> None:
        number = 0
        while True:
            await trio.sleep(self._config.ping_s)
            now = trio.current_time()
            if self._unanswered_since is not None and now - self._unanswered_since > self._config.pong_s:
                self.end("no pong", None)
                return
            number += 1
            payload = str(number).encode()
            self._pings.append(payload)
            if self._unanswered_since is None:
                self._unanswered_since = now
            self._put(Ping(payload=payload), 0)

    def _on_pong(self, payload: bytes) -> None:
        # Only a copy of a ping's payload counts; unsolicited pongs do not prevent the disconnection.
        if payload in self._pings:
            self._unanswered_since = None
            self._pings.clear()

    def _may_send(self) -> bool:
        if self.kind == "ws-api":
            return True
        now = trio.current_time()
        while self._incoming and now - self._incoming[0] >= 1.0:
            self._incoming.popleft()
        self._incoming.append(now)
        return len(self._incoming) <= self._config.incoming_per_s

    def _put(self, event: Event, delay_us: int) -> None:
        if self._ending:
            return
        if len(self._outgoing) >= self._config.outgoing_max:
            self.end("slow consumer", None)
            return
        self._outgoing.append((trio.current_time() + delay_us / 1e6, event))
        self._wake.set()

    def _last_word(self, event: Event) -> None:
        """Queue the close frame; the writer ends the connection after it, or time does."""
        self._outgoing.append((trio.current_time(), event))
        self._wake.set()
        self._scope.deadline = trio.current_time() + FAREWELL_S

    async def _deliver(self, data: bytes) -> None:
        with trio.fail_after(WRITE_S):
            await self._stream.send_all(data)
