"""The market port over real sockets, in a real tree."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio

from actors.messages import BookTicker, DepthDiff, StreamDown, StreamReport, StreamUp, TradeTick
from actors.venues.binance.market import MarketPort
from actors.venues.binance.market_config import MarketConfig
from supervisor.actor import Actor
from supervisor.events import ChildCrashed
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.runtime import Runtime, run
from supervisor.spec import Branch, Child, Strategy
from tests.actors.venues.binance.market_fixture import HTML, INSTRUMENT, SHUTDOWN, book_ticker, depth, trade
from tests.actors.venues.binance.tiny_venue import TinyVenue, tiny_venue

QUICK = MarketConfig(
    connect_timeout_s=2.0, proof_timeout_s=2.0, overlap_max_s=1.0, reconnect_min_s=0.05, report_every_s=0.1
)
Word = DepthDiff | BookTicker | TradeTick | StreamUp | StreamDown


class Ear(Actor):
    """A feed, or a strategy, that only listens."""

    def __init__(self, heard: list[Word]) -> None:
        self._heard = heard

    def on_word(self, word: Word) -> None:
        self._heard.append(word)


class Desk:
    def __init__(self) -> None:
        self.heard: list[Word] = []
        self.traded: list[Word] = []
        self.events: list[Message] = []
        self.runtime: Runtime

    def of(self, kind: type[Word]) -> list[Word]:
        return [word for word in self.heard if isinstance(word, kind)]

    @property
    def depths(self) -> list[int]:
        return [word.last_id for word in self.heard if isinstance(word, DepthDiff)]

    @property
    def report(self) -> StreamReport:
        """The newest; all zero before the first."""
        reports = [event for event in self.events if isinstance(event, StreamReport)]
        return reports[-1] if reports else StreamReport("", False, 0, 0, 0, 0, 0, 0, None)


async def until(condition: Callable[[], object]) -> None:
    """Give the sockets a few seconds at most; no test depends on how few."""
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - it waits for several things, none of which has an event
            await trio.sleep(0.01)


@asynccontextmanager
async def desk_at(url: str, config: MarketConfig = QUICK) -> AsyncIterator[Desk]:
    desk = Desk()
    feed, strategy, market = Address("feed/x"), Address("strategy/x"), Address("market/x")
    tree = Branch(
        "desk",
        Strategy.ONE_FOR_ONE,
        (
            Child(feed, lambda: Ear(desk.heard)),
            Child(strategy, lambda: Ear(desk.traded)),
            Child(
                market,
                lambda: MarketPort(
                    url, {INSTRUMENT: feed}, trades_to={INSTRUMENT: (strategy,)}, config=config
                ),
            ),
        ),
    )
    async with trio.open_nursery() as nursery:
        desk.runtime = await nursery.start(partial(run, tree, subscribers=[desk.events.append]))
        yield desk
        assert not [event for event in desk.events if isinstance(event, ChildCrashed)]
        desk.runtime.stop()


async def proven(venue: TinyVenue, desk: Desk, update_id: int = 1) -> None:
    await until(lambda: venue.connections)
    await venue.say(book_ticker(update_id))
    await until(lambda: desk.of(StreamUp))


async def test_frames_reach_the_feed_in_order_and_trades_the_strategy_too() -> None:
    async with tiny_venue() as venue, desk_at(venue.url) as desk:
        await proven(venue, desk)
        await venue.say(depth(1), depth(2), trade(7), depth(3))
        await until(lambda: len(desk.depths) == 3 and desk.traded)
        assert desk.depths == [1, 2, 3]
        assert [word.trade_id for word in desk.traded if isinstance(word, TradeTick)] == [7]
        assert len(desk.traded) == 1
        assert venue.paths == ["/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade"]


async def test_a_burst_of_frames_arrives_complete_and_in_order() -> None:
    async with tiny_venue() as venue, desk_at(venue.url) as desk:
        await proven(venue, desk)
        await venue.say(*(depth(at) for at in range(1, 2001)))
        await until(lambda: len(desk.depths) == 2000)
        assert desk.depths == list(range(1, 2001))


async def test_a_poison_frame_never_ends_the_port_and_is_reported() -> None:
    async with tiny_venue() as venue, desk_at(venue.url) as desk:
        await proven(venue, desk)
        await venue.say(HTML, b'{"stream":', depth(1).replace(b"99.0", b"inf"), depth(2))
        await until(lambda: desk.depths)
        assert desk.depths == [2]
        await until(lambda: desk.report.frames_bad == 3)
        assert desk.report.last_error is not None and "value 'inf'" in desk.report.last_error


async def test_a_connection_that_is_cut_is_told_and_made_again() -> None:
    async with tiny_venue() as venue, desk_at(venue.url) as desk:
        await proven(venue, desk)
        await venue.hang_up()
        await until(lambda: desk.of(StreamDown))
        await until(lambda: venue.connections)
        await venue.say(depth(1))
        await until(lambda: len(desk.of(StreamUp)) == 2)
        assert [type(word) for word in desk.heard if isinstance(word, StreamUp | StreamDown)] == [
            StreamUp,
            StreamDown,
            StreamUp,
        ]
        assert desk.report.connects >= 1


async def test_a_shutdown_is_survived_without_a_hole_and_the_old_connection_is_closed_politely() -> None:
    async with tiny_venue() as venue, desk_at(venue.url) as desk:
        await proven(venue, desk)
        await venue.say(depth(1), SHUTDOWN)
        await until(lambda: len(venue.connections) == 2)
        said = 1
        while venue.closed == 0:
            said += 1
            assert said < 500
            await venue.say(depth(said))
            await trio.sleep(0.01)
        await venue.say(depth(said + 1))
        await until(lambda: desk.depths[-1:] == [said + 1])
        assert desk.depths == list(range(1, said + 2))
        assert len(desk.of(StreamUp)) == 1 and not desk.of(StreamDown)
        assert len(venue.connections) == 1
        await until(lambda: desk.report.handovers == 1)


async def test_a_venue_that_never_acknowledges_is_an_error_and_tried_again() -> None:
    config = MarketConfig(proof_timeout_s=0.3, overlap_max_s=0.5, reconnect_min_s=0.05, report_every_s=0.1)
    async with tiny_venue() as venue:
        venue.answers_lists = False
        async with desk_at(venue.url, config) as desk:
            await until(lambda: len(venue.paths) >= 2)
            await until(lambda: desk.report.last_error)
            assert desk.report.last_error == "the subscription was never acknowledged within 0.3 s"
            assert not desk.of(StreamUp)
            venue.answers_lists = True
            with trio.fail_after(10):
                while not desk.of(StreamUp):
                    await venue.say(book_ticker(1))
                    await trio.sleep(0.02)


async def test_a_venue_that_refuses_connections_is_given_the_time_that_it_asks_for() -> None:
    async with tiny_venue() as venue:
        venue.refuse_with = 429
        async with desk_at(venue.url) as desk:
            await until(lambda: venue.paths)
            refused_s = trio.current_time()
            venue.refuse_with = None
            await until(lambda: venue.connections)
            assert trio.current_time() - refused_s >= 0.9
            await proven(venue, desk)
            assert desk.report.last_error == "the venue refused the connection with status 429"


async def test_a_venue_that_is_not_there_neither_ends_the_port_nor_holds_up_its_stop() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    async with desk_at(f"ws://127.0.0.1:{port}") as desk:
        await until(lambda: desk.report.connects_failed >= 2)
        began_s = trio.current_time()
    assert trio.current_time() - began_s < 2.0


async def test_a_crashed_port_begins_anew_and_its_feed_hears_a_whole_stream() -> None:
    async with tiny_venue() as venue, desk_at(venue.url) as desk:
        await proven(venue, desk)
        desk.runtime.crash("market/x")
        await until(lambda: len(venue.paths) == 2 and len(venue.connections) == 1)
        await venue.say(depth(1))
        await until(lambda: len(desk.of(StreamUp)) == 2)
        assert desk.depths == [1]
        desk.events.clear()
