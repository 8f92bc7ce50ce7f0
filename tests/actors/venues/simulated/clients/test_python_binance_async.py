"""The simulated venue through python-binance on asyncio: streams, books, user data, the websocket API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.venues.simulated.config import GeneratedConfig, VenueConfig
from tests.actors.venues.simulated.clients.clients_fixture import (
    OCO,
    ORDERS_REFUSED,
    RESTING,
)
from tests.actors.venues.simulated.clients.python_binance_fixture import urls
from tests.actors.venues.simulated.venue_fixture import (
    LocalVenue,
    VenueThread,
    server_config,
    write_private_key,
)

binance = pytest.importorskip("binance", reason="python-binance is not installed")
exceptions = pytest.importorskip("binance.exceptions", reason="python-binance is not installed")

pytestmark = [
    pytest.mark.clients,
    # It builds on the old half of websockets, and asks for an event loop where none runs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
]


@asynccontextmanager
async def _async_client(venue: LocalVenue, key: Any = None, **options: Any) -> AsyncIterator[Any]:
    key = key or venue.hmac
    client = await type("Client", (binance.AsyncClient,), urls(venue)).create(
        key.api_key, key.client_secret, **options
    )
    try:
        yield client
    finally:
        await _end(venue, "ws-api", client.close_connection())


@asynccontextmanager
async def _listening(venue: LocalVenue, socket: Any) -> AsyncIterator[Any]:
    await socket.__aenter__()
    try:
        yield socket
    finally:
        await _end(venue, "streams", socket.__aexit__(None, None, None))


async def _end(venue: LocalVenue, scope: str, closing: Coroutine[Any, Any, None]) -> None:
    """Close; the client would wait 10 s for one more message before it does, so the venue hangs up."""
    task = asyncio.ensure_future(closing)
    done, _ = await asyncio.wait([task], timeout=0.05)
    if not done:
        async with httpx.AsyncClient() as http:
            fault = {"kind": "disconnect", "scope": scope}
            (await http.post(f"{venue.url}/control/faults", json=fault)).raise_for_status()
    await task


def _sockets(venue: LocalVenue, client: Any) -> Any:
    manager = type("Sockets", (binance.BinanceSocketManager,), {"STREAM_URL": f"{venue.ws_url}/"})
    return manager(client, max_queue_size=10_000)


def test_a_depth_cache_equals_the_snapshot_of_the_same_update_id() -> None:
    busy = GeneratedConfig(regime="violent", levels=100, depth_per_s=20, warmup_minutes=5)
    config = server_config(venue={"generated": busy, "symbols": VenueConfig().symbols[:1]})
    kept: dict[int, Any] = {}
    snapshots: dict[int, Any] = {}

    async def main(venue: LocalVenue) -> None:
        async with _async_client(venue) as client, asyncio.timeout(15):
            cache = binance.DepthCacheManager(
                client, "BTCUSDT", bm=_sockets(venue, client), limit=1000, ws_interval=100
            )
            async with _listening(venue, cache):

                async def watch() -> None:
                    while True:
                        book = await cache.recv()
                        kept[cache._last_update_id] = (book.get_bids()[:50], book.get_asks()[:50])

                watching = asyncio.create_task(watch())
                for _ in range(400):
                    raw = await client.get_order_book(symbol="BTCUSDT", limit=100)
                    sides = ([[float(p), float(q)] for p, q in raw[side][:50]] for side in ("bids", "asks"))
                    snapshots[raw["lastUpdateId"]] = tuple(sides)
                    if len(kept.keys() & snapshots.keys()) >= 5 and len(kept) >= 10:
                        break
                    await asyncio.sleep(0.02)
                watching.cancel()

    with VenueThread(config, generated=True) as venue:
        asyncio.run(main(venue))
    common = kept.keys() & snapshots.keys()
    assert len(common) >= 5
    for update_id in common:
        assert kept[update_id] == snapshots[update_id]


def test_combined_streams_bring_each_trade_once_under_its_name(venue_thread: LocalVenue) -> None:
    names = [
        "btcusdt@trade",
        "btcusdt@aggTrade",
        "btcusdt@bookTicker",
        "btcusdt@depth@100ms",
        "btcusdt@kline_1m",
    ]

    async def main() -> None:
        async with _async_client(venue_thread) as client, asyncio.timeout(15):
            socket = _sockets(venue_thread, client).multiplex_socket(names)
            async with _listening(venue_thread, socket):
                order = await client.order_market_buy(symbol="BTCUSDT", quantity="1.5")
                seen: dict[str, list[Any]] = {name: [] for name in names}
                while not all(seen.values()):
                    message = await socket.recv()
                    seen[message["stream"]].append(message["data"])
        trades, folded, tops, depths, candles = seen.values()
        assert [trade["t"] for trade in trades] == [fill["tradeId"] for fill in order["fills"]]
        assert [(trade["p"], trade["q"], trade["m"]) for trade in trades] == [
            ("60000.01000000", "1.00000000", False),
            ("60000.02000000", "0.50000000", False),
        ]
        # One aggTrade for each price of the taker.
        assert [(agg["f"], agg["l"]) for agg in folded] == [(trade["t"], trade["t"]) for trade in trades]
        assert (tops[-1]["a"], tops[-1]["A"]) == ("60000.02000000", "0.50000000")
        change = depths[0]
        assert ["60000.01000000", "0.00000000"] in change["a"]
        assert ["60000.02000000", "0.50000000"] in change["a"]
        assert change["U"] <= change["u"]
        candle = candles[-1]["k"]
        assert (candle["i"], candle["c"], candle["v"], candle["n"]) == (
            "1m",
            "60000.02000000",
            "1.50000000",
            2,
        )
        assert (candle["f"], candle["L"]) == (trades[0]["t"], trades[-1]["t"])

    asyncio.run(main())


def test_the_user_socket_tells_each_step_of_an_order(venue_thread: LocalVenue) -> None:
    async def main() -> None:
        async with _async_client(venue_thread) as client, asyncio.timeout(15):
            socket = _sockets(venue_thread, client).user_socket()
            async with socket:
                order = await client.order_limit_sell(
                    symbol="BTCUSDT", quantity="0.2", price="60000.00", newClientOrderId="mine"
                )
                async with _async_client(venue_thread, venue_thread.other) as other:
                    await other.order_limit_buy(symbol="BTCUSDT", quantity="0.15", price="60000.00")
                await client.cancel_order(
                    symbol="BTCUSDT", orderId=order["orderId"], newClientOrderId="stop-it"
                )
                reports: list[Any] = []
                positions: list[Any] = []
                while not reports or reports[-1]["x"] != "CANCELED" or len(positions) < 3:
                    event = await socket.recv()
                    (reports if event["e"] == "executionReport" else positions).append(event)
        assert [(r["x"], r["X"], r["z"]) for r in reports] == [
            ("NEW", "NEW", "0.00000000"),
            ("TRADE", "PARTIALLY_FILLED", "0.15000000"),
            ("CANCELED", "CANCELED", "0.15000000"),
        ]
        new, fill, cancel = reports
        assert (new["c"], new["i"], new["w"], new["S"], new["o"]) == (
            "mine",
            order["orderId"],
            True,
            "SELL",
            "LIMIT",
        )
        assert (fill["L"], fill["l"], fill["m"]) == ("60000.00000000", "0.15000000", True)
        assert (fill["n"], fill["N"], fill["Y"]) == ("9.00000000", "USDT", "9000.00000000")
        assert (cancel["c"], cancel["C"]) == ("stop-it", "mine")
        assert all(event["e"] == "outboundAccountPosition" for event in positions)
        last = {row["a"]: (row["f"], row["l"]) for row in positions[-1]["B"]}
        assert last["BTC"] == ("9.85000000", "0.00000000")

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
def test_orders_go_over_the_websocket_api(venue_thread: LocalVenue, kind: str, tmp_path: Path) -> None:
    key = getattr(venue_thread, kind)
    options = {"private_key": write_private_key(key, tmp_path)} if kind == "ed25519" else {}

    async def main() -> None:
        async with _async_client(venue_thread, key, **options) as client, asyncio.timeout(15):
            assert await client.ws_ping() == {}
            order = await client.ws_create_order(**RESTING)
            assert order["status"] == "NEW"
            found = await client.ws_get_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert found["price"] == "59000.00000000"
            assert len(await client.ws_get_open_orders(symbol="BTCUSDT")) == 1
            balances = (await client.ws_get_account())["balances"]
            assert [row["locked"] for row in balances if row["asset"] == "USDT"] == ["59.00000000"]
            gone = await client.ws_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            placed = await client.ws_create_oco_order(**OCO)
            assert placed["listOrderStatus"] == "EXECUTING"
            assert len(await client.ws_cancel_all_open_orders(symbol="BTCUSDT")) == 1, "one list"
            book = await client.ws_get_order_book(symbol="BTCUSDT", limit=5)
            assert book["asks"][0] == ["60000.01000000", "1.00000000"]

    asyncio.run(main())


def test_the_websocket_api_refuses_with_the_same_codes(venue_thread: LocalVenue) -> None:
    async def main() -> None:
        async with _async_client(venue_thread) as client, asyncio.timeout(20):
            for refusal in ORDERS_REFUSED.values():
                with pytest.raises(exceptions.BinanceAPIException) as error:
                    await client.ws_create_order(**refusal.params())
                assert (error.value.status_code, error.value.code) == (400, refusal.code)
                assert error.value.message.startswith(refusal.message)
            for code, ask in (
                (-2013, client.ws_get_order(symbol="BTCUSDT", orderId=1)),
                (-2011, client.ws_cancel_order(symbol="BTCUSDT", orderId=1)),
                (-1121, client.ws_get_order_book(symbol="NOSUCH")),
            ):
                with pytest.raises(exceptions.BinanceAPIException) as error:
                    await ask
                assert error.value.code == code
            assert await client.ws_get_open_orders() == []
            client.API_SECRET = "wrong"
            with pytest.raises(exceptions.BinanceAPIException) as error:
                await client.ws_get_account()
            assert error.value.code == -1022

    asyncio.run(main())
