"""The simulated venue through ccxt.pro on asyncio, unmodified: its books, its user events, its websocket API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.venues.simulated.config import GeneratedConfig, VenueConfig
from tests.actors.venues.simulated.clients.clients_fixture import (
    BEST_ASK,
    FEE,
    MovableClock,
    answered,
    eventually,
    tight_config,
)
from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread, server_config

ccxt = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SYMBOL = "BTC/USDT"
LEVELS = 50


@asynccontextmanager
async def _client(venue: LocalVenue, key: Any = None, **options: object) -> AsyncIterator[Any]:
    key = key or venue.hmac
    urls: dict[str, Any] = dict.fromkeys(("public", "private"), f"{venue.url}/api/v3")
    urls |= {"v1": f"{venue.url}/api/v1", "sapi": f"{venue.url}/sapi/v1"}
    urls["ws"] = {"spot": f"{venue.ws_url}/ws", "ws-api": {"spot": f"{venue.ws_url}/ws-api/v3"}}
    client = ccxt.binance(
        {
            "apiKey": key.api_key,
            "secret": key.client_secret,
            "enableRateLimit": False,
            "urls": {"api": urls},
            "options": {"fetchMarkets": {"types": ["spot"]}, **options},
        }
    )
    try:
        yield client
    finally:
        await client.close()


def _run(venue: LocalVenue, scenario: Callable[[Any], Awaitable[None]], **options: object) -> None:
    async def main() -> None:
        async with _client(venue, **options) as client:
            await client.load_markets()
            async with asyncio.timeout(20):
                await scenario(client)

    asyncio.run(main())


async def _seen(watch: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    """What a watch method brings, until it is what we wait for."""
    async with asyncio.timeout(5):
        while True:
            seen = await watch()
            if wanted(seen):
                return seen


# --- Streams --------------------------------------------------------------------------------------------


def test_a_book_kept_from_the_depth_stream_equals_the_snapshot_of_the_same_update_id() -> None:
    busy = GeneratedConfig(regime="violent", levels=100, depth_per_s=20, warmup_minutes=5)
    config = server_config(venue={"generated": busy, "symbols": VenueConfig().symbols[:1]})

    async def scenario(client: Any) -> None:
        kept: dict[int, tuple[Any, Any]] = {}
        snapshots: dict[int, tuple[Any, Any]] = {}

        def sides(book: Any) -> tuple[Any, Any]:
            return [[*level] for level in book["bids"][:LEVELS]], [
                [*level] for level in book["asks"][:LEVELS]
            ]

        async def watch() -> None:
            while True:
                book = await client.watch_order_book(SYMBOL)
                kept[book["nonce"]] = sides(book)

        watching = asyncio.create_task(watch())
        try:
            async with asyncio.timeout(10):
                while len(kept.keys() & snapshots.keys()) < 5 or len(kept) < 10:
                    book = await client.fetch_order_book(SYMBOL, 100)
                    snapshots[book["nonce"]] = sides(book)
                    await asyncio.sleep(0.02)
        finally:
            watching.cancel()
        for update_id in kept.keys() & snapshots.keys():
            assert kept[update_id] == snapshots[update_id]
        assert all(bids[0][0] < asks[0][0] for bids, asks in kept.values())

    with VenueThread(config, generated=True) as venue:
        _run(venue, scenario)


def test_our_own_orders_come_and_go_on_the_streamed_book(venue_thread: LocalVenue) -> None:
    async def scenario(client: Any) -> None:
        await client.watch_order_book(SYMBOL)
        order = await client.create_order(SYMBOL, "limit", "buy", 0.5, 60000)

        def is_best(book: Any) -> bool:
            return bool(book["bids"][0] == [60000, 0.5])

        await _seen(lambda: client.watch_order_book(SYMBOL), is_best)
        await client.cancel_order(order["id"], SYMBOL)
        book = await _seen(lambda: client.watch_order_book(SYMBOL), lambda book: not is_best(book))
        snapshot = await client.fetch_order_book(SYMBOL, 1000)
        assert book["nonce"] == snapshot["nonce"]
        assert (list(book["bids"]), list(book["asks"])) == (snapshot["bids"], snapshot["asks"])

    _run(venue_thread, scenario)


def test_trades_tops_and_candles_are_streamed(venue_thread: LocalVenue) -> None:
    async def scenario(client: Any) -> None:
        async def trade_now_and_then() -> None:
            while True:
                await asyncio.sleep(0.2)
                await client.create_order(SYMBOL, "market", "buy", 0.001)

        trading = asyncio.create_task(trade_now_and_then())
        try:
            trades, top, candles, ticker = await asyncio.gather(
                client.watch_trades(SYMBOL),
                client.watch_bids_asks([SYMBOL]),
                client.watch_ohlcv(SYMBOL, "1m"),
                client.watch_ticker(SYMBOL),
            )
        finally:
            trading.cancel()
        assert (trades[-1]["price"], trades[-1]["amount"]) == (float(BEST_ASK), 0.001)
        assert trades[-1]["side"] == "buy"
        assert top[SYMBOL]["ask"] == float(BEST_ASK)
        assert (candles[-1][0] % 60_000, candles[-1][4]) == (0, float(BEST_ASK))
        assert ticker["last"] == float(BEST_ASK)

    _run(venue_thread, scenario)


# --- User data ------------------------------------------------------------------------------------------


def test_the_user_stream_tells_an_orders_whole_life(venue_thread: LocalVenue) -> None:
    async def scenario(client: Any) -> None:
        states: list[tuple[str, float]] = []
        trades: list[Any] = []
        balances: list[Any] = []

        async def watch_orders() -> None:
            while True:
                orders = await client.watch_orders(SYMBOL)
                states.extend((order["status"], order["filled"]) for order in orders)

        async def watch_trades() -> None:
            while True:
                trades.extend(await client.watch_my_trades(SYMBOL))

        async def watch_balance() -> None:
            while True:
                balances.append((await client.watch_balance())["BTC"].copy())

        tasks = [asyncio.create_task(watch()) for watch in (watch_orders, watch_trades, watch_balance)]
        # The subscription is a request of its own; only what happens after its answer is told.
        subscribe = "userDataStream.subscribe.signature"
        await eventually(lambda: answered(venue_thread, subscribe) > 0, "subscribed")
        order = await client.create_order(SYMBOL, "limit", "sell", 0.2, 60000)
        async with _client(venue_thread, venue_thread.other) as other:
            await other.load_markets()
            await other.create_order(SYMBOL, "limit", "buy", 0.15, 60000)
        await client.cancel_order(order["id"], SYMBOL)
        await eventually(
            lambda: states[-1:] == [("canceled", 0.15)] and len(balances) > 2, "the cancel is told"
        )
        assert states == [("open", 0), ("open", 0.15), ("canceled", 0.15)]
        assert [(fill["price"], fill["amount"], fill["takerOrMaker"]) for fill in trades] == [
            (60000, 0.15, "maker")
        ]
        assert (trades[0]["fee"]["cost"], trades[0]["fee"]["currency"]) == (9, "USDT")
        assert [(row["free"], row["used"]) for row in balances] == [(9.8, 0.2), (9.8, 0.05), (9.85, 0)]
        assert client.balance["spot"]["USDT"]["total"] == 1_000_000 + 9000 * (1 - float(FEE))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    _run(venue_thread, scenario)


# --- The websocket API ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
def test_orders_are_placed_asked_for_and_cancelled_over_the_websocket_api(
    venue_thread: LocalVenue, kind: str
) -> None:
    async def main() -> None:
        async with _client(venue_thread, getattr(venue_thread, kind)) as client, asyncio.timeout(20):
            await client.load_markets()
            order = await client.create_order_ws(SYMBOL, "limit", "buy", 0.001, 59000)
            assert order["status"] == "open"
            assert (await client.fetch_order_ws(order["id"], SYMBOL))["price"] == 59000
            assert [one["id"] for one in await client.fetch_open_orders_ws(SYMBOL)] == [order["id"]]
            # ccxt 4.5 hands the answer on unparsed.
            account = (await client.fetch_balance_ws())["info"]
            locked = {row["asset"]: row["locked"] for row in account["balances"]}
            assert locked["USDT"] == "59.00000000"
            replaced = await client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.002, 59001)
            assert (replaced["amount"], replaced["price"]) == (0.002, 59001)
            assert (await client.cancel_order_ws(replaced["id"], SYMBOL))["status"] == "canceled"
            filled = await client.create_order_ws(SYMBOL, "market", "buy", 0.001)
            assert (filled["status"], filled["average"]) == ("closed", float(BEST_ASK))
            fills = await client.fetch_my_trades_ws(SYMBOL)
            assert [(fill["amount"], fill["fee"]["cost"]) for fill in fills] == [(0.001, 0.000001)]

    asyncio.run(main())


def test_ioc_fok_post_only_and_iceberg_over_the_websocket_api(venue_thread: LocalVenue) -> None:
    async def scenario(client: Any) -> None:
        ioc = await client.create_order_ws(SYMBOL, "limit", "buy", 1.5, 60000.01, {"timeInForce": "IOC"})
        assert (ioc["status"], ioc["filled"]) == ("expired", 1)
        fok = await client.create_order_ws(SYMBOL, "limit", "buy", 1.5, 60000.02, {"timeInForce": "FOK"})
        assert (fok["status"], fok["filled"]) == ("expired", 0)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await client.create_order_ws(SYMBOL, "limit_maker", "buy", 0.1, 60000.02)
        await client.create_order_ws(SYMBOL, "limit", "buy", 0.1, 60000, {"icebergQty": "0.01"})
        assert (await client.fetch_order_book(SYMBOL))["bids"][0] == [60000, 0.01]
        assert len(await client.cancel_all_orders_ws(SYMBOL)) == 1

    _run(venue_thread, scenario)


@pytest.mark.parametrize(
    ("amount", "price", "params", "exception", "words"),
    [
        (0.00008, 59000, {}, "BadRequest", "Filter failure: NOTIONAL"),
        (0.001, 11999.99, {}, "InvalidOrder", "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (0.1, 59000, {"icebergQty": "0.0009"}, "BadRequest", "Filter failure: ICEBERG_PARTS"),
        (20, 60000, {}, "InsufficientFunds", "Account has insufficient balance for requested action."),
        (0.001, 59000, {"newClientOrderId": "no spaces"}, "BadRequest", "-1100"),
        (0.001, 59000, {"timeInForce": "GTX"}, "BadRequest", "-1115"),
        (0.001, 59000, {"colour": "blue"}, "BadRequest", "-1104"),
    ],
)
def test_an_order_refused_over_the_websocket_api_is_the_clients_own_exception(
    venue_thread: LocalVenue, amount: float, price: float, params: dict[str, str], exception: str, words: str
) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(ccxt.BaseError, match=words) as error:
            await client.create_order_ws(SYMBOL, "limit", "buy", amount, price, params)
        assert type(error.value) is getattr(ccxt, exception)
        assert await client.fetch_open_orders_ws(SYMBOL) == []

    _run(venue_thread, scenario)


def test_what_is_not_there_is_not_found_over_the_websocket_api(venue_thread: LocalVenue) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            await client.fetch_order_ws("12345", SYMBOL)
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_order_ws("12345", SYMBOL)
        client.secret = "wrong"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await client.fetch_balance_ws()

    _run(venue_thread, scenario)


def test_429_then_418_and_the_ban_ends_for_the_asynchronous_client_too() -> None:
    clock = MovableClock()
    with VenueThread(tight_config(), clock=clock) as venue:

        async def main() -> None:
            async with _client(venue) as client, asyncio.timeout(20):
                words: list[str] = []
                while len(words) < 3:
                    try:
                        await client.public_get_exchangeinfo()
                    except ccxt.DDoSProtection as error:
                        words.append(str(error))
                assert [" 418 " in text for text in words] == [False, False, True]
                headers = {name.lower(): value for name, value in client.last_response_headers.items()}
                wait_s = int(headers["retry-after"])
                assert 119 <= wait_s <= 120
                clock.move(wait_s)
                assert await client.public_get_ping() == {}

        asyncio.run(main())
