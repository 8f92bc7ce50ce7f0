"""The market-data session: every decision about connections, frames and times; it carries no byte itself.

- A connection is opened to the combined stream with all names in its URL, and counts once the venue has
  listed them as subscribed (LIST_SUBSCRIPTIONS) and has sent a first frame. Not proven in time is an error.
- What must be replaced (the venue announces its shutdown, the 24 hours are near their end, nothing comes, or
  garbage) is replaced before it is closed: `market_phases.py` and `handover.py`. The feeds notice nothing.
- What is lost without warning is `StreamDown`; then `reconnects.py` says when to try again.
Source: Binance spot API documentation, web-socket-streams, "General WSS information" and "Websocket limits".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from actors.messages import DepthDiff, StreamDown, StreamReport, StreamUp, TradeTick
from actors.venues.binance import names
from actors.venues.binance.handover import Handover, Key, MarketData
from actors.venues.binance.market_codec import (
    Acknowledged,
    CodecError,
    ControlFailed,
    MarketCodec,
    ServerShutdown,
)
from actors.venues.binance.market_config import MarketConfig
from actors.venues.binance.market_phases import Action, Close, Event, Open, Phase, Send, after
from actors.venues.binance.reconnects import Reconnects

# Binance: at most so many streams on one connection.
STREAMS_MAX = 1024
# A connection that has lasted so long was no fluke.
SETTLED_S = 60.0
# Side by side with its proven successor, an old connection that says nothing for so long has nothing to add.
OVERLAP_SILENT_S = 2.0
_BAD_FRAMES_WINDOW_S = 60.0

_Control = Acknowledged | ControlFailed | ServerShutdown


class _Connection:
    __slots__ = ("heard_s", "is_leaving", "is_listed", "is_open", "number", "since_s")

    def __init__(self, number: int, now_s: float) -> None:
        self.number = number
        self.since_s = now_s  # of the attempt, then of the opening
        self.heard_s: float | None = None
        self.is_open = self.is_listed = self.is_leaving = False


class MarketSession:
    """Tell it what happens; after each call, deliver `messages` in order and do `actions`, and clear both.
    `now_s` is monotonic seconds, `now_ns` the same in nanoseconds."""

    def __init__(
        self,
        stream_url: str,
        instruments: Sequence[str],
        config: MarketConfig,
        *,
        venue: str = names.VENUE,
        chance: Callable[[], float],
    ) -> None:
        """`chance` gives numbers from 0 to 1, for the jitter of reconnects. Raises ValueError for instruments
        that are misnamed, or too many for one connection."""
        speed = config.depth_speed
        streams = [name for each in instruments for name in names.stream_names(each, depth_speed=speed)]
        if not streams or len(streams) > STREAMS_MAX:
            raise ValueError(f"market: {len(streams)} streams, but one connection carries 1 to {STREAMS_MAX}")
        self.messages: list[MarketData | StreamUp | StreamDown] = []
        self.actions: list[Action] = []
        self.phase = Phase.DOWN
        self._venue = venue
        self._instruments = tuple(instruments)
        self._streams = frozenset(streams)
        self._known = frozenset(instruments)
        self._url = f"{stream_url.rstrip('/')}/stream?streams={'/'.join(streams)}"
        self._config = config
        self._codec = MarketCodec(venue)
        self._reconnects = Reconnects(
            min_s=config.reconnect_min_s,
            max_s=config.reconnect_max_s,
            attempts_max=config.attempts_per_5_minutes_max,
            chance=chance,
        )
        self._number = 0
        self._main: _Connection | None = None
        self._next: _Connection | None = None
        self._handover: Handover | None = None
        self._merging_since_s = 0.0
        # The last ids passed on: a trade counts once whichever connection repeats it, and a handover must know
        # where the old connection stands.
        self._trades: dict[str, int] = {}
        self._diffs: dict[str, int] = {}
        self._bad: deque[float] = deque(maxlen=config.frames_bad_max)
        self._report_s = 0.0
        self._connects = self._connects_failed = self._handovers = 0
        self._frames = self._frames_bad = self._duplicates = 0
        self._frames_bad_told = 0
        self._last_error: str | None = None
        self._last_refusal: str | None = None

    # -- frames -------------------------------------------------------------------------------------------

    def on_frame(self, number: int, frame: bytes, now_ns: int) -> None:
        """One frame of connection `number`. Never raises for what is in it."""
        connection = self._main
        if connection is None or connection.number != number:
            connection = self._next
            if connection is None or connection.number != number:
                return  # of a connection that was given up
        now_s = now_ns / 1e9
        self._frames += 1
        try:
            message = self._codec.decode(frame, now_ns)
            if isinstance(message, _Control):
                self._on_control(message, connection, now_s)
                return
            if message.instrument not in self._known:
                raise CodecError("never subscribed", field="s", value=message.instrument)
        except CodecError as error:
            self._on_bad_frame(error, connection, now_s)
            return
        is_first = connection.heard_s is None
        connection.heard_s = now_s
        if is_first:
            self._prove(connection, now_s)
        handover = self._handover
        if handover is None:
            # The way of nearly every frame.
            if type(message) is DepthDiff:
                self._diffs[message.instrument] = message.last_id
            elif type(message) is TradeTick and not self._is_new_trade(message):
                return
            self.messages.append(message)
            return
        is_old = connection is self._main
        self._pass(handover.from_old(message) if is_old else handover.from_new(message))
        if self.phase is Phase.MERGING and (handover.is_complete or handover.is_overfull):
            self._merge(now_s)

    def _pass(self, messages: Iterable[MarketData]) -> None:
        for message in messages:
            if isinstance(message, DepthDiff):
                self._diffs[message.instrument] = message.last_id
            elif isinstance(message, TradeTick) and not self._is_new_trade(message):
                continue
            self.messages.append(message)

    def _is_new_trade(self, trade: TradeTick) -> bool:
        if trade.trade_id <= self._trades.get(trade.instrument, -1):
            self._duplicates += 1
            return False
        self._trades[trade.instrument] = trade.trade_id
        return True

    def _on_control(self, message: _Control, connection: _Connection, now_s: float) -> None:
        if isinstance(message, ServerShutdown):
            # Announced some ten minutes ahead: a successor that is told so is still worth merging with.
            connection.is_leaving = True
            if connection is self._main:
                self._renew("the venue announced its shutdown", now_s)
        elif isinstance(message, ControlFailed):
            self._trouble(connection, f"the venue refused a request: {message.code} {message.words}", now_s)
        elif message.streams is not None and message.id == connection.number:
            missing = self._streams.difference(message.streams)
            if missing:
                some = ", ".join(sorted(missing)[:3])
                self._trouble(
                    connection, f"the venue did not subscribe {len(missing)} streams: {some}", now_s
                )
            else:
                connection.is_listed = True
                self._prove(connection, now_s)

    def _on_bad_frame(self, error: CodecError, connection: _Connection, now_s: float) -> None:
        self._frames_bad += 1
        self._last_error = self._last_refusal = str(error)
        bad = self._bad
        bad.append(now_s)
        if len(bad) == bad.maxlen and bad[0] > now_s - _BAD_FRAMES_WINDOW_S:
            count = len(bad)
            bad.clear()
            self._trouble(connection, f"{count} bad frames within a minute, the last: {error}", now_s)

    # -- connections and time -----------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        self._report_s = now_s + self._config.report_every_s
        self._open(now_s)

    def on_open(self, number: int, now_s: float) -> None:
        connection = self._next
        if connection is not None and connection.number == number:
            connection.is_open = True
            connection.since_s = now_s
            self._connects += 1
            self.actions.append(Send(number, f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}'))

    def on_closed(self, number: int, reason: str, now_s: float, retry_after_s: float = 0.0) -> None:
        """It has ended, or could not be opened. `retry_after_s`: the venue demands to wait so long."""
        if self._main is not None and self._main.number == number:
            self._on_lost(reason, now_s)
        elif self._next is not None and self._next.number == number:
            self._on_failed(reason, now_s, retry_after_s)

    def on_time(self, now_s: float) -> None:
        """Call it a few times a second."""
        if self.phase is Phase.MERGING:
            quiet_s = now_s - max(self._merging_since_s, self._heard_s(self._main))
            if now_s - self._merging_since_s >= self._config.overlap_max_s or quiet_s >= OVERLAP_SILENT_S:
                self._merge(now_s)
        elif self._next is not None:
            self._check_proof(self._next, now_s)
        if self._main is not None and self.phase is Phase.UP:
            self._check_main(self._main, now_s)
        if self._next is None and self.phase in (Phase.DOWN, Phase.OPENING) and self._reconnects.due(now_s):
            self._open(now_s)

    def report(self, now_s: float) -> StreamReport | None:
        """The counters, when they are due."""
        if now_s < self._report_s:
            return None
        self._report_s = now_s + self._config.report_every_s
        new, self._frames_bad_told = self._frames_bad - self._frames_bad_told, self._frames_bad
        return StreamReport(
            venue=self._venue,
            connected=self._main is not None,
            connects=self._connects,
            connects_failed=self._connects_failed,
            handovers=self._handovers,
            frames=self._frames,
            frames_bad=self._frames_bad,
            duplicates=self._duplicates,
            last_error=self._last_error,
            frames_bad_new=new,
            last_refusal=self._last_refusal,
        )

    def _check_proof(self, coming: _Connection, now_s: float) -> None:
        config = self._config
        if not coming.is_open:
            if now_s - coming.since_s >= config.connect_timeout_s:
                self._trouble(coming, f"no connection within {config.connect_timeout_s:g} s", now_s)
        elif now_s - coming.since_s >= config.proof_timeout_s:
            what = "no data came" if coming.is_listed else "the subscription was never acknowledged"
            self._trouble(coming, f"{what} within {config.proof_timeout_s:g} s", now_s)

    def _check_main(self, main: _Connection, now_s: float) -> None:
        config = self._config
        silent_s, age_s = now_s - self._heard_s(main), now_s - main.since_s
        if main.is_leaving:
            self._renew("the venue announced its shutdown", now_s)
        elif silent_s >= config.silent_after_s:
            self._renew(f"silent for {silent_s:.1f} s", now_s)
        elif age_s >= config.connection_max_s:
            self._renew(f"{age_s / 3600:.1f} h old, and the venue ends it at 24", now_s)
        elif age_s >= SETTLED_S:
            self._reconnects.settled()

    # -- the parts ----------------------------------------------------------------------------------------

    def _open(self, now_s: float) -> None:
        self._reconnects.attempted(now_s)
        self._number += 1
        self._next = _Connection(self._number, now_s)
        self.actions.append(Open(self._number, self._url))
        if self._main is not None:
            delivered: dict[Key, int] = {(DepthDiff, each): at for each, at in self._diffs.items()}
            delivered.update({(TradeTick, each): at for each, at in self._trades.items()})
            self._handover = Handover(self._instruments, delivered)

    def _prove(self, connection: _Connection, now_s: float) -> None:
        """Whether it now counts: listed, and heard."""
        if connection is not self._next or not connection.is_listed or connection.heard_s is None:
            return
        if self.phase is Phase.MERGING:
            return
        self.phase = after(self.phase, Event.PROVEN)
        if self.phase is Phase.UP:
            self._main, self._next = connection, None
            self.messages.append(StreamUp(venue=self._venue, instruments=self._instruments))
        else:
            self._merging_since_s = now_s

    def _renew(self, reason: str, now_s: float) -> None:
        """Have the connection that counts replaced, unless that is under way."""
        if self.phase is Phase.UP:
            self._last_error = reason
            self.phase = after(self.phase, Event.RENEW)
            if self._reconnects.due(now_s):
                self._open(now_s)

    def _trouble(self, connection: _Connection, reason: str, now_s: float) -> None:
        """The connection that counts is replaced; one on its way is simply given up."""
        if connection is self._main:
            self._renew(reason, now_s)
        else:
            self.actions.append(Close(connection.number, reason))
            self._on_failed(reason, now_s, 0.0)

    def _merge(self, now_s: float) -> None:
        """The successor alone is enough; the old connection is closed."""
        old, self._main, self._next = self._main, self._next, None
        self.phase = after(self.phase, Event.MERGED)
        self._handovers += 1
        if old is not None:
            self.actions.append(Close(old.number, "replaced"))
        self._end_handover()

    def _end_handover(self) -> None:
        handover, self._handover = self._handover, None
        if handover is not None:
            self._pass(handover.release())
            self._duplicates += handover.duplicates

    def _on_failed(self, reason: str, now_s: float, retry_after_s: float) -> None:
        failed, self._next = self._next, None
        self._connects_failed += 1
        self._last_error = reason
        # What the successor has passed on already, the old connection will repeat: the feeds' books and the
        # ids of trades see to that.
        self._handover = None
        self.phase = after(self.phase, Event.FAILED)
        self._reconnects.failed(now_s, retry_after_s)
        if self._main is None and failed is not None and failed.heard_s is not None:
            # It never counted, but its frames were passed on, and books may stand on them.
            self.messages.append(self._down(reason))

    def _on_lost(self, reason: str, now_s: float) -> None:
        self._last_error = reason
        was_merging = self.phase is Phase.MERGING
        self.phase = after(self.phase, Event.LOST)
        self._main = None
        if was_merging:
            self._main, self._next = self._next, None
        else:
            # A venue that has lost its state may begin its ids anew.
            self._trades.clear()
            self._diffs.clear()
            self.messages.append(self._down(reason))
            self._reconnects.failed(now_s)
        self._end_handover()

    def _down(self, reason: str) -> StreamDown:
        return StreamDown(venue=self._venue, instruments=self._instruments, reason=reason)

    @staticmethod
    def _heard_s(connection: _Connection | None) -> float:
        if connection is None:
            return 0.0
        return connection.since_s if connection.heard_s is None else connection.heard_s
