"""The trade port: orders and the user data stream over one connection to Binance's websocket API.

It lives on through lost connections: meanwhile it answers every request "not sent", so that the second way
can be taken at once. All that it decides is in `trade_session.py`; here bytes and messages are carried, and
what must not be lost waits for room in orders' mailbox while the socket is left unread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, assert_never

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from actors.messages import (
    CancelOrder,
    PlaceOrder,
    QueryAccount,
    QueryFailed,
    QueryOrder,
    ReplaceOrder,
    UserStreamUp,
    VenueTrouble,
)
from actors.venues.binance.answers import not_sent
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.errors import rule, until_ms
from actors.venues.binance.order_requests import OrderRequest
from actors.venues.binance.signing import Signer
from actors.venues.binance.trade_session import (
    Answered,
    Deed,
    Hang,
    KeyRefused,
    Send,
    Told,
    TradeSession,
)
from actors.venues.binance.weights import Use
from actors.venues.binance.wire import Wire, connect
from supervisor.effects import Asker
from supervisor.errors import ActorDied, Halt
from supervisor.mailbox import Address
from supervisor.message import Down, Message
from supervisor.port import PortLink
from supervisor.secret import Secret

Fault = TypeVar("Fault", bound=BaseException)
Dial = Callable[[str], Awaitable[tuple[Wire, str, str]]]
"""URL -> the wire, the host for the handshake, the resource to ask for; raises OSError."""

BEAT_S = 0.1
# Connections lost or refused in a row before the listeners are told that the venue cannot be reached.
FAILURES_TOLD = 3
CLOSE_S = 0.5
STEADY_NS = 30_000_000_000
UNREAD_NS = 1_000_000_000


class TradePort:
    """One account's way to the venue. `clock` and `budget` are shared with the REST port and outlive this
    life.

    Every answer goes to whom the request came from. Events of the user stream go to `orders`, which is told
    again that the stream is up whenever a life of it has ended. `listeners` hear of `VenueTrouble`. `dial` opens
    the wire. Raises Halt if the venue refuses the key.
    """

    def __init__(
        self,
        config: BinanceConfig,
        api_key: Secret,
        signer: Signer,
        *,
        clock: VenueClock,
        budget: HostBudget,
        orders: Address,
        listeners: Sequence[Address] = (),
        dial: Dial = connect,
    ) -> None:
        self._config = config
        self._dial = dial
        self._clock = clock
        self._budget = budget
        self._orders = orders
        self._listeners = tuple(listeners)
        self._session = TradeSession(config, api_key, signer, clock, budget)
        self._wire: Wire | None = None
        self._halt: Halt | None = None
        self._reasons: list[str] = []
        self._waiting = 0
        self._unread_ns = 0

    async def run(self, link: PortLink) -> None:
        link.watch(self._orders)
        # Not connected yet, but able to answer: whoever waits for a connection would wait through an outage.
        link.ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._inbox, link)
            await self._connections(link)
            nursery.cancel_scope.cancel()
        if self._halt is not None:
            raise self._halt

    # -- requests -----------------------------------------------------------------------------------

    async def _inbox(self, link: PortLink) -> None:
        while True:
            message = await link.receive()
            if isinstance(message, (PlaceOrder, CancelOrder, ReplaceOrder, QueryOrder)):
                await self._request(link, message, link.asker)
            elif isinstance(message, QueryAccount):
                # An account is many requests; they are not to stand between orders on this connection.
                link.reply(QueryFailed(what="account", key=message.account, reason="ask the REST port"))
            elif isinstance(message, Down) and self._session.stream_up:
                # Its next life has not heard that the stream is up; it reads this first.
                await self._put(link, self._orders, UserStreamUp(account=self._config.account_name))

    async def _request(self, link: PortLink, request: OrderRequest, asker: Asker) -> None:
        session = self._session
        refused: Answered | None = None

        def make() -> bytes | None:
            nonlocal refused
            prepared = session.prepare(request, asker, link.flags, link.now_ns, link.wall_ns)
            if isinstance(prepared, Answered):
                refused = prepared
                return None
            link.written(request)
            return prepared

        wire = self._wire
        if wire is None:
            held = self._budget.latched(self._venue_ns(link))
            refused = Answered(request, asker, not_sent(request, str(held or "not connected")))
        else:
            try:
                await wire.send_text(make)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # The reader sees it too, and then tells what became of everything that was open.
                if not session.is_open(request):
                    refused = Answered(request, asker, not_sent(request, "connection lost"))
        if refused is not None:
            await self._answer(link, refused)

    # -- connections --------------------------------------------------------------------------------

    async def _connections(self, link: PortLink) -> None:
        failures = 0
        while self._halt is None:
            await self._wait_until_allowed(link)
            began_ns = link.now_ns
            reason = await self._connection(link)
            await self._perform(link, self._session.lost(reason))
            # A connection that dies young is a failed attempt too, or a flapping venue would be dialled
            # without end.
            failures = 0 if link.now_ns - began_ns > STEADY_NS else failures + 1
            if failures == FAILURES_TOLD:
                self._trouble(link, "unreachable", reason, link.wall_ns)
            pause_s = self._config.reconnect_min_s * 2 ** min(max(0, failures - 1), 16)
            if self._halt is None:
                wobble = 0.8 + 0.4 * link.world.random.random()
                await trio.sleep(min(pause_s, self._config.reconnect_max_s) * wobble)

    async def _wait_until_allowed(self, link: PortLink) -> None:
        """A ban is waited out; connecting weighs as well."""
        while True:
            if self._budget.take(Use.SAFETY, 2, 0, self._venue_ns(link)) is None:
                return
            await trio.sleep(1.0)

    async def _connection(self, link: PortLink) -> str:
        """One connection, from its opening to its end; returns why it ended."""
        try:
            with trio.fail_after(self._config.connect_timeout_s):
                wire, host, resource = await self._dial(self._config.ws_api_url)
        except (OSError, trio.TooSlowError) as error:
            return f"cannot connect: {error or type(error).__name__}"
        try:
            return await self._handshake(link, wire, host, resource)
        finally:
            self._wire = None
            await trio.aclose_forcefully(wire)

    async def _handshake(self, link: PortLink, wire: Wire, host: str, resource: str) -> str:
        reason = "closed"
        # A refusal is raised in the library's reader, so it arrives here in a group.
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(self._config.connect_timeout_s):
                    socket = await wrap_client_stream(nursery, wire, host, resource)  # type: ignore[arg-type]
                reason = await self._talk(link, wire, socket)
                nursery.cancel_scope.cancel()
        except* ConnectionRejected as group:
            reason = self._rejected(link, _first(group))
        except* (HandshakeError, ConnectionClosed, trio.BrokenResourceError, trio.TooSlowError) as group:
            reason = f"handshake failed: {type(_first(group)).__name__}"
        return reason

    async def _talk(self, link: PortLink, wire: Wire, socket: WebSocketConnection) -> str:
        """Nothing here is cancelled while the port lives, so that no answer in hand is lost: to hang up is
        to close the stream, which ends the reader, which ends the beat."""
        self._wire = wire
        self._reasons = []
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beats, link, over)
            await self._perform(link, self._session.opened(link.now_ns, link.wall_ns))
            await self._read(link, socket)
            over.set()
        self._wire = None
        with trio.move_on_after(CLOSE_S):
            await socket.aclose()
        return self._reasons[0]

    async def _read(self, link: PortLink, socket: WebSocketConnection) -> None:
        try:
            while not self._reasons:
                data = await socket.get_message()
                await self._perform(link, self._session.received(data, link.now_ns, link.wall_ns))
        except ConnectionClosed as error:
            closed = error.reason
            self._reasons.append(f"closed by the venue ({closed.name if closed else 'no reason given'})")

    async def _beats(self, link: PortLink, over: trio.Event) -> None:
        while not over.is_set():
            with trio.move_on_after(BEAT_S):
                await over.wait()
            now_ns = link.now_ns
            # What was left unread gets a moment to be read before silence is held against the venue.
            reading = not self._waiting and now_ns - self._unread_ns > UNREAD_NS
            await self._perform(link, self._session.beat(now_ns, link.wall_ns, reading))

    # -- deeds --------------------------------------------------------------------------------------

    async def _perform(self, link: PortLink, deeds: list[Deed]) -> None:
        for deed in deeds:
            match deed:
                case Send():
                    await self._send(deed.data)
                case Answered():
                    await self._answer(link, deed)
                case Told():
                    await self._tell(link, deed.message)
                case Hang():
                    await self._hang_up(deed.reason)
                case KeyRefused():
                    self._halt = Halt(
                        f"{self._config.account_name}: the venue refuses the API key ({deed.words});"
                        " check the key, its permissions and its IP list"
                    )
                    await self._hang_up(deed.words)
                case _:
                    assert_never(deed)

    async def _hang_up(self, reason: str) -> None:
        self._reasons.append(reason)
        if self._wire is not None:
            await trio.aclose_forcefully(self._wire)

    async def _send(self, data: bytes) -> None:
        if self._wire is not None:
            try:
                await self._wire.send_text(lambda: data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # The reader finds it closed as well, and ends this connection.
                return

    async def _answer(self, link: PortLink, deed: Answered) -> None:
        to = deed.asker.address
        for message in deed.messages:
            if deed.asker.ask:
                link.reply(message, deed.asker)
            elif to is not None:
                await self._put(link, to, message)
        link.done(deed.request)

    async def _tell(self, link: PortLink, message: Message) -> None:
        if isinstance(message, VenueTrouble):
            self._trouble(link, message.kind, message.words, message.until_wall_ns)
        else:
            await self._put(link, self._orders, message)

    async def _put(self, link: PortLink, to: Address, message: Message) -> None:
        """What the venue said is never dropped: without room, wait, and leave the socket unread. Who has
        died for good is owed nothing."""
        if link.tell(to, message):
            return
        self._waiting += 1
        try:
            await link.deliver(to, message)
        except ActorDied:
            return
        finally:
            self._waiting -= 1
            self._unread_ns = link.now_ns

    # -- trouble ------------------------------------------------------------------------------------

    def _rejected(self, link: PortLink, error: ConnectionRejected) -> str:
        """The handshake was answered with an HTTP error: a ban or a limit latches for the whole host."""
        words = f"handshake refused with HTTP {error.status_code}"
        trouble = rule(error.status_code, None, "").trouble
        if trouble is not None:
            retry_after = dict(error.headers).get(b"retry-after", b"").decode("latin-1")
            venue_ns = self._venue_ns(link)
            until = until_ms(trouble, "", venue_ns // 1_000_000, retry_after_s=retry_after)
            self._budget.latch(trouble, until, venue_ns)
            self._trouble(link, trouble.value, words, until * 1_000_000 - venue_ns + link.wall_ns)
        return words

    def _trouble(self, link: PortLink, kind: str, words: str, until_wall_ns: int) -> None:
        trouble = VenueTrouble(venue=self._config.name, kind=kind, words=words, until_wall_ns=until_wall_ns)
        link.publish(trouble)
        for listener in self._listeners:
            link.tell(listener, trouble)

    def _venue_ns(self, link: PortLink) -> int:
        return self._clock.venue_ns(link.now_ns, link.wall_ns)


def _first(group: BaseExceptionGroup[Fault]) -> Fault:
    found: Fault | BaseExceptionGroup[Fault] = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
