"""The server in front of a moving market: streams agree with snapshots, slow streams with fast ones."""

from __future__ import annotations

from collections import defaultdict

import httpx
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from actors.venues.simulated.config import GeneratedConfig, VenueConfig
from actors.venues.simulated.server_config import ServerConfig
from tests.actors.venues.simulated.venue_fixture import LocalVenue, as_json, running_venue, server_config


def _config(**generated: object) -> ServerConfig:
    # A busy market, so that two seconds of it are worth looking at.
    busy = GeneratedConfig(regime="violent", levels=50, warmup_minutes=5, **generated)  # type: ignore[arg-type]
    return server_config(venue={"generated": busy, "symbols": VenueConfig().symbols[:1]})


class Book:
    """A local book kept by the rules of web-socket-streams.md on managing a local order book."""

    def __init__(self) -> None:
        self.update_id = 0
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        self.gaps = 0
        # What the book was at each update id at which an event ended.
        self.was: dict[int, tuple[object, object]] = {}

    def load(self, snapshot: dict[str, object]) -> None:
        self.update_id = int(snapshot["lastUpdateId"])  # type: ignore[call-overload]
        self.sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}  # type: ignore[call-overload]

    def apply(self, event: dict[str, object]) -> None:
        first, last = int(event["U"]), int(event["u"])  # type: ignore[call-overload]
        if last <= self.update_id:
            return
        self.gaps += first > self.update_id + 1
        for side in ("b", "a"):
            for price, size in event[side]:  # type: ignore[attr-defined]
                if float(size) == 0:
                    self.sides[side].pop(price, None)
                else:
                    self.sides[side][price] = size
        self.update_id = last
        self.was[last] = (dict(self.sides["b"]), dict(self.sides["a"]))


async def _collect(socket: WebSocketConnection, seconds: float) -> dict[str, list[dict[str, object]]]:
    events: dict[str, list[dict[str, object]]] = defaultdict(list)
    with trio.move_on_after(seconds):
        while True:
            message = as_json(await socket.get_message())
            events[str(message["stream"])].append(message["data"])  # type: ignore[arg-type]
    return events


async def _depth(venue: LocalVenue) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=venue.url) as client:
        return as_json((await client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000")).content)


async def test_a_book_kept_by_the_rules_equals_every_later_snapshot() -> None:
    stream = "btcusdt@depth@100ms"
    snapshots: list[dict[str, object]] = []
    book = Book()
    async with (
        running_venue(_config(), generated=True) as venue,
        open_websocket_url(f"{venue.ws_url}/stream?streams={stream}") as socket,
    ):

        async def look() -> None:
            for _ in range(12):
                await trio.sleep(0.1)
                snapshots.append(await _depth(venue))

        first: dict[str, object] = as_json(await socket.get_message())["data"]  # type: ignore[assignment]
        book.load(await _depth(venue))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            events = (await _collect(socket, 1.5))[stream]
    for event in [first, *events]:
        book.apply(event)
    assert book.gaps == 0
    # A snapshot taken within an event's span has no counterpart; the others must be equal to the last level.
    equal = [s for s in snapshots if int(s["lastUpdateId"]) in book.was]  # type: ignore[call-overload]
    assert equal
    for snapshot in equal:
        was = book.was[int(snapshot["lastUpdateId"])]  # type: ignore[call-overload]
        assert was == (dict(snapshot["bids"]), dict(snapshot["asks"]))  # type: ignore[call-overload]


async def test_the_stream_of_1000_ms_is_the_one_of_100_ms_in_fewer_messages() -> None:
    names = ["btcusdt@depth@100ms", "btcusdt@depth"]
    async with (
        running_venue(_config(), generated=True) as venue,
        open_websocket_url(f"{venue.ws_url}/stream?streams={'/'.join(names)}") as socket,
    ):
        await socket.get_message()
        snapshot = await _depth(venue)
        events = await _collect(socket, 3.2)
    fast, slow = Book(), Book()
    for book, name in ((fast, names[0]), (slow, names[1])):
        book.load(snapshot)
        for event in events[name]:
            book.apply(event)
        assert book.gaps == 0
    assert 2 <= len(slow.was) <= 4
    assert len(fast.was) > 5 * len(slow.was)
    assert all(fast.was[update_id] == was for update_id, was in slow.was.items())


async def test_trades_have_consecutive_ids_and_are_those_of_the_rest_answer() -> None:
    async with running_venue(_config(trades_per_s=40.0), generated=True) as venue:
        async with open_websocket_url(f"{venue.ws_url}/stream?streams=btcusdt@trade") as socket:
            trades = (await _collect(socket, 1.0))["btcusdt@trade"]
        async with httpx.AsyncClient(base_url=venue.url) as client:
            answer = (await client.get("/api/v3/trades?symbol=BTCUSDT&limit=1000")).json()
    ids = [trade["t"] for trade in trades]
    assert len(ids) > 5
    assert ids == list(range(ids[0], ids[0] + len(ids)))  # type: ignore[arg-type,operator]
    told = {row["id"]: (row["price"], row["qty"]) for row in answer}
    assert all(told[trade["t"]] == (trade["p"], trade["q"]) for trade in trades)


async def test_partial_books_candles_and_tickers_come_each_second_or_two() -> None:
    names = [
        "depth5",
        "depth10@100ms",
        "kline_1m",
        "ticker",
        "miniTicker",
        "avgPrice",
        "bookTicker",
        "aggTrade",
    ]
    streams = "/".join(f"btcusdt@{name}" for name in names)
    async with (
        running_venue(_config(), generated=True) as venue,
        open_websocket_url(f"{venue.ws_url}/stream?streams={streams}") as socket,
    ):
        seen = await _collect(socket, 2.3)
    assert set(seen) == {f"btcusdt@{name}" for name in names}
    partial = seen["btcusdt@depth5"][-1]
    assert set(partial) == {"lastUpdateId", "bids", "asks"}
    assert len(partial["bids"]) == len(partial["asks"]) == 5  # type: ignore[arg-type]
    assert len(seen["btcusdt@depth10@100ms"]) > len(seen["btcusdt@depth5"])
    candle = seen["btcusdt@kline_1m"][-1]["k"]
    assert isinstance(candle, dict)
    assert float(candle["l"]) <= float(candle["o"]) <= float(candle["h"])
    assert (candle["i"], candle["x"]) == ("1m", False)
    assert seen["btcusdt@ticker"][-1]["c"] == seen["btcusdt@miniTicker"][-1]["c"]
    assert seen["btcusdt@avgPrice"][-1]["i"] == "5m"
