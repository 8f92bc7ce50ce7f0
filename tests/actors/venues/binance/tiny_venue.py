"""A websocket server on loopback that says what a test wants it to say: streams listed by URL, frames to all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket


class TinyVenue:
    def __init__(self) -> None:
        self.port = 0
        self.connections: list[WebSocketConnection] = []
        self.paths: list[str] = []
        self.closed = 0
        # What it does to the next connections.
        self.refuse_with: int | None = None
        self.answers_lists = True

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def handle(self, request: WebSocketRequest) -> None:
        self.paths.append(request.path)
        if self.refuse_with is not None:
            await request.reject(self.refuse_with, extra_headers=[(b"Retry-After", b"1")])
            return
        connection = await request.accept()
        streams = parse_qs(urlsplit(request.path).query)["streams"][0].split("/")
        self.connections.append(connection)
        try:
            while True:
                wish = msgspec.json.decode(await connection.get_message())
                if wish["method"] == "LIST_SUBSCRIPTIONS" and self.answers_lists:
                    answer = {"result": streams, "id": wish["id"]}
                    await connection.send_message(msgspec.json.encode(answer).decode())
        except ConnectionClosed:
            self.closed += 1
        finally:
            self.connections.remove(connection)

    async def say(self, *frames: bytes) -> None:
        """To everyone who is connected."""
        for frame in frames:
            for connection in list(self.connections):
                try:
                    await connection.send_message(frame.decode())
                except ConnectionClosed:
                    continue

    async def hang_up(self) -> None:
        """End all connections without a word."""
        for connection in list(self.connections):
            await connection._stream.aclose()


@asynccontextmanager
async def tiny_venue() -> AsyncIterator[TinyVenue]:
    venue = TinyVenue()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(serve_websocket, venue.handle, "127.0.0.1", 0, ssl_context=None, disconnect_timeout=0.1)
        )
        venue.port = server.port
        yield venue
        nursery.cancel_scope.cancel()
