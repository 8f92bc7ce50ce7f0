"""Weights, bans and unfilled-order counts of the simulated venue, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venues.simulated.config import RateLimitConfig
from actors.venues.simulated.limits import BanConfig, Limits, TooMany
from actors.venues.simulated.methods import METHODS, ROUTES

SECOND_US = 1_000_000
START_US = 1_700_000_040 * SECOND_US  # the first second of a minute
IP = "127.0.0.1"


def _limits(weight: int = 10, after_429s: int = 2, **rates: int) -> Limits:
    config = RateLimitConfig(request_weight_1m=weight, **rates)
    return Limits(config, BanConfig(after_429s=after_429s, first_s=120, max_s=300), connections_5m=3)


def _refusal(limits: Limits, now_us: int, weight: int = 1, ip: str = IP) -> TooMany | None:
    try:
        limits.admit(ip, weight, now_us)
    except TooMany as error:
        return error
    return None


def test_the_minute_is_the_clocks_not_the_clients() -> None:
    limits = _limits()
    assert _refusal(limits, START_US + 59 * SECOND_US, 10) is None
    assert _refusal(limits, START_US + 60 * SECOND_US, 10) is None
    assert limits.used_weight(IP, START_US + 60 * SECOND_US) == 10
    assert limits.used_weight(IP, START_US + 120 * SECOND_US) == 0


def test_beyond_the_weight_the_answer_is_429_until_the_minute_ends() -> None:
    limits = _limits()
    assert _refusal(limits, START_US, 10) is None
    error = _refusal(limits, START_US + 20 * SECOND_US)
    assert error is not None
    assert (error.http_status, error.code) == (429, -1003)
    assert error.retry_at_us == START_US + 60 * SECOND_US
    assert error.message.startswith(
        "Too much request weight used; current limit is 10 request weight per 1 MINUTE."
    )
    assert _refusal(limits, START_US + 60 * SECOND_US) is None


def test_who_ignores_429_is_banned_and_each_ban_is_longer() -> None:
    limits, at_us, lengths = _limits(), START_US, []
    for _ in range(3):
        statuses = []
        _refusal(limits, at_us, 10)
        while (error := _refusal(limits, at_us)) is not None and error.http_status == 429:
            statuses.append(error.http_status)
        assert statuses == [429, 429]
        assert error is not None
        assert (error.http_status, error.code) == (418, -1003)
        assert f"IP banned until {error.retry_at_us // 1000}." in error.message
        lengths.append((error.retry_at_us - at_us) // SECOND_US)
        at_us = error.retry_at_us
    assert lengths == [120, 240, 300]
    assert limits.bans == 3


def test_requests_during_a_ban_are_refused_and_counted_and_do_not_lengthen_it() -> None:
    limits = _limits()
    limits.ban(IP, START_US + 120 * SECOND_US)
    for second in (0, 60, 119):
        error = _refusal(limits, START_US + second * SECOND_US)
        assert error is not None
        assert (error.http_status, error.retry_at_us) == (418, START_US + 120 * SECOND_US)
    assert limits.requests_during_ban == 3
    assert _refusal(limits, START_US + 120 * SECOND_US) is None


def test_limits_are_per_address() -> None:
    limits = _limits()
    _refusal(limits, START_US, 11)
    assert _refusal(limits, START_US, 10, ip="127.0.0.2") is None


def test_raw_requests_have_a_limit_of_their_own() -> None:
    limits = _limits(weight=1000, raw_requests_5m=3)
    assert [_refusal(limits, START_US, 0) for _ in range(3)] == [None] * 3
    error = _refusal(limits, START_US, 0)
    assert error is not None
    assert error.http_status == 429
    assert "raw requests per 5 MINUTE" in error.message


def test_too_many_connection_attempts_are_refused() -> None:
    limits = _limits()
    for _ in range(3):
        limits.connect(IP, 0, START_US)
    with pytest.raises(TooMany) as error:
        limits.connect(IP, 0, START_US)
    assert error.value.http_status == 429


def test_unfilled_orders_are_limited_per_account_and_a_fill_gives_them_back() -> None:
    limits = _limits(orders_10s=2, orders_1d=100)
    for _ in range(2):
        limits.check_orders("desk", START_US)
        limits.count_orders("desk", 1, START_US)
    with pytest.raises(TooMany) as error:
        limits.check_orders("desk", START_US + SECOND_US)
    assert (error.value.code, error.value.http_status) == (-1015, 429)
    assert error.value.message == "Too many new orders; current limit is 2 orders per 10 SECOND."
    assert error.value.retry_at_us == START_US + 10 * SECOND_US
    limits.check_orders("other", START_US + SECOND_US)
    limits.count_orders("desk", -1, START_US + SECOND_US)
    limits.check_orders("desk", START_US + SECOND_US)
    assert limits.order_counts("desk", START_US + 10 * SECOND_US) == (0, 1)


@given(st.lists(st.integers(-6, 3), max_size=60))
def test_fills_never_give_credit_beyond_zero(changes: list[int]) -> None:
    limits = _limits(orders_10s=1000)
    for change in changes:
        limits.count_orders("desk", change, START_US)
        ten, day = limits.order_counts("desk", START_US)
        assert ten == day >= 0


@pytest.mark.parametrize(
    ("name", "params", "weight"),
    [
        ("depth", {}, 5),
        ("depth", {"limit": "100"}, 5),
        ("depth", {"limit": "101"}, 25),
        ("depth", {"limit": "1000"}, 50),
        ("depth", {"limit": "5000"}, 250),
        ("depth", {"limit": "many"}, 5),
        ("exchangeInfo", {}, 20),
        ("openOrders.status", {"symbol": "BTCUSDT"}, 6),
        ("openOrders.status", {}, 80),
        ("myTrades", {"symbol": "BTCUSDT"}, 20),
        ("myTrades", {"symbol": "BTCUSDT", "orderId": "1"}, 5),
        ("ticker.24hr", {}, 80),
        ("ticker.24hr", {"symbol": "BTCUSDT"}, 2),
        ("ticker.24hr", {"symbols": '["A","B"]'}, 2),
        ("ticker.price", {}, 4),
        ("ticker.price", {"symbol": "BTCUSDT"}, 2),
        ("order.place", {}, 1),
        ("order.amend.keepPriority", {}, 4),
        ("account.status", {}, 20),
        ("order.status", {}, 4),
    ],
)
def test_each_request_weighs_what_the_documentation_says(
    name: str, params: dict[str, str], weight: int
) -> None:
    assert METHODS[name].weigh(params) == weight


def test_every_route_leads_to_a_method() -> None:
    assert set(ROUTES.values()) <= set(METHODS)
