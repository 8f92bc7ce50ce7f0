"""A simulated venue for tests: in a Trio nursery, or in a thread of its own for clients that are not on Trio.

    async with running_venue() as venue: ...                # Trio
    with VenueThread() as venue: ...                        # everything else

Both give a `LocalVenue`: where it listens, fresh keys (never committed), and the running server. The default
market stands still, so that a test sees only what it did itself; pass `generated=True` for a moving one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec
import outcome
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from actors.venues.simulated.auth import ApiKey, KeyRing
from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.config import AccountConfig, SymbolConfig, VenueConfig
from actors.venues.simulated.keys import NewKey
from actors.venues.simulated.market import Candle, Levels, MarketEvent
from actors.venues.simulated.server import RunningVenue, serve
from actors.venues.simulated.server_config import ServerConfig

WEALTH = {"BTC": Decimal(10), "ETH": Decimal(100), "BNB": Decimal(100), "USDT": Decimal(1_000_000)}
# The still market's book: so many levels a side, one tick apart, each of so many units of the base asset.
STILL_LEVELS = 25
STILL_SIZE = Decimal(1)


class StillMarket:
    """A market that does nothing by itself: a fixed book around each pair's start price.

    A test may add events to it.
    """

    def __init__(self, symbols: tuple[SymbolConfig, ...]) -> None:
        self._symbols = symbols
        self._events: list[MarketEvent] = []

    def add(self, event: MarketEvent) -> None:
        """Let something happen at the event's time; times may not go backwards."""
        self._events.append(event)

    def begin(self, start_us: int) -> list[MarketEvent]:
        return [self._book(symbol, start_us) for symbol in self._symbols]

    def history(self, symbol: str) -> list[Candle]:
        return []

    def next_us(self) -> int | None:
        return self._events[0].at_us if self._events else None

    def pop(self) -> MarketEvent:
        return self._events.pop(0)

    def _book(self, symbol: SymbolConfig, at_us: int) -> Levels:
        middle = int(symbol.start_price / symbol.tick_size)
        size = int(STILL_SIZE / symbol.step_size)
        bids = [(middle - 1 - i, size) for i in range(STILL_LEVELS)]
        asks = [(middle + 1 + i, size) for i in range(STILL_LEVELS)]
        return Levels(at_us, symbol.symbol, bids, asks, reset=True)


class LocalVenue:
    """A venue under test and the keys of its accounts "desk" and "other"."""

    def __init__(self, running: RunningVenue, keys: Mapping[str, NewKey]) -> None:
        self.running = running
        self.port = running.port
        self.url = running.url
        self.ws_url = running.ws_url
        self.server = running.server
        self.hmac = keys["hmac"]
        self.ed25519 = keys["ed25519"]
        self.rsa = keys["rsa"]
        # May ask, not trade.
        self.read_only = keys["read_only"]
        # Belongs to the second account.
        self.other = keys["other"]

    def record(self) -> dict[str, object]:
        return self.running.control.record()

    def summary(self) -> dict[str, object]:
        return self.running.control.summary()


def server_config(**changes: object) -> ServerConfig:
    """A venue with two wealthy accounts. `changes`: fields of ServerConfig; `venue`: those of VenueConfig."""
    venue = {"accounts": _accounts(), **changes.pop("venue", {})}  # type: ignore[dict-item]
    return ServerConfig(venue=VenueConfig(**venue), **changes)  # type: ignore[arg-type]


def _accounts() -> tuple[AccountConfig, ...]:
    return tuple(AccountConfig(name=name, balances=WEALTH) for name in ("desk", "other"))


def _keys() -> tuple[dict[str, NewKey], KeyRing]:
    new = {name: NewKey("HMAC") for name in ("hmac", "read_only", "other")}
    new |= {"ed25519": NewKey("ED25519"), "rsa": _RSA}
    ring = KeyRing(
        ApiKey(
            key.api_key,
            "other" if name == "other" else "desk",
            key.kind,
            key.verify_with,
            ("USER_DATA",) if name == "read_only" else ("USER_DATA", "TRADE"),
        )
        for name, key in new.items()
    )
    return new, ring


# Making an RSA key takes a tenth of a second; one for all tests is enough.
_RSA = NewKey("RSA")


@asynccontextmanager
async def running_venue(
    config: ServerConfig | None = None,
    generated: bool = False,
    market: StillMarket | None = None,
    clock: VenueClock | None = None,
) -> AsyncIterator[LocalVenue]:
    """A venue in this Trio run, for as long as the block lasts; `clock` is one that the test can move."""
    config = config or server_config()
    keys, ring = _keys()
    if market is None and not generated:
        market = StillMarket(config.venue.symbols)
    async with trio.open_nursery() as nursery:
        start = lambda task_status: serve(  # noqa: E731
            config, market=market, keys=ring, clock=clock, task_status=task_status
        )
        running: RunningVenue = await nursery.start(start)
        try:
            yield LocalVenue(running, keys)
        finally:
            nursery.cancel_scope.cancel()


class VenueThread:
    """A venue in a thread of its own, for clients that are not on Trio: `with VenueThread() as venue`.

    `run(fn)` calls a function of the server between two of its steps, which is the only safe way to touch it.
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        generated: bool = False,
        market: StillMarket | None = None,
        clock: VenueClock | None = None,
    ) -> None:
        self._arguments = (config, generated, market, clock)
        self._ready = threading.Event()
        self._venue: LocalVenue | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True, name="venue")

    def __enter__(self) -> LocalVenue:
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the venue did not start within 20 s")
        if self._venue is None:
            raise RuntimeError("the venue did not start") from self._error
        return self._venue

    def __exit__(self, *_: object) -> None:
        trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
        self._thread.join(20)
        if self._error is not None:
            raise RuntimeError("the venue crashed during the test") from self._error

    def run(self, function: object, *arguments: object) -> object:
        return trio.from_thread.run_sync(function, *arguments, trio_token=self._token)  # type: ignore[arg-type]

    def _main(self) -> None:
        result = outcome.capture(trio.run, self._serve)
        if isinstance(result, outcome.Error):
            self._error = result.error
        self._ready.set()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as self._scope:
            async with running_venue(*self._arguments) as self._venue:
                self._ready.set()
                await trio.sleep_forever()


def write_private_key(key: NewKey, folder: Path) -> Path:
    """The private key as a file, for clients that want a path."""
    path = folder / "private.pem"
    path.write_text(key.client_secret)
    path.chmod(0o600)
    return path


# --- Signing, as a client does it ---------------------------------------------------------------------


def sign(key: NewKey, payload: str) -> str:
    """The signature as it stands in the request, before any percent-encoding."""
    if key.kind == "HMAC":
        return hmac.new(key.client_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    private = load_pem_private_key(key.client_secret.encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    return base64.b64encode(private.sign(payload.encode())).decode()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def signed_query(key: NewKey, **params: object) -> str:
    """A signed query string; `timestamp` is now unless given."""
    query = urlencode({"timestamp": now_ms(), **params})
    return f"{query}&signature={quote(sign(key, query), safe='')}"


def signed_params(key: NewKey, **params: object) -> dict[str, object]:
    """Signed parameters of a websocket request; `timestamp` is now unless given."""
    full = {"timestamp": now_ms(), "apiKey": key.api_key, **params}
    payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
    return {**full, "signature": sign(key, payload)}


def as_json(data: bytes | str) -> dict[str, object]:
    decoded = msgspec.json.decode(data)
    assert isinstance(decoded, dict)
    return decoded
