"""The control endpoint: faults asked for from outside, and the venue's own record for whoever judges a run.

    POST   /control/faults        a fault: {"kind": "latency", "match": "order.*", "min_s": 0.1, "for_s": 5}
    GET    /control/faults        the faults now acting
    DELETE /control/faults[/ID]   end one, or all
    GET    /control/record        everything the venue recorded, with every request the server saw
    GET    /control/summary       the counts of both

The kinds and their fields are the structs of faults.py. Pure: what must happen on sockets is returned as an
action.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Literal

import msgspec

from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.exchange import Exchange
from actors.venues.simulated.faults import (
    SECOND_US,
    AnyFault,
    Ban,
    Disconnect,
    DuplicateFills,
    FaultBoard,
    HideOrders,
    LateFills,
    Maintenance,
    NoTicks,
    Poison,
    SequenceGap,
    Shutdown,
    StaleBook,
    SymbolStatus,
    WrongClock,
)
from actors.venues.simulated.limits import Limits
from actors.venues.simulated.logbook import Logbook
from actors.venues.simulated.rest import HttpRequest, HttpResponse, as_json

FOREVER_US = 100 * 365 * 86_400 * SECOND_US


class Cut(msgspec.Struct):
    """Sockets to cut: after `after_s`, announced with serverShutdown or without a word."""

    scope: Literal["all", "streams", "ws-api"]
    announced: bool
    after_s: float


class Control:
    """Carries out what the control endpoint is asked for; `cut` is called for what must happen on sockets."""

    def __init__(
        self,
        exchange: Exchange,
        faults: FaultBoard,
        limits: Limits,
        logbook: Logbook,
        clock: VenueClock,
        cut: Callable[[Cut], None],
        accounts: tuple[str, ...],
        token: str = "",
    ) -> None:
        self._exchange = exchange
        self._faults = faults
        self._limits = limits
        self._logbook = logbook
        self._clock = clock
        self._cut = cut
        self._accounts = accounts
        self._token = token

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self._token:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                return as_json(401, {"error": "this venue's control endpoint asks for its bearer token"})
        resource = request.path.removeprefix("/control/").rstrip("/")
        match request.verb, resource:
            case "GET", "faults":
                return as_json(200, self._faults.listing(self._clock.now_us()))
            case "POST", "faults":
                return self._begin(request.body)
            case "DELETE", "faults":
                self.clear()
                return as_json(200, {})
            case "DELETE", one if one.startswith("faults/"):
                return self._end(one.removeprefix("faults/"))
            case "GET", "record":
                return as_json(200, self.record())
            case "GET", "summary":
                return as_json(200, self.summary())
        return as_json(
            404, {"error": f"no {request.verb} /control/{resource}; see actors/venues/simulated/control.py"}
        )

    def record(self) -> dict[str, object]:
        return {**self._exchange.record.export(), "server": self._logbook.export()}

    def summary(self) -> dict[str, object]:
        accounts = {name: self._exchange.record.summary(name) for name in self._accounts}
        server = {**self._logbook.summary(), "bans": self._limits.bans}
        server["requests_during_ban"] = self._limits.requests_during_ban
        return {"accounts": accounts, "server": server}

    # --- Faults ------------------------------------------------------------------------------------------

    def begin(self, fault: AnyFault) -> int:
        """Begin a fault; gives its number. Raises ValueError when it cannot be."""
        now_us = self._clock.now_us()
        number = self._faults.add(fault, now_us)
        until_us = now_us + (int(fault.for_s * SECOND_US) if fault.for_s is not None else FOREVER_US)
        # The exchange's switches count from its own time: bring it up to now.
        self._exchange.advance(now_us)
        self._apply(fault, until_us)
        self._logbook.note("fault", now_us, number=number, fault=msgspec.to_builtins(fault))
        if isinstance(fault, Disconnect | Shutdown | Poison | DuplicateFills | SequenceGap | SymbolStatus):
            # These happen at once or are counted down inside the exchange: nothing is left to wait for here.
            self._faults.remove(number)
        return number

    def clear(self) -> None:
        """End every fault."""
        self._faults.clear()
        self._exchange.disturbances.clear()
        self._clock.set_offset(0)
        self._limits.pardon()

    def _begin(self, body: bytes) -> HttpResponse:
        try:
            fault = msgspec.json.decode(body, type=AnyFault)
            return as_json(200, {"id": self.begin(fault)})
        except (msgspec.DecodeError, ValueError) as error:
            return as_json(400, {"error": f"not a fault: {error}"})

    def _end(self, text: str) -> HttpResponse:
        fault = self._faults.remove(int(text)) if text.isdecimal() else None
        if fault is None:
            return as_json(404, {"error": f"no fault {text} is acting"})
        if isinstance(fault, WrongClock):
            self._clock.set_offset(0)
        elif isinstance(fault, Ban):
            self._limits.pardon()
        else:
            # The same switch with its end at this moment.
            self._apply(fault, self._clock.now_us())
        return as_json(200, {})

    def _apply(self, fault: AnyFault, until_us: int) -> None:
        """What a fault does outside the request path: in the exchange, to the clock, on sockets."""
        inside = self._exchange.disturbances
        match fault:
            case HideOrders(account=account):
                inside.hide_orders(account, until_us)
            case DuplicateFills(account=account, count=count):
                inside.duplicate_fills(account, count)
            case LateFills(account=account, delay_s=delay_s):
                inside.delay_user_events(account, int(delay_s * SECOND_US), until_us)
            case SequenceGap(symbol=symbol, count=count):
                inside.drop_depth(symbol, count)
            case StaleBook(symbol=symbol):
                inside.freeze_depth(symbol, until_us)
            case NoTicks(symbol=symbol):
                inside.freeze_all(symbol, until_us)
            case SymbolStatus(symbol=symbol, status=status):
                inside.set_status(symbol, status, until_us if fault.for_s is not None else None)
            case Maintenance():
                inside.maintenance(until_us)
            case Poison(symbol=symbol, stream=stream, raw=raw):
                inside.poison(symbol, stream, raw.encode())
            case WrongClock(offset_ms=offset_ms):
                self._clock.set_offset(offset_ms * 1000, until_us)
            case Disconnect(scope=scope):
                self._cut(Cut(scope, announced=False, after_s=0))
            case Shutdown(after_s=after_s):
                self._cut(Cut("all", announced=True, after_s=after_s))
            case _:
                pass
