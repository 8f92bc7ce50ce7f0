"""What the server saw: every request with its answer, every connection, the counts of both.

The exchange keeps its own record of orders and fills; this one holds what never reached it as well: requests
during a ban, bad signatures, dropped answers. It is bounded: the counts are complete, the list keeps the
newest. An optional sink gets each line as JSON too, so that the record outlives the process.

Secrets stay out: signatures are left out, API keys are cut to four letters.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping

import msgspec

_SECRET = frozenset({"signature", "apiKey", "listenKey"})


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One request as the server saw it. `status` 0: it was never answered."""

    at_us: int
    ip: str
    transport: str
    method: str
    account: str | None
    params: dict[str, str]
    status: int
    code: int | None
    during_ban: bool
    fault: str | None


class Logbook:
    """The newest requests, and counts of everything since the start."""

    def __init__(self, kept: int, sink: Callable[[bytes], None] | None = None) -> None:
        self.requests: deque[Seen] = deque(maxlen=kept)
        self.counts: Counter[str] = Counter()
        self.by_method: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.by_code: Counter[str] = Counter()
        self.open_connections: Counter[str] = Counter()
        self._sink = sink

    def request(
        self,
        *,
        at_us: int,
        ip: str,
        transport: str,
        method: str,
        params: Mapping[str, str],
        status: int,
        account: str | None = None,
        code: int | None = None,
        during_ban: bool = False,
        fault: str | None = None,
    ) -> None:
        shown = {name: value for name, value in params.items() if name not in _SECRET}
        if "apiKey" in params:
            shown["apiKey"] = params["apiKey"][:4] + "..."
        seen = Seen(at_us, ip, transport, method, account, shown, status, code, during_ban, fault)
        self.requests.append(seen)
        self.counts["requests"] += 1
        self.counts["requests_during_ban"] += during_ban
        self.counts["unanswered"] += status == 0
        self.by_method[method] += 1
        self.by_status[str(status)] += 1
        if code is not None:
            self.by_code[str(code)] += 1
        self._write("request", msgspec.to_builtins(seen))

    def note(self, what: str, at_us: int, **details: object) -> None:
        """Something that is no request: a connection, a fault, a user event."""
        self.counts[what] += 1
        self._write(what, {"at_us": at_us, **details})

    def connected(self, kind: str, ip: str, at_us: int) -> None:
        self.open_connections[kind] += 1
        self.note("connected", at_us, socket=kind, ip=ip)

    def disconnected(self, kind: str, why: str, at_us: int) -> None:
        self.open_connections[kind] -= 1
        self.counts[f"disconnected: {why}"] += 1
        self.note("disconnected", at_us, socket=kind, why=why)

    def summary(self) -> dict[str, object]:
        return {
            "counts": dict(self.counts),
            "by_method": dict(self.by_method),
            "by_status": dict(self.by_status),
            "by_code": dict(self.by_code),
            "open_connections": {kind: count for kind, count in self.open_connections.items() if count},
        }

    def export(self) -> dict[str, object]:
        rows: list[object] = [msgspec.to_builtins(seen) for seen in self.requests]
        return {**self.summary(), "requests": rows}

    def _write(self, what: str, row: Mapping[str, object]) -> None:
        if self._sink is not None:
            self._sink(msgspec.json.encode({"what": what, **row}))
