"""The REST port: rules, snapshots, the clock and the account, and orders by the second way.

Each request is a task of its own, so a slow snapshot never holds an order up. Orders are shielded: once its
bytes may have left, an order is waited for to its own deadline even while the port is being stopped, and is
then answered.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from actors.messages import (
    CancelOrder,
    DepthSnapshot,
    PlaceOrder,
    QueryAccount,
    QueryFailed,
    QueryOrder,
    ReplaceOrder,
    RulesWanted,
    SnapshotFailed,
    SnapshotWanted,
    VenueTrouble,
)
from actors.venues.binance import answers
from actors.venues.binance.account_read import ReadFailed, read_account
from actors.venues.binance.answers import Reply, not_sent, unknown
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.gate import refusal
from actors.venues.binance.market_codec import CodecError, decode_snapshot
from actors.venues.binance.names import symbol_of
from actors.venues.binance.order_codec import NotUnderstood, OrderCodec
from actors.venues.binance.order_requests import Call, OrderRequest, call_of, params_of, placing, use_of
from actors.venues.binance.reference import Reference
from actors.venues.binance.rest_client import NoAnswer, NotSent, RestClient
from actors.venues.binance.signing import Param, Signer
from actors.venues.binance.weights import Use
from supervisor.effects import Asker
from supervisor.errors import ActorDied
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import PortLink
from supervisor.secret import Secret

# Requests in work at once: connections are shared, and orders must always find one.
READS_MAX = 6
ORDERS_MAX = 64
WAITING_MAX = 256
RETRY_S = 1.0


class RestPort:
    """One account's second way, and the venue's reference data.

    `consumers` are told each instrument's `InstrumentRules` when they were read and whenever they change;
    `listeners` hear `VenueTrouble`, `clock_to` hear `ClockMeasured`. Raises Halt if the venue does not know one of
    `instruments`.
    """

    def __init__(
        self,
        config: BinanceConfig,
        api_key: Secret,
        signer: Signer,
        *,
        clock: VenueClock,
        budget: HostBudget,
        instruments: Sequence[str],
        consumers: Sequence[Address] = (),
        listeners: Sequence[Address] = (),
        clock_to: Sequence[Address] = (),
    ) -> None:
        self._config = config
        self._api_key = api_key
        self._signer = signer
        self._clock = clock
        self._budget = budget
        self._listeners = tuple(listeners)
        self._reference = Reference(config, clock, budget, instruments, consumers, listeners, clock_to)
        self._codec = OrderCodec(config.name, config.account_name)
        self._reads = trio.CapacityLimiter(READS_MAX)
        self._waiting = self._ordering = 0
        self._client: RestClient

    async def run(self, link: PortLink) -> None:
        trouble = lambda told: self._trouble(link, told)  # noqa: E731
        async with RestClient(
            self._config, self._api_key, self._signer, self._clock, self._budget, link.world, trouble
        ) as self._client:
            link.ready()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._reference.keep_clock, link, self._client)
                nursery.start_soon(self._reference.keep_rules, link, self._client)
                await self._inbox(link, nursery)

    # -- inbox ------------------------------------------------------------------------------------------

    async def _inbox(self, link: PortLink, nursery: trio.Nursery) -> None:
        while True:
            message = await link.receive()
            asker = link.asker
            match message:
                case PlaceOrder() | CancelOrder() | ReplaceOrder() | QueryOrder():
                    if self._ordering >= ORDERS_MAX:
                        await self._answer(link, asker, message, not_sent(message, "too many orders in work"))
                    else:
                        self._ordering += 1
                        nursery.start_soon(self._order, link, message, asker)
                case QueryAccount() | SnapshotWanted():
                    if self._waiting >= WAITING_MAX:
                        await self._answer(
                            link, asker, message, (_failed(message, "too many reads in work"),)
                        )
                    else:
                        self._waiting += 1
                        nursery.start_soon(self._read, link, message, asker)
                case RulesWanted():
                    self._reference.wanted(link, asker, message)
                case _:
                    continue

    async def _read(self, link: PortLink, wish: QueryAccount | SnapshotWanted, asker: Asker) -> None:
        try:
            async with self._reads:
                answer = await (
                    self._account(link, wish)
                    if isinstance(wish, QueryAccount)
                    else self._snapshot(link, wish)
                )
        finally:
            self._waiting -= 1
        await self._answer(link, asker, wish, (answer,))

    async def _answer(
        self, link: PortLink, asker: Asker, request: Message, messages: tuple[Message, ...]
    ) -> None:
        for message in messages:
            if asker.ask:
                link.reply(message, asker)
            elif asker.address is not None and not link.tell(asker.address, message):
                try:
                    await link.deliver(asker.address, message)
                except ActorDied:
                    break
        link.done(request)

    # -- orders -----------------------------------------------------------------------------------------

    async def _order(self, link: PortLink, request: OrderRequest, asker: Asker) -> None:
        # Within the child's stop_timeout_s: answer_timeout_s, and a moment to close.
        with trio.CancelScope(shield=True):
            messages = await self._ordered(link, request)
        self._ordering -= 1
        await self._answer(link, asker, request, messages)

    async def _ordered(self, link: PortLink, request: OrderRequest) -> tuple[Message, ...]:
        order = placing(request)
        signed_ns = link.now_ns
        wall_ns = link.wall_ns
        window_ms = self._config.query_window_ms
        if order is not None:
            window_ms = min(order.window_ms, self._config.recv_window_ms)

        def last_check() -> str | None:
            if order is not None:
                now_ns = link.now_ns
                why = refusal(order, link.flags, now_ns, self._clock.measured)
                if why is None and now_ns - signed_ns > window_ms * 1_000_000:
                    why = "connecting took longer than its deadline"
                if why is not None:
                    return why
            link.written(request)
            return None

        try:
            timestamp_ms = self._clock.venue_ns(signed_ns, wall_ns) // 1_000_000
            params = params_of(request, timestamp_ms, window_ms)
        except ValueError as error:
            return not_sent(request, f"malformed: {error}")
        # What is refused now need not open a connection first.
        why = refusal(order, link.flags, signed_ns, self._clock.measured) if order is not None else None
        if why is not None:
            return not_sent(request, why)
        try:
            reply = await self._client.ask(
                call_of(request),
                params,
                use=use_of(request),
                timeout_s=self._config.answer_timeout_s,
                signed=True,
                last_check=last_check,
            )
        except NotSent as error:
            return not_sent(request, str(error))
        except NoAnswer as error:
            return unknown(request, str(error))
        return answers.answer(self._codec, request, reply, wall_ns)

    # -- reads ------------------------------------------------------------------------------------------

    async def _account(self, link: PortLink, wish: QueryAccount) -> Message:
        async def ask(call: Call, params: list[Param]) -> Reply:
            now = self._clock.venue_ns(link.now_ns, link.wall_ns) // 1_000_000
            stamped = [*params, ("recvWindow", self._config.query_window_ms), ("timestamp", now)]
            return await self._client.ask(
                call, stamped, use=Use.SAFETY, timeout_s=self._config.read_timeout_s, signed=True
            )

        try:
            return await read_account(ask, self._codec, wish, link.wall_ns)
        except (ReadFailed, NotUnderstood, NotSent, NoAnswer, ValueError) as error:
            return _failed(wish, str(error))

    async def _snapshot(self, link: PortLink, wish: SnapshotWanted) -> DepthSnapshot | SnapshotFailed:
        try:
            call = Call("depth", "GET", "/api/v3/depth", _depth_weight(wish.levels), 0)
            params: list[Param] = [("limit", wish.levels), ("symbol", symbol_of(wish.instrument))]
            reply = await self._client.ask(
                call, params, use=Use.ROUTINE, timeout_s=self._config.read_timeout_s
            )
            if reply.ok:
                return decode_snapshot(bytes(reply.result), wish.instrument, link.now_ns)
            reason = f"{reply.code if reply.code is not None else reply.status}: {reply.words}"
        except (NotSent, NoAnswer, CodecError, ValueError) as error:
            reason = str(error)
        return _failed_snapshot(wish, reason, self._retry_after_s())

    def _retry_after_s(self) -> float:
        venue_ns = self._client.venue_ns()
        held = self._budget.latched(venue_ns)
        return RETRY_S if held is None else max(RETRY_S, held.until_ms / 1e3 - venue_ns / 1e9)

    def _trouble(self, link: PortLink, trouble: VenueTrouble) -> None:
        link.publish(trouble)
        for listener in self._listeners:
            link.tell(listener, trouble)


def _depth_weight(levels: int) -> int:
    """rest-api.md, "Order book"."""
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


def _failed(wish: QueryAccount | SnapshotWanted, reason: str) -> Message:
    if isinstance(wish, QueryAccount):
        return QueryFailed(what="account", key=wish.account, reason=reason)
    return _failed_snapshot(wish, reason, RETRY_S)


def _failed_snapshot(wish: SnapshotWanted, reason: str, retry_after_s: float) -> SnapshotFailed:
    return SnapshotFailed(instrument=wish.instrument, reason=reason, retry_after_s=retry_after_s)
