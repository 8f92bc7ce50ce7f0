"""Every knob of the Binance spot adapter, with the reason for its default."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec


class BinanceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table [venue] of a config with kind = "binance". Raises ValueError where values contradict each
    other."""

    # What instruments and accounts are prefixed with: "binance/BTCUSDT", "binance/main".
    name: str = "binance"
    account: str = "main"

    # Binance's production hosts. The testnet, demo mode and the simulated venue differ in these three only.
    rest_url: str = "https://api.binance.com"
    stream_url: str = "wss://stream.binance.com:9443"
    ws_api_url: str = "wss://ws-api.binance.com:443/ws-api/v3"

    # Where the API key and its secret are read from: credential:NAME, file:PATH or env:NAME. A secret that is
    # a PEM block is an Ed25519 private key, which Binance recommends (its orders need no signature of their
    # own); anything else is HMAC.
    api_key: str = "env:BINANCE_API_KEY"
    api_secret: str = "env:BINANCE_API_SECRET"

    # The venue refuses an order that reaches it, or its matching engine, later than this after it was signed.
    # It is the only deadline that also binds a paused machine, so it is as short as the network allows.
    # Orders ask for order_window_s.
    order_window_s: float = 0.3
    # Never more than this, whatever an order asks for.
    recv_window_ms: int = 1_000
    # Log-on, cancels and questions: being late does no harm there, so they get Binance's own default.
    query_window_ms: int = 5_000

    # No answer for this long: the outcome is unknown and is asked for. Longer than recv_window_ms, or a slow
    # "no" would be taken for "unknown"; shorter than a port's stop_timeout_s (2 s), in which a REST order
    # must end.
    answer_timeout_s: float = 1.5
    # Snapshots, rules and account reads.
    read_timeout_s: float = 10.0
    connect_timeout_s: float = 5.0

    # The time is asked over the order connection this often: it measures the clock and proves the connection
    # alive.
    heartbeat_s: float = 5.0
    heartbeat_timeout_s: float = 3.0
    # Binance ends a connection after 24 hours; we choose the moment, when no request is open.
    connection_max_s: float = 23 * 3600.0
    # Between two attempts to connect; Binance allows 300 in 5 minutes for the whole address.
    reconnect_min_s: float = 0.25
    reconnect_max_s: float = 10.0

    # Rules are read again this often (a tick size may change, a symbol may be halted); the clock over REST
    # this often.
    rules_every_s: float = 600.0
    clock_every_s: float = 30.0

    # Shares of the venue's limits: what may be used by routine reads, by OPEN orders (the rest is kept for
    # cancels and exits).
    routine_share: float = 0.6
    open_share: float = 0.8
    # Where the counters stand that all processes of this host share; every engine on one address must name
    # the same folder. Empty: the desk's own state_dir.
    budget_dir: str = ""

    def __post_init__(self) -> None:
        for knob, schemes in (("rest_url", _HTTP), ("stream_url", _WS), ("ws_api_url", _WS)):
            _check_url(knob, getattr(self, knob), schemes)
        if "/" in self.name or "/" in self.account or not self.name or not self.account:
            raise ValueError(
                'venue: name and account must be plain words; "/" joins them elsewhere ("binance/main")'
            )
        if not 0 < self.order_window_s * 1000 <= self.recv_window_ms:
            raise ValueError(
                f"venue: order_window_s {self.order_window_s} must be above 0 and at most recv_window_ms"
                f" {self.recv_window_ms} (in ms), which caps it"
            )
        if not 0 < self.recv_window_ms <= 60_000 or not 0 < self.query_window_ms <= 60_000:
            raise ValueError(
                "venue: recv_window_ms and query_window_ms must be 1 to 60000; Binance refuses more"
            )
        if self.answer_timeout_s * 1000 <= self.recv_window_ms:
            raise ValueError(
                f"venue: answer_timeout_s {self.answer_timeout_s} must exceed recv_window_ms"
                f" {self.recv_window_ms} (in ms), or an order would be given up as unknown while the"
                " venue may still accept it"
            )
        if not 0 < self.routine_share <= self.open_share < 1:
            raise ValueError(
                "venue: 0 < routine_share <= open_share < 1, or nothing of the limit is left for exits"
            )
        if not 0 < self.reconnect_min_s <= self.reconnect_max_s:
            raise ValueError("venue: 0 < reconnect_min_s <= reconnect_max_s")
        waits = (
            "read_timeout_s",
            "connect_timeout_s",
            "heartbeat_s",
            "heartbeat_timeout_s",
            "connection_max_s",
        )
        for knob in (*waits, "rules_every_s", "clock_every_s"):
            if not getattr(self, knob) > 0:
                raise ValueError(f"venue: {knob} must be more than 0; a wait without a limit is a hang")

    @property
    def account_name(self) -> str:
        """The account as messages name it: "binance/main"."""
        return f"{self.name}/{self.account}"

    def instrument(self, symbol: str) -> str:
        return f"{self.name}/{symbol}"


_HTTP = ("http", "https")
_WS = ("ws", "wss")


def _check_url(knob: str, url: str, schemes: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None or parts.query:
        raise ValueError(
            f"venue: {knob} {url!r} must look like {schemes[1]}://host[:port][/path], without user or query"
        )
