"""Binance's words to messages: answers to orders, queries and account reads, and the events of the user data
stream.

One decoder serves both roads, because a REST body and the `result` of the websocket API are the same object.
Money is decoded to Decimal and must be finite and not negative. Identity: a report about a cancel bears two
ids, and the message names the order that it is *about* (`origClientOrderId`, in events `C`), never the id of
the cancel request. Source: binance-spot-api-docs rest-api.md, web-socket-api.md, user-data-stream.md.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.messages import (
    Balance,
    BalancesChanged,
    Fill,
    OrderKind,
    OrderReport,
    OrderStatus,
    Side,
)
from actors.venues.binance.names import instrument_of
from supervisor.message import Message

KINDS: dict[str, OrderKind] = {
    "LIMIT": OrderKind.LIMIT,
    "MARKET": OrderKind.MARKET,
    "LIMIT_MAKER": OrderKind.POST_ONLY,
    "STOP_LOSS": OrderKind.STOP_MARKET,
    "STOP_LOSS_LIMIT": OrderKind.STOP_LIMIT,
}

STATUSES: dict[str, OrderStatus] = {
    "NEW": OrderStatus.NEW,
    # Waits for the other leg of an order list; it holds the venue's promise, so it is open.
    "PENDING_NEW": OrderStatus.NEW,
    "PENDING_CANCEL": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    # Expired by self-trade prevention.
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}

# Beyond any coin's supply; a larger number was misread.
_AMOUNT_MAX = Decimal(10) ** 24


class NotUnderstood(ValueError):
    """An answer or event that is not what the documentation says; names the field and the value."""


class Ended(msgspec.Struct, frozen=True):
    """The venue ends the stream (`eventStreamTerminated`) or the connection (`serverShutdown`): connect
    again."""

    word: str


class OrderAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """An order as answers, queries and lists show it."""

    symbol: str
    order_id: int
    client_order_id: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    status: str
    type: str
    side: Side
    stop_price: Decimal = Decimal(0)
    orig_client_order_id: str | None = None
    transact_time: int = 0
    update_time: int = 0
    time: int = 0


class _Execution(msgspec.Struct, frozen=True):
    symbol: str = msgspec.field(name="s")
    client_id: str = msgspec.field(name="c")
    original_id: str = msgspec.field(name="C")
    side: Side = msgspec.field(name="S")
    type: str = msgspec.field(name="o")
    size: Decimal = msgspec.field(name="q")
    price: Decimal = msgspec.field(name="p")
    stop_price: Decimal = msgspec.field(name="P")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    reason: str = msgspec.field(name="r")
    order_id: int = msgspec.field(name="i")
    last_size: Decimal = msgspec.field(name="l")
    filled: Decimal = msgspec.field(name="z")
    last_price: Decimal = msgspec.field(name="L")
    fee: Decimal | None = msgspec.field(name="n")
    fee_coin: str | None = msgspec.field(name="N")
    time_ms: int = msgspec.field(name="T")
    trade_id: int = msgspec.field(name="t")
    is_maker: bool = msgspec.field(name="m")


class _CoinLine(msgspec.Struct, frozen=True):
    coin: str = msgspec.field(name="a")
    free: Decimal = msgspec.field(name="f")
    locked: Decimal = msgspec.field(name="l")


class _Position(msgspec.Struct, frozen=True):
    lines: tuple[_CoinLine, ...] = msgspec.field(name="B")
    time_ms: int = msgspec.field(name="u")


class _Head(msgspec.Struct, frozen=True):
    event: str = msgspec.field(name="e")


class _Coin(msgspec.Struct, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(msgspec.Struct, frozen=True):
    balances: tuple[_Coin, ...]


class _Trade(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class OrderCodec:
    """Decoders for one account of one venue. Every method raises NotUnderstood for what it cannot
    understand."""

    def __init__(self, venue: str, account: str) -> None:
        self._venue = venue
        self._account = account
        self._order = msgspec.json.Decoder(OrderAnswer).decode
        self._orders = msgspec.json.Decoder(list[OrderAnswer]).decode
        self._execution = msgspec.json.Decoder(_Execution).decode
        self._position = msgspec.json.Decoder(_Position).decode
        self._head = msgspec.json.Decoder(_Head).decode
        self._balances = msgspec.json.Decoder(_Account).decode
        self._trades = msgspec.json.Decoder(list[_Trade]).decode

    def order(self, body: bytes | msgspec.Raw, source: str, client_id: str = "") -> OrderReport:
        """`client_id`: the id that was asked for, where it is known; a canceled order may answer by
        another."""
        try:
            answer = self._order(body)
        except msgspec.DecodeError as error:
            raise NotUnderstood(f"order: {error}") from error
        return self.report(answer, source, client_id)

    def order_list(self, body: bytes) -> list[OrderAnswer]:
        try:
            return self._orders(body)
        except msgspec.DecodeError as error:
            raise NotUnderstood(f"list of orders: {error}") from error

    def report(self, answer: OrderAnswer, source: str, client_id: str = "") -> OrderReport:
        return OrderReport(
            client_id=client_id or answer.orig_client_order_id or answer.client_order_id,
            order_id=answer.order_id,
            instrument=self._instrument(answer.symbol),
            side=answer.side,
            kind=KINDS.get(answer.type, OrderKind.OTHER),
            status=_status(answer.status),
            size=_amount(answer.orig_qty, "origQty"),
            filled=_amount(answer.executed_qty, "executedQty"),
            price=_amount(answer.price, "price"),
            stop_price=_amount(answer.stop_price, "stopPrice"),
            venue_ns=(answer.transact_time or answer.update_time or answer.time) * 1_000_000,
            source=source,
        )

    def balances(self, body: bytes) -> tuple[Balance, ...]:
        try:
            account = self._balances(body)
        except msgspec.DecodeError as error:
            raise NotUnderstood(f"account: {error}") from error
        return tuple(_balance(line.asset, line.free, line.locked) for line in account.balances)

    def fills(self, body: bytes, instrument: str) -> list[Fill]:
        """myTrades of one instrument, oldest first; their client ids are still empty."""
        try:
            trades = self._trades(body)
        except msgspec.DecodeError as error:
            raise NotUnderstood(f"trades: {error}") from error
        return [
            Fill(
                account=self._account,
                instrument=instrument,
                trade_id=trade.id,
                order_id=trade.order_id,
                client_id="",
                side=Side.BUY if trade.is_buyer else Side.SELL,
                price=_positive(trade.price, "price"),
                size=_positive(trade.qty, "qty"),
                fee=_amount(trade.commission, "commission"),
                fee_coin=trade.commission_asset,
                is_maker=trade.is_maker,
                venue_ns=trade.time * 1_000_000,
            )
            for trade in trades
        ]

    def event(self, body: bytes | msgspec.Raw) -> tuple[Message | Ended, ...]:
        """An event of the user data stream; one that concerns us nothing (or is new) gives nothing.

        A fill comes before the report that it completes the order: who closes an order has booked it first.
        """
        try:
            word = self._head(body).event
            if word == "executionReport":
                return self._executed(self._execution(body))
            if word == "outboundAccountPosition":
                return (self._balances_changed(self._position(body)),)
        except msgspec.DecodeError as error:
            raise NotUnderstood(f"event: {error}") from error
        if word in ("eventStreamTerminated", "serverShutdown"):
            return (Ended(word),)
        return ()

    def _executed(self, event: _Execution) -> tuple[Message, ...]:
        instrument = self._instrument(event.symbol)
        client_id = event.original_id or event.client_id
        report = OrderReport(
            client_id=client_id,
            order_id=event.order_id,
            instrument=instrument,
            side=event.side,
            kind=KINDS.get(event.type, OrderKind.OTHER),
            status=_status(event.status),
            size=_amount(event.size, "q"),
            filled=_amount(event.filled, "z"),
            price=_amount(event.price, "p"),
            stop_price=_amount(event.stop_price, "P"),
            venue_ns=event.time_ms * 1_000_000,
            source="stream",
            reason="" if event.reason == "NONE" else event.reason,
        )
        if event.execution != "TRADE":
            return (report,)
        if event.trade_id < 0:
            raise NotUnderstood(f"event: field t {event.trade_id} of a trade")
        fill = Fill(
            account=self._account,
            instrument=instrument,
            trade_id=event.trade_id,
            order_id=event.order_id,
            client_id=client_id,
            side=event.side,
            price=_positive(event.last_price, "L"),
            size=_positive(event.last_size, "l"),
            fee=_amount(event.fee or Decimal(0), "n"),
            fee_coin=event.fee_coin or "",
            is_maker=event.is_maker,
            venue_ns=event.time_ms * 1_000_000,
        )
        return (fill, report)

    def _balances_changed(self, event: _Position) -> BalancesChanged:
        return BalancesChanged(
            account=self._account,
            balances=tuple(_balance(line.coin, line.free, line.locked) for line in event.lines),
            venue_ns=event.time_ms * 1_000_000,
        )

    def _instrument(self, symbol: str) -> str:
        try:
            return instrument_of(symbol, self._venue)
        except ValueError as error:
            raise NotUnderstood(str(error)) from error


def _status(word: str) -> OrderStatus:
    status = STATUSES.get(word)
    if status is None:
        raise NotUnderstood(f"field status {word!r}: not a state of an order that is known here")
    return status


def _amount(value: Decimal, name: str) -> Decimal:
    # NaN and the infinities fail the comparison or are not finite; a signaling NaN would raise in it.
    if value.is_finite() and 0 <= value <= _AMOUNT_MAX:
        return value
    raise NotUnderstood(f"field {name} {value}: must be a finite number, not negative")


def _positive(value: Decimal, name: str) -> Decimal:
    if _amount(value, name) == 0:
        raise NotUnderstood(f"field {name}: a trade of nothing")
    return value


def _balance(coin: str, free: Decimal, locked: Decimal) -> Balance:
    return Balance(
        coin=coin, free=_amount(free, f"free of {coin}"), locked=_amount(locked, f"locked of {coin}")
    )
