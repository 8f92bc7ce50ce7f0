"""Faults on the way to and from the exchange, asked for from outside: what goes slow, missing, wrong or
banned.

Each fault is a small record with a `kind`; POST one to /control/faults and it acts until its time or its
count runs out, or until it is deleted. `match` is a glob over what it strikes: method names of the websocket
API ("order.*", REST requests included) or "stream:" and a stream's name ("stream:btcusdt@depth*").

Pure state: the time and the randomness come in as arguments.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from actors.venues.simulated.errors import VenueError

SECOND_US = 1_000_000
FAULTS_MAX = 256

# Binance's words for the answers that leave an outcome unknown, and for its own trouble (errors.md, 10xx).
WORDS: dict[int, str] = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1016: "This service is no longer available.",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all faults share: it ends after `for_s` seconds, never by itself when that is None."""

    for_s: float | None = None

    def __post_init__(self) -> None:
        if self.for_s is not None and not 0 < self.for_s <= 86_400:
            raise ValueError(f"for_s {self.for_s} must be above 0 and at most 86400")


class RequestFault(Fault, frozen=True, kw_only=True, tag_field="kind"):
    """A fault that strikes requests: those that `match`, of `account` if given, `count` times if given."""

    match: str = "*"
    account: str | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count is not None and self.count < 1:
            raise ValueError(f"count {self.count} must be 1 or more")


class Latency(RequestFault, frozen=True, kw_only=True, tag="latency"):
    """Wait between `min_s` and `max_s`: before matching (the timing rule is applied again after it) or
    before the answer. On "stream:..." names it delays what the stream sends."""

    min_s: float
    max_s: float | None = None
    when: Literal["before", "after"] = "before"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.min_s <= (self.min_s if self.max_s is None else self.max_s) <= 3600:
            raise ValueError(f"min_s {self.min_s} and max_s {self.max_s} must be in 0..3600, in this order")


class Drop(RequestFault, frozen=True, kw_only=True, tag="drop"):
    """Close the connection without an answer; with `execute`, after the request took effect."""

    execute: bool = False


class ServerError(RequestFault, frozen=True, kw_only=True, tag="server_error"):
    """Answer with a 5xx whose outcome is unknown; with `execute`, although the request took effect."""

    status: int = 503
    code: int = -1006
    execute: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code not in WORDS:
            raise ValueError(f"code {self.code} must be one of {sorted(WORDS)}")
        if not 500 <= self.status <= 599:
            raise ValueError(f"status {self.status} must be a 5xx")


class NoAnswer(RequestFault, frozen=True, kw_only=True, tag="no_answer"):
    """The request takes effect and is never answered; the connection stays open."""


class Ban(Fault, frozen=True, kw_only=True, tag="ban"):
    """Every address that asks is banned (418) for `for_s`, 120 s by default."""

    for_s: float | None = 120.0


class WrongClock(Fault, frozen=True, kw_only=True, tag="wrong_clock"):
    """The venue tells and judges by a time that is off by `offset_ms`."""

    offset_ms: int


class Maintenance(Fault, frozen=True, kw_only=True, tag="maintenance"):
    """Every request is answered 503 with -1016, and the system status says so."""

    for_s: float | None = 30.0


class Unreachable(Fault, frozen=True, kw_only=True, tag="unreachable"):
    """New connections are closed at once, open ones live on."""

    for_s: float | None = 10.0


class Disconnect(Fault, frozen=True, kw_only=True, tag="disconnect"):
    """Cut open websockets now, without a close frame: all, market streams, or the websocket API."""

    scope: Literal["all", "streams", "ws-api"] = "all"


class Shutdown(Fault, frozen=True, kw_only=True, tag="shutdown"):
    """Send serverShutdown on every websocket, and close them all `after_s` later."""

    after_s: float = 5.0


class HideOrders(Fault, frozen=True, kw_only=True, tag="hide_orders"):
    """Orders accepted from now on are not known to queries until the fault ends."""

    account: str | None = None
    for_s: float | None = 5.0


class DuplicateFills(Fault, frozen=True, kw_only=True, tag="duplicate_fills"):
    """Report the next `count` fills twice."""

    account: str | None = None
    count: int = 1


class LateFills(Fault, frozen=True, kw_only=True, tag="late_fills"):
    """User events arrive `delay_s` late."""

    delay_s: float
    account: str | None = None
    for_s: float | None = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.delay_s <= 3600:
            raise ValueError(f"delay_s {self.delay_s} must be above 0 and at most 3600")


class SequenceGap(Fault, frozen=True, kw_only=True, tag="sequence_gap"):
    """Lose the next `count` book changes."""

    symbol: str | None = None
    count: int = 1


class StaleBook(Fault, frozen=True, kw_only=True, tag="stale_book"):
    """No book change and no bookTicker, while trades go on."""

    symbol: str | None = None
    for_s: float | None = 10.0


class NoTicks(Fault, frozen=True, kw_only=True, tag="no_ticks"):
    """No market event at all on open sockets."""

    symbol: str | None = None
    for_s: float | None = 10.0


class SymbolStatus(Fault, frozen=True, kw_only=True, tag="symbol_status"):
    """The trading status of a pair: TRADING, HALT, BREAK or CANCEL_ONLY."""

    status: Literal["TRADING", "HALT", "BREAK", "CANCEL_ONLY"]
    symbol: str | None = None


class Poison(Fault, frozen=True, kw_only=True, tag="poison"):
    """Put these very bytes once on a stream of the pair."""

    symbol: str
    stream: Literal["depthUpdate", "trade", "aggTrade", "bookTicker"]
    raw: str


AnyFault = (
    Latency
    | Drop
    | ServerError
    | NoAnswer
    | Ban
    | WrongClock
    | Maintenance
    | Unreachable
    | Disconnect
    | Shutdown
    | HideOrders
    | DuplicateFills
    | LateFills
    | SequenceGap
    | StaleBook
    | NoTicks
    | SymbolStatus
    | Poison
)


class Verdict(msgspec.Struct, frozen=True):
    """What happens to one request: how long it waits where, and how it ends instead of with its answer.

    `end` is "answer", "drop" (cut the connection), "hold" (say nothing) or "error" (send `error`); with
    `execute` the exchange carries the request out all the same.
    """

    before_us: int = 0
    after_us: int = 0
    end: Literal["answer", "drop", "hold", "error"] = "answer"
    execute: bool = True
    error: VenueError | None = None


class _Entry:
    def __init__(self, fault_id: int, fault: AnyFault, now_us: int) -> None:
        self.fault_id = fault_id
        self.fault = fault
        self.until_us = None if fault.for_s is None else now_us + int(fault.for_s * SECOND_US)
        self.left = fault.count if isinstance(fault, RequestFault) else None


class FaultBoard:
    """The faults now acting, and the question that every request asks of them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._entries: dict[int, _Entry] = {}
        self._next_id = 1

    def add(self, fault: AnyFault, now_us: int) -> int:
        """Begin a fault; gives its number. Raises ValueError when there are too many at once."""
        self._expire(now_us)
        if len(self._entries) >= FAULTS_MAX:
            raise ValueError(f"{FAULTS_MAX} faults are active already: delete some first")
        fault_id, self._next_id = self._next_id, self._next_id + 1
        self._entries[fault_id] = _Entry(fault_id, fault, now_us)
        return fault_id

    def remove(self, fault_id: int) -> AnyFault | None:
        """End one fault; None when there is no such fault (any more)."""
        entry = self._entries.pop(fault_id, None)
        return entry.fault if entry is not None else None

    def clear(self) -> None:
        self._entries.clear()

    def listing(self, now_us: int) -> list[dict[str, object]]:
        """The active faults, ready for JSON, with what is left of their time and count."""
        self._expire(now_us)
        rows: list[dict[str, object]] = []
        for entry in self._entries.values():
            left_s = None if entry.until_us is None else (entry.until_us - now_us) / SECOND_US
            fault: Mapping[str, object] = msgspec.to_builtins(entry.fault)
            rows.append({"id": entry.fault_id, **fault, "left_s": left_s, "left": entry.left})
        return rows

    def unreachable(self, now_us: int) -> bool:
        return self._any(Unreachable, now_us)

    def banning_until_us(self, now_us: int) -> int | None:
        """While a Ban acts: when it ends."""
        self._expire(now_us)
        for entry in self._entries.values():
            if isinstance(entry.fault, Ban):
                return entry.until_us
        return None

    def in_maintenance(self, now_us: int) -> bool:
        return self._any(Maintenance, now_us)

    def verdict(self, method: str, account: str | None, now_us: int) -> Verdict:
        """What happens to this request; counts it against the faults that strike it."""
        self._expire(now_us)
        before_us = after_us = 0
        ending: Verdict | None = None
        for entry in list(self._entries.values()):
            fault = entry.fault
            if not isinstance(fault, RequestFault) or not self._strikes(fault, method, account):
                continue
            if isinstance(fault, Latency):
                wait_us = self._wait_us(fault)
                before_us += wait_us if fault.when == "before" else 0
                after_us += wait_us if fault.when == "after" else 0
            elif ending is None:
                ending = _ending(fault)
            else:
                continue
            self._use(entry)
        ending = ending or Verdict()
        return msgspec.structs.replace(ending, before_us=before_us, after_us=after_us)

    def stream_delay_us(self, name: str, now_us: int) -> int:
        """How late a message of this stream is sent."""
        if not self._entries:
            return 0
        return self.verdict(f"stream:{name}", None, now_us).before_us

    def _strikes(self, fault: RequestFault, method: str, account: str | None) -> bool:
        # "*" means every request; streams are struck only by a glob that names them.
        if method.startswith("stream:") and not fault.match.startswith("stream:"):
            return False
        return fnmatchcase(method, fault.match) and fault.account in (None, account)

    def _wait_us(self, fault: Latency) -> int:
        top_s = fault.min_s if fault.max_s is None else fault.max_s
        return int(self._rng.uniform(fault.min_s, top_s) * SECOND_US)

    def _use(self, entry: _Entry) -> None:
        if entry.left is not None:
            entry.left -= 1
            if entry.left <= 0:
                self._entries.pop(entry.fault_id, None)

    def _any(self, kind: type[Fault], now_us: int) -> bool:
        self._expire(now_us)
        return any(isinstance(entry.fault, kind) for entry in self._entries.values())

    def _expire(self, now_us: int) -> None:
        for entry in list(self._entries.values()):
            if entry.until_us is not None and now_us >= entry.until_us:
                del self._entries[entry.fault_id]


def _ending(fault: RequestFault) -> Verdict:
    if isinstance(fault, Drop):
        return Verdict(end="drop", execute=fault.execute)
    if isinstance(fault, NoAnswer):
        return Verdict(end="hold")
    assert isinstance(fault, ServerError)
    error = VenueError(fault.code, WORDS[fault.code], fault.status)
    return Verdict(end="error", execute=fault.execute, error=error)
