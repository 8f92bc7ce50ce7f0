"""The market codec: what the venue documents comes through exactly, and nothing else comes through at all."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import BookTicker, DepthDiff, TradeTick
from actors.venues.binance.market_codec import (
    Acknowledged,
    CodecError,
    ControlFailed,
    MarketCodec,
    MarketEvent,
    ServerShutdown,
    decode_snapshot,
)


def packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def depth(**changes: Any) -> dict[str, Any]:
    payload = {
        "e": "depthUpdate",
        "E": 1_700_000_000_123,
        "s": "BTCUSDT",
        "U": 157,
        "u": 160,
        "b": [["0.0024", "10"], ["0.0023", "0.00000000"]],
        "a": [["0.0026", "100"]],
    }
    return {**payload, **changes}


def book_ticker(**changes: Any) -> dict[str, Any]:
    payload = {"u": 7, "s": "BTCUSDT", "b": "25.35", "B": "31.21", "a": "25.36", "A": "40.66"}
    return {**payload, **changes}


def trade(**changes: Any) -> dict[str, Any]:
    payload = {
        "e": "trade",
        "E": 2,
        "s": "BTCUSDT",
        "t": 12345,
        "p": "0.001",
        "q": "100",
        "T": 1_700_000_000_001,
        "m": True,
        "M": True,
    }
    return {**payload, **changes}


def combined(stream: str, payload: dict[str, Any]) -> bytes:
    return packed({"stream": stream, "data": payload})


def decode(frame: bytes) -> MarketEvent:
    return MarketCodec().decode(frame, 99)


DIFF = DepthDiff(
    instrument="binance/BTCUSDT",
    first_id=157,
    last_id=160,
    previous_id=None,
    bids=[(0.0024, 10.0), (0.0023, 0.0)],
    asks=[(0.0026, 100.0)],
    venue_ns=1_700_000_000_123_000_000,
    received_ns=99,
)
TICKER = BookTicker(
    instrument="binance/BTCUSDT",
    update_id=7,
    bid=25.35,
    bid_size=31.21,
    ask=25.36,
    ask_size=40.66,
    received_ns=99,
)
TRADE = TradeTick(
    instrument="binance/BTCUSDT",
    trade_id=12345,
    price=0.001,
    size=100.0,
    buyer_is_maker=True,
    venue_ns=1_700_000_000_001_000_000,
    received_ns=99,
)


@pytest.mark.parametrize(
    ("stream", "payload", "message"),
    [
        ("btcusdt@depth@100ms", depth(), DIFF),
        ("btcusdt@depth", depth(), DIFF),
        ("btcusdt@bookTicker", book_ticker(), TICKER),
        ("btcusdt@trade", trade(), TRADE),
    ],
)
def test_a_combined_a_raw_and_an_oddly_written_frame_mean_the_same(
    stream: str, payload: dict[str, Any], message: MarketEvent
) -> None:
    assert decode(combined(stream, payload)) == message
    assert decode(packed(payload)) == message
    assert decode(json.dumps({"data": payload, "stream": stream}, indent=2).encode()) == message


def test_usdm_frames_keep_the_id_of_the_diff_before() -> None:
    message = decode(combined("btcusdt@depth@0ms", depth(pu=149, T=1)))
    assert isinstance(message, DepthDiff) and message.previous_id == 149
    ticker = decode(packed({"e": "bookTicker", "E": 1, "T": 1, **book_ticker()}))
    assert ticker == TICKER


def test_an_aggregate_trade_bears_its_own_id() -> None:
    frame = combined("btcusdt@aggTrade", {**trade(e="aggTrade"), "a": 5, "f": 100, "l": 105})
    message = decode(frame)
    assert isinstance(message, TradeTick) and message.trade_id == 5


def test_a_ticker_may_say_that_a_side_is_empty() -> None:
    message = decode(packed(book_ticker(b="0.00000000", B="0.00000000")))
    assert isinstance(message, BookTicker) and message.bid == 0.0
    with pytest.raises(CodecError, match="a size without a price"):
        decode(packed(book_ticker(b="0.00000000")))


def test_control_answers_and_announcements_are_told_apart() -> None:
    assert decode(b'{"result":null,"id":1}') == Acknowledged(id=1, streams=None)
    assert decode(b'{"result":["a@b"],"id":3}') == Acknowledged(id=3, streams=("a@b",))
    refused = ControlFailed(id=None, code=2, words="Invalid request: too many parameters")
    assert decode(b'{"code":2,"msg":"Invalid request: too many parameters"}') == refused
    assert decode(b'{"error":{"code":3,"msg":"Invalid JSON"},"id":4}') == ControlFailed(4, 3, "Invalid JSON")
    assert decode(b'{"e":"serverShutdown","E":1}') == ServerShutdown()
    assert decode(b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}') == ServerShutdown()


IMPOSSIBLE = ["nan", "NaN", "inf", "-inf", "Infinity", "-1", "-0.5", "1e999", "1e13", "", "abc", "0x10", None]


@pytest.mark.parametrize("value", [*IMPOSSIBLE, "0", "0.0", "-0.0"])
def test_an_impossible_price_is_refused_and_named(value: str | None) -> None:
    for place, frame in (
        ("b[1][0]", combined("btcusdt@depth@100ms", depth(b=[["1", "1"], [value, "1"]]))),
        ("a[0][0]", packed(depth(a=[[value, "1"]]))),
        ("p", combined("btcusdt@trade", trade(p=value))),
    ):
        with pytest.raises(CodecError) as caught:
            decode(frame)
        assert caught.value.field == place
        assert caught.value.value == value
        assert "btcusdt@" in str(caught.value) and place in str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e999", "1e16", "", "x", None])
def test_an_impossible_size_is_refused_and_named(value: str | None) -> None:
    for frame in (
        combined("btcusdt@depth@100ms", depth(a=[["1", value]])),
        packed(book_ticker(B=value)),
        combined("btcusdt@trade", trade(q=value)),
    ):
        with pytest.raises(CodecError) as caught:
            decode(frame)
        assert caught.value.value == value


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        combined("btcusdt@depth@100ms", depth())[:-20],
        b"null",
        b"[1,2]",
        b"\xff\xfe\x00",
        b'{"stream":"btcusdt@depth@100ms","data":null}',
        b'{"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[],"asks":[]}}',
        b'{"result":3,"id":1}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        combined("btcusdt@depth@100ms", depth(U=161)),
        combined("btcusdt@depth@100ms", depth(u=-1)),
        combined("btcusdt@depth@100ms", depth(E=10**15)),
        combined("ethusdt@depth@100ms", depth()),
        combined("btcusdt@trade", depth()),
        combined("btcusdt@depth@100ms", depth(b=[["1", "1", "1"]])),
        combined("btcusdt@depth@100ms", depth(b=[["1", "1"]] * 10_001)),
    ],
)
def test_torn_foreign_and_contradictory_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(CodecError) as caught:
        decode(frame)
    # An error that repeats a whole frame would fill a log.
    assert len(str(caught.value)) < 400


def test_a_snapshot_is_decoded_and_an_impossible_one_is_refused_with_its_place() -> None:
    body = packed({"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": [["0.0026", "100"]]})
    snapshot = decode_snapshot(body, "binance/BTCUSDT", 5)
    assert (snapshot.last_id, snapshot.bids, snapshot.asks) == (160, [(0.0024, 10.0)], [(0.0026, 100.0)])
    with pytest.raises(
        CodecError, match=r"depth snapshot of binance/BTCUSDT, field bids\[0\]\[1\], value 'nan'"
    ):
        decode_snapshot(body.replace(b'"10"', b'"nan"'), "binance/BTCUSDT", 5)
    with pytest.raises(CodecError, match="missing required field `lastUpdateId`"):
        decode_snapshot(b'{"code":-1121,"msg":"Invalid symbol."}', "binance/BTCUSDT", 5)


def numbers(message: MarketEvent) -> list[tuple[float, float]]:
    if isinstance(message, DepthDiff):
        return [*message.bids, *message.asks]
    if isinstance(message, BookTicker):
        # An empty side is (0, 0).
        sides = [(message.bid, message.bid_size), (message.ask, message.ask_size)]
        return [side for side in sides if side != (0.0, 0.0)]
    return [(message.price, message.size)] if isinstance(message, TradeTick) else []


FRAMES = [
    combined("btcusdt@depth@100ms", depth()),
    combined("btcusdt@depth@0ms", depth(pu=150)),
    combined("btcusdt@bookTicker", book_ticker()),
    combined("btcusdt@trade", trade()),
    packed(depth()),
    packed(book_ticker()),
    b'{"result":["a@b"],"id":3}',
]
PIECES = [
    b"nan",
    b"inf",
    b"-",
    b"e999",
    b'"',
    b"\\u002d",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b"0",
    b"null",
    b"1e",
    b"\x00",
]


@given(
    st.sampled_from(FRAMES),
    st.lists(
        st.tuples(
            st.integers(0, 400), st.integers(0, 6), st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))
        ),
        max_size=4,
    ),
)
def test_a_mutated_frame_raises_only_codec_errors_and_lets_no_impossible_number_through(
    frame: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    for at, length, piece in cuts:
        at %= len(frame) + 1
        frame = frame[:at] + piece + frame[at + length :]
    try:
        message = decode(frame)
    except CodecError:
        return
    for price, size in numbers(message):
        assert math.isfinite(price) and math.isfinite(size)
        assert price > 0 and size >= 0


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True))
def test_any_pair_of_floats_comes_through_exactly_or_not_at_all(price: float, size: float) -> None:
    try:
        message = decode(combined("btcusdt@depth@100ms", depth(b=[[repr(price), repr(size)]])))
    except CodecError:
        assert not (0 < price <= 1e12 and 0 <= size <= 1e15)
        return
    assert isinstance(message, DepthDiff)
    assert message.bids == [(price, size)]


def test_the_codec_remembers_a_bounded_number_of_streams() -> None:
    codec = MarketCodec()
    for number in range(5000):
        codec.decode(combined(f"x{number}@trade", trade(s=f"X{number}")), 0)
    assert len(codec._known) <= 4096
