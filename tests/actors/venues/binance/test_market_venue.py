"""Market port and feed against the simulated venue: real sockets, a moving market, and its faults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio

from actors.feed.actor import FeedActor
from actors.feed.config import FeedConfig
from actors.messages import (
    Book,
    BookLost,
    FeedReport,
    SnapshotFailed,
    SnapshotWanted,
    StreamDown,
    StreamReport,
)
from actors.venues.binance.market import MarketPort
from actors.venues.binance.market_codec import decode_snapshot
from actors.venues.binance.market_config import MarketConfig
from actors.venues.binance.names import symbol_of
from actors.venues.simulated.config import GeneratedConfig
from actors.venues.simulated.faults import AnyFault, Disconnect, NoTicks, Poison, SequenceGap, Shutdown
from supervisor.actor import Actor
from supervisor.mailbox import Address, Overflow
from supervisor.message import Message
from supervisor.port import PortLink
from supervisor.runtime import run
from supervisor.spec import Branch, Child, Strategy
from tests.actors.venues.simulated.venue_fixture import LocalVenue, running_venue, server_config

INSTRUMENT = "binance/BTCUSDT"
FEED = FeedConfig(check_every_s=0.1, report_every_s=0.2, stale_after_s=1.5, stuck_after_s=3.0)
MARKET = MarketConfig(overlap_max_s=1.0, reconnect_min_s=0.05, report_every_s=0.2)


class Snapshots:
    """The REST port, as far as a feed is concerned."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, link: PortLink) -> None:
        async with httpx.AsyncClient(base_url=self._url) as client:
            link.ready()
            while True:
                wanted = await link.receive()
                assert isinstance(wanted, SnapshotWanted)
                params: dict[str, str | int] = {
                    "symbol": symbol_of(wanted.instrument),
                    "limit": wanted.levels,
                }
                answer = await client.get("/api/v3/depth", params=params)
                if answer.status_code == 200:
                    link.reply(decode_snapshot(answer.content, wanted.instrument, link.now_ns))
                else:
                    link.reply(SnapshotFailed(wanted.instrument, answer.text, 1.0))


class Ear(Actor):
    def __init__(self, heard: list[Book | BookLost]) -> None:
        self._heard = heard

    def on_word(self, word: Book | BookLost) -> None:
        self._heard.append(word)


class Desk:
    def __init__(self, venue: LocalVenue) -> None:
        self.venue = venue
        self.heard: list[Book | BookLost] = []
        self.events: list[Message] = []

    def fault(self, fault: AnyFault) -> None:
        self.venue.running.control.begin(fault)

    @property
    def reported(self) -> bool:
        kinds = {type(event) for event in self.events}
        return {FeedReport, StreamReport} <= kinds and self.feed.lost is None

    @property
    def lost(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, BookLost)]

    @property
    def feed(self) -> FeedReport:
        return [event for event in self.events if isinstance(event, FeedReport)][-1]

    @property
    def stream(self) -> StreamReport:
        return [event for event in self.events if isinstance(event, StreamReport)][-1]

    async def books(self, count: int) -> None:
        """Wait for so many more books."""
        done = len(self.heard)
        await until(lambda: sum(isinstance(word, Book) for word in self.heard[done:]) >= count)

    async def recovered(self) -> None:
        await until(lambda: self.heard and isinstance(self.heard[-1], Book))


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - it waits for several things, none of which has an event
            await trio.sleep(0.02)


@asynccontextmanager
async def trading_desk() -> AsyncIterator[Desk]:
    rest, feed, ear, market = (
        Address("rest"),
        Address("feed/x", overflow=Overflow.DROP_OLDEST),
        Address("ear"),
        Address("market"),
    )
    config = server_config(seed=7, venue={"generated": GeneratedConfig(warmup_minutes=0)})
    async with running_venue(config, generated=True) as venue, trio.open_nursery() as nursery:
        desk = Desk(venue)
        tree = Branch(
            "desk",
            Strategy.ONE_FOR_ONE,
            (
                Child(ear, lambda: Ear(desk.heard)),
                Child(rest, lambda: Snapshots(venue.url)),
                Child(feed, lambda: FeedActor(INSTRUMENT, rest=rest, subscribers=(ear,), config=FEED)),
                Child(market, lambda: MarketPort(venue.ws_url, {INSTRUMENT: feed}, config=MARKET)),
            ),
        )
        runtime = await nursery.start(partial(run, tree, subscribers=[desk.events.append]))
        await desk.books(5)
        desk.events.clear()
        yield desk
        runtime.stop()


async def test_the_book_follows_the_venue_and_every_ticker_that_it_meets_agrees() -> None:
    async with trading_desk() as desk:
        await desk.books(30)
        await until(lambda: desk.reported)
        assert desk.feed.tickers_compared == desk.feed.tickers_equal > 0
        assert (desk.feed.gaps, desk.feed.crossed, desk.feed.lost) == (0, 0, None)
        assert not desk.lost
        ids = [word.update_id for word in desk.heard if isinstance(word, Book)]
        assert ids == sorted(ids)


FAULTS: list[tuple[AnyFault, Callable[[Desk], bool]]] = [
    (SequenceGap(symbol="BTCUSDT"), lambda desk: desk.feed.gaps == 1 and desk.feed.resyncs == 1),
    (Poison(symbol="BTCUSDT", stream="depthUpdate", raw="<html>"), lambda desk: desk.stream.frames_bad == 1),
    (Disconnect(scope="streams"), lambda desk: "stream down" in desk.lost[0] and desk.feed.resyncs == 1),
]


@pytest.mark.parametrize(("fault", "shows"), FAULTS, ids=[type(fault).__name__ for fault, _ in FAULTS])
async def test_after_a_fault_of_the_stream_the_book_is_whole_again(
    fault: AnyFault, shows: Callable[[Desk], bool]
) -> None:
    async with trading_desk() as desk:
        desk.fault(fault)
        await desk.books(10)
        await until(lambda: desk.reported and shows(desk))
        await desk.recovered()
        assert desk.feed.lost is None and desk.feed.tickers_compared == desk.feed.tickers_equal


async def test_a_venue_without_ticks_loses_the_book_in_time_and_brings_it_back() -> None:
    async with trading_desk() as desk:
        desk.fault(NoTicks(for_s=2.5))
        await until(lambda: desk.lost)
        assert "silent for" in desk.lost[0]
        await desk.recovered()
        await desk.books(5)
        assert len(desk.lost) == 1


async def test_the_venues_shutdown_of_its_sockets_leaves_no_hole() -> None:
    async with trading_desk() as desk:
        desk.fault(Shutdown(after_s=1.5))
        await until(lambda: any(isinstance(event, StreamReport) and event.handovers for event in desk.events))
        await desk.books(20)
        assert not [event for event in desk.events if isinstance(event, BookLost | StreamDown)]
        assert desk.feed.gaps == 0
