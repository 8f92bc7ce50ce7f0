"""The simulated exchange behind one facade: calls in, answers and stream events out; time comes in as an argument.

Pure: no trio, no clock, no global random, no I/O. Times are integers of microseconds since the epoch. The same
configuration, seed and calls at the same times give the same record, in any process.

Behaviour and field names are Binance spot's: binance-spot-api-docs rest-api.md, web-socket-api.md,
web-socket-streams.md, user-data-stream.md, filters.md, errors.md.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

from actors.venues.simulated.config import VenueConfig
from actors.venues.simulated.disturbances import Disturbances
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.market import Market
from actors.venues.simulated.record import Record

__all__ = ["Exchange", "StreamEvent", "VenueError"]


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """One message for a stream, in the order in which it happened.

    `kind` is depthUpdate, trade, aggTrade, bookTicker (market: `symbol` set, `account` None) or executionReport,
    outboundAccountPosition, listStatus, balanceUpdate (user: `account` set). `payload` is the event as Binance
    sends it, ready for JSON; it is `bytes` when a disturbance wants these very bytes on the stream.
    depthUpdate comes once per `depth_interval_ms` and pair with changes; the slower @1000ms stream is the
    server's to merge (first U, last u, last size of each price).
    """

    kind: str
    symbol: str | None
    account: str | None
    at_us: int
    payload: dict[str, object] | bytes


class Exchange:
    """A whole venue in memory: several accounts, all pairs of the configuration, one market behind them.

    `record` is the venue's own record (see record.py), `disturbances` breaks things on request
    (see disturbances.py). Neither is visible to clients.
    """

    record: Record
    disturbances: Disturbances

    def __init__(self, config: VenueConfig, market: Market, rng: random.Random, start_us: int) -> None:
        raise NotImplementedError

    def call(
        self,
        method: str,
        account: str | None,
        params: Mapping[str, str],
        now_us: int,
        deadline_us: int | None = None,
    ) -> object:
        """Answer one request; the answer is a dict or list ready for JSON, shaped as Binance documents.

        `method` is the name in Binance's websocket API (order.place, openOrders.status, ticker.book, ...); REST
        paths map onto the same names. `account` is the account's name, or None for public data. `params` are
        strings as in a query string (arrays as JSON text, booleans "true"/"false"); timestamp, recvWindow,
        signature and apiKey are ignored here: the server has checked them. `deadline_us` is timestamp + recvWindow:
        past it the request is refused with -1021 before matching.
        Raises VenueError for everything that Binance refuses.
        """
        raise NotImplementedError

    def advance(self, now_us: int) -> None:
        """Play the market up to and including `now_us`: trades, book changes, triggered stops, our fills."""
        raise NotImplementedError

    def next_event_us(self) -> int | None:
        """When `advance` next has something to do; None when nothing is ever going to happen by itself."""
        raise NotImplementedError

    def drain(self) -> list[StreamEvent]:
        """The stream events since the last drain, in order. Must be called regularly: they are kept until then."""
        raise NotImplementedError
