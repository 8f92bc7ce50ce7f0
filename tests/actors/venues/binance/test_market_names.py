"""Names of instruments, symbols and streams."""

from __future__ import annotations

import pytest

from actors.venues.binance import names


def test_an_instrument_its_symbol_and_its_streams_name_each_other() -> None:
    assert names.symbol_of("binance/BTCUSDT") == "BTCUSDT"
    assert names.instrument_of("btcusdt") == "binance/BTCUSDT"
    streams = names.stream_names("binance/BTCUSDT")
    assert streams == ("btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade")
    assert [names.split_stream(stream) for stream in streams] == [
        ("BTCUSDT", "depth"),
        ("BTCUSDT", "bookTicker"),
        ("BTCUSDT", "trade"),
    ]


@pytest.mark.parametrize(
    "name", ["BTCUSDT", "binance/", "/BTCUSDT", "binance/btcusdt", "binance/BTC USDT", ""]
)
def test_a_misnamed_instrument_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="venue/SYMBOL"):
        names.symbol_of(name)


@pytest.mark.parametrize("stream", ["btcusdt", "@trade", "!ticker@arr", "btc/usdt@trade"])
def test_what_is_no_stream_of_a_symbol_is_refused(stream: str) -> None:
    with pytest.raises(ValueError, match="symbol@kind"):
        names.split_stream(stream)
