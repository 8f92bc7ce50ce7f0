"""Frames of the websocket API: the envelope of answers and events decoded, and a client's text frame encoded.

Source: binance-spot-api-docs web-socket-api.md ("Response format", "Event format"); RFC 6455 section 5.2 for
the frame's bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from actors.venues.binance.order_codec import NotUnderstood


class Limit(NamedTuple):
    kind: str  # REQUEST_WEIGHT or ORDERS
    length_ms: int
    used: int


class Frame(NamedTuple):
    """Either an answer (`id` is set) or an event of the user data stream (`event` is not empty)."""

    id: int | None
    status: int
    result: bytes | msgspec.Raw
    code: int | None
    words: str
    data: bytes
    retry_at_ms: int | None
    limits: tuple[Limit, ...]
    event: bytes


class _Limit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    count: int


class _Error(msgspec.Struct):
    code: int
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _Envelope(msgspec.Struct, rename="camel"):
    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    rate_limits: tuple[_Limit, ...] = ()
    event: msgspec.Raw = msgspec.Raw()
    # An event without the envelope, as `serverShutdown` is sent on some connections.
    e: str | None = None


class _Retry(msgspec.Struct, rename="camel"):
    retry_after: int | None = None


INTERVALS_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}

_envelope = msgspec.json.Decoder(_Envelope).decode
_retry = msgspec.json.Decoder(_Retry).decode


def decode_frame(data: str | bytes) -> Frame:
    """Raises NotUnderstood."""
    try:
        got = _envelope(data)
    except msgspec.DecodeError as error:
        raise NotUnderstood(f"{error}: {data[:120]!r}") from error
    event = bytes(got.event)
    if not event and got.e is not None:
        event = data if isinstance(data, bytes) else data.encode()
    refused = got.error
    extra = bytes(refused.data) if refused is not None else b""
    return Frame(
        id=got.id if isinstance(got.id, int) else None,
        status=got.status,
        result=got.result,
        code=refused.code if refused is not None else None,
        words=refused.msg if refused is not None else "",
        data=extra,
        retry_at_ms=_retry_at(extra),
        limits=tuple(
            Limit(
                limit.rate_limit_type, INTERVALS_MS.get(limit.interval, 0) * limit.interval_num, limit.count
            )
            for limit in got.rate_limits
        ),
        event=event,
    )


def text_frame(payload: bytes, mask: bytes) -> bytes:
    """One unfragmented text frame of a client; `mask` is four bytes that the peer cannot predict."""
    size = len(payload)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        head = bytes((0x81, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x81, 0x80 | 127)) + size.to_bytes(8, "big")
    # XOR as one large number: the mask repeated to the payload's length.
    key = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + masked.to_bytes(size, "big")


def _retry_at(data: bytes) -> int | None:
    """`retryAfter` of an error's data (429, 418), in ms since the epoch; None where it is something else."""
    if b"retryAfter" not in data:
        return None
    try:
        return _retry(data).retry_after
    except msgspec.DecodeError:
        return None
