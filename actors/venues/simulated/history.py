"""The public past of one pair: a bounded ring of trades and of one-minute candles, and what is computed from
them."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import NamedTuple

from actors.venues.simulated.market import Candle
from actors.venues.simulated.pair import Pair

MINUTE_US = 60_000_000


class Trade(NamedTuple):
    """A public trade; price in ticks, size in lots. `value` is ticks·lots."""

    trade_id: int
    at_us: int
    price: int
    size: int
    buyer_is_maker: bool


class AggTrade(NamedTuple):
    """Trades of one taker order at one price, as Binance folds them."""

    agg_id: int
    at_us: int
    price: int
    size: int
    first_id: int
    last_id: int
    buyer_is_maker: bool


class History:
    """What queries about the past are answered from."""

    def __init__(
        self, pair: Pair, candles: list[Candle], trades_kept: int, klines_kept: int, id_floor: int
    ) -> None:
        self.pair = pair
        self.trades: deque[Trade] = deque(maxlen=trades_kept)
        self.agg_trades: deque[AggTrade] = deque(maxlen=trades_kept)
        self.candles: deque[Candle] = deque(candles, maxlen=klines_kept)
        self.last_price = candles[-1].close if candles else 0
        self.last_size = 0
        self.next_trade_id = id_floor + 1
        self.next_agg_id = id_floor + 1

    def add(self, at_us: int, price: int, size: int, buyer_is_maker: bool) -> Trade:
        """Note a trade and give it its id."""
        trade = Trade(self.next_trade_id, at_us, price, size, buyer_is_maker)
        self.next_trade_id += 1
        self.trades.append(trade)
        self.last_price = price
        self.last_size = size
        self.roll(at_us)
        candle = self.candles[-1]
        value = price * size
        if not candle.trades:
            candle.open = candle.high = candle.low = price
        candle.high = max(candle.high, price)
        candle.low = min(candle.low, price)
        candle.close = price
        candle.volume += size
        candle.quote_volume += value
        candle.trades += 1
        if not buyer_is_maker:
            candle.taker_buy_volume += size
            candle.taker_buy_quote_volume += value
        return trade

    def add_agg(self, trades: list[Trade]) -> AggTrade:
        """Fold consecutive trades of one taker at one price."""
        first, last = trades[0], trades[-1]
        agg = AggTrade(
            self.next_agg_id,
            last.at_us,
            first.price,
            sum(trade.size for trade in trades),
            first.trade_id,
            last.trade_id,
            first.buyer_is_maker,
        )
        self.next_agg_id += 1
        self.agg_trades.append(agg)
        return agg

    def roll(self, now_us: int) -> None:
        """Open the candle of this minute; minutes without a trade get a flat one, as at Binance."""
        minute = now_us - now_us % MINUTE_US
        candles = self.candles
        if not candles:
            candles.append(_flat(minute, self.last_price))
            return
        at = candles[-1].open_us
        if at >= minute:
            return
        # More minutes than are kept need not be written one by one.
        at = max(at, minute - (candles.maxlen or 1) * MINUTE_US)
        while at < minute:
            at += MINUTE_US
            candles.append(_flat(at, self.last_price))

    def average_price(self, now_us: int, minutes: int) -> Decimal:
        """The volume-weighted price of the last minutes; the last price when nothing traded or minutes is
        0."""
        volume = value = 0
        oldest = now_us - minutes * MINUTE_US
        for candle in reversed(self.candles):
            if candle.open_us + MINUTE_US <= oldest:
                break
            volume += candle.volume
            value += candle.quote_volume
        if not volume or not minutes:
            return self.pair.price(self.last_price)
        return self.pair.tick * value / volume


def _flat(open_us: int, price: int) -> Candle:
    return Candle(open_us, price, price, price, price, 0, 0, 0, 0, 0)
