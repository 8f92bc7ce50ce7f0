"""Every knob of the simulated exchange's server: where it listens, whom it knows, how patient it is.

What is traded and how the market moves is the engine's affair (config.py, here under `venue`).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from actors.venues.simulated.auth import KeyKind
from actors.venues.simulated.config import VenueConfig, default_symbols
from actors.venues.simulated.limits import BanConfig


class KeyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One API key. Its secrets are files in `keys_dir`, never words of a config.

    The files are named after `name`: NAME.api_key, and NAME.secret (HMAC) or NAME.public.pem (ED25519, RSA).
    """

    name: str
    account: str
    kind: KeyKind = "ED25519"
    permissions: tuple[Literal["USER_DATA", "TRADE"], ...] = ("USER_DATA", "TRADE")
    # What /sapi/v1/account/apiRestrictions says of the key; a desk refuses keys that may withdraw.
    ip_restricted: bool = True
    withdrawals: bool = False


class SocketConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules of websocket connections; the defaults are Binance's (web-socket-streams.md)."""

    ping_s: float = 20.0
    pong_s: float = 60.0
    life_s: float = 86_400.0
    # Messages a second that a stream client may send, pings and pongs included.
    incoming_per_s: int = 5
    streams_max: int = 1024
    connections_5m: int = 300
    # Messages waiting for one slow client; then it is cut off, since it would only ever see the past.
    outgoing_max: int = 8192
    # Requests of one websocket API connection in work at once (they pile up only under injected latency).
    in_flight_max: int = 64

    def __post_init__(self) -> None:
        if self.pong_s <= 0 or self.ping_s <= 0 or self.life_s <= 0:
            raise ValueError("sockets: ping_s, pong_s and life_s must be above 0")
        if min(self.incoming_per_s, self.streams_max, self.connections_5m) < 1:
            raise ValueError("sockets: incoming_per_s, streams_max and connections_5m must be at least 1")
        if self.outgoing_max < 16 or self.in_flight_max < 1:
            raise ValueError("sockets: outgoing_max must be at least 16 and in_flight_max at least 1")


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of plain HTTP connections."""

    connections_max: int = 512
    header_bytes_max: int = 16_384
    body_bytes_max: int = 65_536
    # A request must be complete this long after its first byte; an idle connection is closed after idle_s.
    read_s: float = 10.0
    write_s: float = 10.0
    idle_s: float = 75.0


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A venue that can be started: the exchange, the server around it and the market behind it."""

    venue: VenueConfig = msgspec.field(default_factory=VenueConfig)
    # Loopback only: the control endpoint lets anyone who reaches it break the venue.
    host: str = "127.0.0.1"
    port: int = 0
    market: Literal["generated", "recording", "live"] = "generated"
    recording: Path | None = None
    # When the recording is over: its last book stays, or it begins again.
    recording_end: Literal["quiet", "loop"] = "quiet"
    # With market = "live": whose public streams are the market, and whose rules are ours. These hosts of Binance
    # serve public data only and take no key (its "Market Data Only URLs"); none is ever sent.
    upstream_rest_url: str = "https://data-api.binance.vision"
    upstream_stream_url: str = "wss://data-stream.binance.vision"
    # Which of its pairs; a desk's own exchange takes the desk's [[instruments]].
    upstream_symbols: tuple[str, ...] = ()
    # Nothing heard from the upstream for so long, or a book not whole: its pairs take no new orders (CANCEL_ONLY)
    # until it is back. To trade on what it said before would be to invent prices.
    upstream_stale_s: float = 3.0
    seed: int = 1
    keys: tuple[KeyConfig, ...] = ()
    keys_dir: Path | None = None
    # Make missing key files at the start (owner-readable only): for demos, whose desk reads the same folder.
    create_keys: bool = False
    http: HttpConfig = msgspec.field(default_factory=HttpConfig)
    sockets: SocketConfig = msgspec.field(default_factory=SocketConfig)
    ban: BanConfig = msgspec.field(default_factory=BanConfig)
    # Binance removed listenKeys on 2026-02-20 (HTTP 410); old clients in tests may still need them.
    listen_key_legacy: bool = False
    # A file whose text must come as "Authorization: Bearer" on /control/; without one the endpoint is open.
    control_token_file: Path | None = None
    # The server's own record: newest requests kept in memory, and a file of JSON lines of at most so many
    # bytes.
    requests_kept: int = 100_000
    record_file: Path | None = None
    record_file_bytes_max: int = 256 * 1024 * 1024

    def __post_init__(self) -> None:
        if not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError(
                f"venue: host {self.host} is not loopback; the control endpoint must not be reachable"
            )
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"venue: port {self.port} must be in 0..65535 (0 takes a free one)")
        if self.market == "recording" and self.recording is None:
            raise ValueError('venue: market = "recording" needs `recording`, the file to play')
        if self.market != "recording" and self.recording is not None:
            raise ValueError(
                f'venue: market = "{self.market}" plays no recording, but one is given; set market = "recording" '
                "(configs/replay.toml does), or leave the recording out"
            )
        if self.market == "live":
            self._check_upstream()
        if self.keys and self.keys_dir is None:
            raise ValueError("venue: keys are listed, but keys_dir does not say where their files are")
        known = {account.name for account in self.venue.accounts}
        for key in self.keys:
            if key.account not in known:
                raise ValueError(
                    f"venue: key {key.name} is for account {key.account}, which is not in {sorted(known)}"
                )
        if not 0 < self.requests_kept <= 10_000_000:
            raise ValueError(f"venue: requests_kept {self.requests_kept} must be in 1..10000000")

    def _check_upstream(self) -> None:
        for knob, schemes in (
            ("upstream_rest_url", ("http", "https")),
            ("upstream_stream_url", ("ws", "wss")),
        ):
            parts = urlsplit(getattr(self, knob))
            if parts.scheme not in schemes or not parts.hostname or parts.username is not None or parts.query:
                raise ValueError(
                    f"venue: {knob} {getattr(self, knob)!r} must look like {schemes[1]}://host[:port], without "
                    "user or query"
                )
        named = tuple(pair.symbol for pair in self.venue.symbols)
        # Once the upstream's rules are known, they stand there.
        if self.venue.symbols != default_symbols() and named != self.upstream_symbols:
            raise ValueError(
                'venue: market = "live" takes ticks, lots and filters from the upstream; leave out '
                "[[simulated.venue.symbols]]"
            )
        if not 0.5 <= self.upstream_stale_s <= 60:
            raise ValueError(f"venue: upstream_stale_s {self.upstream_stale_s} must be in 0.5..60")
        wrong = [symbol for symbol in self.upstream_symbols if not (symbol.isascii() and symbol.isalnum())]
        if wrong or len(set(self.upstream_symbols)) != len(self.upstream_symbols):
            raise ValueError(
                f"venue: upstream_symbols {list(self.upstream_symbols)} must be pairs such as BTCUSDT, each once"
            )

    @property
    def listed(self) -> tuple[str, ...] | None:
        """The pairs that it will trade; None where those depend on who asks (a live market without a list)."""
        if self.market == "live":
            return self.upstream_symbols or None
        return tuple(pair.symbol for pair in self.venue.symbols)
