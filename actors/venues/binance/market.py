"""The market-data port: carries the frames of Binance's streams to the feeds, over `web_socket.py`.

Decides nothing: `market_session.py` does. The port's life does not end with a connection's; it reconnects by
itself, so a restart of it is for bugs only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError

from actors.messages import BookTicker, DepthDiff, StreamDown, StreamUp, TradeTick
from actors.venues.binance import names
from actors.venues.binance.market_config import MarketConfig
from actors.venues.binance.market_phases import Close, Open, Send
from actors.venues.binance.market_session import MarketSession
from actors.venues.binance.web_socket import Dial, open_web_socket
from actors.venues.binance.wire import connect
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import PortLink

# How often the session looks at the clock.
BEAT_S = 0.2
# A peer that does not answer our close is left.
CLOSE_S = 1.0


_STREAM_NEWS = (StreamUp, StreamDown)


class Connection(Protocol):
    """One open stream of frames. `receive` raises ConnectionClosed when it has ended."""

    async def receive(self) -> bytes: ...
    async def send(self, text: str) -> None: ...
    async def aclose(self) -> None: ...


Connect = Callable[[str], AbstractAsyncContextManager[Connection]]


class MarketPort:
    """One venue's market data: depth, book tickers and trades of its instruments over one connection.

    Each feed gets everything of its instrument, and is told `StreamUp` and `StreamDown`; `trades_to` get the
    trades as well. `connect` is the socket; anything that yields frames can take its place.
    """

    def __init__(
        self,
        stream_url: str,
        feeds: Mapping[str, Address],
        *,
        trades_to: Mapping[str, Sequence[Address]] | None = None,
        config: MarketConfig | None = None,
        venue: str = names.VENUE,
        connect: Connect | None = None,
    ) -> None:
        """`feeds` and `trades_to` by instrument; `stream_url` such as wss://stream.binance.com:9443."""
        self._stream_url = stream_url
        self._config = config or MarketConfig()
        self._venue = venue
        self._connect = connect or web_socket(self._config)
        self._feeds = dict(feeds)
        data: dict[str, tuple[Address, ...]] = {each: (feed,) for each, feed in feeds.items()}
        trades = {each: (feed, *(trades_to or {}).get(each, ())) for each, feed in feeds.items()}
        # Looked up for every message.
        self._routes: dict[type[Message], dict[str, tuple[Address, ...]]] = {
            DepthDiff: data,
            BookTicker: data,
            TradeTick: trades,
        }
        self._open: dict[int, Connection] = {}
        self._scopes: dict[int, trio.CancelScope] = {}

    async def run(self, link: PortLink) -> None:
        session = MarketSession(
            self._stream_url,
            tuple(self._feeds),
            self._config,
            venue=self._venue,
            chance=link.world.random.random,
        )
        async with trio.open_nursery() as nursery:
            session.start(link.now_s)
            # Not connected yet; who waited for that would wait through an outage of the venue.
            link.ready()
            nursery.start_soon(self._read_inbox, link)
            while True:
                self._do(session, link, nursery)
                await trio.sleep(BEAT_S)
                session.on_time(link.now_s)
                if (report := session.report(link.now_s)) is not None:
                    link.publish(report)

    async def _read_inbox(self, link: PortLink) -> None:
        # Nobody has anything to ask of it; what is told nevertheless must not fill the mailbox.
        while True:
            await link.receive()

    def _do(self, session: MarketSession, link: PortLink, nursery: trio.Nursery) -> None:
        """Deliver what the session has for the feeds, then do what it asks for."""
        if session.messages:
            self._deliver(session, link)
        actions, session.actions = session.actions, []
        for action in actions:
            if isinstance(action, Open):
                nursery.start_soon(self._carry, action, session, link, nursery)
            elif isinstance(action, Send):
                if (connection := self._open.get(action.connection)) is not None:
                    nursery.start_soon(_send, connection, action.text)
            elif isinstance(action, Close):
                nursery.start_soon(self._close, action.connection)

    def _deliver(self, session: MarketSession, link: PortLink) -> None:
        routes = self._routes
        told: list[tuple[Address, Message]] = []
        for message in session.messages:
            if isinstance(message, _STREAM_NEWS):
                link.publish(message)
                told += [(feed, message) for feed in self._feeds.values()]
            else:
                told += [(to, message) for to in routes[type(message)][message.instrument]]
        session.messages.clear()
        link.hand_over(told)

    async def _carry(
        self, opening: Open, session: MarketSession, link: PortLink, nursery: trio.Nursery
    ) -> None:
        """One connection, from opening it to its end."""
        number = opening.connection
        reason, retry_after_s = "closed", 0.0
        with trio.CancelScope() as scope:
            self._scopes[number] = scope
            try:
                async with self._connect(opening.url) as connection:
                    self._open[number] = connection
                    session.on_open(number, link.now_s)
                    self._do(session, link, nursery)
                    while True:
                        frame = await connection.receive()
                        session.on_frame(number, frame, link.now_ns)
                        if session.actions:
                            self._do(session, link, nursery)
                        elif session.messages:
                            self._deliver(session, link)
            except ConnectionRejected as error:
                reason = f"the venue refused the connection with status {error.status_code}"
                retry_after_s = _retry_after_s(error)
            except (ConnectionClosed, HandshakeError, OSError, trio.BrokenResourceError) as error:
                reason = str(error.__cause__ or error) or type(error).__name__
            finally:
                self._open.pop(number, None)
                self._scopes.pop(number, None)
        session.on_closed(number, reason, link.now_s, retry_after_s)
        self._do(session, link, nursery)

    async def _close(self, number: int) -> None:
        connection = self._open.get(number)
        if connection is not None:
            with trio.move_on_after(CLOSE_S):
                await connection.aclose()
        # Still being opened, or deaf to our close.
        if (scope := self._scopes.get(number)) is not None:
            scope.cancel()


def web_socket(config: MarketConfig, dial: Dial = connect) -> Connect:
    """How to connect for real: ws:// or wss://, with every wait bounded."""

    def opened(url: str) -> AbstractAsyncContextManager[Connection]:
        return open_web_socket(
            url, frame_bytes_max=config.frame_bytes_max, timeout_s=config.connect_timeout_s, dial=dial
        )

    return opened


async def _send(connection: Connection, text: str) -> None:
    try:
        await connection.send(text)
    except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
        return  # whoever reads it sees the end, and says why


def _retry_after_s(error: ConnectionRejected) -> float:
    """Seconds that the venue demands; a minute where it has refused us without saying how long."""
    headers: Iterable[tuple[bytes, bytes]] = error.headers or ()
    for name, value in headers:
        if name.lower() == b"retry-after" and value.strip().isdigit():
            return float(value)
    return 60.0 if error.status_code in (403, 418, 429) else 0.0
