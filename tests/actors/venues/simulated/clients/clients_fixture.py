"""What the tests with third-party clients share: a venue whose clock can be moved, and what Binance documents.

Everything here that a client is expected to see is taken from binance-spot-api-docs (rest-api.md, filters.md,
errors.md, enums.md, faqs/), never from the venue's code. Prices are those of the still market: BTCUSDT stands
at 59999.99 / 60000.01, 25 levels a side, one tick apart, 1 BTC each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.config import RateLimitConfig, default_symbols
from actors.venues.simulated.limits import BanConfig
from actors.venues.simulated.server_config import ServerConfig
from tests.actors.venues.simulated.venue_fixture import LocalVenue, server_config

BEST_BID, BEST_ASK = Decimal("59999.99"), Decimal("60000.01")
# Binance's spot commission without a VIP level: 0.1 % of what is received.
FEE = Decimal("0.001")

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
RESTING = {**LIMIT, "quantity": "0.001", "price": "59000.00"}
OCO = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "0.01",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "61000.00",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "59000.00",
    "belowPrice": "58900.00",
    "belowTimeInForce": "GTC",
}


class Refusal(NamedTuple):
    """A request that Binance refuses, and its words for it (or how they begin)."""

    changes: Mapping[str, str | None]
    code: int
    message: str

    def params(self) -> dict[str, str]:
        """The resting order with the changes; None takes a parameter away."""
        merged = {**RESTING, **self.changes}
        return {name: value for name, value in merged.items() if value is not None}


_MARKET = {"type": "MARKET", "timeInForce": None, "price": None}
_MAKER = {"type": "LIMIT_MAKER", "timeInForce": None}
_STOP = {"type": "STOP_LOSS_LIMIT", "side": "SELL"}
_POOR = "Account has insufficient balance for requested action."


def _mandatory(name: str) -> str:
    return f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


# Orders that the filters refuse (filters.md; the words are those of errors.md, "Filter failures").
FILTERED: dict[str, Refusal] = {
    "tick": Refusal({"price": "59000.005"}, -1013, "Filter failure: PRICE_FILTER"),
    "price too high": Refusal({"price": "1000000.01"}, -1013, "Filter failure: PRICE_FILTER"),
    "step": Refusal({"quantity": "0.001001"}, -1013, "Filter failure: LOT_SIZE"),
    "quantity too low": Refusal({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
    "quantity too high": Refusal({"quantity": "9000.00001"}, -1013, "Filter failure: LOT_SIZE"),
    "market quantity": Refusal({**_MARKET, "quantity": "450.1"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
    "price far below": Refusal({"price": "11999.99"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "price far above": Refusal(
        {"side": "SELL", "price": "300000.01"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"
    ),
    "notional too low": Refusal({"quantity": "0.00008"}, -1013, "Filter failure: NOTIONAL"),
    "notional too high": Refusal({"quantity": "200"}, -1013, "Filter failure: NOTIONAL"),
    "iceberg parts": Refusal(
        {"quantity": "0.1", "icebergQty": "0.0009"}, -1013, "Filter failure: ICEBERG_PARTS"
    ),
}

# Malformed requests (errors.md, "11xx - Request issues").
MALFORMED: dict[str, Refusal] = {
    "illegal characters": Refusal(
        {"newClientOrderId": "no.dots"},
        -1100,
        "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
    ),
    "no number": Refusal(
        {"quantity": "much"},
        -1100,
        "Illegal characters found in parameter 'quantity'; legal range is "
        r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
    ),
    "no price": Refusal({"price": None}, -1102, _mandatory("price")),
    "no time in force": Refusal({"timeInForce": None}, -1102, _mandatory("timeInForce")),
    "neither quantity": Refusal(
        {**_MARKET, "quantity": None},
        -1102,
        "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
    ),
    "unread": Refusal({"colour": "blue"}, -1104, "Not all sent parameters were read; read '"),
    "not required": Refusal({**_MARKET, "price": "1"}, -1106, "Parameter 'price' sent when not required."),
    "precision": Refusal({"quantity": "0.001000001"}, -1111, "Parameter 'quantity' has too much precision."),
    "time in force": Refusal({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    "type": Refusal({"type": "STOP"}, -1116, "Invalid orderType."),
    "side": Refusal({"side": "HOLD"}, -1117, "Invalid side."),
    "symbol": Refusal({"symbol": "NOSUCH"}, -1121, "Invalid symbol."),
    "strategy type": Refusal({"strategyType": "1"}, -1134, "`strategyType` was less than 1000000."),
}

# What the matching engine refuses (errors.md, "Messages for -1010, -2010 and -2011").
REJECTED: dict[str, Refusal] = {
    "poor": Refusal({"quantity": "20", "price": "60000.00"}, -2010, _POOR),
    "poor seller": Refusal({"side": "SELL", "quantity": "11", "price": "61000.00"}, -2010, _POOR),
    "post-only": Refusal({**_MAKER, "price": "60000.01"}, -2010, "Order would immediately match and take."),
    "stop": Refusal(
        {**_STOP, "stopPrice": "60001.00", "price": "60000.00"},
        -2010,
        "Stop price would trigger immediately.",
    ),
}

ORDERS_REFUSED: dict[str, Refusal] = FILTERED | MALFORMED | REJECTED

# Filters on what the account already has: (changes of the pair's config, order placed first, order refused).
COUNTED: dict[str, tuple[dict[str, object], dict[str, str | None], dict[str, str | None]]] = {
    "MAX_NUM_ORDERS": ({"max_num_orders": 1}, {}, {}),
    "MAX_NUM_ALGO_ORDERS": (
        {"max_num_algo_orders": 1},
        {**_STOP, "stopPrice": "59000.00"},
        {**_STOP, "stopPrice": "58000.00"},
    ),
    "MAX_NUM_ICEBERG_ORDERS": (
        {"max_num_iceberg_orders": 1},
        {"icebergQty": "0.0005"},
        {"icebergQty": "0.0005"},
    ),
    "MAX_POSITION": ({"max_position": Decimal("10.0015")}, {}, {}),
}


def changed(changes: Mapping[str, str | None]) -> dict[str, str]:
    return Refusal(changes, 0, "").params()


def config_with(**of_pair: object) -> ServerConfig:
    """The venue with these settings for BTCUSDT."""
    first, *others = default_symbols()
    return server_config(venue={"symbols": (msgspec.structs.replace(first, **of_pair), *others)})


# --- Limits -------------------------------------------------------------------------------------------


class MovableClock(VenueClock):
    """The venue's clock, which a test can move forward instead of sleeping through a Retry-After."""

    def __init__(self) -> None:
        self._moved_ns = 0
        super().__init__(lambda: time.monotonic_ns() + self._moved_ns)

    def move(self, seconds: float) -> None:
        self._moved_ns += int(seconds * 1e9)


def tight_config(weight: int = 60) -> ServerConfig:
    """Little weight a minute, and a ban of Binance's shortest length after the second ignored 429."""
    rates = RateLimitConfig(request_weight_1m=weight)
    return server_config(venue={"rate_limits": rates}, ban=BanConfig(after_429s=2, first_s=120))


# --- Waiting ------------------------------------------------------------------------------------------


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Let asyncio go on until something is so; fails after 5 s."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within 5 s: {what}")


def answered(venue: LocalVenue, method: str) -> int:
    """How many requests of that method the venue has had."""
    return venue.server.logbook.by_method[method]
