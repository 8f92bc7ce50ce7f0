"""Market streams of the simulated venue over real sockets: subscriptions, control frames, limits, ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url
from wsproto.connection import Connection
from wsproto.events import Pong

from actors.venues.simulated.config import GeneratedConfig
from actors.venues.simulated.server_config import SocketConfig
from tests.actors.venues.simulated.venue_fixture import (
    LocalVenue,
    as_json,
    running_venue,
    server_config,
    signed_query,
)

TAKE = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "60001.00"}


@asynccontextmanager
async def _open(venue: LocalVenue, path: str) -> AsyncIterator[WebSocketConnection]:
    async with open_websocket_url(venue.ws_url + path) as socket:
        yield socket


async def _ask(socket: WebSocketConnection, text: str | dict[str, object]) -> dict[str, object]:
    """The answer to a control frame; events that come first are passed over."""
    await socket.send_message(text if isinstance(text, str) else msgspec.json.encode(text).decode())
    with trio.fail_after(5):
        while "e" in (message := as_json(await socket.get_message())) or "stream" in message:
            pass
        return message


async def _next(socket: WebSocketConnection) -> dict[str, object]:
    with trio.fail_after(5):
        return as_json(await socket.get_message())


async def _closed(socket: WebSocketConnection) -> ConnectionClosed:
    with trio.fail_after(5), pytest.raises(ConnectionClosed) as closed:
        while True:
            await socket.get_message()
    return closed.value


async def _trade(venue: LocalVenue, quantity: str = "0.5") -> None:
    async with httpx.AsyncClient(headers={"X-MBX-APIKEY": venue.hmac.api_key}) as client:
        query = signed_query(venue.hmac, **TAKE, quantity=quantity)
        response = await client.post(f"{venue.url}/api/v3/order?{query}")
        assert response.json()["status"] == "FILLED", response.text


async def test_a_raw_stream_sends_bare_events_and_a_combined_one_names_them(venue: LocalVenue) -> None:
    both = "/stream?streams=btcusdt@trade/btcusdt@bookTicker"
    async with _open(venue, "/ws/btcusdt@trade") as raw, _open(venue, both) as combined:
        await _trade(venue)
        trade = await _next(raw)
        assert (trade["e"], trade["s"], trade["q"]) == ("trade", "BTCUSDT", "0.50000000")
        seen = {}
        while len(seen) < 2:
            message = await _next(combined)
            assert set(message) == {"stream", "data"}
            seen[message["stream"]] = message["data"]
        assert seen["btcusdt@trade"] == trade
        assert set(seen["btcusdt@bookTicker"]) == {"u", "s", "b", "B", "a", "A"}


async def test_subscriptions_can_be_added_listed_and_taken_back(venue: LocalVenue) -> None:
    async with _open(venue, "/ws") as socket:
        names = ["btcusdt@trade", "btcusdt@depth@100ms"]
        answer = await _ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1})
        assert answer == {"result": None, "id": 1}
        answer = await _ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": "list"})
        assert answer == {"result": names, "id": "list"}
        answer = await _ask(socket, {"method": "UNSUBSCRIBE", "params": names[:1], "id": None})
        assert answer == {"result": None, "id": None}
        await _trade(venue)
        assert (await _next(socket))["e"] == "depthUpdate"


async def test_the_combined_property_can_be_asked_and_changed(venue: LocalVenue) -> None:
    async with _open(venue, "/ws/btcusdt@trade") as socket:
        assert (await _ask(socket, {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}))[
            "result"
        ] is False
        await _ask(socket, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
        await _trade(venue)
        assert (await _next(socket))["stream"] == "btcusdt@trade"


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        ("{not json", 3, "Invalid JSON"),
        ('{"params":["btcusdt@trade"],"id":1}', 2, "missing field `method`"),
        ('{"method":"SUBSCRIBBE","params":[],"id":1}', 2, "unknown variant"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade"]}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1.5}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["not a stream"],"id":1}', 2, "invalid stream"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1,"more":1}', 2, "too many parameters"),
        ('{"method":"GET_PROPERTY","params":["other"],"id":1}', 0, "Unknown property"),
        ('{"method":"GET_PROPERTY","params":[1],"id":1}', 2, "property name must be a string"),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1, "expected Boolean"),
    ],
)
async def test_a_bad_control_frame_is_refused_in_the_venues_words(
    venue: LocalVenue, frame: str, code: int, words: str
) -> None:
    async with _open(venue, "/ws") as socket:
        error = (await _ask(socket, frame))["error"]
        assert isinstance(error, dict)
        assert error["code"] == code
        assert words in error["msg"]
        assert (await _ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 9}))["result"] == []


async def test_a_stream_of_an_unknown_pair_is_silent_not_refused(venue: LocalVenue) -> None:
    async with _open(venue, "/ws/nosuch@depth10") as socket:
        answer = await _ask(socket, {"method": "SUBSCRIBE", "params": ["nosuch@kline_1s"], "id": 1})
        assert answer["result"] is None
        with trio.move_on_after(1.2) as waited:
            await socket.get_message()
        assert waited.cancelled_caught


async def test_no_connection_follows_more_streams_than_allowed() -> None:
    config = server_config(sockets=SocketConfig(streams_max=3))
    async with running_venue(config) as venue, _open(venue, "/ws/btcusdt@trade") as socket:
        names = ["ethusdt@trade", "bnbusdt@trade", "ethbtc@trade"]
        refused = await _ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1})
        assert "too many streams" in refused["error"]["msg"]  # type: ignore[index]
        taken = await _ask(socket, {"method": "SUBSCRIBE", "params": names[:2], "id": 2})
        assert taken["result"] is None


async def test_a_path_that_is_no_stream_is_404(venue: LocalVenue) -> None:
    async with httpx.AsyncClient() as client:
        headers = {"connection": "upgrade", "upgrade": "websocket"}
        assert (await client.get(f"{venue.url}/streams/x", headers=headers)).status_code == 404


async def test_more_than_five_messages_a_second_end_the_connection(venue: LocalVenue) -> None:
    async with _open(venue, "/ws") as socket:
        for number in range(6):
            await socket.send_message(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
        closed = await _closed(socket)
        assert closed.reason.code == 1008
    assert venue.server.logbook.counts["disconnected: too many messages"] == 1


async def test_the_server_pings_and_a_client_that_answers_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    config = server_config(sockets=SocketConfig(ping_s=0.05, pong_s=0.2, incoming_per_s=100))
    async with running_venue(config) as venue, _open(venue, "/ws") as socket:
        # trio-websocket answers pings by itself.
        await trio.sleep(0.5)
        assert (await _ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 1}))["id"] == 1
        # A client that only sends pongs of its own, not copies of the ping, is gone.
        send = Connection.send
        monkeypatch.setattr(
            Connection,
            "send",
            lambda self, event: send(self, Pong(b"mine") if isinstance(event, Pong) else event),
        )
        with trio.fail_after(5):
            with pytest.raises(ConnectionClosed):
                await socket.get_message()
        assert venue.server.logbook.counts["disconnected: no pong"] == 1


async def test_a_connection_ends_when_its_24_hours_are_over() -> None:
    config = server_config(sockets=SocketConfig(life_s=0.3))
    async with running_venue(config) as venue, _open(venue, "/ws/btcusdt@trade") as socket:
        closed = await _closed(socket)
        assert closed.reason.code == 1001
    assert venue.server.logbook.counts["disconnected: lived its time"] == 1


async def test_a_slow_consumer_is_cut_off_and_the_others_are_not() -> None:
    config = server_config(
        sockets=SocketConfig(outgoing_max=16),
        venue={"generated": GeneratedConfig(regime="quiet", levels=20)},
    )
    async with running_venue(config) as venue, _open(venue, "/ws/btcusdt@trade") as good:
        slow = await trio.open_tcp_stream("127.0.0.1", venue.port)
        request = "GET /ws/btcusdt@slow HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        request += "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        await slow.send_all(request.encode())
        assert (await slow.receive_some()).startswith(b"HTTP/1.1 101")
        with trio.fail_after(10):
            while not venue.server.logbook.counts["disconnected: slow consumer"]:
                venue.server.hub.send("btcusdt@slow", b"[" + b"1," * 100_000 + b"1]")
                await trio.sleep(0.001)
        await _trade(venue)
        assert (await _next(good))["e"] == "trade"
        await slow.aclose()


async def test_a_shutdown_is_announced_and_then_happens(venue: LocalVenue) -> None:
    async with _open(venue, "/ws/btcusdt@trade") as socket, httpx.AsyncClient() as client:
        await client.post(f"{venue.url}/control/faults", json={"kind": "shutdown", "after_s": 0.2})
        event = await _next(socket)
        assert event["e"] == "serverShutdown"
        assert isinstance(event["E"], int)
        assert (await _closed(socket)).reason.code == 1001


async def test_a_legacy_listen_key_is_a_raw_stream_of_user_events() -> None:
    async with running_venue(server_config(listen_key_legacy=True)) as venue:
        async with httpx.AsyncClient(headers={"X-MBX-APIKEY": venue.hmac.api_key}) as client:
            key = (await client.post(f"{venue.url}/api/v3/userDataStream")).json()["listenKey"]
        async with _open(venue, f"/ws/{key}") as socket:
            await _trade(venue)
            kinds = [(await _next(socket))["e"] for _ in range(2)]
            assert "executionReport" in kinds
