"""The simulated venue as a server: one loopback port for REST, streams, the websocket API and the control
endpoint.

`serve` runs in a nursery of the caller and hands back a `RunningVenue` once it listens. The exchange is
turned by one task, in step with the venue's clock; each connection is a task of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import trio

from actors.replay.recording import Kind, records
from actors.venues.simulated import rest, streams
from actors.venues.simulated.auth import KeyRing
from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.connections import Connections
from actors.venues.simulated.control import Control
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.exchange import Exchange, StreamEvent
from actors.venues.simulated.faults import FaultBoard
from actors.venues.simulated.gate import Admitted, Answer, Call, Gate, Local, Outcome
from actors.venues.simulated.generated import GeneratedMarket
from actors.venues.simulated.http import Ending
from actors.venues.simulated.keys import load_keys
from actors.venues.simulated.limits import Limits
from actors.venues.simulated.listen_keys import ListenKeys
from actors.venues.simulated.logbook import Logbook
from actors.venues.simulated.market import Market
from actors.venues.simulated.record_file import RecordFile
from actors.venues.simulated.recording import RecordedMarket
from actors.venues.simulated.rest import HttpRequest, HttpResponse
from actors.venues.simulated.server_config import ServerConfig
from actors.venues.simulated.upstream import Upstream

# The exchange is turned no more often than this: a busy market is played in small batches, not event by
# event.
TURN_MIN_S = 0.001
TURN_MAX_S = 1.0
CONNECT_WEIGHT = 2
GOING_AWAY = 1001


class RunningVenue:
    """A venue that listens: its port, and its parts for tests and for whoever judges a run."""

    def __init__(self, server: VenueServer, port: int) -> None:
        self.port = port
        host = server.config.host
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.url = f"http://{where}"
        self.ws_url = f"ws://{where}"
        self.server = server
        self.exchange = server.exchange
        self.control = server.control
        self.clock = server.clock


async def serve(
    config: ServerConfig,
    *,
    market: Market | None = None,
    keys: KeyRing | None = None,
    clock: VenueClock | None = None,
    task_status: trio.TaskStatus[RunningVenue] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the venue until cancelled. `market` and `keys` replace what the config names (for tests).

    Raises ValueError for a config whose files are missing, OSError when the port is taken, UpstreamFailed when a
    live market cannot be had.
    """
    clock = clock or VenueClock()
    if config.market != "live" or market is not None:
        await _serve(config, market, keys, clock, task_status)
        return
    upstream = Upstream(config, clock)
    try:
        config, market = await upstream.open()
        async with trio.open_nursery() as nursery:
            await nursery.start(upstream.run)
            await _serve(config, market, keys, clock, task_status, upstream)
    finally:
        await upstream.aclose()


async def _serve(
    config: ServerConfig,
    market: Market | None,
    keys: KeyRing | None,
    clock: VenueClock,
    task_status: trio.TaskStatus[RunningVenue],
    upstream: Upstream | None = None,
) -> None:
    server = VenueServer(config, market, keys, clock)
    if upstream is not None:
        upstream.watch(server.on_upstream_events, server.on_upstream_state)
    listeners = await trio.open_tcp_listeners(config.port, host=config.host)
    port: int = listeners[0].socket.getsockname()[1]
    try:
        async with trio.open_nursery() as nursery:
            server.start(nursery)
            nursery.start_soon(trio.serve_listeners, server.connections.accept, listeners)
            task_status.started(RunningVenue(server, port))
    finally:
        server.close()


class VenueServer:
    """The venue's parts, joined; see the module."""

    def __init__(
        self, config: ServerConfig, market: Market | None, keys: KeyRing | None, clock: VenueClock
    ) -> None:
        self.config = config
        self.clock = clock
        self._file = (
            RecordFile(config.record_file, config.record_file_bytes_max) if config.record_file else None
        )
        self.logbook = Logbook(config.requests_kept, self._file)
        # A torn line of a recording is skipped and noted: the venue is not the judge of its input.
        market = market or _market(config, self._on_unusable)
        rng = random.Random(f"{config.seed} exchange")
        self.exchange = Exchange(config.venue, market, rng, clock.now_us())
        self.faults = FaultBoard(random.Random(f"{config.seed} faults"))
        self.limits = Limits(config.venue.rate_limits, config.ban, config.sockets.connections_5m)
        self.listen_keys = ListenKeys(random.Random(f"{config.seed} listen keys"))
        if keys is None:
            keys = load_keys(config.keys, config.keys_dir or Path(), config.create_keys)
        self.gate = Gate(
            config,
            self.exchange,
            keys,
            self.limits,
            self.faults,
            self.logbook,
            clock,
            self.listen_keys,
        )
        self.hub = streams.Hub(self._ask, lambda name: self.faults.stream_delay_us(name, clock.now_us()))
        self.connections = Connections(self)
        token = config.control_token_file.read_text().strip() if config.control_token_file else ""
        accounts = tuple(account.name for account in config.venue.accounts)
        self.control = Control(
            self.exchange,
            self.faults,
            self.limits,
            self.logbook,
            clock,
            self.connections.cut,
            accounts,
            token,
        )
        self._poke = trio.Event()
        self._last_fill: object = None

    def start(self, nursery: trio.Nursery) -> None:
        self.connections.start(nursery)
        nursery.start_soon(self._play)
        nursery.start_soon(self._slow)

    def _on_unusable(self, error: ValueError) -> None:
        self.logbook.note("unusable_line_of_recording", self.clock.now_us(), error=str(error))

    def on_upstream_events(self) -> None:
        """A live market has news: play it now."""
        self._poke.set()

    def on_upstream_state(self, symbol: str, is_live: bool, why: str) -> None:
        """A pair whose upstream is lost takes no new orders: there is no price to trade at."""
        now_us = self.clock.now_us()
        # A halted pair keeps what the market did meanwhile; it must have all of it before it opens.
        self.exchange.advance(now_us)
        self.exchange.disturbances.set_status(symbol, "TRADING" if is_live else "CANCEL_ONLY")
        what = "upstream_live" if is_live else "upstream_lost"
        self.logbook.note(what, now_us, symbol=symbol, why=why)
        self._poke.set()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    # --- The exchange's time -----------------------------------------------------------------------------

    async def _play(self) -> None:
        """Turn the exchange whenever it has something to do."""
        while True:
            self._poke = trio.Event()
            now_us = self.clock.now_us()
            self.exchange.advance(now_us)
            self.flush()
            next_us = self.exchange.next_event_us()
            wait_s = TURN_MAX_S if next_us is None else (next_us - now_us) / 1e6
            await trio.sleep(TURN_MIN_S)
            with trio.move_on_after(min(max(wait_s, 0.0), TURN_MAX_S)):
                await self._poke.wait()

    async def _slow(self) -> None:
        while True:
            await trio.sleep(1.0)
            if not self.faults.in_maintenance(self.clock.now_us()):
                self.hub.tick(self.clock.now_us())

    def flush(self) -> None:
        """Send what the exchange has to say since the last time."""
        for event in self.exchange.drain():
            if event.account is not None:
                self._on_user_event(event)
            self.hub.publish(event)

    def _on_user_event(self, event: StreamEvent) -> None:
        payload = event.payload
        if isinstance(payload, bytes) or event.account is None:
            return
        self.logbook.note("user_event", event.at_us, account=event.account, event=payload)
        # An order that begins to trade no longer counts as unfilled: one as taker, five as maker (Binance's
        # example in faqs/order_count_decrement.md). A repeated report is the same fill.
        is_first = payload.get("x") == "TRADE" and payload.get("l") == payload.get("z")
        if is_first and payload.get("I") != self._last_fill:
            self._last_fill = payload.get("I")
            self.limits.count_orders(event.account, -5 if payload.get("m") else -1, self.clock.now_us())

    def _ask(self, method: str, params: Mapping[str, str]) -> object:
        try:
            return self.exchange.call(method, None, params, self.clock.now_us())
        except VenueError:
            # A stream of a pair that does not exist stays silent, as at the venue.
            return None

    # --- Requests ----------------------------------------------------------------------------------------

    async def answer(self, call: Call, local: Mapping[str, Local] | None = None) -> Outcome:
        """Take a call through the gate, waiting where a fault wants it."""
        admitted = self.gate.admit(call)
        if isinstance(admitted, Answer):
            return Outcome("answer", admitted)
        return await self.complete(admitted, local)

    async def complete(self, admitted: Admitted, local: Mapping[str, Local] | None = None) -> Outcome:
        if admitted.verdict.before_us:
            await trio.sleep(admitted.verdict.before_us / 1e6)
        outcome = self.gate.finish(admitted, local)
        self._poke.set()
        if admitted.verdict.after_us:
            # The answer is late, what happened is not: streams tell of it at once.
            self.flush()
            await trio.sleep(admitted.verdict.after_us / 1e6)
        return outcome

    async def on_http(self, request: HttpRequest) -> HttpResponse | Ending:
        if request.path.startswith("/control/"):
            response = self.control(request)
            self._poke.set()
            self.flush()
            return response
        call = rest.parse(request, self.config.listen_key_legacy)
        if isinstance(call, HttpResponse):
            now_us, status = self.clock.now_us(), call.status
            self.logbook.note("not_an_endpoint", now_us, verb=request.verb, path=request.path, status=status)
            return call
        outcome = await self.answer(call)
        self.flush()
        if outcome.end != "answer":
            return Ending(outcome.end)
        now_us = self.clock.now_us()
        return rest.response(outcome.answer, self.limits.used_weight(request.ip, now_us), now_us)


def _market(config: ServerConfig, unusable: Callable[[ValueError], None]) -> Market:
    """The market that the config names. Raises OSError for a recording that cannot be opened."""
    path = config.recording
    if config.market == "generated" or path is None:
        rng = random.Random(f"{config.seed} market")
        return GeneratedMarket(config.venue.symbols, config.venue.generated, rng)

    def messages() -> Iterator[tuple[int, bytes]]:
        for record in records(path, unusable=unusable):
            if record.kind in (Kind.FRAME, Kind.RESPONSE):
                yield record.receive_ns, record.raw

    with path.open("rb"):
        # Only to fail now and not at the first event.
        pass
    return RecordedMarket(messages, config.venue.symbols, config.recording_end, unusable)
