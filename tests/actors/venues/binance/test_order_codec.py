"""The order codec: which bytes a wish becomes, and which messages an answer is worth."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from actors.messages import (
    Balance,
    BalancesChanged,
    CancelOutcomeUnknown,
    CancelRefused,
    Fill,
    NoSuchOrder,
    OrderKind,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    OrderReport,
    OrderStatus,
    QueryFailed,
    Side,
    TimeInForce,
)
from actors.venues.binance.answers import Reply, answer, not_sent, unknown
from actors.venues.binance.order_codec import STATUSES, Ended, NotUnderstood, OrderCodec
from actors.venues.binance.order_requests import OrderRequest, frame, params_of
from supervisor.message import Message
from tests.actors.venues.binance.order_samples import (
    body,
    cancel,
    canceled_answer,
    execution,
    order_answer,
    place,
    query,
    replace,
    trade_event,
)

CODEC = OrderCodec("binance", "binance/main")


def ok(result: object) -> Reply:
    return Reply(200, body(result))


def refused(code: int, words: str = "", status: int = 400, data: object = None) -> Reply:
    return Reply(status, b"", code, words, body(data) if data is not None else b"")


def said(request: OrderRequest, reply: Reply) -> tuple[Message, ...]:
    return answer(CODEC, request, reply, asked_wall_ns=7)


# -- wishes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (
            {"kind": OrderKind.LIMIT, "tif": TimeInForce.IOC},
            {"type": "LIMIT", "timeInForce": "IOC", "price": "50000.00"},
        ),
        ({"kind": OrderKind.MARKET, "price": None, "side": Side.SELL}, {"type": "MARKET", "side": "SELL"}),
        ({"kind": OrderKind.POST_ONLY}, {"type": "LIMIT_MAKER", "price": "50000.00"}),
        (
            {"kind": OrderKind.STOP_MARKET, "price": None, "stop_price": "49000.00"},
            {"type": "STOP_LOSS", "stopPrice": "49000.00"},
        ),
        (
            {"kind": OrderKind.STOP_LIMIT, "price": "48900.00", "stop_price": "49000.00"},
            {
                "type": "STOP_LOSS_LIMIT",
                "timeInForce": "GTC",
                "price": "48900.00",
                "stopPrice": "49000.00",
            },
        ),
        (
            {"iceberg_size": "0.00020"},
            {"type": "LIMIT", "timeInForce": "GTC", "price": "50000.00", "icebergQty": "0.00020"},
        ),
    ],
)
def test_each_kind_takes_exactly_the_parameters_that_binance_names(
    wish: dict[str, Any], expected: dict[str, str]
) -> None:
    params = params_of(place(**wish), 1_700_000_000_000, 300)
    common: dict[str, str | int] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.00100",
        "newClientOrderId": "nd-o-1",
        "newOrderRespType": "RESULT",
        "recvWindow": 300,
        "timestamp": 1_700_000_000_000,
    }
    assert dict(params) == common | expected


@pytest.mark.parametrize(
    "request_",
    [place(), cancel(), query(), replace(), place(iceberg_size="0.1"), replace(kind=OrderKind.POST_ONLY)],
)
def test_parameters_are_sorted_as_the_websocket_api_signs_them(request_: OrderRequest) -> None:
    names = [name for name, _ in params_of(request_, 1, 2, "key")]
    assert names == sorted(names)
    assert len(names) == len(set(names))


def test_a_frame_is_the_json_it_should_be() -> None:
    data = frame(7, "order.place", params_of(place(), 1_700_000_000_000, 300))
    request = json.loads(data)
    assert (request["id"], request["method"]) == (7, "order.place")
    assert request["params"]["timestamp"] == 1_700_000_000_000
    assert request["params"]["price"] == "50000.00"


@pytest.mark.parametrize(
    "wish",
    [
        {"price": None},
        {"kind": OrderKind.MARKET},
        {"stop_price": "1"},
        {"kind": OrderKind.OTHER},
        {"size": "nan"},
        {"size": "1e5"},
        {"size": "-1"},
        {"price": '1","side":"SELL'},
        {"client_id": 'x","a":"'},
        {"client_id": "x" * 37},
        {"client_id": ""},
        {"instrument": "BTCUSDT"},
    ],
)
def test_a_wish_that_no_order_can_carry_becomes_no_bytes(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        params_of(place(**wish), 1, 2)


# -- answers to one order ------------------------------------------------------------------------------------


def test_a_placed_order_is_reported_with_money_exact() -> None:
    [report] = said(place(), ok(order_answer(status="PARTIALLY_FILLED", executedQty="0.00040000")))
    assert report == OrderReport(
        client_id="nd-o-1",
        order_id=28,
        instrument="binance/BTCUSDT",
        side=Side.BUY,
        kind=OrderKind.LIMIT,
        status=OrderStatus.PARTIALLY_FILLED,
        size=Decimal("0.00100000"),
        filled=Decimal("0.00040000"),
        price=Decimal("50000.00000000"),
        stop_price=Decimal(0),
        venue_ns=1507725176595 * 10**6,
        source="answer",
    )


def test_a_cancel_names_the_order_and_not_the_cancel() -> None:
    [report] = said(cancel(), ok(canceled_answer()))
    assert isinstance(report, OrderReport)
    assert (report.client_id, report.status) == ("nd-o-1", OrderStatus.CANCELED)


def test_a_query_names_the_order_that_was_asked_for() -> None:
    [report] = said(query(), ok(order_answer("cancel-made-up-this", status="CANCELED", time=5, updateTime=9)))
    assert isinstance(report, OrderReport)
    assert (report.client_id, report.source) == ("nd-o-1", "query")


@pytest.mark.parametrize("code", [-1000, -1006, -1007, -9999])
def test_an_uncertain_code_is_told_as_unknown(code: int) -> None:
    assert isinstance(said(place(), refused(code))[0], OrderOutcomeUnknown)
    assert isinstance(said(cancel(), refused(code))[0], CancelOutcomeUnknown)
    assert isinstance(said(query(), refused(code))[0], QueryFailed)


def test_a_refusal_carries_the_venues_own_code_and_words() -> None:
    words = "Account has insufficient balance for requested action."
    assert said(place(), refused(-2010, words)) == (
        OrderRefusedByVenue(client_id="nd-o-1", code=-2010, words=words),
    )
    assert said(cancel(), refused(-2011, "Unknown order sent.")) == (
        CancelRefused(client_id="nd-o-1", code=-2011, words="Unknown order sent."),
    )


def test_a_duplicate_is_unknown_because_the_first_sending_lives() -> None:
    assert isinstance(said(place(), refused(-2010, "Duplicate order sent."))[0], OrderOutcomeUnknown)


def test_no_such_order_is_dated_by_when_it_was_asked() -> None:
    assert said(query(), refused(-2013)) == (NoSuchOrder(client_id="nd-o-1", asked_wall_ns=7),)


@pytest.mark.parametrize(
    "result",
    [
        b"<html>502</html>",
        b"",
        b"[]",
        body(order_answer(status="GONE_FISHING")),
        body(order_answer(price="NaN")),
        body(order_answer(origQty="-1")),
        body(order_answer(executedQty="Infinity")),
        body(order_answer(executedQty="sNaN")),
        body(order_answer(symbol="../etc")),
        body(order_answer("somebody-else")),
    ],
)
def test_an_answer_that_is_not_understood_is_unknown_and_never_a_crash(result: bytes) -> None:
    assert isinstance(said(place(), Reply(200, result))[0], OrderOutcomeUnknown)


def test_an_owners_order_of_a_kind_we_never_send_can_be_read() -> None:
    [report] = said(query(), ok(order_answer(type="TAKE_PROFIT_LIMIT")))
    assert isinstance(report, OrderReport)
    assert report.kind is OrderKind.OTHER


# -- cancel and replace
# ----------------------------------------------------------------------------------------


def halves(
    cancel_result: str, new_result: str, cancel_response: object, new_response: object
) -> dict[str, Any]:
    return {
        "cancelResult": cancel_result,
        "newOrderResult": new_result,
        "cancelResponse": cancel_response,
        "newOrderResponse": new_response,
    }


def test_a_replace_that_succeeds_reports_both_orders() -> None:
    both = said(replace(), ok(halves("SUCCESS", "SUCCESS", canceled_answer(), order_answer("nd-o-2"))))
    assert [(m.client_id, m.status) for m in both if isinstance(m, OrderReport)] == [
        ("nd-o-1", OrderStatus.CANCELED),
        ("nd-o-2", OrderStatus.NEW),
    ]


def test_a_replace_of_which_half_succeeded_is_told_half_by_half() -> None:
    words = "Order would immediately match and take."
    error = {"code": -2010, "msg": words}
    data = halves("SUCCESS", "FAILURE", canceled_answer(), error)
    gone, no = said(replace(), refused(-2021, "Order cancel-replace partially failed.", 409, data))
    assert isinstance(gone, OrderReport)
    assert (gone.client_id, gone.status) == ("nd-o-1", OrderStatus.CANCELED)
    assert no == OrderRefusedByVenue(client_id="nd-o-2", code=-2010, words=words)


def test_the_new_half_of_a_replace_may_be_unknown_while_the_old_is_gone() -> None:
    data = halves("SUCCESS", "FAILURE", canceled_answer(), {"code": -1007, "msg": "Timeout"})
    gone, maybe = said(replace(), refused(-2021, "", 409, data))
    assert isinstance(gone, OrderReport)
    assert isinstance(maybe, OrderOutcomeUnknown)
    assert maybe.client_id == "nd-o-2"


def test_a_replace_whose_cancel_failed_attempted_nothing() -> None:
    data = halves("FAILURE", "NOT_ATTEMPTED", {"code": -2011, "msg": "Unknown order sent."}, None)
    old, new = said(replace(), refused(-2022, "Order cancel-replace failed.", 400, data))
    assert old == CancelRefused(client_id="nd-o-1", code=-2011, words="Unknown order sent.")
    assert isinstance(new, OrderRefusedByVenue)
    assert (new.client_id, new.code) == ("nd-o-2", -2022)


@pytest.mark.parametrize("reply", [refused(-1007), Reply(502, b"", None, "<html>"), ok({"odd": 1}), ok(None)])
def test_a_replace_without_a_clear_answer_leaves_both_unknown(reply: Reply) -> None:
    old, new = said(replace(), reply)
    assert isinstance(old, CancelOutcomeUnknown)
    assert isinstance(new, OrderOutcomeUnknown)
    assert (old.client_id, new.client_id) == ("nd-o-1", "nd-o-2")


def test_a_replace_refused_as_a_whole_refuses_both() -> None:
    old, new = said(replace(), refused(-1021, "Timestamp for this request is outside of the recvWindow."))
    assert isinstance(old, CancelRefused)
    assert isinstance(new, OrderRefusedByVenue)


@pytest.mark.parametrize("request_", [place(), cancel(), query(), replace()])
def test_every_id_of_a_request_is_answered_once_whatever_happens(request_: OrderRequest) -> None:
    ids = {"nd-o-1", "nd-o-2"} if len(unknown(request_, "x")) == 2 else {"nd-o-1"}
    for messages in (unknown(request_, "x"), not_sent(request_, "x"), said(request_, refused(-1007))):
        named = [getattr(message, "client_id", None) or getattr(message, "key", None) for message in messages]
        assert len(named) == len(ids)
        assert set(named) == ids


# -- events
# ----------------------------------------------------------------------------------------------------


def test_a_trade_is_a_fill_and_then_a_report() -> None:
    fill, report = CODEC.event(body(trade_event()))
    assert fill == Fill(
        account="binance/main",
        instrument="binance/BTCUSDT",
        trade_id=71,
        order_id=28,
        client_id="nd-o-1",
        side=Side.BUY,
        price=Decimal("49999.50"),
        size=Decimal("0.00040000"),
        fee=Decimal("0.00000030"),
        fee_coin="BNB",
        is_maker=True,
        venue_ns=1499405658657 * 10**6,
    )
    assert isinstance(report, OrderReport)
    assert (report.status, report.filled) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.0004"))


@pytest.mark.parametrize("word", ["CANCELED", "REPLACED"])
def test_an_event_about_a_cancel_names_the_order_that_it_is_about(word: str) -> None:
    event = execution("cancel-made-up-this", C="nd-o-1", x=word, X="CANCELED")
    [report] = CODEC.event(body(event))
    assert isinstance(report, OrderReport)
    assert report.client_id == "nd-o-1"


def test_a_rejected_or_expired_order_says_why() -> None:
    [report] = CODEC.event(body(execution(x="REJECTED", X="REJECTED", r="INSUFFICIENT_BALANCES")))
    assert isinstance(report, OrderReport)
    assert (report.status, report.reason) == (OrderStatus.REJECTED, "INSUFFICIENT_BALANCES")
    [report] = CODEC.event(body(execution(x="TRADE_PREVENTION", X="EXPIRED_IN_MATCH")))
    assert isinstance(report, OrderReport)
    assert report.status is OrderStatus.EXPIRED


def test_balances_come_exact() -> None:
    event = {
        "e": "outboundAccountPosition",
        "E": 2,
        "u": 1,
        "B": [{"a": "ETH", "f": "10000.000000", "l": "0.100000000000000001"}],
    }
    assert CODEC.event(body(event)) == (
        BalancesChanged(
            account="binance/main",
            balances=(
                Balance(coin="ETH", free=Decimal("10000.000000"), locked=Decimal("0.100000000000000001")),
            ),
            venue_ns=1_000_000,
        ),
    )


def test_the_end_of_the_stream_is_told_and_what_is_new_is_left_alone() -> None:
    assert CODEC.event(b'{"e":"eventStreamTerminated","E":1}') == (Ended("eventStreamTerminated"),)
    assert CODEC.event(b'{"e":"serverShutdown","E":1}') == (Ended("serverShutdown"),)
    assert CODEC.event(b'{"e":"listStatus","anything":[1]}') == ()
    assert CODEC.event(b'{"e":"somethingOf2031"}') == ()


@pytest.mark.parametrize(
    "event",
    [
        trade_event(l="0"),
        trade_event(l="-1"),
        trade_event(L="NaN"),
        trade_event(n="Infinity"),
        trade_event(t=-1),
        trade_event(X="NONSENSE"),
        {"e": "executionReport"},
        {"no": "name"},
    ],
)
def test_a_fill_that_cannot_be_true_is_refused_whole(event: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        CODEC.event(body(event))


def test_every_status_of_the_documentation_is_known() -> None:
    # enums.md, "Order status (status)".
    documented = {
        "NEW",
        "PENDING_NEW",
        "PARTIALLY_FILLED",
        "FILLED",
        "CANCELED",
        "PENDING_CANCEL",
        "REJECTED",
        "EXPIRED",
        "EXPIRED_IN_MATCH",
    }
    assert set(STATUSES) == documented
