"""The REST port against a venue that answers what no venue should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.messages import (
    CancelOutcomeUnknown,
    ClockMeasured,
    DepthSnapshot,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    SnapshotFailed,
    SnapshotWanted,
    VenueTrouble,
)
from actors.venues.simulated.keys import NewKey
from tests.actors.venues.binance.desk import Desk, desk
from tests.actors.venues.binance.order_samples import body, cancel, place
from tests.actors.venues.binance.scripted_http import ScriptedHttp, http, scripted
from tests.actors.venues.binance.test_rest_port import BTC, LOW, port_maker

# -- bodies that no venue should send
# -------------------------------------------------------------------------

TIME_OK = http(200, b'{"serverTime":1700000000000}')


@asynccontextmanager
async def against(
    folder: Path, answer: Callable[[str], bytes | None]
) -> AsyncIterator[tuple[Desk, ScriptedHttp]]:
    def reply(line: str) -> bytes | None:
        return TIME_OK if "/api/v3/time" in line else answer(line)

    async with scripted(reply) as server, desk(port_maker(server.url, NewKey("HMAC"), folder)) as it:
        await it.wait(ClockMeasured)
        yield it, server


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (http(502, b"<html>\n 502 Bad Gateway</html>", kind="text/html"), "502 Bad Gateway"),
        (http(200, b"<html>maintenance</html>", kind="text/html"), "not understood"),
        (http(200, b""), "not understood"),
        (http(200, b'{"odd":true}'), "not understood"),
        (http(400, b"\xff\xfe garbage"), "garbage"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{", "TooSlow"),
        (b"SMTP ready\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
)
async def test_garbage_for_an_answer_leaves_the_order_unknown_with_the_words(
    tmp_path: Path, raw: bytes, words: str
) -> None:
    async with against(tmp_path, lambda _: raw) as (it, server):
        it.tell(place("nd-o-1", price=LOW))
        unknown = await it.wait(OrderOutcomeUnknown)
        assert words in unknown.reason
        assert "signature" not in unknown.reason
        assert len(server.seen("POST /api/v3/order?")) == 1


async def test_a_firewall_page_is_a_refusal(tmp_path: Path) -> None:
    async with against(tmp_path, lambda _: http(403, b"<html>blocked</html>")) as (it, _):
        it.tell(place("nd-o-1", price=LOW))
        refused = await it.wait(OrderRefusedByVenue)
        assert refused.code == -403
        assert "blocked" in refused.words


async def test_a_limit_with_retry_after_holds_back_until_then(tmp_path: Path) -> None:
    error = body({"code": -1003, "msg": "Too many requests; current request has limited."})

    def answer(line: str) -> bytes | None:
        return http(429, error, "Retry-After: 40\r\n") if "depth" in line else http(200, b"{}")

    async with against(tmp_path, answer) as (it, server):
        it.tell(SnapshotWanted(instrument=BTC, levels=100))
        assert (await it.wait(VenueTrouble)).kind == "rate_limited"
        failed = await it.wait(SnapshotFailed)
        assert 35 < failed.retry_after_s <= 41
        asked = len(server.requests)
        it.tell(cancel("nd-o-1"))
        assert "rate_limited" in (await it.wait(CancelOutcomeUnknown)).reason
        assert len(server.requests) == asked


async def test_used_weight_in_a_header_is_believed(tmp_path: Path) -> None:
    def answer(line: str) -> bytes | None:
        return http(200, b'{"lastUpdateId":1,"bids":[],"asks":[]}', "X-MBX-USED-WEIGHT-1M: 5999\r\n")

    async with against(tmp_path, answer) as (it, server):
        it.tell(SnapshotWanted(instrument=BTC, levels=100))
        await it.wait(DepthSnapshot)
        it.tell(SnapshotWanted(instrument=BTC, levels=100))
        assert "weight: 5999 of 6000" in (await it.wait(SnapshotFailed)).reason
        assert len(server.seen("depth")) == 1


async def test_a_venue_that_cannot_be_reached_sent_nothing(tmp_path: Path) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    for listener in listeners:
        await listener.aclose()
    async with desk(port_maker(url, NewKey("HMAC"), tmp_path)) as it:
        # Not an order that opens: those wait for the clock.
        it.tell(place("nd-r-1", price=LOW, opens=False))
        assert "ConnectError" in (await it.wait(OrderNotSent)).reason
        it.tell(place("nd-o-1", price=LOW))
        assert "clock" in (await it.wait(OrderNotSent)).reason
