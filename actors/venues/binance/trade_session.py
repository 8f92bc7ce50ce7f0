"""One connection to the websocket API: who is asked what, which answer belongs to which order, and when to
give up.

Pure: frames and times come in, deeds come out. The road to being up is a table:

    opened -> TIMING (the clock) -> LOGGING_ON (Ed25519 keys) -> SUBSCRIBING (user stream) -> UP -> RETIRING

An order leaves only while UP: until the user stream is acknowledged a fill could pass unseen. No answer in
time is not a failure: the outcome is told as unknown, and an answer that comes later is still told. Source:
binance-spot-api-docs web-socket-api.md (session.logon, userDataStream.subscribe,
userDataStream.subscribe.signature).
"""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

from actors.messages import UserStreamDown, UserStreamUp, VenueTrouble
from actors.venues.binance import answers
from actors.venues.binance.answers import Reply, answer, not_sent, unknown
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.errors import KEY_REFUSED, Trouble, rule, until_ms
from actors.venues.binance.gate import refusal
from actors.venues.binance.order_codec import Ended, NotUnderstood, OrderCodec
from actors.venues.binance.order_requests import OrderRequest, call_of, frame, params_of, placing, use_of
from actors.venues.binance.signing import Param, Signer, sorted_payload
from actors.venues.binance.weights import Use
from actors.venues.binance.ws_frames import Frame, decode_frame
from supervisor.effects import Asker
from supervisor.flags import Flags
from supervisor.message import Message
from supervisor.secret import Secret

# How often the time is asked before the first log-on, and how many overdue answers are still recognised.
SAMPLES_FIRST = 3
OVERDUE_MAX = 256


class State(enum.Enum):
    CLOSED = "closed"
    TIMING = "timing"
    LOGGING_ON = "logging on"
    SUBSCRIBING = "subscribing"
    UP = "up"
    RETIRING = "retiring"  # takes no new request; ends when the open ones are answered


class Send(NamedTuple):
    """Bytes to write."""

    data: bytes


class Answered(NamedTuple):
    """What the sender of a request is owed; nothing more follows for it, unless the venue speaks late."""

    request: OrderRequest
    asker: Asker
    messages: tuple[Message, ...]


class Told(NamedTuple):
    """A fact for orders; it must not be lost."""

    message: Message


class Hang(NamedTuple):
    """Close this connection and open another one."""

    reason: str


class KeyRefused(NamedTuple):
    """The venue refuses our key: no restart helps."""

    words: str


Deed = Send | Answered | Told | Hang | KeyRefused


class Budget(Protocol):
    def take(self, use: Use, weight: int, orders: int, venue_ns: int) -> str | None: ...
    def saw_weight(self, used: int, sent_ns: int, venue_ns: int) -> None: ...
    def saw_orders(self, length_ms: int, used: int, sent_ns: int, venue_ns: int) -> None: ...
    def latch(self, trouble: Trouble, until_ms: int, venue_ns: int) -> None: ...


class _Open(NamedTuple):
    """A request without its answer. `request` is None for the session's own (time, log-on, subscribe)."""

    request: OrderRequest | None
    asker: Asker
    sent_ns: int
    sent_wall_ns: int
    deadline_ns: int


_NOBODY = Asker(None, 0)


class TradeSession:
    """Times: `now_ns` monotonic, `wall_ns` since the epoch, both ours."""

    def __init__(
        self, config: BinanceConfig, api_key: Secret, signer: Signer, clock: VenueClock, budget: Budget
    ) -> None:
        self._config = config
        self._key = api_key
        self._signer = signer
        self._clock = clock
        self._budget = budget
        self._codec = OrderCodec(config.name, config.account_name)
        # After session.logon the session itself says who we are.
        self._request_key = "" if signer.logs_on else api_key.reveal()
        self._answer_ns = int(config.answer_timeout_s * 1e9)
        self._ids = 0
        self._open: dict[int, _Open] = {}
        self._overdue: dict[int, _Open] = {}
        self._samples = 0
        self._opened_ns = self._beat_ns = 0
        self.state = State.CLOSED
        self.stream_up = False

    # -- one connection's life ----------------------------------------------------------------------

    def opened(self, now_ns: int, wall_ns: int) -> list[Deed]:
        """The connection stands; what to say first."""
        self._open.clear()
        self._overdue.clear()
        self._samples = 0
        self._opened_ns = self._beat_ns = now_ns
        self.state = State.TIMING
        return self._ask_time(now_ns, wall_ns)

    def prepare(
        self, request: OrderRequest, asker: Asker, flags: Flags, now_ns: int, wall_ns: int
    ) -> bytes | Answered:
        """The bytes of the request, to be written at once; or its answer, if it must not leave.

        Call it with the right to write in hand: every check here is about this very moment.
        """
        if self.state is not State.UP:
            return Answered(request, asker, not_sent(request, f"not connected ({self.state.value})"))
        order = placing(request)
        if order is not None:
            why = refusal(order, flags, now_ns, self._clock.measured)
            if why is not None:
                return Answered(request, asker, not_sent(request, why))
        call = call_of(request)
        venue_ns = self._clock.venue_ns(now_ns, wall_ns)
        window_ms = (
            min(order.window_ms, self._config.recv_window_ms)
            if order is not None
            else self._config.query_window_ms
        )
        try:
            params = params_of(request, venue_ns // 1_000_000, window_ms, self._request_key)
        except ValueError as error:
            return Answered(request, asker, not_sent(request, f"malformed: {error}"))
        why = self._budget.take(use_of(request), call.weight, call.orders, venue_ns)
        if why is not None:
            return Answered(request, asker, not_sent(request, why))
        if self._request_key:
            params.append(("signature", self._signer.sign(sorted_payload(params))))
        self._ids += 1
        self._open[self._ids] = _Open(request, asker, now_ns, wall_ns, now_ns + self._answer_ns)
        return frame(self._ids, call.method, params)

    def received(self, data: str | bytes, now_ns: int, wall_ns: int) -> list[Deed]:
        """One text frame of the venue."""
        try:
            got = decode_frame(data)
            if got.event:
                return self._event(got.event)
        except NotUnderstood as error:
            return [Hang(f"frame not understood: {error}")]
        if got.id is None:
            # An error that belongs to no request: the venue could not read one of ours, and which one is not
            # known.
            return [Hang(f"error without an id: {got.code} {got.words}")] if got.status != 200 else []
        entry = self._open.pop(got.id, None) or self._overdue.pop(got.id, None)
        if entry is None:
            return []
        deeds = self._learn(got, entry, now_ns, wall_ns)
        reply = Reply(got.status, got.result, got.code, got.words, got.data)
        if entry.request is None:
            deeds += self._own_answer(reply, entry, now_ns, wall_ns)
        else:
            said = answer(self._codec, entry.request, reply, entry.sent_wall_ns)
            deeds.append(Answered(entry.request, entry.asker, said))
        return deeds + self._retired()

    def beat(self, now_ns: int, wall_ns: int, reading: bool = True) -> list[Deed]:
        """Call it some ten times a second. `reading` is False while the socket is left unread because orders
        is full: then the venue's silence says nothing."""
        deeds: list[Deed] = []
        for number, entry in list(self._open.items()):
            if now_ns < entry.deadline_ns:
                continue
            if entry.request is None:
                if reading:
                    return [Hang(f"no answer while {self.state.value}")]
                continue
            del self._open[number]
            self._overdue[number] = entry
            reason = f"no answer for {(now_ns - entry.sent_ns) / 1e9:.1f} s"
            deeds.append(Answered(entry.request, entry.asker, unknown(entry.request, reason)))
        while len(self._overdue) > OVERDUE_MAX:
            del self._overdue[next(iter(self._overdue))]
        if self.state is State.UP:
            if now_ns - self._opened_ns > self._config.connection_max_s * 1e9:
                self.state = State.RETIRING
            elif now_ns - self._beat_ns >= self._config.heartbeat_s * 1e9 and not self._own_open():
                deeds += self._ask_time(now_ns, wall_ns)
        return deeds + self._retired()

    def is_open(self, request: OrderRequest) -> bool:
        """Whether its bytes were made and no answer was told yet."""
        return any(entry.request is request for entry in self._open.values())

    def lost(self, reason: str) -> list[Deed]:
        """The connection is gone: what is owed to whom."""
        deeds: list[Deed] = [
            Answered(
                entry.request, entry.asker, unknown(entry.request, f"connection lost after sending: {reason}")
            )
            for entry in self._open.values()
            if entry.request is not None
        ]
        self._open.clear()
        self._overdue.clear()
        self.state = State.CLOSED
        return deeds + self._stream_down(reason)

    # -- what the venue says ------------------------------------------------------------------------

    def _own_answer(self, reply: Reply, entry: _Open, now_ns: int, wall_ns: int) -> list[Deed]:
        if not reply.ok:
            return self._own_refused(reply)
        if self.state is State.LOGGING_ON:
            return self._subscribe(now_ns, wall_ns)
        if self.state is State.SUBSCRIBING:
            self.state = State.UP
            self.stream_up = True
            return [Told(UserStreamUp(account=self._config.account_name))]
        venue_ms = answers.server_time(reply.result)
        if venue_ms is not None and self._clock.sample(entry.sent_ns, now_ns, venue_ms, wall_ns):
            self._samples += 1
        if self.state is not State.TIMING:
            return []
        if self._samples < SAMPLES_FIRST:
            return self._ask_time(now_ns, wall_ns)
        return self._log_on(now_ns, wall_ns) if self._signer.logs_on else self._subscribe(now_ns, wall_ns)

    def _own_refused(self, reply: Reply) -> list[Deed]:
        words = f"{reply.code}: {reply.words} (while {self.state.value})"
        if reply.code in KEY_REFUSED and self.state in (State.LOGGING_ON, State.SUBSCRIBING):
            return [KeyRefused(words)]
        # A heartbeat that is refused is an answer all the same: the connection lives.
        return [] if self.state in (State.UP, State.RETIRING) else [Hang(words)]

    def _event(self, body: bytes) -> list[Deed]:
        deeds: list[Deed] = []
        for fact in self._codec.event(body):
            if isinstance(fact, Ended):
                if self.state is State.UP:
                    self.state = State.RETIRING
                if fact.word == "eventStreamTerminated":
                    deeds += self._stream_down(fact.word)
                deeds += self._retired()
            else:
                deeds.append(Told(fact))
        return deeds

    def _learn(self, got: Frame, entry: _Open, now_ns: int, wall_ns: int) -> list[Deed]:
        """What an answer says beside its matter: how much is used up, and whether we must all hold back."""
        venue_ns = self._clock.venue_ns(now_ns, wall_ns)
        sent_ns = venue_ns - (now_ns - entry.sent_ns)
        for limit in got.limits:
            if limit.kind == "REQUEST_WEIGHT":
                self._budget.saw_weight(limit.used, sent_ns, venue_ns)
            elif limit.kind == "ORDERS":
                self._budget.saw_orders(limit.length_ms, limit.used, sent_ns, venue_ns)
        trouble = None if got.status == 200 else rule(got.status, got.code, got.words).trouble
        if trouble is None:
            return []
        until = until_ms(trouble, got.words, venue_ns // 1_000_000, retry_at_ms=got.retry_at_ms)
        self._budget.latch(trouble, until, venue_ns)
        wall_until = until * 1_000_000 - venue_ns + wall_ns
        return [
            Told(
                VenueTrouble(
                    venue=self._config.name, kind=trouble.value, words=got.words, until_wall_ns=wall_until
                )
            )
        ]

    # -- what the session asks by itself ------------------------------------------------------------

    def _ask_time(self, now_ns: int, wall_ns: int) -> list[Deed]:
        self._beat_ns = now_ns
        return self._ask("time", [], 1, now_ns, wall_ns)

    def _log_on(self, now_ns: int, wall_ns: int) -> list[Deed]:
        self.state = State.LOGGING_ON
        return self._ask("session.logon", self._signed(now_ns, wall_ns), 2, now_ns, wall_ns)

    def _subscribe(self, now_ns: int, wall_ns: int) -> list[Deed]:
        self.state = State.SUBSCRIBING
        if self._signer.logs_on:
            return self._ask("userDataStream.subscribe", [], 2, now_ns, wall_ns)
        return self._ask(
            "userDataStream.subscribe.signature", self._signed(now_ns, wall_ns), 2, now_ns, wall_ns
        )

    def _signed(self, now_ns: int, wall_ns: int) -> list[Param]:
        params: list[Param] = [
            ("apiKey", self._key.reveal()),
            ("recvWindow", self._config.query_window_ms),
            ("timestamp", self._clock.venue_ns(now_ns, wall_ns) // 1_000_000),
        ]
        params.append(("signature", self._signer.sign(sorted_payload(params))))
        return params

    def _ask(self, method: str, params: list[Param], weight: int, now_ns: int, wall_ns: int) -> list[Deed]:
        why = self._budget.take(Use.SAFETY, weight, 0, self._clock.venue_ns(now_ns, wall_ns))
        if why is not None:
            # A heartbeat can wait until we may ask again; a connection that is not up yet is not worth
            # keeping.
            return [] if self.state in (State.UP, State.RETIRING) else [Hang(why)]
        self._ids += 1
        deadline = now_ns + int(self._config.heartbeat_timeout_s * 1e9)
        self._open[self._ids] = _Open(None, _NOBODY, now_ns, wall_ns, deadline)
        return [Send(frame(self._ids, method, params))]

    def _own_open(self) -> bool:
        return any(entry.request is None for entry in self._open.values())

    def _retired(self) -> list[Deed]:
        done = self.state is State.RETIRING and all(entry.request is None for entry in self._open.values())
        return [Hang("renewing the connection")] if done else []

    def _stream_down(self, reason: str) -> list[Deed]:
        if not self.stream_up:
            return []
        self.stream_up = False
        return [Told(UserStreamDown(account=self._config.account_name, reason=reason))]
