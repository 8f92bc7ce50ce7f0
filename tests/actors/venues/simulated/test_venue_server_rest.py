"""REST of the simulated venue over real sockets: routes, signatures, errors, headers, limits."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from actors.venues.simulated.config import RateLimitConfig
from actors.venues.simulated.limits import BanConfig
from actors.venues.simulated.methods import ROUTES
from tests.actors.venues.simulated.venue_fixture import (
    LocalVenue,
    now_ms,
    running_venue,
    server_config,
    sign,
    signed_query,
)

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
RESTING = {**LIMIT, "quantity": "0.001", "price": "59000.00"}


@pytest.fixture
async def client(venue: LocalVenue) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=venue.url, headers={"X-MBX-APIKEY": venue.hmac.api_key}) as client:
        yield client


async def _order(client: httpx.AsyncClient, venue: LocalVenue, **params: object) -> httpx.Response:
    query = signed_query(venue.hmac, **{**RESTING, **params})
    return await client.post(f"/api/v3/order?{query}")


async def test_public_requests_need_no_key(venue: LocalVenue) -> None:
    async with httpx.AsyncClient(base_url=venue.url) as client:
        assert (await client.get("/api/v3/ping")).json() == {}
        served = (await client.get("/api/v3/time")).json()["serverTime"]
        assert abs(served - now_ms()) < 1000
        book = (await client.get("/api/v3/depth?symbol=BTCUSDT&limit=5")).json()
        assert book["bids"][0] == ["59999.99000000", "1.00000000"]
        assert book["asks"][0] == ["60000.01000000", "1.00000000"]


async def test_exchange_info_can_be_narrowed_and_states_the_limits(client: httpx.AsyncClient) -> None:
    info = (await client.get("/api/v3/exchangeInfo")).json()
    assert {row["symbol"] for row in info["symbols"]} >= {"BTCUSDT", "ETHBTC"}
    weights = [row for row in info["rateLimits"] if row["rateLimitType"] == "REQUEST_WEIGHT"]
    assert weights == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    ]
    one = (await client.get("/api/v3/exchangeInfo?symbol=ETHBTC")).json()
    assert [row["symbol"] for row in one["symbols"]] == ["ETHBTC"]
    two = (await client.get("/api/v3/exchangeInfo", params={"symbols": '["BTCUSDT","ETHBTC"]'})).json()
    assert {row["symbol"] for row in two["symbols"]} == {"BTCUSDT", "ETHBTC"}
    unknown = await client.get("/api/v3/exchangeInfo?symbol=NOSUCH")
    assert (unknown.status_code, unknown.json()["code"]) == (400, -1121)


async def test_every_route_answers_or_refuses_in_the_venues_own_words(
    venue: LocalVenue, client: httpx.AsyncClient
) -> None:
    for verb, path in ROUTES:
        if path == "/api/v3/userDataStream":
            continue
        response = await client.request(verb, f"{path}?{signed_query(venue.hmac, symbol='BTCUSDT')}")
        assert response.status_code in (200, 400), (verb, path, response.text)
        if response.status_code == 400:
            assert set(response.json()) >= {"code", "msg"}, (verb, path)


async def test_what_is_no_endpoint_is_404_405_or_410(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v3/nothing")).status_code == 404
    assert (await client.delete("/api/v3/ping")).status_code == 405
    for verb in ("POST", "PUT", "DELETE"):
        assert (await client.request(verb, "/api/v3/userDataStream")).status_code == 410


@pytest.mark.parametrize("kind", ["hmac", "ed25519", "rsa"])
async def test_each_kind_of_key_places_an_order(venue: LocalVenue, kind: str) -> None:
    key = getattr(venue, kind)
    headers = {"X-MBX-APIKEY": key.api_key}
    query = "&".join(f"{k}={v}" for k, v in {**RESTING, "timestamp": now_ms()}.items())
    if kind == "rsa":
        private = load_pem_private_key(key.client_secret.encode(), None)
        assert isinstance(private, RSAPrivateKey)
        raw = base64.b64encode(private.sign(query.encode(), PKCS1v15(), hashes.SHA256())).decode()
    else:
        raw = sign(key, query)
    async with httpx.AsyncClient(base_url=venue.url, headers=headers) as client:
        response = await client.post(f"/api/v3/order?{query}&signature={quote(raw, safe='')}")
        assert response.status_code == 200, response.text
        assert response.json()["status"] == "NEW"


async def test_parameters_may_come_in_the_query_the_body_or_mixed(
    venue: LocalVenue, client: httpx.AsyncClient
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = signed_query(venue.hmac, **RESTING)
    assert (await client.post("/api/v3/order", content=body, headers=form)).status_code == 200
    query, rest = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
        f"quantity=0.001&price=59000.00&timestamp={now_ms()}",
    )
    rest += f"&signature={sign(venue.hmac, query + rest)}"
    mixed = await client.post(f"/api/v3/order?{query}", content=rest, headers=form)
    assert mixed.status_code == 200, mixed.text


async def test_the_query_counts_where_query_and_body_name_the_same(
    venue: LocalVenue, client: httpx.AsyncClient
) -> None:
    query = "&".join(f"{k}={v}" for k, v in {**RESTING, "timestamp": now_ms()}.items())
    body = f"price=58000.00&signature={sign(venue.hmac, query + 'price=58000.00')}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await client.post(f"/api/v3/order?{query}", content=body, headers=form)
    assert response.json()["price"] == "59000.00000000"


async def test_an_order_lives_its_life_over_rest(venue: LocalVenue, client: httpx.AsyncClient) -> None:
    placed = (await _order(client, venue, newClientOrderId="first")).json()
    asked = await client.get(
        f"/api/v3/order?{signed_query(venue.hmac, symbol='BTCUSDT', origClientOrderId='first')}"
    )
    assert asked.json()["orderId"] == placed["orderId"]
    assert asked.json()["status"] == "NEW"
    listed = (await client.get(f"/api/v3/openOrders?{signed_query(venue.hmac)}")).json()
    assert [row["clientOrderId"] for row in listed] == ["first"]
    gone = await client.delete(
        f"/api/v3/order?{signed_query(venue.hmac, symbol='BTCUSDT', orderId=placed['orderId'])}"
    )
    assert gone.json()["status"] == "CANCELED"
    assert (await client.get(f"/api/v3/openOrders?{signed_query(venue.hmac)}")).json() == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"timestamp": now_ms() - 3_600_000}, 400, -1021),
        ({"timestamp": now_ms() + 3_600_000}, 400, -1021),
        ({"recvWindow": "60001"}, 400, -1131),
        ({"symbol": "NOSUCH"}, 400, -1121),
        ({"side": ""}, 400, -1105),
        ({"price": "59000.001"}, 400, -1013),
    ],
)
async def test_a_bad_request_gets_its_documented_code(
    venue: LocalVenue, client: httpx.AsyncClient, change: dict[str, object], status: int, code: int
) -> None:
    response = await _order(client, venue, **change)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


async def test_bad_keys_and_signatures_get_their_documented_codes(venue: LocalVenue) -> None:
    good = signed_query(venue.hmac, **RESTING)
    cases = [
        (venue.hmac.api_key, good[:-1] + ("0" if good[-1] != "0" else "1"), 400, -1022),
        (venue.hmac.api_key, good.replace("BUY", "SELL"), 400, -1022),
        (venue.hmac.api_key, good.partition("&signature=")[0], 400, -1102),
        (venue.hmac.api_key, "symbol=BTCUSDT&signature=00", 400, -1102),
        ("short", good, 401, -2014),
        ("z" * 64, good, 401, -2015),
        (venue.read_only.api_key, signed_query(venue.read_only, **RESTING), 401, -2015),
        (venue.hmac.api_key, good + "&side=SELL", 400, -1101),
    ]
    async with httpx.AsyncClient(base_url=venue.url) as client:
        for api_key, query, status, code in cases:
            response = await client.post(f"/api/v3/order?{query}", headers={"X-MBX-APIKEY": api_key})
            assert (response.status_code, response.json()["code"]) == (status, code), (query, response.text)
        assert (await client.post(f"/api/v3/order?{good}")).json()["code"] == -2014
    assert venue.summary()["accounts"]["desk"]["orders"] in ({}, 0)  # type: ignore[index]


async def test_every_answer_tells_the_weight_and_an_order_the_order_count(
    venue: LocalVenue, client: httpx.AsyncClient
) -> None:
    used = [
        int((await client.get(path)).headers["x-mbx-used-weight-1m"])
        for path in ("/api/v3/ping", "/api/v3/depth?symbol=BTCUSDT&limit=5000", "/api/v3/exchangeInfo")
    ]
    # A minute may begin between two of them; then the later ones start from zero.
    assert used in ([1, 251, 271], [1, 251, 20], [1, 250, 270])
    placed = await _order(client, venue)
    assert placed.headers["x-mbx-order-count-1d"] == "1"
    assert placed.headers["x-mbx-order-count-10s"] == "1"
    counts = (await client.get(f"/api/v3/rateLimit/order?{signed_query(venue.hmac)}")).json()
    assert [(row["interval"], row["limit"]) for row in counts] == [("SECOND", 100), ("DAY", 200000)]
    assert counts[1]["count"] == 1


async def test_429_says_when_to_come_back_and_ignoring_it_leads_to_418() -> None:
    rates = RateLimitConfig(request_weight_1m=60)
    config = server_config(venue={"rate_limits": rates}, ban=BanConfig(after_429s=3, first_s=90))
    async with running_venue(config) as venue, httpx.AsyncClient(base_url=venue.url) as client:
        statuses, last = [], None
        for _ in range(12):
            last = await client.get("/api/v3/exchangeInfo")
            statuses.append(last.status_code)
            if last.status_code == 429:
                assert 1 <= int(last.headers["retry-after"]) <= 60
                assert last.json()["code"] == -1003
            if last.status_code == 418:
                break
        assert last is not None
        assert statuses[-4:] == [429, 429, 429, 418]
        assert 80 <= int(last.headers["retry-after"]) <= 90
        assert last.json()["msg"].startswith("Way too much request weight used; IP banned until ")
        # Whatever is asked now is refused and remembered, streams and the websocket API included.
        assert (await client.get("/api/v3/ping")).status_code == 418
        assert venue.server.limits.requests_during_ban == 1


async def test_too_many_unfilled_orders_are_1015_and_fills_give_them_back() -> None:
    config = server_config(venue={"rate_limits": RateLimitConfig(orders_10s=1000, orders_1d=2)})
    async with running_venue(config) as venue:
        headers = {"X-MBX-APIKEY": venue.hmac.api_key}
        async with httpx.AsyncClient(base_url=venue.url, headers=headers) as client:
            for _ in range(2):
                assert (await _order(client, venue)).status_code == 200
            refused = await _order(client, venue)
            assert (refused.status_code, refused.json()["code"]) == (429, -1015)
            assert "retry-after" not in refused.headers, "documented for the weight, not for this count"
            venue.server.limits.count_orders("desk", -1, venue.running.clock.now_us())
            taking = await _order(client, venue, price="60001.00")
            assert taking.json()["status"] == "FILLED"
            # It traded at once, so it does not count: one unfilled order is left.
            assert venue.server.limits.order_counts("desk", venue.running.clock.now_us())[1] == 1


async def test_the_wallets_questions_of_starting_clients_are_answered(
    venue: LocalVenue, client: httpx.AsyncClient
) -> None:
    coins = (await client.get(f"/sapi/v1/capital/config/getall?{signed_query(venue.hmac)}")).json()
    assert {row["coin"] for row in coins} == {"BTC", "ETH", "BNB", "USDT"}
    may = (await client.get(f"/sapi/v1/account/apiRestrictions?{signed_query(venue.hmac)}")).json()
    assert may["enableSpotAndMarginTrading"] is True
    assert may["enableWithdrawals"] is False
    assert (await client.get("/sapi/v1/system/status")).json() == {"status": 0, "msg": "normal"}
    fees = await client.get(f"/sapi/v1/asset/tradeFee?{signed_query(venue.hmac, symbol='BTCUSDT')}")
    assert fees.json() == [{"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}]


async def test_listen_keys_live_only_where_they_are_asked_for() -> None:
    async with running_venue(server_config(listen_key_legacy=True)) as venue:
        headers = {"X-MBX-APIKEY": venue.hmac.api_key}
        async with httpx.AsyncClient(base_url=venue.url, headers=headers) as client:
            first = (await client.post("/api/v3/userDataStream")).json()["listenKey"]
            assert (await client.post("/api/v3/userDataStream")).json()["listenKey"] == first
            path = f"/api/v3/userDataStream?listenKey={first}"
            assert (await client.put(path)).json() == {}
            assert (await client.delete(path)).json() == {}
            assert (await client.put(path)).json()["code"] == -1125
