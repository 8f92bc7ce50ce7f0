"""What the simulated venue refuses, as python-binance reports it: every documented code, 429 and 418.

The codes and words are those of Binance's errors.md (clients_fixture.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.venues.simulated.config import RateLimitConfig
from tests.actors.venues.simulated.clients.clients_fixture import (
    COUNTED,
    ORDERS_REFUSED,
    RESTING,
    MovableClock,
    changed,
    config_with,
    tight_config,
)
from tests.actors.venues.simulated.clients.python_binance_fixture import pointed_at, urls
from tests.actors.venues.simulated.venue_fixture import (
    LocalVenue,
    VenueThread,
    server_config,
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


@pytest.fixture
def client(venue_thread: LocalVenue) -> Iterator[Any]:
    client = pointed_at(venue_thread)
    yield client
    client.close_connection()


# --- Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ORDERS_REFUSED)
def test_a_refused_order_carries_binances_code_and_words(client: Any, name: str) -> None:
    refusal = ORDERS_REFUSED[name]
    with pytest.raises(exceptions.BinanceAPIException) as error:
        client.create_order(**refusal.params())
    assert (error.value.status_code, error.value.code) == (400, refusal.code)
    assert error.value.message.startswith(refusal.message)
    assert client.get_open_orders() == []


@pytest.mark.parametrize("name", COUNTED)
def test_a_filter_on_the_account_is_the_matching_engines_refusal(name: str) -> None:
    of_pair, first, second = COUNTED[name]
    with VenueThread(config_with(**of_pair)) as venue:
        client = pointed_at(venue)
        client.create_order(**changed(first))
        with pytest.raises(exceptions.BinanceAPIException) as error:
            client.create_order(**changed(second))
        assert (error.value.code, error.value.message) == (-2010, f"Filter failure: {name}")
        client.close_connection()


def test_what_is_not_there_and_what_is_asked_wrongly(client: Any) -> None:
    asked: list[tuple[int, str, Any]] = [
        (-2013, "Order does not exist.", lambda: client.get_order(symbol="BTCUSDT", orderId=1)),
        (-2011, "Unknown order sent.", lambda: client.cancel_order(symbol="BTCUSDT", orderId=1)),
        (-2011, "Unknown order sent.", lambda: client.cancel_all_open_orders(symbol="BTCUSDT")),
        (-1121, "Invalid symbol.", lambda: client.get_order_book(symbol="NOSUCH")),
        (-1120, "Invalid interval.", lambda: client.get_klines(symbol="BTCUSDT", interval="7m")),
        (-1102, "Mandatory parameter 'symbol'", lambda: client.get_order_book()),
        (-1102, "Param 'origClientOrderId' or 'orderId'", lambda: client.get_order(symbol="BTCUSDT")),
        (-1100, "Illegal characters", lambda: client.get_order_book(symbol="btc/usdt")),
        (-1127, "More than 24 hours", lambda: client.get_my_trades(symbol="BTCUSDT", startTime=1, endTime=10**12)),
        (-1145, "`cancelRestrictions`", lambda: client.cancel_order(
            symbol="BTCUSDT", orderId=1, cancelRestrictions="ONLY_OLD")),
    ]  # fmt: skip
    for code, words, ask in asked:
        with pytest.raises(exceptions.BinanceAPIException) as error:
            ask()
        assert (error.value.code, error.value.status_code) == (code, 400)
        assert error.value.message.startswith(words)


def test_timestamps_and_windows_are_judged(client: Any) -> None:
    for offset_ms, words in (
        (10_000, "Timestamp for this request was 1000ms ahead of the server's time."),
        (-10_000, "Timestamp for this request is outside of the recvWindow."),
    ):
        client.timestamp_offset = offset_ms
        with pytest.raises(exceptions.BinanceAPIException) as error:
            client.get_account()
        assert (error.value.code, error.value.message) == (-1021, words)
    client.REQUEST_RECVWINDOW = 60_000
    assert client.get_account()["canTrade"] is True
    client.REQUEST_RECVWINDOW = 60_001
    with pytest.raises(exceptions.BinanceAPIException) as error:
        client.get_account()
    assert error.value.code == -1131


def test_bad_keys_and_signatures_are_told_apart(venue_thread: LocalVenue) -> None:
    key = venue_thread.hmac
    for api_key, secret, status, code, words in (
        (key.api_key, "wrong", 400, -1022, "Signature for this request is not valid."),
        ("short", key.client_secret, 401, -2014, "API-key format invalid."),
        ("A" * 64, key.client_secret, 401, -2015, "Invalid API-key, IP, or permissions for action."),
    ):
        client = type("Client", (binance.Client,), urls(venue_thread))(api_key, secret)
        with pytest.raises(exceptions.BinanceAPIException) as error:
            client.get_account()
        assert (error.value.status_code, error.value.code) == (status, code)
        assert error.value.message == words
        client.close_connection()
    reader = pointed_at(venue_thread, venue_thread.read_only)
    with pytest.raises(exceptions.BinanceAPIException) as error:
        reader.create_order(**RESTING)
    assert error.value.code == -2015
    reader.close_connection()


def test_weights_and_order_counts_are_in_the_headers(client: Any) -> None:
    client.get_order_book(symbol="BTCUSDT", limit=5000)
    used = int(client.response.headers["X-MBX-USED-WEIGHT-1M"])
    client.get_server_time()
    # Another minute may have begun between the two.
    assert int(client.response.headers["x-mbx-used-weight-1m"]) in (used + 1, 1)
    client.create_order(**RESTING)
    assert int(client.response.headers["X-MBX-ORDER-COUNT-1D"]) == 1
    rows = client._get("rateLimit/order", signed=True, data={})
    assert [(row["interval"], row["limit"]) for row in rows] == [("SECOND", 100), ("DAY", 200000)]


def test_unfilled_orders_are_counted_and_a_fill_gives_one_back() -> None:
    with VenueThread(server_config(venue={"rate_limits": RateLimitConfig(orders_1d=2)})) as venue:
        client = pointed_at(venue)
        client.create_order(**RESTING)
        for _ in range(3):
            assert client.order_market_buy(symbol="BTCUSDT", quantity="0.001")["status"] == "FILLED"
        client.create_order(**RESTING)
        with pytest.raises(exceptions.BinanceAPIException) as error:
            client.create_order(**RESTING)
        assert (error.value.status_code, error.value.code) == (429, -1015)
        assert error.value.message == "Too many new orders; current limit is 2 orders per 1 DAY."
        assert "Retry-After" not in error.value.response.headers
        client.close_connection()


def test_429_obeyed_is_forgiven_ignored_it_is_418_until_the_ban_ends() -> None:
    clock = MovableClock()
    with VenueThread(tight_config(), clock=clock) as venue:
        client = pointed_at(venue)

        def refused() -> Any:
            with pytest.raises(exceptions.BinanceAPIException) as error:
                for _ in range(100):
                    client.get_exchange_info()
            assert error.value.code == -1003
            return error.value

        warned = refused()
        assert warned.status_code == 429
        wait_s = int(warned.response.headers["Retry-After"])
        assert 1 <= wait_s <= 60
        clock.move(wait_s)
        assert client.ping() == {}
        assert [refused().status_code for _ in range(2)] == [429, 429]
        banned = refused()
        assert banned.status_code == 418
        assert banned.message.startswith("Way too much request weight used; IP banned until ")
        ban_s = int(banned.response.headers["Retry-After"])
        assert 119 <= ban_s <= 120, "Binance's shortest ban is two minutes"
        clock.move(ban_s - 2)
        with pytest.raises(exceptions.BinanceAPIException) as error:
            client.ping()
        assert (error.value.status_code, error.value.response.headers["Retry-After"]) == (418, "2")
        clock.move(2)
        assert client.ping() == {}
        client.close_connection()
