"""Rules of instruments, limits and errors, from the bodies that Binance sends."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.venues.binance.order_codec import NotUnderstood
from actors.venues.binance.rest_codec import exchange_info, reply

DATA = (
    Path(os.environ.get("NIGHTDESK_DATA", Path(__file__).parents[5] / "shared" / "data")) / "reference_rest"
)


def symbol(**changes: Any) -> dict[str, Any]:
    """rest-api.md, "Exchange information", in short."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.0", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]
    names = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
    return names | {"orderTypes": ["LIMIT", "MARKET"], "filters": filters} | changes


def info(*symbols: dict[str, Any]) -> bytes:
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
    ]
    return json.dumps({"timezone": "UTC", "rateLimits": limits, "symbols": list(symbols)}).encode()


def test_rules_and_limits_are_read_exactly() -> None:
    [rules], limits = exchange_info(info(symbol()), "binance")
    assert (rules.instrument, rules.tick, rules.lot) == (
        "binance/BTCUSDT",
        Decimal("0.01"),
        Decimal("0.00001"),
    )
    assert (rules.size_min, rules.size_max) == (Decimal("0.00001"), Decimal(9000))
    assert (rules.notional_min, rules.algo_orders_max, rules.status) == (Decimal(5), 5, "TRADING")
    assert rules.order_types == ("LIMIT", "MARKET")
    assert ("REQUEST_WEIGHT", 60_000, 6000) in limits
    assert ("ORDERS", 10_000, 100) in limits


@pytest.mark.parametrize(
    "tick", ["0", "0.00000000", "-0.01", "NaN", "Infinity", None], ids=lambda value: f"tick {value}"
)
def test_an_instrument_without_a_sound_tick_is_refused_whole(tick: str | None) -> None:
    bad = symbol(filters=[{"filterType": "PRICE_FILTER", "tickSize": tick}, symbol()["filters"][1]])
    with pytest.raises(NotUnderstood, match=r"BTCUSDT.*tickSize"):
        exchange_info(info(bad), "binance")


def test_an_instrument_without_a_lot_size_is_refused_whole() -> None:
    with pytest.raises(NotUnderstood, match="LOT_SIZE"):
        exchange_info(info(symbol(filters=symbol()["filters"][:1])), "binance")


def test_errors_keep_the_venues_words_and_garbage_its_first_ones() -> None:
    error = reply(400, b'{"code":-2010,"msg":"No.","data":{"x":1}}')
    assert (error.code, error.words, error.data) == (-2010, "No.", b'{"x":1}')
    page = reply(502, b"<html>\n<h1>Bad   Gateway</h1>" + b"x" * 10_000)
    assert page.code is None
    assert "Bad Gateway" in page.words
    assert len(page.words) <= 300
    assert "empty body" in reply(500, b"").words


def recorded(name: str) -> bytes:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"recorded data are absent: {path.parent} (set NIGHTDESK_DATA)")
    with gzip.open(path) as file:
        return file.read()


def test_every_symbol_of_a_recorded_exchange_information_of_2021_is_read() -> None:
    raw = recorded("binance_spot_exchangeInfo_20211012.txt.gz").decode()
    line = next(line for line in raw.splitlines() if '"symbols"' in line)
    rules, limits = exchange_info(line[line.index('{"timezone"') :].encode(), "binance")
    assert len(rules) == 1695
    assert all(rule.tick > 0 and rule.lot > 0 for rule in rules)
    assert ("REQUEST_WEIGHT", 60_000, 1200) in limits


def test_a_recorded_exchange_information_of_2025_is_read() -> None:
    routes = json.loads(recorded("gocryptotrader_binance_http_mock.json.gz"))["routes"]
    [entry] = routes["/api/v3/exchangeInfo"]["GET"]
    rules, limits = exchange_info(json.dumps(entry["data"]).encode(), "binance")
    assert len(rules) == 25
    assert all(rule.notional_min > 0 for rule in rules)
    assert ("REQUEST_WEIGHT", 60_000, 6000) in limits
