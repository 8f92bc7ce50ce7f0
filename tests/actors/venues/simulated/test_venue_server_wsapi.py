"""The websocket API of the simulated venue over real sockets: envelopes, logon, orders, user data streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, open_websocket_url

from actors.venues.simulated.config import RateLimitConfig
from actors.venues.simulated.limits import BanConfig
from actors.venues.simulated.server_config import SocketConfig
from tests.actors.venues.simulated.venue_fixture import (
    LocalVenue,
    as_json,
    now_ms,
    running_venue,
    server_config,
    signed_params,
)

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "59000.00",
}


class Api:
    """A client of the websocket API that keeps events apart from answers."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, object]] = []
        self._id = 0

    async def ask(self, method: str, params: dict[str, object] | None = None) -> dict[str, object]:
        self._id += 1
        return await self.say({"id": self._id, "method": method, "params": params or {}})

    async def say(self, frame: str | dict[str, object]) -> dict[str, object]:
        await self.socket.send_message(
            frame if isinstance(frame, str) else msgspec.json.encode(frame).decode()
        )
        with trio.fail_after(5):
            while "event" in (message := as_json(await self.socket.get_message())):
                self.events.append(message)
            return message

    async def event(self) -> dict[str, object]:
        if not self.events:
            with trio.fail_after(5):
                self.events.append(as_json(await self.socket.get_message()))
        return self.events.pop(0)


@asynccontextmanager
async def _open(venue: LocalVenue, query: str = "") -> AsyncIterator[Api]:
    async with open_websocket_url(f"{venue.ws_url}/ws-api/v3{query}") as socket:
        yield Api(socket)


@pytest.fixture
async def api(venue: LocalVenue) -> AsyncIterator[Api]:
    async with _open(venue) as client:
        yield client


def _code(answer: dict[str, object]) -> object:
    error = answer["error"]
    assert isinstance(error, dict)
    return error["code"]


def _result(answer: dict[str, object]) -> dict[str, object]:
    assert answer["status"] == 200, answer
    result = answer["result"]
    assert isinstance(result, dict)
    return result


async def _logon(venue: LocalVenue, api: Api) -> dict[str, object]:
    return _result(await api.ask("session.logon", signed_params(venue.ed25519)))


async def test_an_answer_has_the_requests_id_a_status_and_the_limits(api: Api) -> None:
    assert await api.say({"id": "mine-1", "method": "ping"}) == {
        "id": "mine-1",
        "status": 200,
        "result": {},
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
                # Two for the connection, one for the ping.
                "count": 3,
            }
        ],
    }
    answer = await api.say({"id": None, "method": "v3/time", "params": {"returnRateLimits": False}})
    assert set(answer) == {"id", "status", "result"}
    assert abs(_result(answer)["serverTime"] - now_ms()) < 1000  # type: ignore[operator]


async def test_limits_can_be_hidden_for_the_whole_connection(venue: LocalVenue) -> None:
    async with _open(venue, "?returnRateLimits=false") as api:
        assert "rateLimits" not in await api.ask("ping")
        assert "rateLimits" in await api.ask("ping", {"returnRateLimits": True})


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("{not json", "Invalid JSON Request"),
        ('{"id":1.5,"method":"ping"}', "Invalid 'id' in JSON request"),
        ('{"id":"no spaces allowed","method":"ping"}', "Invalid 'id' in JSON request"),
        ('{"id":1,"method":7}', "Invalid 'method' in JSON request"),
        ('{"id":1,"method":"ping","params":[]}', "Invalid 'params' in JSON request; expected an object."),
    ],
)
async def test_a_frame_that_is_no_request_is_1135(api: Api, frame: str, words: str) -> None:
    answer = await api.say(frame)
    assert (answer["status"], _code(answer)) == (400, -1135)
    assert words in answer["error"]["msg"]  # type: ignore[index]
    assert (await api.ask("ping"))["status"] == 200


async def test_the_third_malformed_frame_ends_the_connection(api: Api) -> None:
    for _ in range(3):
        assert _code(await api.say("nonsense")) == -1135
    with trio.fail_after(5), pytest.raises(ConnectionClosed) as closed:
        await api.socket.get_message()
    assert closed.value.reason.code == 1008


@pytest.mark.parametrize(
    "method", ["order.plaice", "userDataStream.start", "sapi.system.status", "session.begin"]
)
async def test_an_unknown_method_is_refused(api: Api, method: str) -> None:
    answer = await api.ask(method)
    assert (answer["status"], _code(answer)) == (400, -1020)


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_a_signed_request_needs_no_logon(venue: LocalVenue, api: Api, kind: str) -> None:
    placed = await api.ask("order.place", signed_params(getattr(venue, kind), **RESTING))
    assert _result(placed)["status"] == "NEW"
    rows = placed["rateLimits"]
    assert isinstance(rows, list)
    assert [(row["rateLimitType"], row["intervalNum"]) for row in rows] == [
        ("ORDERS", 10),
        ("ORDERS", 1),
        ("REQUEST_WEIGHT", 1),
    ]
    assert rows[1]["count"] == 1


async def test_numbers_are_signed_as_they_are_written(venue: LocalVenue, api: Api) -> None:
    params = signed_params(venue.hmac, **RESTING, recvWindow="5000.250")
    text = msgspec.json.encode({"id": 1, "method": "order.test", "params": params}).decode()
    # The same request with its window as a bare number: the signed text is the number's own.
    answer = await api.say(text.replace('"5000.250"', "5000.250"))
    assert answer["status"] == 200, answer


async def test_bad_keys_and_signatures_get_their_documented_codes(venue: LocalVenue, api: Api) -> None:
    good = signed_params(venue.hmac, **RESTING)
    cases: list[tuple[dict[str, object], int, int]] = [
        ({**good, "price": "1.00"}, 400, -1022),
        ({**good, "apiKey": "z" * 64}, 401, -2015),
        ({**good, "apiKey": "short"}, 401, -2014),
        ({k: v for k, v in good.items() if k != "apiKey"}, 400, -1102),
        ({k: v for k, v in good.items() if k != "signature"}, 400, -1102),
        ({k: v for k, v in good.items() if k != "timestamp"}, 400, -1102),
        (signed_params(venue.hmac, **RESTING, timestamp=now_ms() - 10_000), 400, -1021),
        (signed_params(venue.hmac, **RESTING, timestamp=now_ms() + 10_000), 400, -1021),
        (signed_params(venue.hmac, **RESTING, recvWindow=60_001), 400, -1131),
        (signed_params(venue.read_only, **RESTING), 401, -2015),
    ]
    for params, status, code in cases:
        answer = await api.ask("order.place", params)
        assert (answer["status"], _code(answer)) == (status, code), (params, answer)


async def test_after_a_logon_requests_need_only_a_timestamp(venue: LocalVenue, api: Api) -> None:
    before = _result(await api.ask("session.status"))
    assert (before["apiKey"], before["authorizedSince"]) == (None, None)
    status = await _logon(venue, api)
    assert status["apiKey"] == venue.ed25519.api_key
    assert status["userDataStream"] is False
    placed = _result(await api.ask("order.place", {**RESTING, "timestamp": now_ms()}))
    asked = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "timestamp": now_ms()}
    assert _result(await api.ask("order.status", asked))["status"] == "NEW"
    assert _code(await api.ask("order.place", RESTING)) == -1102
    assert _code(await api.ask("order.place", {**RESTING, "timestamp": now_ms() - 60_000})) == -1021
    # Another key can still speak for itself on the same connection.
    other = await api.ask("order.status", signed_params(venue.other, symbol="BTCUSDT", orderId=1))
    assert _code(other) == -2013
    assert _result(await api.ask("session.logout"))["apiKey"] is None
    assert _code(await api.ask("order.place", {**RESTING, "timestamp": now_ms()})) == -1102


async def test_only_ed25519_keys_log_on(venue: LocalVenue, api: Api) -> None:
    answer = await api.ask("session.logon", signed_params(venue.hmac))
    assert (answer["status"], _code(answer)) == (400, -4056)
    assert answer["error"]["msg"] == "HMAC_SHA256 API key is not supported."  # type: ignore[index]


async def test_a_revoked_key_ends_its_session(venue: LocalVenue, api: Api) -> None:
    await _logon(venue, api)
    venue.server.gate.keys.revoke(venue.ed25519.api_key)
    answer = await api.ask("order.place", {**RESTING, "timestamp": now_ms()})
    assert (answer["status"], _code(answer)) == (401, -2015)


async def test_an_order_lives_its_life_over_the_websocket_api(venue: LocalVenue, api: Api) -> None:
    await _logon(venue, api)

    async def ask(method: str, **params: object) -> object:
        answer = await api.ask(method, {"timestamp": now_ms(), **params})
        assert answer["status"] == 200, answer
        return answer["result"]

    assert await ask("order.test", **RESTING) == {}
    await ask("order.place", **RESTING, newClientOrderId="a")
    replaced = await ask(
        "order.cancelReplace",
        **{**RESTING, "price": "58000.00"},
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrigClientOrderId="a",
        newClientOrderId="b",
    )
    assert isinstance(replaced, dict)
    assert replaced["cancelResult"] == replaced["newOrderResult"] == "SUCCESS"
    amended = await ask("order.amend.keepPriority", symbol="BTCUSDT", origClientOrderId="b", newQty="0.0005")
    assert isinstance(amended, dict)
    open_orders = await ask("openOrders.status", symbol="BTCUSDT")
    assert isinstance(open_orders, list)
    assert [row["origQty"] for row in open_orders] == ["0.00050000"]
    cancelled = await ask("openOrders.cancelAll", symbol="BTCUSDT")
    assert isinstance(cancelled, list)
    assert [row["status"] for row in cancelled] == ["CANCELED"]
    account = await ask("account.status")
    assert isinstance(account, dict)
    assert next(r for r in account["balances"] if r["asset"] == "USDT")["locked"] == "0.00000000"


async def test_a_half_success_of_cancel_replace_is_409_with_both_halves(venue: LocalVenue, api: Api) -> None:
    params = {
        **RESTING,
        "cancelReplaceMode": "ALLOW_FAILURE",
        "cancelOrigClientOrderId": "not-there",
    }
    answer = await api.ask("order.cancelReplace", signed_params(venue.hmac, **params))
    assert (answer["status"], _code(answer)) == (409, -2021)
    data = answer["error"]["data"]  # type: ignore[index]
    assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", "SUCCESS")


async def test_a_logged_on_connection_hears_of_its_account(venue: LocalVenue, api: Api) -> None:
    refused = await api.ask("userDataStream.subscribe")
    assert (refused["status"], _code(refused)) == (401, -1002)
    await _logon(venue, api)
    assert _result(await api.ask("userDataStream.subscribe")) == {"subscriptionId": 0}
    assert _result(await api.ask("session.status"))["userDataStream"] is True
    await api.ask("order.place", {**RESTING, "timestamp": now_ms(), "newClientOrderId": "heard"})
    event = await api.event()
    assert event["subscriptionId"] == 0
    report = event["event"]
    assert isinstance(report, dict)
    assert (report["e"], report["x"], report["c"]) == ("executionReport", "NEW", "heard")
    assert _result(await api.ask("session.logout"))["userDataStream"] is False
    kinds = [e["event"]["e"] for e in api.events]  # type: ignore[index]
    assert kinds[-1] == "eventStreamTerminated"


async def test_hmac_keys_subscribe_by_signature_once_per_account(venue: LocalVenue, api: Api) -> None:
    method = "userDataStream.subscribe.signature"
    assert _result(await api.ask(method, signed_params(venue.hmac))) == {"subscriptionId": 0}
    assert _code(await api.ask(method, signed_params(venue.ed25519))) == -2035
    assert _result(await api.ask(method, signed_params(venue.other))) == {"subscriptionId": 1}
    listed = await api.ask("session.subscriptions")
    assert listed["result"] == [{"subscriptionId": 0}, {"subscriptionId": 1}]
    # Each event goes to the subscription of its own account.
    await api.ask("order.place", signed_params(venue.other, **RESTING))
    assert (await api.event())["subscriptionId"] == 1
    assert _result(await api.ask("userDataStream.unsubscribe", {"subscriptionId": 1})) == {}
    api.events.clear()
    await api.ask("order.place", signed_params(venue.other, **RESTING))
    assert api.events == []
    assert _code(await api.ask("userDataStream.unsubscribe", {"subscriptionId": 1})) == -2036


async def test_fills_of_a_resting_order_are_told_to_both_sides(venue: LocalVenue) -> None:
    async with _open(venue) as mine, _open(venue) as theirs:
        method = "userDataStream.subscribe.signature"
        await mine.ask(method, signed_params(venue.hmac))
        await theirs.ask(method, signed_params(venue.other))
        inside = {**RESTING, "price": "60000.00"}
        await mine.ask("order.place", signed_params(venue.hmac, **inside))
        await theirs.ask("order.place", signed_params(venue.other, **{**inside, "side": "SELL"}))
        for api, maker in ((mine, True), (theirs, False)):
            while True:
                report = (await api.event())["event"]
                assert isinstance(report, dict)
                if report["e"] == "executionReport" and report["x"] == "TRADE":
                    break
            assert (report["L"], report["m"], report["X"]) == ("60000.00000000", maker, "FILLED")


async def test_rest_and_the_websocket_api_share_the_weight_and_a_ban_ends_the_connection() -> None:
    rates = RateLimitConfig(request_weight_1m=50)
    config = server_config(venue={"rate_limits": rates}, ban=BanConfig(after_429s=1))
    async with running_venue(config) as venue:
        async with _open(venue) as api:
            answers = [await api.ask("exchangeInfo") for _ in range(2)]
            while answers[-1]["status"] == 200:
                answers.append(await api.ask("exchangeInfo"))
            warned = answers[-1]
            assert (warned["status"], _code(warned)) == (429, -1003)
            data = warned["error"]["data"]  # type: ignore[index]
            assert data["retryAfter"] > data["serverTime"]
            banned = await api.ask("exchangeInfo")
            assert (banned["status"], _code(banned)) == (418, -1003)
            with trio.fail_after(5), pytest.raises(ConnectionClosed):
                await api.socket.get_message()
        with pytest.raises(HandshakeError):
            async with _open(venue):
                pass


async def test_connection_attempts_are_limited() -> None:
    async with running_venue(server_config(sockets=SocketConfig(connections_5m=2))) as venue:
        for _ in range(2):
            async with _open(venue) as api:
                await api.ask("ping")
        with pytest.raises(HandshakeError):
            async with _open(venue):
                pass
