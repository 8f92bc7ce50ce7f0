"""A websocket over a connection in memory, against wsproto's server half."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from actors.venues.binance.web_socket import WebSocket, open_web_socket
from actors.venues.binance.wire import Wire

MAX = 1 << 16


class Server:
    """The far end, event by event."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.wsproto = WSConnection(ConnectionType.SERVER)

    async def event(self) -> Event:
        while True:
            for event in self.wsproto.events():
                return event
            self.wsproto.receive_data(await self.stream.receive_some() or None)

    async def send(self, *events: Event) -> None:
        await self.stream.send_all(b"".join(self.wsproto.send(event) for event in events))


@asynccontextmanager
async def opened(**limits: Any) -> AsyncIterator[tuple[WebSocket, Server]]:
    ours, theirs = memory_stream_pair()
    server = Server(theirs)

    async def accept() -> None:
        assert isinstance(await server.event(), Request)
        await server.send(AcceptConnection())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        async with web_socket(ours, **limits) as socket:
            yield socket, server
        nursery.cancel_scope.cancel()


def web_socket(stream: trio.abc.Stream, bytes_max: int = MAX, timeout_s: float = 5.0) -> Any:
    async def dial(url: str) -> tuple[Wire, str, str]:
        return Wire(stream), "venue", "/stream?streams=a/b"

    return open_web_socket("ws://venue", frame_bytes_max=bytes_max, timeout_s=timeout_s, dial=dial)


async def test_texts_go_both_ways_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (socket, server):
        await server.send(*(TextMessage(data=f"frame {number}") for number in range(50)))
        assert [await socket.receive() for _ in range(50)] == [f"frame {n}".encode() for n in range(50)]
        await socket.send("hello")
        said = await server.event()
        assert isinstance(said, TextMessage) and said.data == "hello"


async def test_frames_that_come_with_the_answer_to_the_handshake_are_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    server = Server(theirs)

    async def accept() -> None:
        asked = await server.event()
        assert isinstance(asked, Request) and asked.target == "/stream?streams=a/b"
        await server.send(AcceptConnection(), TextMessage(data="first"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        async with web_socket(ours) as socket:
            assert await socket.receive() == b"first"


async def test_a_ping_is_answered_while_it_is_read(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (socket, server):
        await server.send(Ping(payload=b"1723161600"), TextMessage(data="x"))
        assert await socket.receive() == b"x"
        pong = await server.event()
        assert isinstance(pong, Pong) and pong.payload == b"1723161600"


async def test_a_close_of_the_venue_ends_it_after_what_came_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened() as (socket, server):
        await server.send(TextMessage(data="last"), CloseConnection(code=1001, reason="restart"))
        assert await socket.receive() == b"last"
        with pytest.raises(ConnectionClosed) as caught:
            await socket.receive()
        assert caught.value.reason is not None
        assert (caught.value.reason.code, caught.value.reason.reason) == (1001, "restart")
        assert isinstance(await server.event(), CloseConnection)


async def test_a_cut_connection_is_an_abnormal_end(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (socket, server):
        await server.stream.aclose()
        with pytest.raises(ConnectionClosed) as caught:
            await socket.receive()
        assert caught.value.reason is not None and caught.value.reason.code == 1006


async def test_a_polite_close_waits_for_the_venues_answer(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (socket, server), trio.open_nursery() as nursery:
        order: list[str] = []

        async def read() -> None:
            with pytest.raises(ConnectionClosed):
                await socket.receive()

        async def close() -> None:
            await socket.aclose()
            order.append("closed")

        nursery.start_soon(read)
        nursery.start_soon(close)
        asked = await server.event()
        assert isinstance(asked, CloseConnection) and asked.code == 1000
        await trio.sleep(1)
        order.append("answered")
        await server.send(asked.response())
    assert order == ["answered", "closed"]


async def test_a_message_above_the_limit_ends_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(bytes_max=100) as (socket, server):
        await server.send(TextMessage(data="x" * 101))
        with pytest.raises(ConnectionClosed) as caught:
            await socket.receive()
        assert caught.value.reason is not None and caught.value.reason.code == 1009


async def test_a_burst_gives_the_loop_back_between_its_frames(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (socket, server), trio.open_nursery() as nursery:
        await server.send(*(TextMessage(data="x") for _ in range(20)))
        passes = 0

        async def count() -> None:
            nonlocal passes
            while True:
                await trio.lowlevel.checkpoint()
                passes += 1

        nursery.start_soon(count)
        for _ in range(20):
            await socket.receive()
        assert passes >= 15
        nursery.cancel_scope.cancel()


async def test_a_refusal_bears_its_status_and_its_headers(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = memory_stream_pair()
    server = Server(theirs)

    async def reject() -> None:
        await server.event()
        await server.send(RejectConnection(status_code=429, headers=[(b"retry-after", b"7")]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reject)
        with pytest.raises(ConnectionRejected) as caught:
            async with web_socket(ours):
                pass
        assert caught.value.status_code == 429
        assert (b"retry-after", b"7") in (caught.value.headers or ())


@pytest.mark.parametrize(
    "reply", [b"SSH-2.0-venue\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", b""]
)
async def test_an_answer_that_is_no_websocket_is_a_failed_handshake(
    reply: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(reply)
    await theirs.send_stream.aclose()
    with pytest.raises(HandshakeError):
        async with web_socket(ours):
            pass


async def test_a_venue_that_does_not_answer_the_handshake_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    with pytest.raises(OSError, match="no connection within 5 s"):
        async with web_socket(ours):
            pass
    with pytest.raises(trio.BrokenResourceError):
        await theirs.send_all(b"anybody?")
