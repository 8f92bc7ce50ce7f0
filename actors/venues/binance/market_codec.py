"""Market data codec: bytes of Binance's streams and depth snapshots to messages, and nothing else gets in.

Prices and sizes arrive quoted; they are parsed to floats in C, and a bound on each field (above 0 for a
price, not below 0 for a size, neither absurd) refuses "nan", "inf" and negative numbers there as well: NaN
fails every comparison. So the guard costs a fraction of a microsecond per frame and has no gaps.

Source: Binance spot API documentation, web-socket-streams and rest-api (depth); USD-M adds `pu` and `T`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, field

from actors.messages import BookTicker, DepthDiff, DepthSnapshot, TradeTick
from actors.venues.binance import names

# Beyond what anything is quoted at: one bitcoin is 1e10 of the weakest quote currencies.
PRICE_MAX = 1e12
SIZE_MAX = 1e15
# A full depth snapshot has 5000 levels a side; a diff never has more than the book.
LEVELS_MAX = 10_000
# Stream names remembered; a connection carries at most 1024 streams.
_STREAMS_MAX = 4096

_Price = Annotated[float, Meta(gt=0, le=PRICE_MAX)]
# A book ticker says "0" for the price of an empty side.
_PriceOrNone = Annotated[float, Meta(ge=0, le=PRICE_MAX)]
_Size = Annotated[float, Meta(ge=0, le=SIZE_MAX)]
_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Ms = Annotated[int, Meta(ge=0, le=9_999_999_999_999)]
_Levels = Annotated[list[tuple[_Price, _Size]], Meta(max_length=LEVELS_MAX)]


class CodecError(ValueError):
    """A frame that is not what the venue's documentation says; names the stream, the field and the value."""

    def __init__(self, what: str, *, stream: str = "?", field: str = "?", value: object = None) -> None:
        self.stream = stream
        self.field = field
        self.value = value
        shown = repr(value)
        if len(shown) > 120:
            shown = shown[:120] + "..."
        super().__init__(f"{what} (stream {stream}, field {field}, value {shown})")


class Acknowledged(msgspec.Struct, frozen=True):
    """The venue's answer to a control message; `streams` is set by LIST_SUBSCRIPTIONS only."""

    id: int | str | None
    streams: tuple[str, ...] | None


class ControlFailed(msgspec.Struct, frozen=True):
    """The venue refused a control message: `code` and `words` are its own."""

    id: int | str | None
    code: int
    words: str


class ServerShutdown(msgspec.Struct, frozen=True):
    """The venue will close this connection soon (about ten minutes): open another one now."""


MarketEvent = DepthDiff | BookTicker | TradeTick | Acknowledged | ControlFailed | ServerShutdown


class _Depth(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    first_id: _Id = field(name="U")
    last_id: _Id = field(name="u")
    event_ms: _Ms = field(name="E")
    bids: _Levels = field(name="b")
    asks: _Levels = field(name="a")
    previous_id: _Id | None = field(name="pu", default=None)


class _Ticker(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    update_id: _Id = field(name="u")
    bid: _PriceOrNone = field(name="b")
    bid_size: _Size = field(name="B")
    ask: _PriceOrNone = field(name="a")
    ask_size: _Size = field(name="A")


class _Trade(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    trade_id: _Id = field(name="t")
    price: _Price = field(name="p")
    size: _Size = field(name="q")
    trade_ms: _Ms = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _AggTrade(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    trade_id: _Id = field(name="a")
    price: _Price = field(name="p")
    size: _Size = field(name="q")
    trade_ms: _Ms = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _DepthFrame(msgspec.Struct, gc=False):
    data: _Depth


class _TickerFrame(msgspec.Struct, gc=False):
    data: _Ticker


class _TradeFrame(msgspec.Struct, gc=False):
    data: _Trade


class _AggTradeFrame(msgspec.Struct, gc=False):
    data: _AggTrade


class _Snapshot(msgspec.Struct, gc=False):
    last_id: _Id = field(name="lastUpdateId")
    bids: _Levels
    asks: _Levels


class _Error(msgspec.Struct, gc=False):
    code: int = 0
    msg: str = ""


class _Peek(msgspec.Struct, gc=False):
    """Whatever a frame may be, looked at only when the quick way did not know it."""

    stream: str | None = None
    data: Raw | msgspec.UnsetType = msgspec.UNSET
    event: str | None = field(name="e", default=None)
    symbol: str | None = field(name="s", default=None)
    update_id: int | None = field(name="u", default=None)
    id: int | str | None = None
    result: Any = msgspec.UNSET
    error: _Error | None = None
    code: int | None = None
    msg: str = ""


_Decode = Callable[[bytes], Any]
_Build = Callable[[Any, str, int], MarketEvent]


def _depth(wire: _Depth, instrument: str, received_ns: int) -> DepthDiff:
    if wire.first_id > wire.last_id:
        raise CodecError(f"first id {wire.first_id} is above the last", field="u", value=wire.last_id)
    return DepthDiff(
        instrument=instrument,
        first_id=wire.first_id,
        last_id=wire.last_id,
        previous_id=wire.previous_id,
        bids=wire.bids,
        asks=wire.asks,
        venue_ns=wire.event_ms * 1_000_000,
        received_ns=received_ns,
    )


def _ticker(wire: _Ticker, instrument: str, received_ns: int) -> BookTicker:
    if (not wire.bid and wire.bid_size) or (not wire.ask and wire.ask_size):
        raise CodecError(
            "a size without a price", field="b" if wire.bid_size and not wire.bid else "a", value=0
        )
    return BookTicker(
        instrument=instrument,
        update_id=wire.update_id,
        bid=wire.bid,
        bid_size=wire.bid_size,
        ask=wire.ask,
        ask_size=wire.ask_size,
        received_ns=received_ns,
    )


def _trade(wire: _Trade | _AggTrade, instrument: str, received_ns: int) -> TradeTick:
    return TradeTick(
        instrument=instrument,
        trade_id=wire.trade_id,
        price=wire.price,
        size=wire.size,
        buyer_is_maker=wire.buyer_is_maker,
        venue_ns=wire.trade_ms * 1_000_000,
        received_ns=received_ns,
    )


def _decoder(wire: Any) -> _Decode:
    decode: _Decode = msgspec.json.Decoder(wire, strict=False).decode
    return decode


# kind -> decoder of the combined frame, decoder of the bare payload, builder of the message
_KINDS: dict[str, tuple[_Decode, _Decode, _Build]] = {
    names.DEPTH: (_decoder(_DepthFrame), _decoder(_Depth), _depth),
    names.BOOK_TICKER: (_decoder(_TickerFrame), _decoder(_Ticker), _ticker),
    names.TRADE: (_decoder(_TradeFrame), _decoder(_Trade), _trade),
    # `trade_id` is then the id of the aggregate, which is a sequence of its own.
    names.AGG_TRADE: (_decoder(_AggTradeFrame), _decoder(_AggTrade), _trade),
}
_EVENT_KINDS = {
    "depthUpdate": names.DEPTH,
    "bookTicker": names.BOOK_TICKER,
    "trade": names.TRADE,
    "aggTrade": names.AGG_TRADE,
}
_PEEK = _decoder(_Peek)
_SNAPSHOT = _decoder(_Snapshot)
_PREFIX = b'{"stream":"'
# msgspec raises nothing else for bytes that are not what was asked for.
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class MarketCodec:
    """Decodes the frames of one venue's market streams. Pure; remembers only the names of streams."""

    def __init__(self, venue: str = names.VENUE) -> None:
        self._venue = venue
        # stream -> (decoder, builder, instrument, symbol): one lookup on the hot path
        self._known: dict[bytes, tuple[_Decode, _Build, str, str]] = {}

    def decode(self, frame: bytes, received_ns: int) -> MarketEvent:
        """One message from one frame, combined (`{"stream","data"}`) or raw. Raises CodecError, only that."""
        if frame.startswith(_PREFIX):
            stream = frame[11 : frame.find(b'"', 11, 80)]
            known = self._known.get(stream) or self._learn(stream)
            if known is not None:
                decode, build, instrument, symbol = known
                try:
                    wire = decode(frame).data
                    if wire.symbol != symbol:
                        raise CodecError("the payload is of another symbol", field="s", value=wire.symbol)
                    return build(wire, instrument, received_ns)
                except CodecError as error:
                    raise _named(error, stream.decode()) from None
                except _REFUSED as error:
                    raise _explain(error, frame, stream.decode()) from None
        return self._decode_any(frame, received_ns)

    def _learn(self, stream: bytes) -> tuple[_Decode, _Build, str, str] | None:
        try:
            symbol, kind = names.split_stream(stream.decode())
        except ValueError:
            return None
        if kind not in _KINDS:
            return None
        if len(self._known) >= _STREAMS_MAX:
            self._known.clear()
        decode, _, build = _KINDS[kind]
        known = self._known[stream] = (decode, build, names.instrument_of(symbol, self._venue), symbol)
        return known

    def _decode_any(self, frame: bytes, received_ns: int) -> MarketEvent:
        """The slow way: control answers, announcements, raw frames, and frames that are written unusually."""
        try:
            peek: _Peek = _PEEK(frame)
        except _REFUSED as error:
            raise _explain(error, frame, "?") from None
        if peek.data is not msgspec.UNSET and peek.stream is not None:
            return self._decode_payload(bytes(peek.data), peek.stream, received_ns)
        if peek.error is not None:
            return ControlFailed(id=peek.id, code=peek.error.code, words=peek.error.msg[:200])
        if peek.code is not None:
            return ControlFailed(id=peek.id, code=peek.code, words=peek.msg[:200])
        if peek.result is not msgspec.UNSET:
            return _acknowledged(peek)
        return self._decode_payload(frame, None, received_ns)

    def _decode_payload(self, payload: bytes, stream: str | None, received_ns: int) -> MarketEvent:
        try:
            peek: _Peek = _PEEK(payload)
        except _REFUSED as error:
            raise _explain(error, payload, stream or "?") from None
        if peek.event == "serverShutdown":
            return ServerShutdown()
        # Spot's bookTicker alone bears no event name.
        kind = (
            _EVENT_KINDS.get(peek.event)
            if peek.event
            else names.BOOK_TICKER
            if peek.update_id is not None
            else None
        )
        if kind is None or peek.symbol is None:
            raise CodecError(
                "not a stream that is understood here", stream=stream or "?", field="e", value=peek.event
            )
        name = stream or f"{peek.symbol.lower()}@{kind}"
        try:
            symbol, said = names.split_stream(name)
            if (symbol, said) != (peek.symbol, kind):
                raise CodecError("the payload is of another stream", field="s", value=peek.symbol)
            wire = _KINDS[kind][1](payload)
            return _KINDS[kind][2](wire, names.instrument_of(symbol, self._venue), received_ns)
        except CodecError as error:
            raise _named(error, name) from None
        except _REFUSED as error:
            raise _explain(error, payload, name) from None
        except ValueError as error:
            raise CodecError(str(error), stream=name, field="stream", value=name) from None


def decode_snapshot(body: bytes, instrument: str, received_ns: int) -> DepthSnapshot:
    """The body of GET /api/v3/depth (or /fapi/v1/depth). Raises CodecError."""
    try:
        wire: _Snapshot = _SNAPSHOT(body)
    except _REFUSED as error:
        raise _explain(error, body, f"depth snapshot of {instrument}") from None
    return DepthSnapshot(
        instrument=instrument, last_id=wire.last_id, bids=wire.bids, asks=wire.asks, received_ns=received_ns
    )


def _acknowledged(peek: _Peek) -> Acknowledged:
    if peek.result is None:
        return Acknowledged(id=peek.id, streams=None)
    if isinstance(peek.result, list) and all(isinstance(name, str) for name in peek.result):
        return Acknowledged(id=peek.id, streams=tuple(peek.result))
    raise CodecError("not an answer that was asked for", field="result", value=peek.result)


def _named(error: CodecError, stream: str) -> CodecError:
    return CodecError(
        str(error).partition(" (stream")[0], stream=stream, field=error.field, value=error.value
    )


def _explain(error: Exception, frame: bytes, stream: str) -> CodecError:
    """Find the value that was refused: the error names its path, such as `$.data.b[3][0]`."""
    what, _, path = str(error).partition(" - at `")
    path = path.rstrip("`")
    if not path:
        return CodecError(f"not JSON of the documented shape: {what}", stream=stream, value=frame[:80])
    value: Any = None
    try:
        value = msgspec.json.decode(frame)
        for step in path.replace("[", ".[").split(".")[1:]:
            value = value[int(step[1:-1])] if step.startswith("[") else value[step]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError, TypeError, ValueError):
        value = frame[:80]
    return CodecError(what, stream=stream, field=path.removeprefix("$.data").lstrip("$."), value=value)
