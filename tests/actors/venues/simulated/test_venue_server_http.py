"""The venue's HTTP server against clients that are slow, greedy or do not speak HTTP."""

from __future__ import annotations

import trio
import trio.testing

from actors.venues.simulated.server_config import HttpConfig
from tests.actors.venues.simulated.venue_fixture import LocalVenue, running_venue, server_config

PING = b"GET /api/v3/ping HTTP/1.1\r\nhost: x\r\n\r\n"


async def _say(venue: LocalVenue, data: bytes) -> bytes:
    """Everything the server answers to these bytes until it closes or falls silent for half a second."""
    stream = await trio.open_tcp_stream("127.0.0.1", venue.port)
    answer = b""
    async with stream:
        await stream.send_all(data)
        with trio.move_on_after(0.5):
            while chunk := await stream.receive_some():
                answer += chunk
    return answer


async def test_requests_that_come_together_are_answered_in_order(venue: LocalVenue) -> None:
    time = PING.replace(b"ping", b"time")
    answer = await _say(venue, PING + time + PING)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert b"serverTime" in answer.split(b"HTTP/1.1 200")[2]


async def test_what_is_not_http_is_refused_and_closed(venue: LocalVenue) -> None:
    answer = await _say(venue, b"\x16\x03\x01\x02\x00 this is not http\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


async def test_headers_and_bodies_are_bounded() -> None:
    config = server_config(http=HttpConfig(header_bytes_max=2048, body_bytes_max=1000))
    async with running_venue(config) as venue:
        head = b"GET /api/v3/ping HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 5000 + b"\r\n\r\n"
        assert (await _say(venue, head)).startswith(b"HTTP/1.1 431")
        body = b"POST /api/v3/order HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n" + b"a" * 2000
        assert (await _say(venue, body)).startswith(b"HTTP/1.1 413")
        assert (await _say(venue, PING)).startswith(b"HTTP/1.1 200")


async def test_a_request_that_trickles_in_is_given_up() -> None:
    async with running_venue(server_config(http=HttpConfig(read_s=0.2))) as venue:
        stream = await trio.open_tcp_stream("127.0.0.1", venue.port)
        async with stream:
            await stream.send_all(PING[:20])
            with trio.fail_after(5):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 408")
                assert await stream.receive_some() == b""


async def test_an_idle_connection_is_closed() -> None:
    async with running_venue(server_config(http=HttpConfig(idle_s=0.2))) as venue:
        stream = await trio.open_tcp_stream("127.0.0.1", venue.port)
        async with stream:
            with trio.fail_after(5):
                assert await stream.receive_some() == b""


async def test_more_clients_than_allowed_are_turned_away_and_the_others_served_on() -> None:
    async with running_venue(server_config(http=HttpConfig(connections_max=2))) as venue:
        first = await trio.open_tcp_stream("127.0.0.1", venue.port)
        second = await trio.open_tcp_stream("127.0.0.1", venue.port)
        async with first, second:
            for stream in (first, second):
                await stream.send_all(PING)
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            assert await _say(venue, b"") == b""
            await first.send_all(PING)
            assert (await first.receive_some()).startswith(b"HTTP/1.1 200")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await _say(venue, PING)).startswith(b"HTTP/1.1 200")


async def test_the_server_stops_at_once_though_a_client_takes_nothing() -> None:
    with trio.fail_after(5):
        async with running_venue() as venue:
            stream = await trio.open_tcp_stream("127.0.0.1", venue.port)
            for _ in range(50):
                await stream.send_all(PING.replace(b"ping", b"exchangeInfo") * 20)
                with trio.move_on_after(0.01):
                    await trio.sleep(0.01)
            before = trio.current_time()
        assert trio.current_time() - before < 1.0
        await trio.aclose_forcefully(stream)
