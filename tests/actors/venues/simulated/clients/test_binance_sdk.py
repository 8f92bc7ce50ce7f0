"""The simulated venue through the official binance-sdk-spot's REST client, unmodified.

Its models are Binance's own description of every answer: an answer with a wrong type is logged by the client
and one with an unknown field shows in `additional_properties`; both fail these tests. The rest is taken from
the documentation, see clients_fixture.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.simulated.config import RateLimitConfig
from tests.actors.venues.simulated.clients.binance_sdk_fixture import rest, snake, unknown_fields
from tests.actors.venues.simulated.clients.clients_fixture import (
    BEST_ASK,
    BEST_BID,
    COUNTED,
    FEE,
    LIMIT,
    OCO,
    ORDERS_REFUSED,
    RESTING,
    MovableClock,
    changed,
    config_with,
    tight_config,
)
from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread, server_config

errors = pytest.importorskip("binance_common.errors", reason="binance-sdk-spot is not installed")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def client(venue_thread: LocalVenue, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    with caplog.at_level(logging.WARNING):
        yield rest(venue_thread)
    assert [record.getMessage() for record in caplog.records] == [], "an answer did not fit Binance's models"


def _order(client: Any, **params: Any) -> Any:
    return client.new_order(**snake(params)).data()


def _balances(client: Any) -> dict[str, tuple[Decimal, Decimal]]:
    rows = client.get_account().data().balances
    return {row.asset: (Decimal(row.free), Decimal(row.locked)) for row in rows}


# --- Shapes -------------------------------------------------------------------------------------------


def test_every_answer_about_the_market_fits_the_official_models(client: Any) -> None:
    _order(client, symbol="BTCUSDT", side="BUY", type="MARKET", quantity=1.5)
    asked: list[tuple[str, dict[str, Any]]] = [("exchange_info", {}), ("time", {}), ("ticker_price", {})]
    names = "depth get_trades historical_trades agg_trades avg_price ticker ticker24hr ticker_book_ticker"
    asked += [(name, {"symbol": "BTCUSDT"}) for name in f"{names} ticker_price ticker_trading_day".split()]
    asked += [(name, {"symbol": "BTCUSDT", "interval": "1h"}) for name in ("klines", "ui_klines")]
    for name, params in asked:
        answer = getattr(client, name)(**params)
        assert answer.data(), name
        assert unknown_fields(answer.data(), name) == []
        assert answer.rate_limits[0].rateLimitType == "REQUEST_WEIGHT"
    assert client.ping().data() == {}


def test_every_answer_about_the_account_fits_the_official_models(client: Any) -> None:
    resting = _order(client, **RESTING)
    filled = _order(client, symbol="BTCUSDT", side="BUY", type="MARKET", quantity=1.5)
    by_id = {"symbol": "BTCUSDT", "order_id": resting.order_id}
    amended = client.order_amend_keep_priority(**by_id, new_qty=0.0009).data()
    replaced = client.order_cancel_replace(
        **snake(RESTING), cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=resting.order_id
    ).data()
    placed = client.order_list_oco(**snake(OCO)).data()
    answers = [resting, filled, amended, replaced, placed]
    symbol = {"symbol": "BTCUSDT"}
    answers += [
        getattr(client, name)(**symbol).data() for name in ("my_trades", "all_orders", "get_open_orders")
    ]
    for name in ("get_account", "open_order_list", "all_order_list", "rate_limit_order"):
        answers.append(getattr(client, name)().data())
    answers += [client.get_order(**by_id).data(), client.account_commission(**symbol).data()]
    answers.append(client.get_order_list(order_list_id=placed.order_list_id).data())
    answers.append(client.delete_open_orders(**symbol).data())
    answers.append(client.order_test(**snake(RESTING), compute_commission_rates=True).data())
    assert all(answers)
    assert unknown_fields(answers) == []
    assert client.my_allocations(**symbol).data() == []


# --- Orders and money ---------------------------------------------------------------------------------


def test_a_resting_order_lives_and_is_cancelled(client: Any) -> None:
    order = _order(client, **RESTING, newClientOrderId="mine")
    assert (order.status, order.client_order_id, order.fills) == ("NEW", "mine", [])
    assert _balances(client)["USDT"] == (Decimal(999_941), Decimal(59))
    found = client.get_order(symbol="BTCUSDT", orig_client_order_id="mine").data()
    assert (found.order_id, found.is_working, found.orig_qty) == (order.order_id, True, "0.00100000")
    gone = client.delete_order(symbol="BTCUSDT", order_id=order.order_id).data()
    assert (gone.status, gone.orig_client_order_id) == ("CANCELED", "mine")
    assert _balances(client)["USDT"] == (Decimal(1_000_000), Decimal(0))


def test_a_market_order_pays_price_and_commission(client: Any) -> None:
    order = _order(client, symbol="BTCUSDT", side="BUY", type="MARKET", quantity=1.5)
    cost = BEST_ASK + Decimal("60000.02") / 2
    assert (order.status, Decimal(order.cummulative_quote_qty)) == ("FILLED", cost)
    assert [(fill.price, fill.qty) for fill in order.fills] == [
        ("60000.01000000", "1.00000000"),
        ("60000.02000000", "0.50000000"),
    ]
    assert {fill.commission_asset for fill in order.fills} == {"BTC"}
    balances = _balances(client)
    assert balances["BTC"][0] == 10 + Decimal("1.5") * (1 - FEE)
    assert balances["USDT"][0] == 1_000_000 - cost
    mine = client.my_trades(symbol="BTCUSDT").data()
    assert sum(Decimal(row.commission) for row in mine) == Decimal("0.0015")
    assert [row.id for row in mine] == [fill.trade_id for fill in order.fills]
    sold = _order(client, symbol="BTCUSDT", side="SELL", type="MARKET", quoteOrderQty=600)
    assert (sold.status, sold.executed_qty) == ("FILLED", "0.01000000")
    assert sold.fills[0].commission_asset == "USDT"
    assert Decimal(sold.fills[0].commission) == BEST_BID / 100 * FEE // Decimal("1e-8") * Decimal("1e-8")


def test_ioc_fok_post_only_and_iceberg(client: Any) -> None:
    over = {**LIMIT, "quantity": 1.5, "price": 60000.01}
    ioc = _order(client, **{**over, "timeInForce": "IOC"})
    assert (ioc.status, ioc.executed_qty) == ("EXPIRED", "1.00000000")
    fok = _order(client, **{**over, "price": 60000.02, "timeInForce": "FOK"})
    assert (fok.status, fok.executed_qty) == ("EXPIRED", "0.00000000")
    maker = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": 0.001}
    with pytest.raises(errors.BadRequestError) as error:
        _order(client, **maker, price=60000.02)
    assert (error.value.status_code, error.value.error_message) == (
        -2010,
        "Order would immediately match and take.",
    )
    ack = _order(client, **maker, price=59000)
    assert ack.status is None, "LIMIT_MAKER is acknowledged only, unless asked otherwise"
    _order(client, **{**LIMIT, "quantity": 0.1, "price": 60000, "icebergQty": 0.01})
    assert client.depth(symbol="BTCUSDT", limit=5).data().bids[0] == ["60000.00000000", "0.01000000"]


def test_one_leg_of_an_oco_fills_and_the_other_expires(venue_thread: LocalVenue, client: Any) -> None:
    placed = client.order_list_oco(**snake({**OCO, "abovePrice": "60000.01"})).data()
    assert (placed.contingency_type, placed.list_status_type) == ("OCO", "EXEC_STARTED")
    assert {report.type for report in placed.order_reports} == {"LIMIT_MAKER", "STOP_LOSS_LIMIT"}
    assert _balances(client)["BTC"] == (Decimal("9.99"), Decimal("0.01"))
    _order(rest(venue_thread, venue_thread.other), **{**LIMIT, "quantity": 1.01, "price": 60000.01})
    states = {row.type: row.status for row in client.all_orders(symbol="BTCUSDT").data()}
    assert states == {"LIMIT_MAKER": "FILLED", "STOP_LOSS_LIMIT": "EXPIRED"}
    done = client.get_order_list(order_list_id=placed.order_list_id).data()
    assert (done.list_status_type, done.list_order_status) == ("ALL_DONE", "ALL_DONE")
    again = client.order_list_oco(**snake(OCO)).data()
    gone = client.delete_order_list(symbol="BTCUSDT", order_list_id=again.order_list_id).data()
    assert [report.status for report in gone.order_reports] == ["CANCELED", "CANCELED"]


@pytest.mark.parametrize("kind", ["hmac", "ed25519", "rsa"])
def test_each_kind_of_key_signs(venue_thread: LocalVenue, kind: str) -> None:
    client = rest(venue_thread, getattr(venue_thread, kind))
    assert _order(client, **RESTING).status == "NEW"


# --- Refusals -----------------------------------------------------------------------------------------


# Its typed methods cannot send a parameter that Binance does not know.
@pytest.mark.parametrize("name", sorted(ORDERS_REFUSED.keys() - {"unread"}))
def test_a_refused_order_is_a_bad_request_with_binances_code(client: Any, name: str) -> None:
    refusal = ORDERS_REFUSED[name]
    with pytest.raises(errors.BadRequestError) as error:
        _order(client, **refusal.params())
    assert error.value.status_code == refusal.code
    assert error.value.error_message.startswith(refusal.message)
    assert client.get_open_orders().data() == []


@pytest.mark.parametrize("name", COUNTED)
def test_a_filter_on_the_account_refuses_the_next_order(name: str) -> None:
    of_pair, first, second = COUNTED[name]
    with VenueThread(config_with(**of_pair)) as venue:
        client = rest(venue)
        _order(client, **changed(first))
        with pytest.raises(errors.BadRequestError) as error:
            _order(client, **changed(second))
        assert (error.value.status_code, error.value.error_message) == (-2010, f"Filter failure: {name}")


def test_what_is_not_there_what_is_late_and_who_is_unknown(venue_thread: LocalVenue, client: Any) -> None:
    key = venue_thread.hmac
    foreign = [rest(venue_thread, key, **change) for change in (
        {"api_secret": "wrong"}, {"api_key": "short"}, {"api_key": "A" * 64})]  # fmt: skip
    reader = rest(venue_thread, venue_thread.read_only)

    asked: list[tuple[type[Exception], int, Any]] = [
        (errors.BadRequestError, -2013, lambda: client.get_order(symbol="BTCUSDT", order_id=1)),
        (errors.BadRequestError, -2011, lambda: client.delete_order(symbol="BTCUSDT", order_id=1)),
        (errors.BadRequestError, -2011, lambda: client.delete_open_orders(symbol="BTCUSDT")),
        (errors.BadRequestError, -1121, lambda: client.depth(symbol="NOSUCH")),
        (errors.BadRequestError, -1100, lambda: client.depth(symbol="btc/usdt")),
        (errors.BadRequestError, -1102, lambda: client.get_order(symbol="BTCUSDT")),
        # A microsecond is too short for any request.
        (errors.BadRequestError, -1021, lambda: client.get_account(recv_window=0.001)),
        (errors.BadRequestError, -1131, lambda: client.get_account(recv_window=60_001)),
        (errors.BadRequestError, -1022, lambda: foreign[0].get_account()),
        (errors.UnauthorizedError, -2014, lambda: foreign[1].get_account()),
        (errors.UnauthorizedError, -2015, lambda: foreign[2].get_account()),
        (errors.UnauthorizedError, -2015, lambda: _order(reader, **RESTING)),
    ]
    for kind, code, ask in asked:
        with pytest.raises(kind) as error:
            ask()
        assert getattr(error.value, "status_code", None) == code


def test_a_clock_that_runs_ahead_is_told_so(venue_thread: LocalVenue, client: Any) -> None:
    venue_thread.running.clock.set_offset(-2_000_000)
    with pytest.raises(errors.BadRequestError) as error:
        client.get_account()
    assert (error.value.status_code, error.value.error_message) == (
        -1021,
        "Timestamp for this request was 1000ms ahead of the server's time.",
    )
    venue_thread.running.clock.set_offset(-500_000)
    assert client.get_account().data().can_trade, "up to a second ahead is forgiven"


def test_too_many_unfilled_orders_name_no_time_to_come_back() -> None:
    with VenueThread(server_config(venue={"rate_limits": RateLimitConfig(orders_1d=2)})) as venue:
        client = rest(venue)
        for _ in range(2):
            _order(client, **RESTING)
        with pytest.raises(errors.TooManyRequestsError) as error:
            _order(client, **RESTING)
        assert (error.value.status_code, error.value.retry_after) == (-1015, None)


def test_429_and_418_are_exceptions_that_carry_the_wait() -> None:
    clock = MovableClock()
    with VenueThread(tight_config(), clock=clock) as venue:
        client = rest(venue)

        def refused(kind: type[Exception]) -> Any:
            with pytest.raises(kind) as error:
                for _ in range(100):
                    client.exchange_info()
            assert getattr(error.value, "status_code", None) == -1003
            return error.value

        warned = refused(errors.TooManyRequestsError)
        assert 1 <= warned.retry_after <= 60
        clock.move(warned.retry_after)
        assert client.ping().data() == {}
        for _ in range(2):
            refused(errors.TooManyRequestsError)
        banned = refused(errors.RateLimitBanError)
        assert 119 <= banned.retry_after <= 120
        with pytest.raises(errors.RateLimitBanError):
            client.ping()
        clock.move(banned.retry_after)
        assert client.ping().data() == {}
        # The second time the ban is longer.
        clock.move(60)
        for _ in range(2):
            refused(errors.TooManyRequestsError)
        assert refused(errors.RateLimitBanError).retry_after > 120
