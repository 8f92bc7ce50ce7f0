"""Faults asked of the simulated venue from outside: each does what it says, and the record tells of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from actors.venues.simulated.logbook import Logbook
from tests.actors.venues.simulated.venue_fixture import (
    LocalVenue,
    as_json,
    now_ms,
    running_venue,
    server_config,
    signed_params,
    signed_query,
)

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "59000.00",
}
TAKING = {**RESTING, "price": "60001.00"}


class Client:
    """A desk's view of the venue, and the hand that breaks it."""

    def __init__(self, venue: LocalVenue, http: httpx.AsyncClient) -> None:
        self.venue = venue
        self.http = http

    async def fault(self, kind: str, **fields: object) -> int:
        response = await self.http.post("/control/faults", json={"kind": kind, **fields})
        assert response.status_code == 200, response.text
        number = response.json()["id"]
        assert isinstance(number, int)
        return number

    async def place(self, **params: object) -> httpx.Response:
        query = signed_query(self.venue.hmac, **{**RESTING, **params})
        return await self.http.post(f"/api/v3/order?{query}")

    async def status(self, client_id: str) -> httpx.Response:
        query = signed_query(self.venue.hmac, symbol="BTCUSDT", origClientOrderId=client_id)
        return await self.http.get(f"/api/v3/order?{query}")

    async def get(self, path: str) -> dict[str, object]:
        return as_json((await self.http.get(path)).content)


@pytest.fixture
async def client(venue: LocalVenue) -> AsyncIterator[Client]:
    headers = {"X-MBX-APIKEY": venue.hmac.api_key}
    async with httpx.AsyncClient(base_url=venue.url, headers=headers, timeout=5) as http:
        yield Client(venue, http)


async def _next(socket: WebSocketConnection, kind: str) -> dict[str, object]:
    """The next event of that kind, user events unwrapped."""
    with trio.fail_after(5):
        while True:
            message = as_json(await socket.get_message())
            event = message.get("event", message)
            assert isinstance(event, dict)
            if event.get("e") == kind:
                return event


async def _user_stream(venue: LocalVenue, socket: WebSocketConnection) -> None:
    params = signed_params(venue.hmac)
    frame = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
    await socket.send_message(msgspec.json.encode(frame).decode())
    with trio.fail_after(5):
        assert as_json(await socket.get_message())["status"] == 200


async def test_latency_before_matching_makes_a_late_order_fail_its_deadline(client: Client) -> None:
    await client.fault("latency", match="order.place", min_s=0.15)
    started = time.monotonic()
    late = await client.place(recvWindow="100", newClientOrderId="late")
    assert time.monotonic() - started >= 0.15
    assert (late.status_code, late.json()["code"]) == (400, -1021)
    assert (await client.status("late")).json()["code"] == -2013
    assert (await client.place(recvWindow="5000")).status_code == 200


async def test_latency_after_matching_delays_the_answer_not_the_order(
    venue: LocalVenue, client: Client
) -> None:
    await client.fault("latency", match="order.place", min_s=0.2, when="after")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: client.place(newClientOrderId="early"))
        await trio.sleep(0.1)
        assert (await client.status("early")).json()["status"] == "NEW"


async def test_delayed_requests_of_one_connection_overtake_each_other(
    venue: LocalVenue, client: Client
) -> None:
    await client.fault("latency", match="order.test", min_s=0.2, count=1)
    async with open_websocket_url(f"{venue.ws_url}/ws-api/v3") as socket:
        for number in (1, 2):
            frame = {"id": number, "method": "order.test", "params": signed_params(venue.hmac, **RESTING)}
            await socket.send_message(msgspec.json.encode(frame).decode())
        assert [as_json(await socket.get_message())["id"] for _ in range(2)] == [2, 1]


async def test_an_order_that_was_read_is_carried_out_though_its_client_is_gone(
    venue: LocalVenue, client: Client
) -> None:
    await client.fault("latency", match="order.place", min_s=0.2, count=1)
    async with open_websocket_url(f"{venue.ws_url}/ws-api/v3") as socket:
        params = signed_params(venue.hmac, **RESTING, newClientOrderId="orphan")
        frame = {"id": 1, "method": "order.place", "params": params}
        await socket.send_message(msgspec.json.encode(frame).decode())
        await trio.sleep(0.05)
    assert (await client.status("orphan")).json()["code"] == -2013
    await trio.sleep(0.3)
    assert (await client.status("orphan")).json()["status"] == "NEW"


@pytest.mark.parametrize(("execute", "known"), [(True, "NEW"), (False, None)])
async def test_a_dropped_request_ends_the_connection_and_may_have_taken_effect(
    client: Client, execute: bool, known: str | None
) -> None:
    await client.fault("drop", match="order.place", count=1, execute=execute)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.place(newClientOrderId="dropped")
    assert (await client.status("dropped")).json().get("status") == known
    assert client.venue.server.logbook.counts["unanswered"] == 1


@pytest.mark.parametrize(("status", "code"), [(504, -1007), (503, -1006), (500, -1000), (503, -1008)])
async def test_a_5xx_leaves_the_outcome_unknown(client: Client, status: int, code: int) -> None:
    await client.fault("server_error", match="order.place", count=1, status=status, code=code, execute=True)
    answer = await client.place(newClientOrderId="unknown")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.status("unknown")).json()["status"] == "NEW"
    assert (await client.place()).status_code == 200


async def test_an_accepted_order_may_never_be_answered(venue: LocalVenue, client: Client) -> None:
    await client.fault("no_answer", match="order.place", count=2)
    with pytest.raises(httpx.ReadTimeout):
        await client.http.post(
            f"/api/v3/order?{signed_query(venue.hmac, **RESTING, newClientOrderId='silent')}", timeout=0.2
        )
    assert (await client.status("silent")).json()["status"] == "NEW"
    async with open_websocket_url(f"{venue.ws_url}/ws-api/v3") as socket:
        for number, method in ((1, "order.place"), (2, "order.test")):
            frame = {"id": number, "method": method, "params": signed_params(venue.hmac, **RESTING)}
            await socket.send_message(msgspec.json.encode(frame).decode())
        # The connection lives on; only this one answer never comes.
        assert as_json(await socket.get_message())["id"] == 2


async def test_a_query_may_not_know_an_accepted_order_yet(client: Client) -> None:
    number = await client.fault("hide_orders", for_s=30)
    assert (await client.place(newClientOrderId="hidden")).status_code == 200
    assert (await client.status("hidden")).json()["code"] == -2013
    await client.http.delete(f"/control/faults/{number}")
    assert (await client.status("hidden")).json()["status"] == "NEW"


async def test_fills_may_come_twice_or_late(venue: LocalVenue, client: Client) -> None:
    async with open_websocket_url(f"{venue.ws_url}/ws-api/v3") as socket:
        await _user_stream(venue, socket)
        await client.fault("duplicate_fills", count=1)
        await client.place(**TAKING)
        reports = []
        while len(reports) < 2:
            report = await _next(socket, "executionReport")
            reports += [report] if report["x"] == "TRADE" else []
        assert reports[0] == reports[1]
        await client.fault("late_fills", delay_s=0.3, for_s=5)
        started = trio.current_time()
        answer = await client.place(**TAKING)
        assert answer.json()["status"] == "FILLED"
        while (await _next(socket, "executionReport"))["x"] != "TRADE":
            pass
        assert trio.current_time() - started >= 0.3
    record = venue.record()
    assert len([f for f in record["fills"] if f["account"] == "desk"]) == 2  # type: ignore[index,attr-defined]


async def test_a_sequence_gap_is_seen_on_the_fast_and_on_the_slow_stream(
    venue: LocalVenue, client: Client
) -> None:
    streams = "/stream?streams=btcusdt@depth@100ms/btcusdt@depth"
    async with open_websocket_url(venue.ws_url + streams) as socket:
        events: dict[str, list[dict[str, int]]] = {"btcusdt@depth@100ms": [], "btcusdt@depth": []}
        for turn in range(3):
            if turn == 1:
                await client.fault("sequence_gap", symbol="BTCUSDT", count=1)
            await client.place(**TAKING)
            await trio.sleep(0.25)
        with trio.move_on_after(1.5):
            while True:
                message = as_json(await socket.get_message())
                events[str(message["stream"])].append(message["data"])  # type: ignore[arg-type]
    for name, seen in events.items():
        joined = [later["U"] == earlier["u"] + 1 for earlier, later in itertools.pairwise(seen)]
        assert joined.count(False) == 1, (name, seen)


async def test_a_stale_book_is_silent_while_trades_go_on(venue: LocalVenue, client: Client) -> None:
    async with open_websocket_url(venue.ws_url + "/ws/btcusdt@depth@100ms/btcusdt@trade") as socket:
        await client.fault("stale_book", for_s=30)
        await client.place(**TAKING)
        kinds = set()
        with trio.move_on_after(0.4):
            while True:
                kinds.add(as_json(await socket.get_message())["e"])
        assert kinds == {"trade"}


async def test_without_ticks_an_open_socket_is_silent(venue: LocalVenue, client: Client) -> None:
    async with open_websocket_url(venue.ws_url + "/ws/btcusdt@depth@100ms/btcusdt@trade") as socket:
        await client.fault("no_ticks", for_s=30)
        await client.place(**TAKING)
        with trio.move_on_after(0.4) as waited:
            await socket.get_message()
        assert waited.cancelled_caught


async def test_a_poisoned_frame_arrives_as_it_was_asked_for(venue: LocalVenue, client: Client) -> None:
    async with open_websocket_url(venue.ws_url + "/ws/btcusdt@trade") as socket:
        await client.fault("poison", symbol="BTCUSDT", stream="trade", raw='{"e":"trade","p":NaN')
        with trio.fail_after(5):
            assert await socket.get_message() == '{"e":"trade","p":NaN'


async def test_stream_latency_delays_what_is_sent(venue: LocalVenue, client: Client) -> None:
    await client.fault("latency", match="stream:btcusdt@trade", min_s=0.3)
    async with open_websocket_url(venue.ws_url + "/ws/btcusdt@trade") as socket:
        started = trio.current_time()
        await client.place(**TAKING)
        await _next(socket, "trade")
        assert trio.current_time() - started >= 0.3


async def test_a_ban_refuses_everything_and_requests_in_it_are_on_record(client: Client) -> None:
    await client.fault("ban", for_s=60)
    answer = await client.place()
    assert (answer.status_code, answer.json()["code"]) == (418, -1003)
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    record = await client.get("/control/record")
    seen = [row for row in record["server"]["requests"] if row["during_ban"]]  # type: ignore[index]
    assert [row["method"] for row in seen] == ["order.place"]
    await client.http.delete("/control/faults")
    assert (await client.place()).status_code == 200


async def test_in_maintenance_requests_are_503_and_the_system_status_says_so(client: Client) -> None:
    number = await client.fault("maintenance", for_s=60)
    for answer in (await client.place(), await client.http.get("/api/v3/ping")):
        assert (answer.status_code, answer.json()["code"]) == (503, -1016)
    assert (await client.get("/sapi/v1/system/status"))["status"] == 1
    await client.http.delete(f"/control/faults/{number}")
    assert (await client.place()).status_code == 200


@pytest.mark.parametrize("offset_ms", [30_000, -30_000])
async def test_a_wrong_clock_is_told_and_judged_by(client: Client, offset_ms: int) -> None:
    number = await client.fault("wrong_clock", offset_ms=offset_ms)
    served = (await client.get("/api/v3/time"))["serverTime"]
    assert isinstance(served, int)
    assert abs(served - now_ms() - offset_ms) < 1000
    assert (await client.place()).json()["code"] == -1021
    assert (await client.place(timestamp=now_ms() + offset_ms)).status_code == 200
    await client.http.delete(f"/control/faults/{number}")
    assert (await client.place()).status_code == 200


@pytest.mark.parametrize(("scope", "survivors"), [("all", 0), ("streams", 1), ("ws-api", 1)])
async def test_sockets_are_cut_by_kind(venue: LocalVenue, client: Client, scope: str, survivors: int) -> None:
    async with (
        open_websocket_url(venue.ws_url + "/ws/btcusdt@trade") as stream,
        open_websocket_url(venue.ws_url + "/ws-api/v3") as api,
    ):
        await client.fault("disconnect", scope=scope)
        cut = []
        for socket in (stream, api):
            with trio.move_on_after(0.3):
                try:
                    await socket.get_message()
                except ConnectionClosed as closed:
                    cut.append(closed.reason)
        assert 2 - len(cut) == survivors
        assert await client.get("/api/v3/ping") == {}


async def test_an_unreachable_venue_takes_no_new_connection(venue: LocalVenue, client: Client) -> None:
    await client.fault("unreachable", for_s=30)
    # The open connection lives on.
    assert await client.get("/api/v3/ping") == {}
    with pytest.raises(httpx.TransportError):
        async with httpx.AsyncClient() as fresh:
            await fresh.get(f"{venue.url}/api/v3/ping")


async def test_a_pair_can_be_closed_for_new_orders(client: Client) -> None:
    await client.fault("symbol_status", symbol="BTCUSDT", status="CANCEL_ONLY")
    assert (await client.place()).status_code == 400
    await client.fault("symbol_status", symbol="BTCUSDT", status="TRADING")
    assert (await client.place()).status_code == 200


async def test_active_faults_are_listed_and_nonsense_is_refused(client: Client) -> None:
    number = await client.fault("latency", match="order.*", min_s=0.0, for_s=60, count=3)
    await client.place()
    (row,) = msgspec.json.decode((await client.http.get("/control/faults")).content)
    assert (row["id"], row["kind"], row["left"]) == (number, "latency", 2)
    for body in ('{"kind":"latncy"}', '{"kind":"drop","mtach":"*"}', "[]", "not json"):
        refused = await client.http.post("/control/faults", content=body)
        assert refused.status_code == 400
        assert "not a fault" in refused.json()["error"]
    assert (await client.http.delete("/control/faults/999")).status_code == 404
    assert (await client.http.get("/control/nothing")).status_code == 404


async def test_the_control_endpoint_can_ask_for_a_token(tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text("open sesame\n")
    config = server_config(control_token_file=file)
    async with running_venue(config) as venue, httpx.AsyncClient(base_url=venue.url) as http:
        assert (await http.get("/control/summary")).status_code == 401
        headers = {"authorization": "Bearer open sesame"}
        assert (await http.get("/control/summary", headers=headers)).status_code == 200


async def test_the_record_agrees_with_what_clients_were_told_and_holds_no_secret(
    venue: LocalVenue, client: Client
) -> None:
    filled = (await client.place(**TAKING)).json()
    await client.place(price="1.234567")
    text = (await client.http.get("/control/record")).text
    record = as_json(text)
    fills = [f for f in record["fills"] if f["account"] == "desk"]  # type: ignore[attr-defined]
    assert [f["order_id"] for f in fills] == [filled["orderId"]]
    summary = await client.get("/control/summary")
    assert summary["server"]["by_code"] == {"-1013": 1}  # type: ignore[index]
    assert venue.hmac.client_secret not in text
    assert venue.hmac.api_key not in text
    assert "signature" not in text


def test_the_logbook_leaves_secrets_out() -> None:
    lines: list[bytes] = []
    book = Logbook(10, lines.append)
    params = {"symbol": "BTCUSDT", "signature": "s3cret", "apiKey": "k" * 64, "listenKey": "l1sten"}
    book.request(at_us=1, ip="x", transport="rest", method="order.place", params=params, status=200)
    for text in (str(book.export()), lines[0].decode()):
        assert "BTCUSDT" in text
        assert not any(secret in text for secret in ("s3cret", "l1sten", "k" * 5))


async def test_the_record_file_survives_and_is_bounded(tmp_path) -> None:
    path = tmp_path / "seen.jsonl"
    config = server_config(record_file=path, record_file_bytes_max=2000)
    async with running_venue(config) as venue, httpx.AsyncClient(base_url=venue.url) as http:
        await http.get("/api/v3/time")
        rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
        assert [(row["what"], row["method"]) for row in rows] == [("request", "time")]
        for _ in range(50):
            await http.get("/api/v3/ping")
    assert path.stat().st_size <= 2100
    assert msgspec.json.decode(path.read_bytes().splitlines()[-1]) == {"what": "full"}
