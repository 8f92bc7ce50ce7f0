"""Frames of a made-up market, as Binance words them."""

from __future__ import annotations

import json
from collections.abc import Sequence

INSTRUMENT = "binance/BTCUSDT"
STREAMS = ("btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade")
SHUTDOWN = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'
HTML = b"<html>502 Bad Gateway</html>"


def frame(stream: str, **data: object) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def depth(last: int, first: int | None = None) -> bytes:
    return frame(
        "btcusdt@depth@100ms",
        e="depthUpdate",
        E=1,
        s="BTCUSDT",
        U=last if first is None else first,
        u=last,
        b=[["99.0", str(last)]],
        a=[["101.0", "1.0"]],
    )


def book_ticker(update_id: int) -> bytes:
    return frame(
        "btcusdt@bookTicker", u=update_id, s="BTCUSDT", b="99.0", B=str(update_id), a="101.0", A="1.0"
    )


def trade(trade_id: int) -> bytes:
    return frame(
        "btcusdt@trade", e="trade", E=1, s="BTCUSDT", t=trade_id, p="100.0", q="1.0", T=1, m=True, M=True
    )


def listed(number: int, streams: Sequence[str] = STREAMS) -> bytes:
    return json.dumps({"result": list(streams), "id": number}).encode()
