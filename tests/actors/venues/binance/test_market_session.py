"""The market session: every decision about connections, without a socket and without a clock."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import BookTicker, DepthDiff, StreamDown, StreamUp, TradeTick
from actors.venues.binance.market_config import MarketConfig
from actors.venues.binance.market_phases import TRANSITIONS, Close, Event, Open, Phase, Send, after
from actors.venues.binance.market_session import MarketSession
from tests.actors.venues.binance.market_fixture import (
    HTML,
    INSTRUMENT,
    SHUTDOWN,
    STREAMS,
    book_ticker,
    depth,
    listed,
    trade,
)


class Pump:
    """The session's other side: opens what is to be opened when the test lets it, and remembers all."""

    def __init__(self, config: MarketConfig | None = None, *, start: bool = True) -> None:
        self.now_s = 1000.0
        self.session = MarketSession(
            "wss://stream.example.com:9443", [INSTRUMENT], config or MarketConfig(), chance=lambda: 0.5
        )
        self.opened: list[Open] = []
        self.sent: list[Send] = []
        self.closed: list[Close] = []
        self.messages: list[object] = []
        if start:
            self.session.start(self.now_s)
            self.collect()

    def collect(self) -> None:
        for action in self.session.actions:
            if isinstance(action, Open):
                self.opened.append(action)
            elif isinstance(action, Send):
                self.sent.append(action)
            else:
                self.closed.append(action)
        self.messages += self.session.messages
        self.session.actions.clear()
        self.session.messages.clear()

    def open(self, number: int) -> None:
        self.session.on_open(number, self.now_s)
        self.collect()

    def frame(self, number: int, *frames: bytes) -> None:
        for each in frames:
            self.session.on_frame(number, each, int(self.now_s * 1e9))
        self.collect()

    def lose(self, number: int, reason: str = "reset", retry_after_s: float = 0.0) -> None:
        self.session.on_closed(number, reason, self.now_s, retry_after_s)
        self.collect()

    def wait(self, seconds: float, *, step_s: float = 0.2) -> None:
        until = self.now_s + seconds
        while self.now_s < until - 1e-9:
            self.now_s = min(until, self.now_s + step_s)
            self.session.on_time(self.now_s)
            self.collect()

    def up(self, number: int = 1) -> None:
        """Open it, and let it prove itself."""
        self.open(number)
        self.frame(number, listed(number), book_ticker(1))

    @property
    def depths(self) -> list[int]:
        return [message.last_id for message in self.messages if isinstance(message, DepthDiff)]

    @property
    def trades(self) -> list[int]:
        return [message.trade_id for message in self.messages if isinstance(message, TradeTick)]

    @property
    def words(self) -> list[object]:
        return [message for message in self.messages if isinstance(message, StreamUp | StreamDown)]


def error_of(pump: Pump) -> str:
    report = pump.session.report(pump.now_s + 100)
    assert report is not None and report.last_error is not None
    return report.last_error


# -- proof ----------------------------------------------------------------------------------------------


def test_all_streams_are_named_in_the_url_and_asked_about_once_it_is_open() -> None:
    pump = Pump()
    assert [action.url for action in pump.opened] == [
        f"wss://stream.example.com:9443/stream?streams={'/'.join(STREAMS)}"
    ]
    pump.open(1)
    assert pump.sent == [Send(1, '{"method":"LIST_SUBSCRIPTIONS","id":1}')]


def test_a_stream_is_up_once_it_is_acknowledged_and_its_first_data_are_there() -> None:
    acknowledged, heard = Pump(), Pump()
    for pump in (acknowledged, heard):
        pump.open(1)
    acknowledged.frame(1, listed(1))
    heard.frame(1, depth(5))
    assert not acknowledged.words and not heard.words
    acknowledged.frame(1, depth(5))
    heard.frame(1, listed(1))
    for pump in (acknowledged, heard):
        assert pump.words == [StreamUp(venue="binance", instruments=(INSTRUMENT,))]
        assert pump.depths == [5]


def test_a_subscription_that_is_never_acknowledged_is_an_error_and_tried_again() -> None:
    pump = Pump(MarketConfig(proof_timeout_s=10.0))
    pump.open(1)
    pump.frame(1, depth(5))
    pump.wait(11)
    assert [close.connection for close in pump.closed] == [1]
    assert "never acknowledged within 10 s" in error_of(pump)
    # Its data had been passed on, so the feeds hear that it is gone.
    assert isinstance(pump.words[-1], StreamDown)
    assert [action.connection for action in pump.opened] == [1, 2]


def test_an_acknowledged_stream_without_data_is_an_error_too() -> None:
    pump = Pump()
    pump.open(1)
    pump.frame(1, listed(1))
    pump.wait(11)
    assert "no data came" in error_of(pump) and not pump.words


def test_a_stream_that_the_venue_does_not_list_is_named() -> None:
    pump = Pump()
    pump.open(1)
    pump.frame(1, listed(1, STREAMS[:2]), depth(5))
    assert "did not subscribe 1 streams: btcusdt@trade" in error_of(pump)
    assert [close.connection for close in pump.closed] == [1]


def test_the_venues_own_words_are_kept_when_it_refuses() -> None:
    pump = Pump()
    pump.open(1)
    pump.frame(1, b'{"code":2,"msg":"Invalid request: unknown variant","id":1}')
    assert "2 Invalid request: unknown variant" in error_of(pump)


def test_a_connection_that_does_not_open_is_given_up_in_time() -> None:
    pump = Pump(MarketConfig(connect_timeout_s=5.0))
    pump.wait(5.2)
    assert [close.connection for close in pump.closed] == [1]
    # What comes of it later is of nobody's concern.
    pump.open(1)
    pump.frame(1, listed(1), depth(5))
    assert not pump.messages and not pump.sent


# -- losing a connection --------------------------------------------------------------------------------------


def test_a_lost_connection_is_told_at_once_and_opened_again_after_a_short_wait() -> None:
    pump = Pump()
    pump.up()
    pump.lose(1, "connection reset")
    down = StreamDown(venue="binance", instruments=(INSTRUMENT,), reason="connection reset")
    assert pump.words[-1] == down
    pump.wait(1)
    assert [action.connection for action in pump.opened] == [1, 2]
    pump.up(2)
    assert isinstance(pump.words[-1], StreamUp)


def test_failing_connections_are_tried_ever_more_slowly_and_within_the_venues_limit() -> None:
    pump = Pump(MarketConfig(reconnect_min_s=0.25, reconnect_max_s=1.0, attempts_per_5_minutes_max=30))
    times = []
    for _ in range(6000):
        if len(pump.opened) > len(times):
            times.append(pump.now_s)
            pump.lose(len(times), "refused")
        pump.wait(0.2)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[:3] == sorted(waits[:3]) and waits[0] < 0.5
    assert all(sum(1 for at in times if start <= at < start + 299.9) <= 30 for start in times)
    assert len(times) > 60


def test_what_a_refusing_venue_demands_to_wait_is_waited() -> None:
    pump = Pump()
    pump.lose(1, "status 429", retry_after_s=90.0)
    pump.wait(89)
    assert len(pump.opened) == 1
    pump.wait(2)
    assert len(pump.opened) == 2


def test_the_wait_is_short_again_after_a_connection_has_lasted() -> None:
    pump = Pump()
    for number in range(1, 6):
        pump.lose(number)
        pump.wait(4.2)
    pump.up(6)
    for second in range(70):
        pump.frame(6, book_ticker(second + 2))
        pump.wait(1)
    pump.lose(6)
    pump.wait(0.6)
    assert len(pump.opened) == 7


# -- replacing one without a hole -----------------------------------------------------------------------------


def test_an_announced_shutdown_opens_a_new_connection_before_the_old_one_is_closed() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, depth(5), SHUTDOWN)
    assert [action.connection for action in pump.opened] == [1, 2] and not pump.closed
    pump.frame(1, depth(6))
    pump.open(2)
    pump.frame(2, listed(2))
    pump.frame(1, depth(7))
    pump.frame(2, depth(7))
    # The new one has shown what the old one had: only now is the old one closed.
    assert pump.closed == [Close(1, "replaced")]
    pump.frame(2, depth(8))
    pump.frame(1, depth(8))
    assert pump.depths == [5, 6, 7, 8]
    assert len(pump.words) == 1


def test_a_new_connection_that_runs_ahead_is_held_until_the_old_one_has_caught_up() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, depth(5), trade(50), SHUTDOWN)
    pump.open(2)
    pump.frame(2, listed(2), depth(8), depth(9), trade(53))
    assert pump.depths == [5] and pump.trades == [50]
    pump.frame(1, depth(6), trade(51), trade(52))
    assert pump.depths == [5, 6] and pump.trades == [50, 51, 52, 53]
    pump.frame(1, depth(7))
    assert pump.depths == [5, 6, 7, 8, 9]
    # Only once the old one has brought what the new one began with is everything before that here.
    assert not pump.closed
    pump.frame(1, depth(8))
    assert pump.closed == [Close(1, "replaced")]
    assert pump.depths == [5, 6, 7, 8, 9]


def test_an_old_connection_that_dies_in_the_overlap_leaves_what_the_new_one_brought() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, depth(5), SHUTDOWN)
    pump.open(2)
    pump.frame(2, listed(2), depth(7), depth(8))
    pump.lose(1, "the venue closed it")
    # There is a hole (6), which the feed will see; the stream itself was never down.
    assert pump.depths == [5, 7, 8] and len(pump.words) == 1
    pump.frame(2, depth(9))
    assert pump.depths == [5, 7, 8, 9]


def test_an_old_connection_that_dies_before_its_successor_is_proven_is_a_stream_down() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, SHUTDOWN)
    pump.open(2)
    pump.lose(1, "closed")
    assert isinstance(pump.words[-1], StreamDown)
    pump.frame(2, listed(2), depth(9))
    assert isinstance(pump.words[-1], StreamUp) and pump.depths == [9]
    assert len(pump.opened) == 2


def test_a_successor_that_fails_costs_nothing_and_another_is_tried() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, SHUTDOWN, depth(5))
    pump.lose(2, "refused")
    pump.frame(1, depth(6))
    pump.wait(1)
    assert [action.connection for action in pump.opened] == [1, 2, 3]
    assert pump.depths == [5, 6] and not pump.closed and len(pump.words) == 1
    pump.open(3)
    pump.frame(3, listed(3), depth(6))
    pump.frame(1, depth(7))
    assert pump.closed == [Close(1, "replaced")]


def test_a_successor_that_dies_while_merging_leaves_every_trade_exactly_once() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, trade(50), SHUTDOWN)
    pump.open(2)
    pump.frame(2, trade(51), listed(2), trade(52))
    pump.lose(2)
    pump.frame(1, trade(51), trade(52), trade(53))
    assert pump.trades == [50, 51, 52, 53]


def test_a_successor_that_is_told_of_the_shutdown_as_well_is_replaced_in_its_turn() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, depth(5), SHUTDOWN)
    pump.open(2)
    pump.frame(2, listed(2), SHUTDOWN, depth(5))
    pump.frame(1, depth(6))
    assert pump.closed == [Close(1, "replaced")]
    pump.wait(1)
    assert [action.connection for action in pump.opened] == [1, 2, 3]


def test_a_connection_is_replaced_before_its_24_hours_end() -> None:
    pump = Pump(MarketConfig(connection_max_s=3600.0))
    pump.up()
    for at in range(2, 362):
        pump.frame(1, depth(at))
        pump.wait(10, step_s=5.0)
    assert [action.connection for action in pump.opened] == [1, 2]
    pump.open(2)
    pump.frame(2, listed(2), depth(361), depth(362))
    assert pump.closed == [Close(1, "replaced")] and pump.depths == list(range(2, 363))
    assert len(pump.words) == 1


def test_a_quiet_market_does_not_hold_the_old_connection_for_ever() -> None:
    pump = Pump(MarketConfig(overlap_max_s=10.0))
    pump.up()
    pump.frame(1, depth(5), SHUTDOWN)
    pump.open(2)
    pump.frame(2, listed(2), book_ticker(9))
    for update_id in range(10, 22):
        pump.frame(1, book_ticker(update_id))
        pump.wait(1)
    assert pump.closed == [Close(1, "replaced")]
    pump.frame(2, depth(6))
    assert pump.depths == [5, 6]


def test_a_silent_connection_is_replaced_and_a_dead_one_is_not_waited_for() -> None:
    pump = Pump(MarketConfig(silent_after_s=15.0))
    pump.up()
    pump.frame(1, depth(5))
    pump.wait(15.4)
    assert [action.connection for action in pump.opened] == [1, 2] and "silent" in error_of(pump)
    pump.open(2)
    pump.frame(2, listed(2), depth(40))
    pump.wait(2.5)
    assert pump.closed == [Close(1, "replaced")]
    assert pump.depths == [5, 40]


@given(st.integers(0, 100_000))
def test_whatever_the_timing_of_an_overlap_no_diff_and_no_trade_is_missing_or_told_twice(seed: int) -> None:
    """Two connections bring the same stream, each in order and at its own pace; the new one begins anywhere."""
    chance = random.Random(seed)
    pump = Pump()
    pump.up()
    frames = [(depth(at), trade(at)) for at in range(10, 80)]
    old = [each for pair in frames for each in pair]
    begin = 2 * chance.randrange(5, 40)
    new = old[begin:]
    pump.frame(1, *old[: begin // 2])
    rest = old[begin // 2 :]
    pump.frame(1, SHUTDOWN)
    pump.open(2)
    pump.frame(2, listed(2))
    while (rest or new) and not pump.closed:
        source = chance.choice([each for each in (rest, new) if each])
        pump.frame(1 if source is rest else 2, source.pop(0))
    pump.frame(2, *new)
    pump.wait(12)
    assert pump.depths == list(range(10, 80))
    assert pump.trades == list(range(10, 80))


# -- bad frames and duplicates --------------------------------------------------------------------------------


def test_one_poison_frame_is_counted_and_nothing_else_happens() -> None:
    pump = Pump()
    pump.up()
    for poison in (HTML, b"", depth(5).replace(b"99.0", b"nan"), b'{"result":7}', b"\xff"):
        pump.frame(1, poison)
    pump.frame(1, depth(6))
    report = pump.session.report(pump.now_s + 100)
    assert report is not None and report.frames_bad == 5 and report.connected
    assert pump.depths == [6] and len(pump.opened) == 1


def test_a_connection_that_sends_garbage_is_replaced() -> None:
    pump = Pump(MarketConfig(frames_bad_max=20))
    pump.up()
    for _ in range(20):
        pump.frame(1, HTML)
        pump.wait(0.5)
    assert [action.connection for action in pump.opened] == [1, 2] and not pump.closed
    assert "20 bad frames within a minute" in error_of(pump)


def test_bad_frames_that_are_far_apart_do_not_add_up() -> None:
    pump = Pump(MarketConfig(frames_bad_max=20))
    pump.up()
    for at in range(60):
        pump.frame(1, HTML, book_ticker(at))
        pump.wait(5)
    assert len(pump.opened) == 1


def test_an_instrument_that_was_not_subscribed_is_a_bad_frame() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, depth(5).replace(b"btcusdt", b"ethusdt").replace(b"BTCUSDT", b"ETHUSDT"))
    assert pump.depths == [] and "never subscribed" in error_of(pump)


def test_a_venue_that_begins_its_trade_ids_anew_is_heard_after_a_reconnect() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, trade(500))
    pump.lose(1)
    pump.wait(1)
    pump.up(2)
    pump.frame(2, trade(1))
    assert pump.trades == [500, 1]


def test_a_ticker_of_either_connection_is_passed_on_once_and_never_backwards() -> None:
    pump = Pump()
    pump.up()
    pump.frame(1, SHUTDOWN)
    pump.open(2)
    pump.frame(2, listed(2), book_ticker(10))
    pump.frame(1, book_ticker(9), book_ticker(10), book_ticker(11))
    tickers = [message.update_id for message in pump.messages if isinstance(message, BookTicker)]
    assert tickers == [1, 10, 11]


# -- the rest -------------------------------------------------------------------------------------------------


def test_what_is_not_in_the_table_is_an_error() -> None:
    assert (Phase.DOWN, Event.MERGED) not in TRANSITIONS
    with pytest.raises(RuntimeError, match="down cannot meet merged"):
        after(Phase.DOWN, Event.MERGED)


def test_more_streams_than_one_connection_carries_are_refused() -> None:
    many = [f"binance/X{number}" for number in range(342)]
    with pytest.raises(ValueError, match="1026 streams"):
        MarketSession("ws://x", many, MarketConfig(), chance=lambda: 0.5)
    with pytest.raises(ValueError, match="0 streams"):
        MarketSession("ws://x", [], MarketConfig(), chance=lambda: 0.5)


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"proof_timeout_s": 0}, "a wait without a limit"),
        ({"connection_max_s": 90_000.0}, "24 h"),
        ({"connection_max_s": 15.0}, "before it has replaced the one before it"),
        ({"reconnect_min_s": 20.0}, "reconnect_min_s <= reconnect_max_s"),
        ({"attempts_per_5_minutes_max": 301}, "300"),
        ({"frame_bytes_max": 100}, "65536"),
    ],
)
def test_knobs_that_contradict_each_other_are_refused_with_the_reason(
    knobs: dict[str, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        MarketConfig(**knobs)  # type: ignore[arg-type]
