"""What the simulated venue refuses, as ccxt's own exceptions: filters, malformed requests, keys, limits, bans.

The codes and words are those of Binance's errors.md (clients_fixture.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.venues.simulated.config import RateLimitConfig
from tests.actors.venues.simulated.clients.ccxt_fixture import SYMBOL, pointed_at
from tests.actors.venues.simulated.clients.clients_fixture import (
    COUNTED,
    ORDERS_REFUSED,
    RESTING,
    MovableClock,
    Refusal,
    changed,
    config_with,
    tight_config,
)
from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread, server_config

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def client(venue_thread: LocalVenue) -> Iterator[Any]:
    client = pointed_at(venue_thread)
    client.load_markets()
    yield client
    client.session.close()


# --- Refusals -----------------------------------------------------------------------------------------

# ccxt's exception for each of Binance's codes; the words decide first. -1131 and -1134 it knows only where
# the URL is the real venue's (its tables of single markets), so here they are the general one.
BY_CODE = {
    -1013: "BadRequest",
    -1121: "BadSymbol",
    -1134: "ExchangeError",
    -2010: "InvalidOrder",
}
BY_WORDS = {
    "Filter failure: PRICE_FILTER": "InvalidOrder",
    "Filter failure: LOT_SIZE": "InvalidOrder",
    "Filter failure: MARKET_LOT_SIZE": "InvalidOrder",
    "Filter failure: PERCENT_PRICE_BY_SIDE": "InvalidOrder",
    "Filter failure: MAX_POSITION": "BadRequest",
    "Account has insufficient balance for requested action.": "InsufficientFunds",
    "Order would immediately match and take.": "OrderImmediatelyFillable",
    "Stop price would trigger immediately.": "OrderImmediatelyFillable",
}


def _is_refused(error: Any, refusal: Refusal) -> None:
    name = BY_WORDS.get(refusal.message) or BY_CODE.get(refusal.code, "BadRequest")
    assert type(error) is getattr(ccxt, name), error
    # Where the words decide, ccxt shows them alone.
    assert str(refusal.code) in str(error) or refusal.message in BY_WORDS
    assert refusal.message.split("; legal")[0] in str(error)


@pytest.mark.parametrize("name", ORDERS_REFUSED)
def test_a_refused_order_is_the_clients_own_exception(venue_thread: LocalVenue, name: str) -> None:
    client = pointed_at(venue_thread)
    with pytest.raises(ccxt.BaseError) as error:
        client.private_post_order(ORDERS_REFUSED[name].params())
    _is_refused(error.value, ORDERS_REFUSED[name])
    assert client.private_get_openorders() == []
    client.session.close()


@pytest.mark.parametrize("name", COUNTED)
def test_a_filter_on_the_account_refuses_the_next_order(name: str) -> None:
    of_pair, first, second = COUNTED[name]
    with VenueThread(config_with(**of_pair)) as venue:
        client = pointed_at(venue)
        client.private_post_order(changed(first))
        with pytest.raises(ccxt.BaseError) as error:
            client.private_post_order(changed(second))
        _is_refused(error.value, Refusal({}, -2010, f"Filter failure: {name}"))
        client.session.close()


def test_what_is_not_there_is_not_found(client: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        client.fetch_order("12345", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        client.cancel_order("12345", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        client.cancel_all_orders(SYMBOL)
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        client.public_get_depth({"symbol": "NOSUCH"})


def test_a_client_id_may_not_be_used_twice_while_its_order_is_open(client: Any) -> None:
    client.create_order(SYMBOL, "limit", "buy", 0.001, 59000, {"newClientOrderId": "mine"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        client.create_order(SYMBOL, "limit", "buy", 0.001, 59000, {"newClientOrderId": "mine"})


def test_a_wrong_clock_is_told_and_can_be_adjusted(venue_thread: LocalVenue) -> None:
    client = pointed_at(venue_thread)
    for off_ms, words in ((-10_000, "1000ms ahead"), (10_000, "outside of the recvWindow")):
        client.options["timeDifference"] = off_ms
        with pytest.raises(ccxt.InvalidNonce, match=words):
            client.fetch_balance()
    client.load_time_difference()
    assert client.fetch_balance()["free"]["BTC"] == 10
    with pytest.raises(ccxt.ExchangeError, match="-1131"):
        client.private_get_account({"recvWindow": 60001})
    client.session.close()


def test_bad_keys_and_signatures_are_authentication_errors(venue_thread: LocalVenue) -> None:
    for changes, code in (
        ({"secret": "wrong"}, "-1022"),
        ({"apiKey": "short"}, "-2014"),
        ({"apiKey": "A" * 64}, "-2015"),
    ):
        client = pointed_at(venue_thread)
        for name, value in changes.items():
            setattr(client, name, value)
        with pytest.raises(ccxt.AuthenticationError, match=code):
            client.private_get_account()
        client.session.close()
    reader = pointed_at(venue_thread, venue_thread.read_only)
    assert reader.private_get_account()["canTrade"] in (True, "true")
    with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match="-2015"):
        reader.private_post_order(RESTING)
    reader.session.close()


def test_too_many_unfilled_orders_are_refused_without_a_time_to_come_back() -> None:
    rates = RateLimitConfig(orders_1d=2)
    with VenueThread(server_config(venue={"rate_limits": rates})) as venue:
        client = pointed_at(venue)
        for _ in range(2):
            client.private_post_order(RESTING)
        # 429 is one exception to ccxt, whatever is too much.
        with pytest.raises(ccxt.DDoSProtection, match=r" 429 .*-1015.*limit is 2 orders per 1 DAY"):
            client.private_post_order(RESTING)
        assert "retry-after" not in {name.lower() for name in client.last_response_headers}
        client.session.close()


def test_429_names_the_wait_ignoring_it_ends_in_418_and_the_ban_ends() -> None:
    clock = MovableClock()
    with VenueThread(tight_config(), clock=clock) as venue:
        client = pointed_at(venue)

        def ask_until_refused() -> tuple[str, int]:
            with pytest.raises(ccxt.DDoSProtection) as error:
                for _ in range(20):
                    client.public_get_depth({"symbol": "BTCUSDT"})
            headers = {key.lower(): value for key, value in client.last_response_headers.items()}
            return str(error.value), int(headers["retry-after"])

        words, wait_s = ask_until_refused()
        assert " 429 " in words
        assert "current limit is 60 request weight per 1 MINUTE" in words
        assert 1 <= wait_s <= 60
        # Obeyed: the next minute is a new one, and nothing is held against us.
        clock.move(wait_s)
        assert client.public_get_ping() == {}
        # Ignored: two warnings, then the ban, and nothing at all is answered during it.
        seen = [ask_until_refused() for _ in range(3)]
        assert [" 418 " in words for words, _ in seen] == [False, False, True]
        assert "IP banned until" in seen[-1][0]
        assert 119 <= seen[-1][1] <= 120
        with pytest.raises(ccxt.DDoSProtection, match="418"):
            client.public_get_ping()
        clock.move(seen[-1][1])
        assert client.public_get_ping() == {}
        client.session.close()
