"""A live market: whatever its upstream does, its book is the upstream's or it says nothing."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.venues.simulated import filters
from actors.venues.simulated.config import VenueConfig, default_symbols
from actors.venues.simulated.exchange import Exchange
from actors.venues.simulated.generated import GeneratedMarket
from actors.venues.simulated.live import LiveMarket
from actors.venues.simulated.market import Levels, MarketEvent, Print
from actors.venues.simulated.upstream_rules import UnusableRules, symbols_of

BTC = default_symbols()[0]
START_US = 1_700_000_000_000_000


def snapshot(last_id: int, bids: dict[str, str], asks: dict[str, str]) -> bytes:
    return json.dumps({"lastUpdateId": last_id, "bids": [*bids.items()], "asks": [*asks.items()]}).encode()


def diff(first: int, last: int, bids: dict[str, str] | None = None, **more: Any) -> bytes:
    data = {"e": "depthUpdate", "s": "BTCUSDT", "U": first, "u": last, "b": [*(bids or {}).items()], "a": []}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": {**data, **more}}).encode()


def trade(price: str, size: str = "0.1") -> bytes:
    data = {"e": "trade", "s": "BTCUSDT", "p": price, "q": size, "m": True}
    return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()


def joined() -> LiveMarket:
    market = LiveMarket((BTC,))
    market.on_message(diff(90, 100), START_US)
    assert market.on_snapshot("BTCUSDT", snapshot(99, {"100.00": "1"}, {"101.00": "2"}), START_US)
    drain(market)
    return market


def drain(market: LiveMarket) -> list[MarketEvent]:
    events = []
    while market.next_us() is not None:
        events.append(market.pop())
    return events


def test_a_message_becomes_events_at_the_time_it_came_and_without_one_there_are_none():
    market = joined()
    assert market.next_us() is None
    market.on_message(diff(101, 102, {"100.50": "3"}), START_US + 5)
    market.on_message(trade("100.50"), START_US + 4)
    size = int(3 / BTC.step_size)
    assert drain(market) == [
        Levels(START_US + 5, "BTCUSDT", [(10050, size)], []),
        # The venue's time does not go back.
        Print(START_US + 5, "BTCUSDT", 10050, size // 30, True),
    ]


def test_after_a_gap_the_book_says_nothing_until_a_snapshot_and_then_everything():
    market = joined()
    market.on_message(diff(103, 104, {"100.10": "1"}), START_US)
    market.on_message(diff(105, 106, {"100.20": "1"}), START_US)
    assert market.wanted == {"BTCUSDT"} and drain(market) == []
    # Older than what we have: it cannot be joined, and another one is wanted.
    assert not market.on_snapshot("BTCUSDT", snapshot(99, {"100.00": "1"}, {"101.00": "2"}), START_US)
    market.on_message(diff(107, 108, {"100.30": "1"}), START_US)
    assert drain(market) == []
    assert market.on_snapshot("BTCUSDT", snapshot(107, {"100.00": "1"}, {"101.00": "2"}), START_US)
    (all_of_it,) = drain(market)
    assert isinstance(all_of_it, Levels) and all_of_it.reset
    assert dict(all_of_it.bids).keys() == {10000, 10030}
    assert market.wanted == set()


def test_after_a_lost_connection_every_book_is_fetched_anew_though_its_ids_begin_anew():
    market = joined()
    market.on_lost()
    market.on_message(diff(5, 6, {"99.00": "1"}), START_US)
    assert market.wanted == {"BTCUSDT"} and drain(market) == []
    assert market.on_snapshot("BTCUSDT", snapshot(5, {"98.00": "1"}, {"101.00": "2"}), START_US)
    (all_of_it,) = drain(market)
    assert isinstance(all_of_it, Levels) and dict(all_of_it.bids).keys() == {9800, 9900}


@pytest.mark.parametrize(
    "poison",
    [
        diff(101, 101, {"nan": "1"}),
        diff(101, 101, {"inf": "1"}),
        diff(101, 101, {"-5": "1"}),
        diff(101, 101, {"100.00": "-1"}),
        diff(101, 101, {"100.001": "1"}),
        diff(101, 101, b="100.00"),
        # A bid above the ask.
        diff(101, 101, {"500.00": "1"}),
    ],
)
def test_a_diff_that_cannot_be_believed_costs_the_book_and_never_reaches_the_exchange(poison: bytes):
    market = joined()
    market.on_message(poison, START_US)
    assert drain(market) == [] and market.wanted == {"BTCUSDT"}


@pytest.mark.parametrize("poison", [b"", b"\xff", b"[1]", b'{"data": 5}', trade("nan"), trade("1", "-1")])
def test_other_garbage_is_refused_and_counted_and_costs_no_book(poison: bytes):
    market = joined()
    market.on_message(poison, START_US)
    assert market.counts.refused == 1 and market.counts.last_refusal
    assert drain(market) == [] and market.wanted == set()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"lastUpdateId": 9, "bids": [["nan", "1"]], "asks": []}'])
def test_a_snapshot_that_is_none_is_refused_and_another_one_wanted(body: bytes):
    market = joined()
    market.on_lost()
    assert not market.on_snapshot("BTCUSDT", body, START_US)
    assert market.wanted == {"BTCUSDT"} and market.counts.refused == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), lost=st.sets(st.integers(0, 200), max_size=6))
def test_whatever_diffs_are_lost_its_book_is_the_upstreams_once_it_is_whole(seed: int, lost: set[int]):
    upstream = Exchange(
        VenueConfig(symbols=(BTC,)), GeneratedMarket((BTC,), VenueConfig().generated, random.Random(seed)),
        random.Random(1), START_US,
    )  # fmt: skip
    market = LiveMarket((BTC,))
    replica: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for step in range(210):
        now_us = START_US + step * 100_000
        upstream.advance(now_us)
        for event in upstream.drain():
            if event.kind in ("depthUpdate", "trade", "bookTicker") and step not in lost:
                market.on_message(_frame(event), now_us)
        if market.wanted:
            parameters = {"symbol": "BTCUSDT", "limit": "5000"}
            body = msgspec.json.encode(upstream.call("depth", None, parameters, now_us))
            market.on_snapshot("BTCUSDT", body, now_us)
        _play(market, replica)
        # A touch that was lost is known again with the next one; a lost diff shows as a gap with the next diff.
        if not market.wanted and not lost & set(range(step - 10, step + 1)):
            told: Any = upstream.call("depth", None, {"symbol": "BTCUSDT", "limit": "1"}, now_us)
            (bid, ask) = _levels(msgspec.json.encode(told))
            bids, asks = replica
            assert {max(bids): bids[max(bids)]} == bid and {min(asks): asks[min(asks)]} == ask
    assert not market.wanted and market.counts.resyncs >= 1


def _play(market: LiveMarket, replica: tuple[dict[int, int], dict[int, int]]) -> None:
    """What the exchange behind the market does with its events."""
    for event in drain(market):
        if isinstance(event, Print):
            side = replica[0] if event.buyer_is_maker else replica[1]
            side[event.price] = side.get(event.price, 0) - event.size
            if side[event.price] <= 0:
                del side[event.price]
            continue
        for side, changes in zip(replica, (event.bids, event.asks), strict=True):
            if event.reset:
                side.clear()
            side.update(changes)
            for price in [price for price, size in changes if not size]:
                side.pop(price, None)


def _frame(event: Any) -> bytes:
    name = {"depthUpdate": "depth@100ms"}.get(event.kind, event.kind)
    payload = event.payload if isinstance(event.payload, bytes) else msgspec.json.encode(event.payload)
    return b'{"stream":"btcusdt@%s","data":%s}' % (name.encode(), payload)


def _levels(body: bytes) -> tuple[dict[int, int], dict[int, int]]:
    told = msgspec.json.decode(body)
    sides = [
        {int(Decimal(p) / BTC.tick_size): int(Decimal(s) / BTC.step_size) for p, s in told[side]}
        for side in ("bids", "asks")
    ]
    return sides[0], sides[1]


def test_the_rules_of_a_pair_pass_from_venue_to_venue_unchanged():
    body = msgspec.json.encode({"symbols": [_info(symbol) for symbol in default_symbols()]})
    taken = symbols_of(body, ["ETHBTC", "BTCUSDT"])
    assert [pair.symbol for pair in taken] == ["ETHBTC", "BTCUSDT"]
    by_name = {pair.symbol: pair for pair in default_symbols()}
    for pair in taken:
        assert filters.listed(pair) == filters.listed(by_name[pair.symbol])
        assert (pair.base, pair.quote) == (by_name[pair.symbol].base, by_name[pair.symbol].quote)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "BREAK"}, "BTCUSDT is not traded there now: its status is BREAK"),
        ({"filters": []}, "BTCUSDT: its filters give no tick_size"),
        ({"filters": [{"filterType": "PRICE_FILTER", "tickSize": "nan"}]}, "PRICE_FILTER tickSize is 'nan'"),
        ({"symbol": "OTHER"}, "it does not list BTCUSDT"),
    ],
)
def test_rules_that_nobody_could_trade_by_are_refused_in_words(changes: dict[str, Any], words: str):
    body = msgspec.json.encode({"symbols": [{**_info(BTC), **changes}]})
    with pytest.raises(UnusableRules, match=words):
        symbols_of(body, ["BTCUSDT"])


def _info(symbol: Any) -> dict[str, Any]:
    return {
        "symbol": symbol.symbol,
        "status": "TRADING",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "filters": filters.listed(symbol),
    }
