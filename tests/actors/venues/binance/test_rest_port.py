"""The REST port over real sockets: against the simulated venue, and against a server that answers as a script
says."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.messages import (
    AccountSnapshot,
    CancelOutcomeUnknown,
    CancelRefused,
    ClockMeasured,
    DepthSnapshot,
    InstrumentRules,
    KillLatched,
    NoSuchOrder,
    OrderKind,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    OrderReport,
    OrderStatus,
    QueryAccount,
    QueryFailed,
    RulesWanted,
    Side,
    SnapshotFailed,
    SnapshotWanted,
    VenueTrouble,
)
from actors.venues.binance import answers
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.rest import RestPort
from actors.venues.binance.signing import make_signer
from actors.venues.simulated.faults import (
    Ban,
    HideOrders,
    Latency,
    Maintenance,
    NoAnswer,
    ServerError,
    WrongClock,
)
from actors.venues.simulated.keys import NewKey
from supervisor.secret import Secret
from tests.actors.venues.binance.desk import Desk, desk
from tests.actors.venues.binance.order_samples import cancel, place, query, replace
from tests.actors.venues.simulated.venue_fixture import LocalVenue, running_venue

LOW = "55000.00"
BTC = "binance/BTCUSDT"
QUICK: dict[str, Any] = {"answer_timeout_s": 1.1, "read_timeout_s": 2.0}
WHOLE = QueryAccount(account="binance/main", instruments=(BTC,), trades_since={BTC: 0})


def port_maker(url: str, key: NewKey, folder: Path, **changes: Any) -> Callable[[Desk], RestPort]:
    instruments = changes.pop("instruments", (BTC,))
    settings = BinanceConfig(rest_url=url, **(QUICK | changes))
    clock = VenueClock()
    budget = HostBudget(folder / "budget", settings.account_name)

    def make(it: Desk) -> RestPort:
        return RestPort(
            settings,
            Secret(key.api_key),
            make_signer(Secret(key.client_secret)),
            clock=clock,
            budget=budget,
            instruments=instruments,
            consumers=(it.orders,),
            listeners=(it.orders,),
            clock_to=(it.orders,),
        )

    return make


@asynccontextmanager
async def connected(
    folder: Path, kind: str = "ed25519", **changes: Any
) -> AsyncIterator[tuple[Desk, LocalVenue]]:
    async with (
        running_venue() as venue,
        desk(port_maker(venue.url, getattr(venue, kind), folder, **changes)) as it,
    ):
        await it.wait(ClockMeasured)
        await it.wait(InstrumentRules)
        yield it, venue


def market(client_id: str, side: Side = Side.BUY, **changes: Any) -> Any:
    return place(client_id, kind=OrderKind.MARKET, price=None, side=side, size="0.00200", **changes)


# -- reference data
# -------------------------------------------------------------------------------------------


async def test_rules_come_at_the_start_and_to_who_asks(tmp_path: Path) -> None:
    async with running_venue() as venue, desk(port_maker(venue.url, venue.hmac, tmp_path)) as it:
        it.tell(RulesWanted(instruments=(BTC,)))
        first, second = await it.wait(InstrumentRules), await it.wait(InstrumentRules)
        assert first == second
        assert (first.tick, first.lot, first.base, first.quote) == (
            Decimal("0.01"),
            Decimal("0.00001"),
            "BTC",
            "USDT",
        )
        assert first.status == "TRADING"
        assert first.algo_orders_max > 0
        it.tell(RulesWanted(instruments=(BTC,)))
        assert await it.wait(InstrumentRules) == first


async def test_an_instrument_that_the_venue_does_not_know_needs_a_person(tmp_path: Path) -> None:
    async with running_venue() as venue:
        maker = port_maker(venue.url, venue.hmac, tmp_path, instruments=(BTC, "binance/NOSUCHPAIR"))
        async with desk(maker) as it:
            assert "NOSUCHPAIR" in await it.halted()


async def test_the_clock_is_measured(tmp_path: Path) -> None:
    async with running_venue() as venue:
        venue.running.control.begin(WrongClock(offset_ms=4_000))
        async with desk(port_maker(venue.url, venue.hmac, tmp_path)) as it:
            measured = await it.wait(ClockMeasured)
            assert abs(measured.offset_ms - 4_000) <= measured.uncertainty_ms < 100


async def test_a_snapshot_is_fetched_and_a_failure_says_when_to_try_again(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, _):
        it.tell(SnapshotWanted(instrument=BTC, levels=100))
        snapshot = await it.wait(DepthSnapshot)
        assert snapshot.instrument == BTC
        assert snapshot.bids[0][0] < snapshot.asks[0][0]
        it.tell(SnapshotWanted(instrument="binance/NOSUCHPAIR", levels=100))
        failed = await it.wait(SnapshotFailed)
        assert "-1121" in failed.reason
        assert failed.retry_after_s >= 1


# -- orders, the second way
# -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "hmac"])
async def test_orders_get_the_same_answers_as_on_the_first_way(tmp_path: Path, kind: str) -> None:
    async with connected(tmp_path, kind) as (it, _):
        it.tell(place("nd-o-1", price=LOW))
        report = await it.wait(OrderReport)
        assert (report.client_id, report.status, report.source) == ("nd-o-1", OrderStatus.NEW, "answer")
        it.tell(query("nd-o-1"))
        assert (await it.wait(OrderReport, source="query")).order_id == report.order_id
        it.tell(replace("nd-o-1", "nd-o-2", price="55001.00"))
        assert (await it.wait(OrderReport, client_id="nd-o-1")).status is OrderStatus.CANCELED
        assert (await it.wait(OrderReport, client_id="nd-o-2")).status is OrderStatus.NEW
        # HTTP 409: half of it succeeded.
        it.tell(replace("nd-o-2", "nd-o-3", kind=OrderKind.POST_ONLY, price="99999.00"))
        assert (await it.wait(OrderReport, client_id="nd-o-2")).status is OrderStatus.CANCELED
        assert (await it.wait(OrderRefusedByVenue)).client_id == "nd-o-3"
        it.tell(cancel("nd-o-2"))
        assert (await it.wait(CancelRefused)).code == -2011
        it.tell(query("nd-o-never"))
        await it.wait(NoSuchOrder)
        it.tell(place("nd-o-4", price=LOW, size="0.0000001"))
        assert (await it.wait(OrderRefusedByVenue)).code in (-1013, -1111)


async def test_a_query_that_does_not_know_the_order_yet_is_no_such_order(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(HideOrders(for_s=30))
        it.tell(place("nd-o-1", price=LOW))
        await it.wait(OrderReport)
        it.tell(query("nd-o-1"))
        assert (await it.wait(NoSuchOrder)).asked_wall_ns > 0


@pytest.mark.parametrize("execute", [True, False])
async def test_a_5xx_is_unknown_whether_or_not_it_took_effect(tmp_path: Path, execute: bool) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(ServerError(match="order.place", count=1, execute=execute))
        it.tell(place("nd-o-1", price=LOW))
        await it.wait(OrderOutcomeUnknown)
        it.tell(query("nd-o-1"))
        await it.wait(OrderReport if execute else NoSuchOrder)


async def test_no_answer_is_unknown_after_the_orders_own_deadline(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(NoAnswer(match="order.place", count=1))
        it.tell(place("nd-o-1", price=LOW))
        assert "TooSlow" in (await it.wait(OrderOutcomeUnknown)).reason
        it.tell(query("nd-o-1"))
        assert (await it.wait(OrderReport)).status is OrderStatus.NEW


async def test_flags_and_lateness_hold_an_order_back_at_the_last_moment(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        it.tell(place("nd-o-1", price=LOW, send_by_ns=1))
        assert "too late" in (await it.wait(OrderNotSent)).reason
        it.runtime.tell(it.orders, KillLatched())
        it.tell(place("nd-o-2", price=LOW))
        assert (await it.wait(OrderNotSent)).reason == "killed"
        it.tell(place("nd-r-3", price=LOW, opens=False))
        assert (await it.wait(OrderReport)).client_id == "nd-r-3"
        assert len(venue.record()["orders"]) == 1  # type: ignore[arg-type]


async def test_an_order_in_flight_is_waited_for_though_the_tree_is_stopping(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(Latency(match="order.place", min_s=0.3, when="after"))
        it.tell(place("nd-o-1", price=LOW))
        await trio.sleep(0.1)
    assert [m.client_id for m in it.messages if isinstance(m, OrderReport)] == ["nd-o-1"]


async def test_an_order_whose_answer_crashes_the_port_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    async with connected(tmp_path) as (it, _):
        monkeypatch.setattr(answers, "answer", broken)
        it.tell(place("nd-o-1", price=LOW))
        await it.wait(OrderOutcomeUnknown, client_id="nd-o-1")


async def test_a_ban_holds_everything_back_for_all(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(Ban(for_s=60))
        it.tell(cancel("nd-o-1"))
        trouble = await it.wait(VenueTrouble)
        assert trouble.kind == "banned"
        await it.wait(CancelRefused)
        counts = venue.record()["server"]["counts"]  # type: ignore[index]
        it.tell(place("nd-o-1", price=LOW))
        assert "banned" in (await it.wait(OrderNotSent)).reason
        it.tell(SnapshotWanted(instrument=BTC, levels=100))
        failed = await it.wait(SnapshotFailed)
        assert "banned" in failed.reason
        assert 50 < failed.retry_after_s <= 61
        it.tell(WHOLE)
        assert "banned" in (await it.wait(QueryFailed)).reason
        assert venue.record()["server"]["counts"] == counts  # type: ignore[index]


async def test_maintenance_is_told_and_leaves_outcomes_unknown(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(Maintenance(for_s=30))
        it.tell(cancel("nd-o-1"))
        await it.wait(CancelOutcomeUnknown)
        assert (await it.wait(VenueTrouble)).kind == "maintenance"
        # It holds nothing back: the next one is tried as well.
        it.tell(cancel("nd-o-1"))
        await it.wait(CancelOutcomeUnknown)


# -- the account
# ----------------------------------------------------------------------------------------------


async def test_the_account_is_read_whole_and_fills_name_their_orders(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, _):
        it.tell(place("nd-o-1", price=LOW))
        it.tell(market("nd-o-2"))
        for _ in range(2):
            await it.wait(OrderReport)
        it.tell(WHOLE)
        account = await it.wait(AccountSnapshot)
        [resting] = account.open_orders
        assert (resting.client_id, resting.source, resting.status) == ("nd-o-1", "snapshot", OrderStatus.NEW)
        assert {fill.client_id for fill in account.fills} == {"nd-o-2"}
        assert sum(fill.size for fill in account.fills) == Decimal("0.002")
        coins = {balance.coin: balance for balance in account.balances}
        assert coins["USDT"].locked == Decimal("55.00")
        # From behind the last trade there is nothing more.
        since = {BTC: max(fill.trade_id for fill in account.fills) + 1}
        it.tell(QueryAccount(account="binance/main", instruments=(BTC,), trades_since=since))
        assert (await it.wait(AccountSnapshot)).fills == ()


async def test_a_reading_that_fails_is_told_with_the_venues_words(tmp_path: Path) -> None:
    async with connected(tmp_path) as (it, venue):
        venue.running.control.begin(ServerError(match="myTrades", count=1, code=-1000))
        it.tell(WHOLE)
        failed = await it.wait(QueryFailed)
        assert (failed.what, failed.key) == ("account", "binance/main")
        assert "myTrades: -1000" in failed.reason


async def test_no_log_line_holds_a_signature_or_a_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected(tmp_path, "hmac") as (it, venue):
        it.tell(place("nd-o-1", price=LOW))
        await it.wait(OrderReport)
        assert "signature" not in caplog.text
        assert venue.hmac.api_key not in caplog.text
