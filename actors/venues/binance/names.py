"""Names: the desk's "binance/BTCUSDT", the venue's "BTCUSDT", and the streams' "btcusdt@depth@100ms"."""

from __future__ import annotations

import re

VENUE = "binance"
# What Binance accepts as a symbol (exchange information, field `symbol`); USD-M adds "_" for delivery dates.
_SYMBOL = re.compile(r"[A-Z0-9_.-]{1,20}")

DEPTH = "depth"
TRADE = "trade"
AGG_TRADE = "aggTrade"
BOOK_TICKER = "bookTicker"
# The kinds that the market codec understands.
KINDS = (DEPTH, TRADE, AGG_TRADE, BOOK_TICKER)


def symbol_of(instrument: str) -> str:
    """binance/BTCUSDT -> BTCUSDT. Raises ValueError for a name without a venue or an impossible symbol."""
    venue, slash, symbol = instrument.partition("/")
    if not venue or not slash or not _SYMBOL.fullmatch(symbol):
        raise ValueError(f"instrument {instrument!r} is not named venue/SYMBOL, such as binance/BTCUSDT")
    return symbol


def instrument_of(symbol: str, venue: str = VENUE) -> str:
    """BTCUSDT or btcusdt -> binance/BTCUSDT. Raises ValueError for an impossible symbol."""
    upper = symbol.upper()
    if not _SYMBOL.fullmatch(upper):
        raise ValueError(f"{symbol!r} is not a symbol of Binance, such as BTCUSDT")
    return f"{venue}/{upper}"


def stream_names(instrument: str, *, depth_speed: str = "100ms") -> tuple[str, ...]:
    """The streams that one instrument is followed by: depth diffs, best bid and ask, and trades."""
    symbol = symbol_of(instrument).lower()
    return (f"{symbol}@{DEPTH}@{depth_speed}", f"{symbol}@{BOOK_TICKER}", f"{symbol}@{TRADE}")


def split_stream(stream: str) -> tuple[str, str]:
    """btcusdt@depth@100ms -> (BTCUSDT, depth). Raises ValueError for what is not symbol@kind."""
    symbol, at, rest = stream.partition("@")
    if not at or not _SYMBOL.fullmatch(symbol.upper()):
        raise ValueError(f"stream {stream!r} is not named symbol@kind")
    return symbol.upper(), rest.partition("@")[0]
