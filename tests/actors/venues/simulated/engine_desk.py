"""A small exchange on a scripted market, and short words for what the tests ask of it."""

from __future__ import annotations

import random
from collections import deque
from decimal import Decimal

import msgspec

from actors.venues.simulated.config import AccountConfig, GeneratedConfig, VenueConfig, default_symbols
from actors.venues.simulated.exchange import Exchange, StreamEvent, VenueError
from actors.venues.simulated.generated import GeneratedMarket
from actors.venues.simulated.market import Candle, Levels, MarketEvent, Print

START_US = 1_700_000_000_000_000
# Order, trade and list ids of a venue begin above its start in milliseconds.
FLOOR = START_US // 1000
BTC, ETH, BNB, ETHBTC = default_symbols()

# A quiet book around 100.00: one BTC a level, a tick apart. Ticks are cents, lots 0.00001 BTC.
ONE = 100_000
BIDS = [(10_000 - n, ONE) for n in range(20)]
ASKS = [(10_001 + n, ONE) for n in range(20)]


class ScriptedMarket:
    """Everybody else, exactly as a test wants them."""

    def __init__(self, books: list[Levels]) -> None:
        self._books = books
        self.events: deque[MarketEvent] = deque()

    def begin(self, start_us: int) -> list[MarketEvent]:
        return list(self._books)

    def history(self, symbol: str) -> list[Candle]:
        return []

    def next_us(self) -> int | None:
        return self.events[0].at_us if self.events else None

    def pop(self) -> MarketEvent:
        return self.events.popleft()


class Desk:
    """An exchange with a clock that each act moves by a millisecond."""

    def __init__(
        self,
        *accounts: AccountConfig,
        bids: list[tuple[int, int]] | None = None,
        asks: list[tuple[int, int]] | None = None,
        config: VenueConfig | None = None,
        books: list[Levels] | None = None,
        start_us: int = START_US,
        **rules: object,
    ) -> None:
        # The account of a test is rich unless the test makes it poor.
        accounts = accounts or (rich("me"), rich("you"))
        pair = msgspec.structs.replace(BTC, **{"max_num_algo_orders": 5, "default_stp": "NONE", **rules})
        self.pair = pair
        book = Levels(START_US, "BTCUSDT", bids or list(BIDS), asks or list(ASKS), reset=True)
        self.market = ScriptedMarket(books or [book])
        self.config = config or VenueConfig(symbols=(pair,), accounts=accounts)
        self.exchange = Exchange(self.config, self.market, random.Random(1), start_us)
        self.now_us = start_us

    def call(self, method: str, account: str | None = "me", **params: object) -> object:
        self.now_us += 1000
        return self.exchange.call(
            method, account, {name: str(value) for name, value in params.items()}, self.now_us
        )

    def refused(self, method: str, account: str | None = "me", **params: object) -> VenueError:
        """The refusal of a request that must be refused."""
        try:
            answer = self.call(method, account, **params)
        except VenueError as refusal:
            return refusal
        raise AssertionError(f"{method} {params} was accepted: {answer}")

    def place(self, kind: str, side: str, account: str = "me", **params: object) -> dict:
        params.setdefault("newOrderRespType", "FULL")
        if kind in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
            params.setdefault("timeInForce", "GTC")
        return self.call("order.place", account, symbol="BTCUSDT", side=side, type=kind, **params)

    def limit(self, side: str, quantity: str, price: str, account: str = "me", **params: object) -> dict:
        return self.place("LIMIT", side, account, quantity=quantity, price=price, **params)

    def status(self, order: dict, account: str = "me") -> dict:
        return self.call("order.status", account, symbol="BTCUSDT", orderId=order["orderId"])

    def levels(self, bids: list[tuple[int, int]] = (), asks: list[tuple[int, int]] = ()) -> None:
        """The background changes these levels, now."""
        self.now_us += 1000
        self.market.events.append(Levels(self.now_us, "BTCUSDT", list(bids), list(asks)))
        self.exchange.advance(self.now_us)

    def printed(self, price: int, lots: int, *, buyer_is_maker: bool) -> None:
        """Others trade, now."""
        self.now_us += 1000
        self.market.events.append(Print(self.now_us, "BTCUSDT", price, lots, buyer_is_maker))
        self.exchange.advance(self.now_us)

    def wait(self, seconds: float) -> None:
        self.now_us += int(seconds * 1e6)
        self.exchange.advance(self.now_us)

    def events(self, *kinds: str) -> list[StreamEvent]:
        """What left since the last look, of these kinds (all by default)."""
        return [event for event in self.exchange.drain() if not kinds or event.kind in kinds]

    def reports(self, account: str = "me") -> list[dict]:
        """The executionReports of an account since the last look at events."""
        return [event.payload for event in self.events("executionReport") if event.account == account]

    def balance(self, coin: str, account: str = "me") -> tuple[Decimal, Decimal]:
        """Free and locked."""
        found = self.exchange.record.balances()[account].get(coin, {"free": "0", "locked": "0"})
        return Decimal(found["free"]), Decimal(found["locked"])

    def depth(self) -> dict:
        return self.call("depth", None, symbol="BTCUSDT", limit=100)

    def shown(self, side: str, price: str) -> str:
        """The size that the public book shows at a price, "0" where it shows none."""
        return dict(self.depth()[side]).get(price, "0")


def rich(name: str, **more: object) -> AccountConfig:
    """An account with plenty of everything and the usual ten basis points."""
    coins = {"USDT": Decimal(1_000_000), "BTC": Decimal(1000), "BNB": Decimal(1000), "ETH": Decimal(1000)}
    return AccountConfig(name=name, **{"balances": coins, **more})


def busy(seed: int = 1, regime: str = "normal", levels: int = 60, **more: object) -> Exchange:
    """An exchange on the generated market, with two rich accounts."""
    config = VenueConfig(
        accounts=(rich("me"), rich("you", bnb_fees=True)),
        generated=GeneratedConfig(regime=regime, levels=levels, warmup_minutes=30),
        **more,
    )
    market = GeneratedMarket(config.symbols, config.generated, random.Random(seed))
    return Exchange(config, market, random.Random(seed + 1), START_US)
