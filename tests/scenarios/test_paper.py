"""Paper trading: a venue whose market is another venue's public streams, and a desk on it.

The upstream is a simulated venue as well: to the one behind it, it differs from Binance by its URLs alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from actors.venues.simulated import upstream
from actors.venues.simulated.config import GeneratedConfig, SymbolConfig, default_symbols
from actors.venues.simulated.faults import (
    Ban,
    Disconnect,
    NoTicks,
    Poison,
    SequenceGap,
    Unreachable,
)
from actors.venues.simulated.server_config import ServerConfig
from tests.actors.venues.simulated.venue_fixture import LocalVenue, running_venue, server_config, signed_query

CONFIG = Path(__file__).parents[2] / "configs" / "paper.toml"
PAIRS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PING_S", 0.2)
    monkeypatch.setattr(upstream, "SILENT_S", 2.0)
    monkeypatch.setattr(upstream, "START_S", 5.0)
    monkeypatch.setattr(upstream, "CONNECT_S", 1.0)


@asynccontextmanager
async def original() -> AsyncIterator[LocalVenue]:
    venue = {"generated": GeneratedConfig(regime="normal", warmup_minutes=1)}
    async with running_venue(server_config(venue=venue), generated=True) as local:
        yield local


def paper_of(local: LocalVenue, **changes: Any) -> ServerConfig:
    urls = {"upstream_rest_url": local.url, "upstream_stream_url": local.ws_url}
    options = {"upstream_symbols": PAIRS, "upstream_stale_s": 0.5, **urls, **changes}
    return server_config(market="live", **options)


@asynccontextmanager
async def paper_on(local: LocalVenue, **changes: Any) -> AsyncIterator[LocalVenue]:
    """The venue behind it: `market` is left to its config."""
    async with running_venue(paper_of(local, **changes), generated=True) as paper:
        yield paper


async def depth(venue: LocalVenue, symbol: str = "BTCUSDT") -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=venue.url) as client:
        answer = await client.get("/api/v3/depth", params={"symbol": symbol, "limit": 50})
        body: dict[str, Any] = answer.raise_for_status().json()
        return {side: body[side] for side in ("bids", "asks")}


async def status(venue: LocalVenue) -> str:
    async with httpx.AsyncClient(base_url=venue.url) as client:
        body = (await client.get("/api/v3/exchangeInfo", params={"symbol": "BTCUSDT"})).json()
        return str(body["symbols"][0]["status"])


async def buy(venue: LocalVenue) -> dict[str, Any]:
    query = signed_query(venue.hmac, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")
    async with httpx.AsyncClient(base_url=venue.url) as client:
        answer = await client.post(f"/api/v3/order?{query}", headers={"X-MBX-APIKEY": venue.hmac.api_key})
        body: dict[str, Any] = answer.json()
        return body


async def until(true: Callable[[], Any], within_s: float = 8.0) -> None:
    """Wait until `true()` (or what it awaits) is."""
    with trio.fail_after(within_s):
        while True:
            found = true()
            if await found if hasattr(found, "__await__") else found:
                return
            await trio.sleep(0.05)


async def agree(first: LocalVenue, second: LocalVenue) -> None:
    """Their books are the same, once the last change has arrived; both markets stand still meanwhile."""

    async def same() -> bool:
        return await depth(first) == await depth(second)

    await until(same)


def stand_still(local: LocalVenue) -> None:
    """Its market does nothing more by itself; nothing that was told stays behind."""
    market = local.running.exchange._market
    market.next_us = lambda: None  # type: ignore[method-assign]


def resyncs(paper: LocalVenue) -> int:
    return int(paper.running.exchange._market.counts.resyncs)  # type: ignore[attr-defined]


async def test_the_book_and_the_rules_are_the_upstreams_and_orders_are_filled_here_alone():
    async with original() as up, paper_on(up) as paper:
        # One snapshot for each pair is all that a start costs.
        assert up.server.logbook.by_method["depth"] == len(PAIRS)
        stand_still(up)
        await agree(up, paper)
        fill = await buy(paper)
        assert fill["status"] == "FILLED"
        assert fill["fills"][0]["price"] == (await depth(up))["asks"][0][0]
        listed = paper.server.config.venue.symbols
        by_name: dict[str, SymbolConfig] = {pair.symbol: pair for pair in default_symbols()}
        assert [pair.symbol for pair in listed] == list(PAIRS)
        assert all(pair.tick_size == by_name[pair.symbol].tick_size for pair in listed)
        # Upstream: nobody but its own public data was asked for, and no key was shown.
        seen = up.server.logbook.requests
        assert {each.method for each in seen} <= {"exchangeInfo", "depth"}
        assert all(each.account is None and "apiKey" not in each.params for each in seen)


@pytest.mark.parametrize(
    "fault",
    [
        SequenceGap(symbol="BTCUSDT", count=2),
        Disconnect(scope="streams"),
        Poison(
            symbol="BTCUSDT",
            stream="bookTicker",
            raw='{"u":99999999999999,"s":"BTCUSDT","b":"nan","B":"1","a":"2","A":"1"}',
        ),
        Poison(
            symbol="BTCUSDT",
            stream="depthUpdate",
            raw='{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":99999999999999,"b":[["-1","inf"]],"a":[]}',
        ),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'stream', '')}",
)
async def test_after_a_gap_a_cut_or_a_poisoned_frame_the_book_is_the_upstreams_again(fault: Any):
    async with original() as up, paper_on(up) as paper:
        await trio.sleep(0.3)
        before = resyncs(paper)
        up.running.control.begin(fault)
        await until(lambda: resyncs(paper) > before)
        await trio.sleep(0.3)
        stand_still(up)
        await agree(up, paper)
        assert await status(paper) == "TRADING"


async def test_a_dead_upstream_stops_new_orders_and_moves_no_price_and_its_return_heals_it():
    async with original() as up, paper_on(up) as paper:
        up.running.control.begin(Unreachable(for_s=None))
        up.running.control.begin(Disconnect(scope="streams"))
        await until(lambda: paper.server.logbook.counts["upstream_lost"] == len(PAIRS))
        last = await depth(paper)
        assert (await buy(paper))["code"] == -1013 and await status(paper) == "CANCEL_ONLY"
        await trio.sleep(0.5)
        assert await depth(paper) == last
        up.running.control.clear()
        await until(lambda: paper.server.logbook.counts["upstream_live"] == len(PAIRS))
        assert await status(paper) == "TRADING" and (await buy(paper))["status"] == "FILLED"
        stand_still(up)
        await trio.sleep(0.3)


async def test_a_quiet_upstream_that_answers_pings_is_not_taken_for_dead():
    async with original() as up, paper_on(up) as paper:
        up.running.control.begin(NoTicks(for_s=60.0))
        await trio.sleep(2.5)
        assert await status(paper) == "TRADING"
        assert paper.server.logbook.counts["upstream_lost"] == 0


async def test_a_ban_upstream_is_waited_out_and_not_knocked_at():
    async with original() as up, paper_on(up) as paper:
        # The first diffs may stand in the snapshots already; to lose one of those is no gap.
        await trio.sleep(0.3)
        up.running.control.begin(Ban(for_s=3.0))
        up.running.control.begin(SequenceGap(symbol="BTCUSDT", count=1))
        await until(lambda: paper.server.logbook.counts["upstream_lost"] == 1)
        await until(lambda: paper.server.logbook.counts["upstream_live"] == 1)
        # One question found the ban; the next one came after it.
        assert up.running.control.summary()["server"]["requests_during_ban"] <= 1  # type: ignore[index]


async def test_an_upstream_that_is_not_there_says_so_in_words_and_in_time():
    config = server_config(
        market="live",
        upstream_symbols=PAIRS,
        upstream_rest_url="http://127.0.0.1:9",
        upstream_stream_url="ws://127.0.0.1:9",
    )
    with pytest.RaisesGroup(
        pytest.RaisesExc(
            upstream.UpstreamFailed, match="no live market from http://127.0.0.1:9 .*exchangeInfo"
        )
    ):
        async with running_venue(config, generated=True):
            pass


async def test_a_pair_that_the_upstream_does_not_know_is_named():
    async with original() as up:
        with pytest.RaisesGroup(pytest.RaisesExc(upstream.UpstreamFailed, match="Invalid symbol")):
            async with paper_on(up, upstream_symbols=("NOPEUSDT",)):
                pass


@pytest.mark.e2e
async def test_the_desk_trades_on_live_data_and_its_summary_agrees(tmp_path: Path):
    summary = tmp_path / "summary.json"
    settings = {
        "desk.state_dir": tmp_path / "state",
        "simulated.keys_dir": tmp_path / "keys",
        "strategy.imbalance.warmup_s": 1.0,
        "strategy.imbalance.ratio": 1.5,
        "strategy.imbalance.max_hold_s": 2.0,
        "strategy.imbalance.cooldown_s": 0.5,
    }
    async with original() as up:
        urls = {"simulated.upstream_rest_url": up.url, "simulated.upstream_stream_url": up.ws_url}
        command = [
            sys.executable,
            "-m",
            "actors",
            "run",
            str(CONFIG),
            "--for",
            "12",
            "--summary",
            str(summary),
        ]
        for name, value in (settings | urls).items():
            command += ["--set", f"{name}={value}"]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()
    told = json.loads(summary.read_text())
    assert told["agrees"] is True and told["books"] > 50
    assert told["fills"] >= 2, told
    assert not told["crashes"] and told["unprotected_s"] == 0
