"""One REST request: when it may still be held back, and the truth about what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from actors.messages import VenueTrouble
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.order_requests import CANCEL, PLACE
from actors.venues.binance.rest_client import NoAnswer, NotSent, RestClient
from actors.venues.binance.signing import HmacSigner
from actors.venues.binance.weights import Use
from supervisor.secret import Secret
from supervisor.world import RealWorld
from tests.actors.venues.binance.scripted_http import http, scripted


@asynccontextmanager
async def client(url: str, folder: Path) -> AsyncIterator[RestClient]:
    troubles: list[VenueTrouble] = []
    async with RestClient(
        BinanceConfig(rest_url=url),
        Secret("key"),
        HmacSigner(Secret("secret")),
        VenueClock(),
        HostBudget(folder / "budget", "binance/main"),
        RealWorld(),
        troubles.append,
    ) as it:
        yield it


async def test_a_request_held_back_after_connecting_left_nothing_and_hurts_no_later_one(
    tmp_path: Path,
) -> None:
    async with scripted(lambda _: http(200, b"{}")) as server, client(server.url, tmp_path) as rest:
        for _ in range(3):
            with pytest.raises(NotSent, match="killed"):
                await rest.ask(PLACE, [], use=Use.OPEN, timeout_s=1, signed=True, last_check=lambda: "killed")
        assert server.requests == []
        assert (await rest.ask(CANCEL, [], use=Use.SAFETY, timeout_s=1, signed=True)).ok
        # The connection that is kept alive can be held back on as well.
        with pytest.raises(NotSent, match="killed"):
            await rest.ask(PLACE, [], use=Use.OPEN, timeout_s=1, signed=True, last_check=lambda: "killed")
        assert (await rest.ask(CANCEL, [], use=Use.SAFETY, timeout_s=1, signed=True)).ok
        assert len(server.requests) == 2


async def test_the_last_check_comes_after_the_connection_and_before_the_bytes(tmp_path: Path) -> None:
    steps: list[str] = []

    def answer(line: str) -> bytes:
        steps.append("received")
        return http(200, b"{}")

    def last_check() -> None:
        steps.append("checked")

    async with scripted(answer) as server, client(server.url, tmp_path) as rest:
        await rest.ask(PLACE, [], use=Use.OPEN, timeout_s=1, last_check=last_check)
    assert steps == ["checked", "received"]


async def test_a_refused_connection_is_not_sent_and_keeps_its_cause(tmp_path: Path) -> None:
    async with client("http://127.0.0.1:1", tmp_path) as rest:
        with pytest.raises(NotSent) as error:
            await rest.ask(PLACE, [], use=Use.OPEN, timeout_s=1, signed=True)
        assert isinstance(error.value.__cause__, httpx.ConnectError)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{", None])
async def test_once_a_byte_may_have_left_there_is_no_answer_but_never_not_sent(
    tmp_path: Path, raw: bytes | None
) -> None:
    async with scripted(lambda _: raw) as server, client(server.url, tmp_path) as rest:
        with pytest.raises(NoAnswer) as error:
            await rest.ask(PLACE, [("a", 1)], use=Use.OPEN, timeout_s=0.2, signed=True)
        assert error.value.__cause__ is not None
        assert "signature" not in str(error.value)


async def test_a_request_is_one_write_without_a_body(tmp_path: Path) -> None:
    async with scripted(lambda _: http(200, b"{}")) as server, client(server.url, tmp_path) as rest:
        await rest.ask(
            PLACE, [("symbol", "BTCUSDT"), ("price", "1.50")], use=Use.OPEN, timeout_s=1, signed=True
        )
        [line] = server.requests
        assert line.startswith("POST /api/v3/order?symbol=BTCUSDT&price=1.50&signature=")


async def test_a_base_url_with_a_path_keeps_it(tmp_path: Path) -> None:
    async with (
        scripted(lambda _: http(200, b"{}")) as server,
        client(f"{server.url}/proxy/", tmp_path) as rest,
    ):
        await rest.ask(CANCEL, [], use=Use.SAFETY, timeout_s=1)
        assert server.requests == ["DELETE /proxy/api/v3/order HTTP/1.1"]


async def test_a_cancelled_caller_stops_waiting(tmp_path: Path) -> None:
    async with scripted(lambda _: None) as server, client(server.url, tmp_path) as rest:
        with trio.move_on_after(0.1) as scope:
            await rest.ask(PLACE, [], use=Use.OPEN, timeout_s=60, signed=True)
        assert scope.cancelled_caught
