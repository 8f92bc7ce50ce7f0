"""What an answer means: the venue's reply to one order request becomes the messages that its sender is owed.

Every request is answered, each order id in it once, and never better than the venue's words allow: what is
not certain is unknown. The same for both roads; only where the reply came from differs.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from actors.messages import (
    CancelOrder,
    CancelOutcomeUnknown,
    CancelRefused,
    NoSuchOrder,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    PlaceOrder,
    QueryFailed,
    QueryOrder,
    ReplaceOrder,
)
from actors.venues.binance.errors import Outcome, rule
from actors.venues.binance.order_codec import NotUnderstood, OrderCodec
from actors.venues.binance.order_requests import OrderRequest
from supervisor.message import Message

WORDS_MAX = 300


class Reply(NamedTuple):
    """An answer on either road. `code` is None on success, and where the venue's error bore none."""

    status: int
    result: bytes | msgspec.Raw = b""
    code: int | None = None
    words: str = ""
    data: bytes = b""

    @property
    def ok(self) -> bool:
        return self.status == 200


class _Half(msgspec.Struct, frozen=True):
    code: int
    msg: str = ""


class _Halves(msgspec.Struct, frozen=True, rename="camel"):
    """cancelReplace, whether it succeeded, failed, or half of it did."""

    cancel_result: str
    new_order_result: str
    cancel_response: msgspec.Raw = msgspec.Raw()
    new_order_response: msgspec.Raw = msgspec.Raw()


class _Time(msgspec.Struct, frozen=True, rename="camel"):
    server_time: Annotated[int, msgspec.Meta(ge=0, le=9_999_999_999_999)]


_time = msgspec.json.Decoder(_Time).decode
_halves = msgspec.json.Decoder(_Halves).decode
_half = msgspec.json.Decoder(_Half).decode


def answer(codec: OrderCodec, request: OrderRequest, reply: Reply, asked_wall_ns: int) -> tuple[Message, ...]:
    """`asked_wall_ns`: when the request was sent; it dates a "no such order"."""
    try:
        if isinstance(request, ReplaceOrder):
            return _replaced(codec, request, reply)
        if reply.ok:
            return (_succeeded(codec, request, reply.result),)
    except (NotUnderstood, msgspec.DecodeError) as error:
        return unknown(request, f"the answer was not understood: {error}"[:WORDS_MAX])
    return (_failed(request, reply.status, reply.code, reply.words, asked_wall_ns),)


def unknown(request: OrderRequest, reason: str) -> tuple[Message, ...]:
    """The bytes may have left, and nobody knows what became of them."""
    if isinstance(request, PlaceOrder):
        return (OrderOutcomeUnknown(client_id=request.client_id, reason=reason),)
    if isinstance(request, CancelOrder):
        return (CancelOutcomeUnknown(client_id=request.client_id, reason=reason),)
    if isinstance(request, QueryOrder):
        return (QueryFailed(what="order", key=request.client_id, reason=reason),)
    return (
        CancelOutcomeUnknown(client_id=request.cancel_client_id, reason=reason),
        OrderOutcomeUnknown(client_id=request.place.client_id, reason=reason),
    )


def not_sent(request: OrderRequest, reason: str) -> tuple[Message, ...]:
    """Certain: no byte of it left. A cancel that was not sent did nothing either, but the order may have
    moved on."""
    if isinstance(request, PlaceOrder):
        return (OrderNotSent(client_id=request.client_id, reason=reason),)
    if isinstance(request, ReplaceOrder):
        return (
            CancelOutcomeUnknown(client_id=request.cancel_client_id, reason=f"not sent: {reason}"),
            OrderNotSent(client_id=request.place.client_id, reason=reason),
        )
    return unknown(request, f"not sent: {reason}")


def server_time(result: bytes | msgspec.Raw) -> int | None:
    """The venue's time in ms since the epoch, or None where the answer is no such thing."""
    try:
        return _time(result).server_time
    except msgspec.DecodeError:
        return None


def _succeeded(codec: OrderCodec, request: OrderRequest, result: bytes | msgspec.Raw) -> Message:
    if not isinstance(request, PlaceOrder):
        assert not isinstance(request, ReplaceOrder)
        # By the id that was asked for: a canceled order may answer by the id of its cancel.
        source = "query" if isinstance(request, QueryOrder) else "answer"
        return codec.order(result, source, request.client_id)
    report = codec.order(result, "answer")
    if report.client_id != request.client_id:
        raise NotUnderstood(f"it is about order {report.client_id!r}")
    return report


def _failed(request: OrderRequest, status: int, code: int | None, words: str, asked_wall_ns: int) -> Message:
    """A request that names one order."""
    outcome = rule(status, code, words).outcome
    said = f"{status if code is None else code}: {words}"[:WORDS_MAX]
    if isinstance(request, QueryOrder):
        if outcome is Outcome.NO_SUCH_ORDER:
            return NoSuchOrder(client_id=request.client_id, asked_wall_ns=asked_wall_ns)
        return QueryFailed(what="order", key=request.client_id, reason=said)
    if outcome is Outcome.UNKNOWN:
        return unknown(request, said)[0]
    number = -status if code is None else code
    if isinstance(request, CancelOrder):
        return CancelRefused(client_id=request.client_id, code=number, words=words[:WORDS_MAX])
    assert isinstance(request, PlaceOrder)
    return OrderRefusedByVenue(client_id=request.client_id, code=number, words=words[:WORDS_MAX])


def _replaced(codec: OrderCodec, request: ReplaceOrder, reply: Reply) -> tuple[Message, ...]:
    if reply.ok:
        halves = _halves(reply.result)
    elif reply.data and reply.code in (-2021, -2022):
        halves = _halves(reply.data)
    else:
        # Refused, or unknown, as a whole.
        cancel = CancelOrder(client_id=request.cancel_client_id, instrument=request.instrument)
        return tuple(
            _failed(half, reply.status, reply.code, reply.words, 0) for half in (cancel, request.place)
        )
    return (_cancel_half(codec, request, halves), _new_half(codec, request, halves))


def _cancel_half(codec: OrderCodec, request: ReplaceOrder, halves: _Halves) -> Message:
    client_id = request.cancel_client_id
    if halves.cancel_result == "SUCCESS":
        return codec.order(halves.cancel_response, "answer", client_id)
    if halves.cancel_result == "FAILURE":
        half = _half(halves.cancel_response)
        cancel = CancelOrder(client_id=client_id, instrument=request.instrument)
        return _failed(cancel, 400, half.code, half.msg, 0)
    return CancelOutcomeUnknown(client_id=client_id, reason=f"cancelResult {halves.cancel_result[:40]}")


def _new_half(codec: OrderCodec, request: ReplaceOrder, halves: _Halves) -> Message:
    order = request.place
    if halves.new_order_result == "NOT_ATTEMPTED":
        return OrderRefusedByVenue(
            client_id=order.client_id, code=-2022, words="not attempted, because the cancel failed"
        )
    if halves.new_order_result == "SUCCESS":
        return _succeeded(codec, order, halves.new_order_response)
    if halves.new_order_result == "FAILURE":
        half = _half(halves.new_order_response)
        return _failed(order, 400, half.code, half.msg, 0)
    return unknown(order, f"newOrderResult {halves.new_order_result[:40]}")[0]
