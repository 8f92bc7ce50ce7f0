"""The two markets behind the exchange: the generated one and the replay of a recording."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from engine_desk import BTC, START_US, Desk, busy, rich

from actors.venues.simulated.config import GeneratedConfig, VenueConfig, default_symbols
from actors.venues.simulated.exchange import Exchange
from actors.venues.simulated.generated import GeneratedMarket
from actors.venues.simulated.market import Levels, MarketEvent, Print
from actors.venues.simulated.recording import BadRecording, RecordedMarket

DATA = Path(os.environ.get("NIGHTDESK_DATA", Path(__file__).parents[4] / "../shared/data"))
RECORDING = DATA / "binance_spot_20240808" / "btcusdt.raw.gz"


def generated(seed: int, regime: str = "normal", **more: object) -> GeneratedMarket:
    config = GeneratedConfig(regime=regime, warmup_minutes=5, **more)
    return GeneratedMarket(default_symbols(), config, random.Random(seed))


def take(market: GeneratedMarket, seconds: float) -> list[MarketEvent]:
    events = market.begin(START_US)
    while market.next_us() <= START_US + seconds * 1e6:
        events.append(market.pop())
    return events


def test_the_same_seed_is_the_same_market_and_another_seed_another():
    assert take(generated(1), 5) == take(generated(1), 5)
    assert take(generated(1), 5) != take(generated(2), 5)


@pytest.mark.parametrize("regime", ["quiet", "normal", "trending", "violent", "switching"])
def test_the_background_never_crosses_itself_and_trades_happen_at_its_touch(regime):
    market = generated(7, regime, levels=50)
    books: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
    for event in market.begin(START_US):
        books[event.symbol] = (dict(event.bids), dict(event.asks))
    last_us = START_US
    while market.next_us() <= START_US + 60_000_000:
        event = market.pop()
        assert event.at_us >= last_us
        last_us = event.at_us
        bids, asks = books[event.symbol]
        if isinstance(event, Print):
            side, best = (bids, max(bids)) if event.buyer_is_maker else (asks, min(asks))
            assert event.price == best and 0 < event.size <= side[best]
            side[best] -= event.size
            if not side[best]:
                del side[best]
            continue
        for half, changes in ((bids, event.bids), (asks, event.asks)):
            for price, size in changes:
                half[price] = size
                if not size:
                    del half[price]
        assert max(bids) < min(asks) and min(bids) > 0
        assert len(bids) >= 30 and len(asks) >= 30


def test_regimes_differ_as_their_names_say():
    moves, trades = {}, {}
    for regime in ("quiet", "normal", "violent"):
        market = generated(3, regime, levels=50)
        events = [e for e in take(market, 60) if isinstance(e, Print) and e.symbol == "BTCUSDT"]
        trades[regime] = len(events)
        prices = [event.price for event in events]
        moves[regime] = (max(prices) - min(prices)) / prices[0]
    assert trades["quiet"] < trades["normal"] < trades["violent"]
    assert moves["quiet"] < moves["violent"] / 3 and moves["normal"] < moves["violent"]


def test_the_normal_market_has_the_pace_of_a_real_one():
    events = [event for event in take(generated(4), 100) if event.symbol == "ETHUSDT"]
    prints = sum(isinstance(event, Print) for event in events)
    assert 400 <= prints <= 900
    assert 900 <= sum(isinstance(event, Levels) for event in events) - 500 <= 1100


def test_an_imbalance_of_two_and_a_half_to_one_over_ten_levels_shows_every_few_seconds():
    exchange = busy(11, "switching", levels=100)
    signals, was_on = 0, False
    for step in range(600):
        at_us = START_US + step * 100_000
        exchange.advance(at_us)
        depth = exchange.call("depth", None, {"symbol": "BTCUSDT", "limit": "10"}, at_us)
        bid, ask = (sum(float(size) for _, size in depth[side]) for side in ("bids", "asks"))
        is_on = bid > 2.5 * ask
        signals += is_on and not was_on
        was_on = is_on
    assert 5 <= signals <= 40


def test_a_thousand_levels_a_side_are_possible():
    market = generated(1, levels=1000)
    first = market.begin(START_US)[0]
    assert len(first.bids) == len(first.asks) == 1000


# --- recordings


def depth(first: int, last: int, bids: list, asks: list) -> dict:
    return {"stream": "btcusdt@depth@100ms", "data": {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first,
            "u": last, "b": bids, "a": asks}}  # fmt: skip


def ticker(update_id: int, bid: str, bid_size: str, ask: str, ask_size: str) -> dict:
    return {"stream": "btcusdt@bookTicker",
            "data": {"u": update_id, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}}  # fmt: skip


def trade(price: str, size: str, buyer_is_maker: bool) -> dict:
    return {"stream": "btcusdt@trade", "data": {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 5, "p": price,
            "q": size, "T": 1, "m": buyer_is_maker, "M": True}}  # fmt: skip


SNAPSHOT = {"lastUpdateId": 100, "bids": [["100.00000000", "1.00000000"], ["99.00000000", "5.00000000"]],
            "asks": [["101.00000000", "1.00000000"], ["102.00000000", "5.00000000"]]}  # fmt: skip


def recorded(*messages: dict, at_end: str = "quiet", spacing_ns: int = 100_000_000) -> RecordedMarket:
    def source() -> Iterator[tuple[int, bytes]]:
        for number, message in enumerate(messages):
            yield 5_000_000_000 + number * spacing_ns, json.dumps(message).encode()

    return RecordedMarket(source, [BTC], at_end)


def replaying(market: RecordedMarket) -> Desk:
    desk = Desk()
    desk.market = market
    desk.exchange = Exchange(
        VenueConfig(symbols=(BTC,), accounts=(rich("me"), rich("you"))), market, random.Random(1), START_US
    )
    return desk


def test_a_recording_starts_at_its_snapshot_with_the_depth_joined_to_it():
    market = recorded(
        depth(95, 99, [["98.00000000", "9"]], []), depth(100, 103, [["100.00000000", "2"]], []), SNAPSHOT
    )
    (first,) = market.begin(START_US)
    assert (first.at_us, first.reset) == (START_US, True)
    assert dict(first.bids) == {10_000: 200_000, 9_900: 500_000}
    assert market.next_us() is None


def test_a_recording_s_pace_is_its_receive_times_on_the_venue_s_clock():
    market = recorded(SNAPSHOT, trade("100.00000000", "0.1", True), trade("100.00000000", "0.2", True))
    market.begin(START_US)
    assert [market.pop().at_us - START_US for _ in range(2)] == [100_000, 200_000]
    assert market.next_us() is None


def test_recorded_trades_fill_our_resting_order_after_the_size_ahead_of_it():
    desk = replaying(
        recorded(
            SNAPSHOT,
            trade("100.00000000", "0.60000000", True),
            ticker(101, "100.00000000", "0.40000000", "101.00000000", "1.00000000"),
            trade("100.00000000", "0.90000000", True),
        )
    )
    order = desk.limit("BUY", "1", "100.00")
    desk.wait(0.25)
    assert desk.status(order)["executedQty"] == "0.00000000"
    desk.wait(0.25)
    assert desk.status(order)["executedQty"] == "0.50000000"


def test_what_we_ate_comes_back_only_when_the_recording_itself_changes_that_level():
    same = ticker(101, "100.00000000", "1.00000000", "101.00000000", "1.00000000")
    desk = replaying(
        recorded(
            SNAPSHOT, same, depth(102, 103, [], [["101.00000000", "3.00000000"]]), spacing_ns=1_000_000_000
        )
    )
    desk.limit("BUY", "1", "101.00")
    desk.wait(1.5)
    assert desk.shown("asks", "101.00000000") == "0"
    desk.wait(1)
    assert desk.shown("asks", "101.00000000") == "3.00000000"


def test_a_touch_that_is_newer_than_the_depth_wins_until_the_depth_has_caught_up():
    market = recorded(
        SNAPSHOT,
        ticker(110, "99.00000000", "4.00000000", "100.50000000", "2.00000000"),
        depth(101, 105, [["100.00000000", "7.00000000"]], []),
        depth(106, 112, [["99.50000000", "1.00000000"]], []),
    )
    desk = replaying(market)
    desk.wait(0.15)
    assert desk.depth()["bids"][0] == ["99.00000000", "4.00000000"]
    desk.wait(0.1)
    assert desk.depth()["bids"][0] == ["99.00000000", "4.00000000"]
    assert desk.depth()["asks"][0] == ["100.50000000", "2.00000000"]
    desk.wait(0.1)
    assert desk.depth()["bids"][0] == ["99.50000000", "1.00000000"]


def test_a_recording_goes_quiet_at_its_end_or_begins_again_without_a_hole():
    messages = (SNAPSHOT, trade("100.00000000", "0.1", True), depth(101, 103, [["100.00000000", "0"]], []))
    quiet = replaying(recorded(*messages))
    quiet.wait(1)
    assert quiet.exchange.next_event_us() is None
    assert quiet.depth()["bids"][0][0] == "99.00000000"
    market = recorded(*messages, at_end="loop")
    looped = replaying(market)
    looped.wait(1)
    assert market.turns > 2
    spans = [(event.payload["U"], event.payload["u"]) for event in looped.events("depthUpdate")]
    assert len(spans) > 3 and all(b[0] == a[1] + 1 for a, b in pairwise(spans))


def test_a_jump_of_the_update_id_in_a_recording_is_counted():
    market = recorded(SNAPSHOT, depth(101, 103, [], []), depth(110, 111, [["98.00000000", "1"]], []))
    market.begin(START_US)
    while market.next_us() is not None:
        market.pop()
    assert market.gaps == 1


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ((trade("1.00000000", "1", True),), "no depth snapshot of BTCUSDT"),
        ((SNAPSHOT, trade("100.00100000", "1", True)), "message 2 .* not on BTCUSDT's grid"),
        ((SNAPSHOT, trade("nan", "1", True)), "message 2 .* 'nan' is not a"),
        ((SNAPSHOT, trade("-5", "1", True)), "message 2 .* '-5' is not a"),
        ((SNAPSHOT, {"data": [1]}), "message 2 "),
    ],
)
def test_what_is_no_recording_is_refused_with_the_number_of_the_message(messages, words):
    market = recorded(*messages)
    with pytest.raises(BadRecording, match=words):
        market.begin(START_US)


@pytest.mark.skipif(not RECORDING.exists(), reason=f"no recording at {RECORDING} (set NIGHTDESK_DATA)")
def test_a_real_recording_replays_uncrossed_with_the_ticker_equal_to_the_depth():
    def source() -> Iterator[tuple[int, bytes]]:
        with gzip.open(RECORDING, "rb") as lines:
            for line in lines:
                receive_ns, _, raw = line.partition(b" ")
                yield int(receive_ns), raw

    market = RecordedMarket(source, [BTC])
    exchange = Exchange(VenueConfig(symbols=(BTC,)), market, random.Random(1), START_US)
    best: tuple[str, ...] = ()
    compared = 0
    for step in range(60):
        at_us = START_US + step * 1_000_000
        exchange.advance(at_us)
        for event in exchange.drain():
            if event.kind == "bookTicker":
                best = tuple(event.payload[key] for key in "bBaA")
                assert float(best[0]) < float(best[2])
        snapshot = exchange.call("depth", None, {"symbol": "BTCUSDT", "limit": "5"}, at_us)
        if best:
            compared += 1
            assert best == (*snapshot["bids"][0], *snapshot["asks"][0])
    assert compared > 50 and market.gaps == 0
