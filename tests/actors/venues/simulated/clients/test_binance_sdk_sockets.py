"""The simulated venue through the official binance-sdk-spot's websocket API and market streams, unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.venues.simulated.config import GeneratedConfig, VenueConfig
from tests.actors.venues.simulated.clients.binance_sdk_fixture import rest, snake, sockets, unknown_fields
from tests.actors.venues.simulated.clients.clients_fixture import (
    LIMIT,
    OCO,
    ORDERS_REFUSED,
    RESTING,
    MovableClock,
    eventually,
    tight_config,
)
from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread, server_config

pytest.importorskip("binance_sdk_spot", reason="binance-sdk-spot is not installed")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@asynccontextmanager
async def _api(venue: LocalVenue, key: Any = None) -> AsyncIterator[Any]:
    connection = await sockets(venue, key).websocket_api.create_connection()
    try:
        yield connection
    finally:
        await connection.close_connection(close_session=True)


@asynccontextmanager
async def _streams(venue: LocalVenue) -> AsyncIterator[Any]:
    connection = await sockets(venue).websocket_streams.create_connection()
    try:
        yield connection
    finally:
        await connection.close_connection(close_session=True)


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(main())


def _result(answer: Any) -> Any:
    data = answer.data()
    assert not isinstance(data, dict), data
    assert unknown_fields(data.result) == []
    return data.result


# --- The websocket API --------------------------------------------------------------------------------


def test_a_session_logged_on_with_ed25519_trades_without_signing_again(venue_thread: LocalVenue) -> None:
    async def scenario() -> None:
        async with _api(venue_thread) as api:
            before = _result(await api.session_status())
            assert (before.api_key, before.authorized_since) == (None, None)
            assert _result(await api.session_logon()).api_key == venue_thread.ed25519.api_key
            order = _result(await api.order_place(**snake(RESTING)))
            assert order.status == "NEW"
            # The client signs nothing that it sends over a session.
            sent = venue_thread.server.logbook.requests[-1]
            assert (sent.method, sent.account, "signature" in sent.params) == ("order.place", "desk", False)
            assert "apiKey" not in sent.params
            by_id = {"symbol": "BTCUSDT", "order_id": order.order_id}
            assert _result(await api.order_status(**by_id)).price == "59000.00000000"
            assert len(_result(await api.open_orders_status(symbol="BTCUSDT"))) == 1
            locked = {row.asset: row.locked for row in _result(await api.account_status()).balances}
            assert locked["USDT"] == "59.00000000"
            assert _result(await api.order_cancel(**by_id)).status == "CANCELED"
            assert _result(await api.session_logout()).api_key is None
            assert _result(await api.session_status()).authorized_since is None

    _run(scenario)


def test_only_ed25519_keys_can_log_on_and_others_sign_each_request(venue_thread: LocalVenue) -> None:
    async def scenario() -> None:
        async with _api(venue_thread, venue_thread.hmac) as api:
            refused = (await api.session_logon()).data()
            assert refused["error"]["code"] == -4056
            assert refused["error"]["msg"] == "HMAC_SHA256 API key is not supported."
        async with _api(venue_thread, venue_thread.hmac) as api:
            order = _result(await api.order_place(**snake(RESTING)))
            assert order.status == "NEW"

    _run(scenario)


def test_every_kind_of_order_goes_over_the_websocket_api(venue_thread: LocalVenue) -> None:
    async def scenario() -> None:
        async with _api(venue_thread) as api:
            await api.session_logon()
            over = {**LIMIT, "quantity": "1.5", "price": "60000.01"}
            ioc = _result(await api.order_place(**snake({**over, "timeInForce": "IOC"})))
            assert (ioc.status, ioc.executed_qty) == ("EXPIRED", "1.00000000")
            fok = _result(await api.order_place(**snake({**over, "price": "60000.02", "timeInForce": "FOK"})))
            assert (fok.status, fok.executed_qty) == ("EXPIRED", "0.00000000")
            iceberg = {**LIMIT, "quantity": "0.1", "price": "60000.00", "icebergQty": "0.01"}
            resting = _result(await api.order_place(**snake(iceberg)))
            book = _result(await api.depth(symbol="BTCUSDT", limit=5))
            assert book.bids[0] == ["60000.00000000", "0.01000000"]
            amended = await api.order_amend_keep_priority(
                symbol="BTCUSDT", order_id=resting.order_id, new_qty="0.09"
            )
            assert _result(amended).amended_order.qty == "0.09000000"
            replaced = await api.order_cancel_replace(
                **snake(RESTING), cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=resting.order_id
            )
            assert _result(replaced).new_order_response.status == "NEW"
            placed = _result(await api.order_list_place_oco(**snake(OCO)))
            assert placed.list_order_status == "EXECUTING"
            done = await api.order_list_cancel(symbol="BTCUSDT", order_list_id=placed.order_list_id)
            assert _result(done).list_order_status == "ALL_DONE"
            assert len(_result(await api.open_orders_cancel_all(symbol="BTCUSDT"))) == 1
            market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
            filled = _result(await api.order_place(**market))
            mine = _result(await api.my_trades(symbol="BTCUSDT", order_id=filled.order_id))
            assert [row.id for row in mine] == [fill.trade_id for fill in filled.fills]

    _run(scenario)


def test_the_websocket_api_refuses_with_binances_codes(venue_thread: LocalVenue) -> None:
    async def scenario() -> None:
        async with _api(venue_thread) as api:

            async def refused(answer: Awaitable[Any]) -> tuple[int, str]:
                error = (await answer).data()["error"]
                return error["code"], error["msg"]

            # Before the logon nothing is signed but what the client signs itself.
            assert await refused(api.order_status(symbol="BTCUSDT", order_id=1)) == (
                -2013,
                "Order does not exist.",
            )
            await api.session_logon()
            for name, refusal in ORDERS_REFUSED.items():
                # Its typed methods cannot send a parameter that Binance does not know.
                if name != "unread":
                    code, words = await refused(api.order_place(**snake(refusal.params())))
                    assert (code, words.startswith(refusal.message)) == (refusal.code, True), name
            unknown = {"symbol": "BTCUSDT", "order_id": 1}
            assert await refused(api.order_cancel(**unknown)) == (-2011, "Unknown order sent.")
            assert (await refused(api.depth(symbol="NOSUCH")))[0] == -1121
            assert (await refused(api.account_status(recv_window=60_001)))[0] == -1131
            # A microsecond is too short for any request.
            assert (await refused(api.account_status(recv_window=0.001)))[0] == -1021
            half = await refused(
                api.order_cancel_replace(
                    **snake(RESTING), cancel_replace_mode="ALLOW_FAILURE", cancel_order_id=1
                )
            )
            assert half[0] == -2021

    _run(scenario)


def test_the_weight_is_counted_and_429_becomes_418_on_the_websocket_api() -> None:
    clock = MovableClock()

    async def scenario() -> None:
        async with _api(venue) as api:
            answers = [await api.exchange_info() for _ in range(5)]
            used = [limits[-1].count for limits in (answer.rate_limits for answer in answers) if limits]
            assert used == sorted(used)
            errors = [
                data["error"] for data in (answer.data() for answer in answers) if isinstance(data, dict)
            ]
            assert [error["code"] for error in errors] == [-1003] * len(errors)
            assert "current limit is 60 request weight per 1 MINUTE" in errors[0]["msg"]
            waits = [error["data"]["retryAfter"] - error["data"]["serverTime"] for error in errors]
            assert 0 < waits[0] <= 60_000
            assert "IP banned until" in errors[-1]["msg"]
            assert 119_000 <= waits[-1] <= 120_000
        clock.move(121)
        async with _api(venue) as api:
            assert _result(await api.time()).server_time > 0

    with VenueThread(tight_config(), clock=clock) as venue:
        _run(scenario)


# --- User data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["session", "signature"])
def test_the_user_data_stream_tells_every_event_of_an_oco(venue_thread: LocalVenue, way: str) -> None:
    async def scenario() -> None:
        key = venue_thread.ed25519 if way == "session" else venue_thread.hmac
        events: list[Any] = []
        async with _api(venue_thread, key) as api:
            if way == "session":
                await api.session_logon()
                subscribed = await api.user_data_stream_subscribe()
            else:
                subscribed = await api.user_data_stream_subscribe_signature()
            subscribed.stream.on("message", lambda event: events.append(event.actual_instance))
            placed = _result(await api.order_list_place_oco(**snake({**OCO, "abovePrice": "60000.01"})))
            buy = snake({**LIMIT, "quantity": "1.01", "price": "60000.01"})
            await asyncio.to_thread(lambda: rest(venue_thread, venue_thread.other).new_order(**buy))
            await eventually(lambda: _names(events).count("ListStatus") == 2, "the list is done")
            await api.user_data_stream_unsubscribe()
        assert unknown_fields(events) == []
        reports = [event for event in events if type(event).__name__ == "ExecutionReport"]
        steps = [(report.o, report.x, report.X) for report in reports]
        assert sorted(steps[:2]) == [("LIMIT_MAKER", "NEW", "NEW"), ("STOP_LOSS_LIMIT", "NEW", "NEW")]
        assert sorted(steps[2:]) == [
            ("LIMIT_MAKER", "TRADE", "FILLED"),
            ("STOP_LOSS_LIMIT", "EXPIRED", "EXPIRED"),
        ]
        assert {report.g for report in reports} == {placed.order_list_id}
        fill = next(report for report in reports if report.x == "TRADE")
        # 0.01 BTC at 60000.01, less a tenth of a percent.
        assert (fill.n, fill.N, fill.m, fill.L) == ("0.60000010", "USDT", True, "60000.01000000")
        positions = [event for event in events if type(event).__name__ == "OutboundAccountPosition"]
        last = {row.a: (row.f, row.l) for row in positions[-1].B}
        assert last["BTC"] == ("9.99000000", "0.00000000")
        assert last["USDT"] == ("1000599.40009990", "0.00000000")

    _run(scenario)


def _names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


# --- Market streams -----------------------------------------------------------------------------------


def test_every_stream_fits_the_official_models(venue_thread: LocalVenue) -> None:
    async def scenario() -> None:
        seen: dict[str, list[Any]] = {}
        async with _streams(venue_thread) as streams:
            for name, params in {
                "trade": {},
                "agg_trade": {},
                "book_ticker": {},
                "diff_book_depth": {"update_speed": "100ms"},
                "partial_book_depth": {"levels": "5", "update_speed": "100ms"},
                "kline": {"interval": "1m"},
                "mini_ticker": {},
                "ticker": {},
                "avg_price": {},
            }.items():
                seen[name] = []
                stream = await getattr(streams, name)(symbol="btcusdt", **params)
                stream.on("message", seen[name].append)
            await eventually(lambda: len(venue_thread.server.hub.heard()) == len(seen), "all are subscribed")
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": 0.5}
            filled = await asyncio.to_thread(lambda: rest(venue_thread).new_order(**order).data())
            price = "60000.01000000"
            slow = (seen["ticker"], seen["mini_ticker"], seen["kline"])

            def told() -> bool:
                last = [getattr(rows[-1], "k", rows[-1]) for rows in slow if rows]
                return all(seen.values()) and {row.c for row in last} == {price}

            await eventually(told, "each stream tells of the trade")
            listed = await streams.list_subscribe()
            assert len(listed["result"]) == len(seen)
        assert unknown_fields(list(seen.values())) == []
        trade, folded, top = seen["trade"][0], seen["agg_trade"][0], seen["book_ticker"][-1]
        assert (trade.t, trade.p, trade.q) == (filled.fills[0].trade_id, price, "0.50000000")
        assert (folded.f, folded.l, folded.p) == (trade.t, trade.t, trade.p)
        assert (top.a, top.A) == (price, "0.50000000")
        assert ["60000.01000000", "0.50000000"] in seen["diff_book_depth"][0].a
        assert seen["partial_book_depth"][-1].asks[0] == ["60000.01000000", "0.50000000"]
        candle = seen["kline"][-1].k
        assert (candle.f, candle.L, candle.n, candle.v) == (trade.t, trade.t, 1, "0.50000000")

    _run(scenario)


def test_a_book_kept_by_binances_rules_equals_the_snapshot_of_the_same_update_id() -> None:
    busy = GeneratedConfig(regime="violent", levels=100, depth_per_s=20, warmup_minutes=5)
    config = server_config(venue={"generated": busy, "symbols": VenueConfig().symbols[:1]})
    kept: dict[int, Any] = {}
    snapshots: dict[int, Any] = {}

    async def scenario() -> None:
        ask = rest(venue)

        async def snapshot() -> Any:
            data = await asyncio.to_thread(lambda: ask.depth(symbol="BTCUSDT", limit=1000).data())
            snapshots[data.last_update_id] = (dict(data.bids), dict(data.asks))
            return data.last_update_id

        async with _streams(venue) as streams:
            events: list[Any] = []
            stream = await streams.diff_book_depth(symbol="btcusdt", update_speed="100ms")
            stream.on("message", events.append)
            # Buffer first, then the snapshot, then only what is newer: web-socket-streams.md.
            await eventually(lambda: len(events) > 0, "the stream speaks")
            start = await snapshot()
            bids, asks = (dict(side) for side in snapshots[start])
            last, done = start, 0
            for _ in range(500):
                for event in events[done:]:
                    done += 1
                    if event.u <= start:
                        continue
                    assert event.U <= last + 1 <= event.u, "no gap"
                    for side, changes in ((bids, event.b), (asks, event.a)):
                        for price, size in changes:
                            side[price] = size
                            if float(size) == 0:
                                del side[price]
                    last = event.u
                    kept[last] = (dict(bids), dict(asks))
                if len(kept.keys() & snapshots.keys()) >= 5 and len(kept) >= 10:
                    break
                await snapshot()
                await asyncio.sleep(0.02)

    with VenueThread(config, generated=True) as venue:
        _run(scenario)
    common = kept.keys() & snapshots.keys()
    assert len(common) >= 5
    for update_id in common:
        assert kept[update_id] == snapshots[update_id]
