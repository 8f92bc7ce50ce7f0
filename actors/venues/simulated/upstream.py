"""The pump of a live market: carries another venue's public streams and snapshots to it, and says when they fail.

It decides nothing about books: `live.py` says which snapshots it wants. No key is sent, and none is known here.
A connection that ends, or is silent for too long, is opened again with doubling waits; what is missing then is
mended by a fresh snapshot of each pair.
Source: binance-spot-api-docs web-socket-streams.md ("How to manage a local order book correctly", "Websocket
Limits") and rest-api.md ("LIMITS").
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

import httpx
import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    open_websocket_url,
)

from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.live import LiveMarket
from actors.venues.simulated.server_config import ServerConfig
from actors.venues.simulated.upstream_rules import UnusableRules, symbols_of
from supervisor.errors import StartFailed

# The rules must have come by then, and in the same time again a snapshot of each pair.
START_S = 12.0
READ_S = 10.0
# trio-websocket waits so long for a handshake even where the peer has hung up.
CONNECT_S = 5.0
BODY_MAX = 32 * 1024 * 1024
FRAME_MAX = 1 << 20
QUEUE_FRAMES = 4096
# A ping proves the connection where the market is quiet; Binance allows five messages a second.
PING_S = 1.0
# No frame and no pong for so long: the connection is dead, whatever the socket says.
SILENT_S = 8.0
LOOK_S = 0.1
# Between attempts to connect, and between snapshots of one pair: doubled, with jitter; back after a success that
# lasted.
WAIT_MIN_S, WAIT_MAX_S = 0.25, 30.0
SETTLED_S = 30.0
# 1000 levels cost 50 of 6000 a minute; so many together are a third, since a real desk may live on this address.
SNAPSHOT_LEVELS = 1000
SNAPSHOTS_PER_MINUTE = 40
# A snapshot reaches only so far, and the price moves: so often the far levels are asked for again.
RENEW_S = 600.0
REFUSED_S = 60.0
# A snapshot is asked for once the stream of its pair has begun, or it could not be joined; a quiet pair's after this.
QUIET_S = 2.0


class UpstreamFailed(StartFailed):
    """The upstream gave no market to start with; says which, why, and what to do."""


class Wait:
    """Doubling waits with jitter. Times are those of trio's clock."""

    def __init__(self) -> None:
        self.until_s = float("-inf")
        self._next_s = WAIT_MIN_S

    def failed(self, at_least_s: float = 0.0) -> None:
        wait_s = self._next_s * (0.5 + random.random())
        self.until_s = trio.current_time() + max(wait_s, at_least_s)
        self._next_s = min(self._next_s * 2, WAIT_MAX_S)

    def settled(self) -> None:
        self._next_s = WAIT_MIN_S


class Upstream:
    """One upstream. `open` learns the rules; `run` carries its market for ever; `watch` is told how it goes."""

    def __init__(self, config: ServerConfig, clock: VenueClock) -> None:
        if not config.upstream_symbols:
            raise UpstreamFailed('market = "live" without upstream_symbols: name the pairs to trade')
        self._config = config
        self._clock = clock
        self._market = LiveMarket(())
        self._http = httpx.AsyncClient(
            base_url=config.upstream_rest_url,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=4),
            headers={"User-Agent": "nightdesk"},
            # Neither a proxy nor a .netrc's password may come from the environment.
            trust_env=False,
        )
        self._on_events: Callable[[], None] = lambda: None
        self._on_state: Callable[[str, bool, str], None] = lambda symbol, is_live, why: None
        self._trouble = "nothing was heard"
        self._heard_s = trio.current_time()
        self._connected_s: float | None = None
        self._whole_s: dict[str, float] = {}
        self._renew_s: dict[str, float] = {}
        self._live: dict[str, bool] = {}
        self._all_whole = trio.Event()
        self._snapshots: deque[float] = deque(maxlen=SNAPSHOTS_PER_MINUTE)
        self._waits: dict[str, Wait] = {}
        # Of REST as a whole, after a 429 or 418.
        self._rest_until_s = float("-inf")

    async def open(self) -> tuple[ServerConfig, LiveMarket]:
        """The config with the upstream's own pairs, and their market, still empty. Raises UpstreamFailed."""
        symbols = self._config.upstream_symbols
        quoted = ",".join(f'"{symbol}"' for symbol in symbols)
        with trio.move_on_after(START_S):
            while True:
                status, body, retry_s = await self._get("/api/v3/exchangeInfo", {"symbols": f"[{quoted}]"})
                if status == 200:
                    break
                # An unknown pair stays unknown.
                if status in (400, 404):
                    raise self._failed(f"it answered {status}: {body[:200].decode('utf-8', 'replace')}")
                await trio.sleep(max(1.0, retry_s))
            try:
                listed = symbols_of(body, symbols)
            except UnusableRules as error:
                raise self._failed(str(error)) from None
            now_s = trio.current_time()
            self._market = LiveMarket(listed)
            self._waits = {symbol: Wait() for symbol in symbols}
            self._whole_s = dict.fromkeys(symbols, now_s)
            self._renew_s = dict.fromkeys(symbols, now_s)
            self._live = dict.fromkeys(symbols, True)
            venue = msgspec.structs.replace(self._config.venue, symbols=listed)
            return msgspec.structs.replace(self._config, venue=venue), self._market
        raise self._failed(self._trouble)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Started once every book is whole. Raises UpstreamFailed if that does not come to pass."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._connect)
            nursery.start_soon(self._fetch)
            with trio.move_on_after(START_S) as starting:
                await self._all_whole.wait()
            if starting.cancelled_caught:
                raise self._failed(self._trouble)
            task_status.started()
            await self._look()

    def watch(self, on_events: Callable[[], None], on_state: Callable[[str, bool, str], None]) -> None:
        """`on_events` when the market has news; `on_state` (pair, whether it is live, why not) when that turns."""
        self._on_events = on_events
        self._on_state = on_state

    async def aclose(self) -> None:
        with trio.move_on_after(1.0, shield=True):
            await self._http.aclose()

    # --- The stream --------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        names = "/".join(
            f"{symbol.lower()}@{kind}"
            for symbol in self._config.upstream_symbols
            for kind in ("depth@100ms", "trade", "bookTicker")
        )
        url = f"{self._config.upstream_stream_url.rstrip('/')}/stream?streams={names}"
        wait = Wait()
        while True:
            began_s, retry_s = trio.current_time(), 0.0
            try:
                async with open_websocket_url(
                    url,
                    message_queue_size=QUEUE_FRAMES,
                    max_message_size=FRAME_MAX,
                    connect_timeout=CONNECT_S,
                    disconnect_timeout=1.0,
                ) as socket:
                    await self._carry(socket)
            except ConnectionRejected as error:
                self._trouble = f"it refused the stream with status {error.status_code}"
                retry_s = _retry_after_s(error.status_code, error.headers or ())
            except (ConnectionClosed, HandshakeError, OSError, trio.BrokenResourceError) as error:
                self._trouble = f"the stream: {str(error.__cause__ or error) or type(error).__name__}"
            self._connected_s = None
            self._market.on_lost()
            if trio.current_time() - began_s > SETTLED_S:
                wait.settled()
            wait.failed(retry_s)
            await trio.sleep_until(wait.until_s)

    async def _carry(self, socket: WebSocketConnection) -> None:
        """Until the connection ends, or is silent for too long."""
        self._heard_s = self._connected_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping, socket)
            nursery.start_soon(self._leave_silence, nursery.cancel_scope)
            try:
                while True:
                    frame = await socket.get_message()
                    self._heard_s = trio.current_time()
                    raw = frame.encode() if isinstance(frame, str) else frame
                    self._market.on_message(raw, self._clock.now_us())
                    self._on_events()
            except ConnectionClosed as closed:
                self._trouble = f"the stream was closed: {closed.reason}"
                nursery.cancel_scope.cancel()

    async def _ping(self, socket: WebSocketConnection) -> None:
        while True:
            await trio.sleep(PING_S)
            try:
                await socket.ping()
            except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
                return  # whoever reads sees the end, and says why
            self._heard_s = trio.current_time()

    async def _leave_silence(self, scope: trio.CancelScope) -> None:
        while True:
            await trio.sleep_until(self._heard_s + SILENT_S)
            if trio.current_time() - self._heard_s >= SILENT_S:
                break
        self._trouble = f"the stream was silent for {SILENT_S:g} s"
        scope.cancel()

    # --- Snapshots ---------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        while True:
            await trio.sleep(LOOK_S)
            for symbol in sorted(self._market.wanted):
                now_s = trio.current_time()
                spent = len(self._snapshots) == SNAPSHOTS_PER_MINUTE and self._snapshots[0] > now_s - 60.0
                if self._connected_s is None or spent:
                    break
                has_begun = self._market.hears(symbol) or now_s - self._connected_s > QUIET_S
                if not has_begun or now_s < max(self._rest_until_s, self._waits[symbol].until_s):
                    continue
                self._snapshots.append(now_s)
                await self._snapshot(symbol)

    async def _snapshot(self, symbol: str) -> None:
        parameters = {"symbol": symbol, "limit": str(SNAPSHOT_LEVELS)}
        status, body, retry_s = await self._get("/api/v3/depth", parameters)
        wait, now_s = self._waits[symbol], trio.current_time()
        if status in (418, 429):
            self._rest_until_s = now_s + retry_s
        is_whole = status == 200 and self._market.on_snapshot(symbol, body, self._clock.now_us())
        # Also after a success: a book that breaks again at once must not be fetched again at once.
        wait.failed(retry_s)
        if is_whole:
            self._renew_s[symbol] = now_s + RENEW_S
            if not self._market.wanted:
                self._all_whole.set()
            self._on_events()

    async def _get(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes, float]:
        """Status (0: no answer), body, and the seconds that the upstream demands to wait. Raises nothing."""
        try:
            async with self._http.stream("GET", path, params=parameters) as response:
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > BODY_MAX:
                        raise httpx.DecodingError(f"a body of more than {BODY_MAX} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            self._trouble = f"{path}: {str(error) or type(error).__name__}"
            return 0, b"", 0.0
        if response.status_code == 200:
            return 200, body, 0.0
        self._trouble = f"{path} was answered with {response.status_code}"
        return response.status_code, body, _retry_after_s(response.status_code, response.headers.raw)

    # --- How it goes -------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Say when a pair goes stale, and when it is live again."""
        stale_s = self._config.upstream_stale_s
        while True:
            await trio.sleep(LOOK_S)
            now_s = trio.current_time()
            for symbol, was_live in self._live.items():
                if symbol not in self._market.wanted:
                    self._whole_s[symbol] = now_s
                    if now_s >= self._renew_s[symbol]:
                        self._market.renew(symbol)
                    elif now_s - (self._renew_s[symbol] - RENEW_S) > SETTLED_S:
                        self._waits[symbol].settled()
                silent_s = now_s - min(self._heard_s, self._whole_s[symbol])
                # A book that is not whole yet is not live again because somebody speaks.
                is_live = silent_s <= stale_s and (was_live or symbol not in self._market.wanted)
                if is_live != was_live:
                    self._live[symbol] = is_live
                    self._on_state(symbol, is_live, "" if is_live else self._trouble)

    def _failed(self, why: str) -> UpstreamFailed:
        where = f"{self._config.upstream_rest_url} and {self._config.upstream_stream_url}"
        return UpstreamFailed(
            f"no live market from {where}: {why}; look at the network and at [simulated] upstream_rest_url and "
            'upstream_stream_url, or set market = "generated"'
        )


def _retry_after_s(status: int, headers: Iterable[tuple[bytes, bytes]]) -> float:
    for name, value in headers:
        if name.lower() == b"retry-after" and value.strip().isdigit():
            return float(value)
    return REFUSED_S if status in (403, 418, 429) else 0.0
