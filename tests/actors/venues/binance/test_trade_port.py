"""The trade port over real sockets: against the simulated venue, and against a server that does as a script
says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.messages import (
    BalancesChanged,
    CancelOutcomeUnknown,
    CancelRefused,
    Fill,
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
    Side,
    TimeInForce,
    UserStreamDown,
    UserStreamUp,
    VenueTrouble,
)
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.signing import make_signer
from actors.venues.binance.trade import TradePort
from actors.venues.simulated.faults import (
    Ban,
    Drop,
    DuplicateFills,
    Latency,
    NoAnswer,
    ServerError,
    Shutdown,
    WrongClock,
)
from actors.venues.simulated.keys import NewKey
from supervisor.secret import Secret
from tests.actors.venues.binance.desk import Desk, desk
from tests.actors.venues.binance.order_samples import cancel, place, query, replace
from tests.actors.venues.simulated.venue_fixture import LocalVenue, running_venue

# Below the simulated market, within its price filters.
LOW = "55000.00"
QUICK: dict[str, Any] = {"reconnect_min_s": 0.05, "answer_timeout_s": 1.1, "heartbeat_s": 0.5}


def port_maker(url: str, key: NewKey, folder: Path, **config: Any) -> Callable[[Desk], TradePort]:
    settings = BinanceConfig(ws_api_url=url, **(QUICK | config))
    clock = VenueClock()
    budget = HostBudget(folder / "budget", settings.account_name)

    def make(it: Desk) -> TradePort:
        return TradePort(
            settings,
            Secret(key.api_key),
            make_signer(Secret(key.client_secret)),
            clock=clock,
            budget=budget,
            orders=it.orders,
            listeners=(it.orders,),
        )

    return make


@asynccontextmanager
async def trading(
    folder: Path, kind: str = "ed25519", **config: Any
) -> AsyncIterator[tuple[Desk, LocalVenue]]:
    async with running_venue() as venue:
        key: NewKey = getattr(venue, kind)
        url = f"{venue.ws_url}/ws-api/v3"
        async with desk(port_maker(url, key, folder, **config)) as it:
            await it.wait(UserStreamUp)
            yield it, venue


def market(client_id: str, side: Side = Side.BUY, **changes: Any) -> Any:
    return place(client_id, kind=OrderKind.MARKET, price=None, side=side, size="0.00200", **changes)


@pytest.mark.parametrize("kind", ["ed25519", "hmac"])
async def test_an_order_rests_is_asked_for_and_is_canceled(tmp_path: Path, kind: str) -> None:
    async with trading(tmp_path, kind) as (it, _):
        it.tell(place("nd-o-1", price=LOW))
        report = await it.wait(OrderReport, source="answer")
        assert (report.client_id, report.status) == ("nd-o-1", OrderStatus.NEW)
        streamed = await it.wait(OrderReport, source="stream", status=OrderStatus.NEW)
        assert (streamed.client_id, streamed.order_id) == ("nd-o-1", report.order_id)
        await it.wait(BalancesChanged)
        it.tell(query("nd-o-1"))
        assert (await it.wait(OrderReport, source="query")).price == Decimal(LOW)
        it.tell(cancel("nd-o-1"))
        gone = await it.wait(OrderReport, source="answer", status=OrderStatus.CANCELED)
        event = await it.wait(OrderReport, source="stream", status=OrderStatus.CANCELED)
        assert gone.client_id == event.client_id == "nd-o-1"
        it.tell(cancel("nd-o-1"))
        assert (await it.wait(CancelRefused)).code == -2011
        it.tell(query("nd-o-never"))
        await it.wait(NoSuchOrder, client_id="nd-o-never")


async def test_fills_come_with_their_fee_and_agree_with_the_venues_own_record(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        it.tell(market("nd-o-2"))
        fill = await it.wait(Fill)
        assert (fill.client_id, fill.side, fill.size) == ("nd-o-2", Side.BUY, Decimal("0.002"))
        assert fill.fee > 0
        assert fill.fee_coin
        assert not fill.is_maker
        await it.wait(OrderReport, source="stream", status=OrderStatus.FILLED)
        assert str(fill.trade_id) in str(venue.record())


async def test_a_replace_is_answered_for_both_orders(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, _):
        it.tell(place("nd-o-1", price=LOW))
        await it.wait(OrderReport, source="answer")
        it.tell(replace("nd-o-1", "nd-o-2", price="55001.00"))
        assert (
            await it.wait(OrderReport, source="answer", client_id="nd-o-1")
        ).status is OrderStatus.CANCELED
        assert (await it.wait(OrderReport, source="answer", client_id="nd-o-2")).status is OrderStatus.NEW
        # The new one is refused: the old one is gone all the same.
        it.tell(replace("nd-o-2", "nd-o-3", kind=OrderKind.POST_ONLY, price="99999.00"))
        assert (
            await it.wait(OrderReport, source="answer", client_id="nd-o-2")
        ).status is OrderStatus.CANCELED
        assert (await it.wait(OrderRefusedByVenue)).client_id == "nd-o-3"
        # The cancel fails: the new one was not attempted.
        it.tell(replace("nd-o-2", "nd-o-4", price="55001.00"))
        assert (await it.wait(CancelRefused)).client_id == "nd-o-2"
        assert (await it.wait(OrderRefusedByVenue)).client_id == "nd-o-4"


async def test_a_stop_can_be_placed_while_killed_but_nothing_opens(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        it.tell(market("nd-o-1"))
        await it.wait(Fill)
        it.runtime.tell(it.orders, KillLatched())
        it.tell(market("nd-o-2"))
        assert (await it.wait(OrderNotSent)).reason == "killed"
        stop = {"kind": OrderKind.STOP_MARKET, "price": None, "stop_price": LOW, "side": Side.SELL}
        it.tell(place("nd-p-3", opens=False, size="0.00100", **stop))
        report = await it.wait(OrderReport, source="answer", client_id="nd-p-3")
        assert report.kind is OrderKind.STOP_MARKET
        assert "nd-o-2" not in str(venue.record())


async def test_an_order_that_reaches_the_venue_after_its_deadline_is_refused_there(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        venue.running.control.begin(Latency(match="order.place", min_s=0.4))
        it.tell(place("nd-o-1", price=LOW, window_ms=100))
        refused = await it.wait(OrderRefusedByVenue)
        assert refused.code == -1021
        assert venue.record()["orders"] == []


async def test_an_order_that_is_late_before_it_is_written_never_leaves(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        it.tell(place("nd-o-1", price=LOW, send_by_ns=1))
        assert "too late" in (await it.wait(OrderNotSent)).reason
        assert "nd-o-1" not in str(venue.record())


async def test_a_wrong_clock_is_measured_and_orders_are_signed_for_the_venues_time(tmp_path: Path) -> None:
    async with running_venue() as venue:
        venue.running.control.begin(WrongClock(offset_ms=-7_000))
        maker = port_maker(f"{venue.ws_url}/ws-api/v3", venue.ed25519, tmp_path)
        async with desk(maker) as it:
            await it.wait(UserStreamUp)
            it.tell(place("nd-o-1", price=LOW))
            assert (await it.wait(OrderReport, source="answer")).status is OrderStatus.NEW


async def test_no_answer_is_unknown_and_the_stream_still_tells(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        venue.running.control.begin(NoAnswer(match="order.place", count=1))
        it.tell(place("nd-o-1", price=LOW))
        assert (await it.wait(OrderOutcomeUnknown)).client_id == "nd-o-1"
        assert (await it.wait(OrderReport, source="stream")).status is OrderStatus.NEW


async def test_a_5xx_is_unknown_whether_or_not_the_order_took_effect(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        for execute, client_id in ((True, "nd-o-1"), (False, "nd-o-2")):
            venue.running.control.begin(
                ServerError(match="order.place", count=1, status=503, code=-1006, execute=execute)
            )
            it.tell(place(client_id, price=LOW))
            assert (await it.wait(OrderOutcomeUnknown)).client_id == client_id
        it.tell(query("nd-o-1"))
        assert (await it.wait(OrderReport, source="query")).status is OrderStatus.NEW
        it.tell(query("nd-o-2"))
        await it.wait(NoSuchOrder, client_id="nd-o-2")


async def test_a_connection_cut_with_an_order_in_flight_leaves_it_unknown_and_comes_back(
    tmp_path: Path,
) -> None:
    async with trading(tmp_path) as (it, venue):
        venue.running.control.begin(Drop(match="order.place", count=1, execute=True))
        it.tell(place("nd-o-1", price=LOW))
        assert (await it.wait(OrderOutcomeUnknown)).client_id == "nd-o-1"
        await it.wait(UserStreamDown)
        await it.wait(UserStreamUp)
        it.tell(query("nd-o-1"))
        assert (await it.wait(OrderReport, source="query")).status is OrderStatus.NEW


async def test_a_duplicated_fill_is_told_twice_with_one_identity(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        venue.running.control.begin(DuplicateFills(count=1))
        it.tell(market("nd-o-1"))
        assert await it.wait(Fill) == await it.wait(Fill)


async def test_a_shutdown_notice_renews_the_connection_before_the_venue_cuts_it(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        venue.running.control.begin(Shutdown(after_s=30))
        assert (await it.wait(UserStreamDown)).reason == "renewing the connection"
        await it.wait(UserStreamUp)


async def test_a_ban_is_told_and_then_nothing_at_all_is_sent(tmp_path: Path) -> None:
    async with trading(tmp_path, heartbeat_s=30) as (it, venue):
        venue.running.control.begin(Ban(for_s=60))
        it.tell(place("nd-o-1", price=LOW))
        assert (await it.wait(VenueTrouble)).kind == "banned"
        assert (await it.wait(OrderRefusedByVenue)).code == -1003
        counts = venue.record()["server"]["counts"]  # type: ignore[index]
        assert counts["requests_during_ban"] == 1
        for number in range(5):
            it.tell(cancel(f"nd-o-{number}"))
            assert "banned" in (await it.wait(CancelOutcomeUnknown)).reason
            it.tell(place("nd-r-1", opens=False, price=LOW))
            assert "banned" in (await it.wait(OrderNotSent)).reason
        # Long enough for a reconnect, which would weigh as well.
        await trio.sleep(0.3)
        assert venue.record()["server"]["counts"] == counts  # type: ignore[index]


async def test_a_full_mailbox_of_orders_loses_no_fill(tmp_path: Path) -> None:
    async with running_venue() as venue:
        maker = port_maker(f"{venue.ws_url}/ws-api/v3", venue.ed25519, tmp_path)
        async with desk(maker, bound=4, away_s=0.3) as it:
            await it.wait(UserStreamUp)
            # Nobody reads orders' mailbox while thirty fills come.
            it.runtime.crash("orders")
            it.tell(query("nd-o-0"))
            for number in range(30):
                it.runtime.tell(it.port, market(f"nd-o-{number}", window_ms=1000))
            fills = {(await it.wait(Fill)).trade_id for _ in range(30)}
            assert len(fills) == 30


async def test_a_restarted_orders_hears_again_that_the_stream_is_up(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, _):
        it.runtime.crash("orders")
        it.tell(query("nd-o-1"))
        await it.wait(UserStreamUp)


async def test_a_lost_connection_is_told_and_renewed(tmp_path: Path) -> None:
    async with trading(tmp_path, connection_max_s=0.4) as (it, _):
        down = await it.wait(UserStreamDown)
        assert down.reason == "renewing the connection"
        await it.wait(UserStreamUp)
        it.tell(place("nd-o-1", price=LOW, tif=TimeInForce.GTC))


async def test_a_refused_key_halts_the_branch(tmp_path: Path) -> None:
    async with running_venue() as venue:
        wrong = NewKey("ED25519")
        async with desk(port_maker(f"{venue.ws_url}/ws-api/v3", wrong, tmp_path)) as it:
            error = await it.halted()
            assert "refuses the API key" in error
            assert wrong.client_secret.split()[3][:20] not in error


async def test_without_a_venue_everything_is_answered_not_sent(tmp_path: Path) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    for listener in listeners:
        await listener.aclose()
    async with desk(port_maker(f"ws://127.0.0.1:{port}", NewKey("ED25519"), tmp_path)) as it:
        it.tell(place("nd-o-1"))
        assert "not connected" in (await it.wait(OrderNotSent, client_id="nd-o-1")).reason
        it.tell(replace("nd-o-1", "nd-o-2"))
        await it.wait(CancelOutcomeUnknown, client_id="nd-o-1")
        await it.wait(OrderNotSent, client_id="nd-o-2")


async def test_an_account_is_not_read_over_the_connection_of_orders(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, _):
        it.tell(QueryAccount(account="binance/main", instruments=(), trades_since={}))
        assert (await it.wait(QueryFailed)).reason == "ask the REST port"


async def test_a_port_that_crashes_with_an_order_in_flight_leaves_it_unknown(tmp_path: Path) -> None:
    async with trading(tmp_path) as (it, venue):
        venue.running.control.begin(NoAnswer(match="order.place", count=1))
        it.tell(place("nd-o-1", price=LOW))
        await it.wait(OrderReport, source="stream")
        it.runtime.crash("port")
        # The crash strikes with the next message in hand, which never left.
        it.tell(place("nd-o-2", price=LOW))
        await it.wait(OrderOutcomeUnknown, client_id="nd-o-1")
        await it.wait(OrderNotSent, client_id="nd-o-2")
        await it.wait(UserStreamUp)
