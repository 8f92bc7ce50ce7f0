"""A random market from one seed: books, trades and a past that look like a busy spot exchange in four moods.

The intuition: every asset has a hidden value that diffuses, pairs quote around the ratio of two such
values. Each pair also has a hidden pressure that comes and goes within seconds; it makes one side of the
book heavier, more trades hit the other side, and pulls the value its way. So a book imbalance means
something here, as it does in life, and is seen several times a minute. Trades happen at the touch, and the
background never crosses itself.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from actors.venues.simulated.config import GeneratedConfig, SymbolConfig
from actors.venues.simulated.generated_book import PairBook, Shape
from actors.venues.simulated.market import Candle, Levels, MarketEvent, Print

_SECOND_US = 1_000_000
_TICK_US = 100_000
_MINUTE_US = 60 * _SECOND_US

# Seconds in which pressure forgets half of itself, and how strongly it moves the value (1/s at pressure 1).
_PRESSURE_S = 4.0
_PRESSURE_DEVIATION = 0.6
_PRESSURE_DRIFT = 0.00003
_COMMON = 0.8
# Values are pulled back over hours, so that a simulation of weeks stays among believable prices.
_HOME_S = 6 * 3600.0


class Mood(NamedTuple):
    """A regime: factors on rates, deviation per square root of a second, drift a second, half spread."""

    depth: float
    trades: float
    deviation: float
    drift: float
    half_spread: float


MOODS: dict[str, Mood] = {
    "quiet": Mood(0.6, 0.4, 0.00002, 0.0, 0.0),
    "normal": Mood(1.0, 1.0, 0.00005, 0.0, 0.0),
    "trending": Mood(1.0, 1.5, 0.00005, 0.00002, 0.000002),
    "violent": Mood(2.0, 4.0, 0.0003, 0.0, 0.00005),
}

_SWITCHING = {"quiet": 0.3, "normal": 0.4, "trending": 0.2, "violent": 0.1}


class GeneratedMarket:
    """A `Market`; the same symbols, configuration and seed of `rng` give the same events."""

    def __init__(self, symbols: Sequence[SymbolConfig], config: GeneratedConfig, rng: random.Random) -> None:
        self._config = config
        self._rng = rng
        self._queue: list[tuple[int, int, int]] = []
        self._ready: deque[MarketEvent] = deque()
        self._values = _values(symbols)
        self._homes = dict(self._values)
        self._mood = MOODS["normal" if config.regime == "switching" else config.regime]
        self._drift_sign = 1.0
        self._mood_until_us = 0
        shape = Shape(rng)
        self._pairs = [
            PairBook(symbol, float(symbol.start_price), self._unit(symbol), config.levels, shape)
            for symbol in symbols
        ]
        self._pressure = [0.0] * len(symbols)
        # A pair's own start price keeps its distance from the ratio of its assets' values.
        self._offsets = [math.log(float(symbol.start_price)) - self._log_fair(symbol) for symbol in symbols]
        self._history: dict[str, list[Candle]] = {}

    def begin(self, start_us: int) -> list[MarketEvent]:
        """The books at the start; also fixes the past, which ends at the price of now."""
        for number, pair in enumerate(self._pairs):
            self._history[pair.symbol] = self._past(number, start_us)
            self._schedule(start_us, number, is_trade=False)
            self._schedule(start_us, number, is_trade=True)
        heapq.heappush(self._queue, (start_us - start_us % _TICK_US + _TICK_US, -1, 0))
        self._fill()
        return [Levels(start_us, pair.symbol, *pair.everything(), reset=True) for pair in self._pairs]

    def history(self, symbol: str) -> list[Candle]:
        return self._history[symbol]

    def next_us(self) -> int | None:
        return self._ready[0].at_us if self._ready else None

    def pop(self) -> MarketEvent:
        event = self._ready.popleft()
        if not self._ready:
            self._fill()
        return event

    def _fill(self) -> None:
        """Go on until something public happens."""
        while not self._ready:
            at_us, number, is_trade = heapq.heappop(self._queue)
            if number < 0:
                self._turn(at_us)
                heapq.heappush(self._queue, (at_us + _TICK_US, -1, 0))
            elif is_trade:
                self._trade(at_us, number)
                self._schedule(at_us, number, is_trade=True)
            else:
                self._change_book(at_us, number)
                self._schedule(at_us, number, is_trade=False)

    def _schedule(self, at_us: int, number: int, *, is_trade: bool) -> None:
        config, mood = self._config, self._mood
        rate = config.trades_per_s * mood.trades if is_trade else config.depth_per_s * mood.depth
        wait_us = 1 + int(self._rng.expovariate(rate) * _SECOND_US)
        heapq.heappush(self._queue, (at_us + wait_us, number, int(is_trade)))

    def _turn(self, at_us: int) -> None:
        """A tenth of a second of hidden life: mood, values, pressures."""
        rng = self._rng
        dt = _TICK_US / _SECOND_US
        if self._config.regime == "switching" and at_us >= self._mood_until_us:
            self._mood = MOODS[rng.choices(list(_SWITCHING), list(_SWITCHING.values()))[0]]
            self._drift_sign = rng.choice((-1.0, 1.0))
            self._mood_until_us = at_us + int(rng.expovariate(1 / self._config.regime_s) * _SECOND_US)
        mood = self._mood
        step = mood.deviation * math.sqrt(dt)
        common = rng.gauss(0.0, 1.0) * _COMMON
        own = math.sqrt(1 - _COMMON**2)
        for asset, home in self._homes.items():
            value = self._values[asset]
            noise = step * (common + own * rng.gauss(0.0, 1.0))
            pull = (home - value) * dt / _HOME_S
            self._values[asset] = value + noise + pull + mood.drift * self._drift_sign * dt
        keep = 1 - dt / _PRESSURE_S
        kick = _PRESSURE_DEVIATION * math.sqrt(2 * dt / _PRESSURE_S)
        for number in range(len(self._pairs)):
            self._pressure[number] = self._pressure[number] * keep + kick * rng.gauss(0.0, 1.0)
            self._offsets[number] += self._pressure[number] * _PRESSURE_DRIFT * dt
            self._offsets[number] -= self._offsets[number] * dt / 600.0

    def _change_book(self, at_us: int, number: int) -> None:
        pair = self._pairs[number]
        fair = math.exp(self._log_fair(pair.config) + self._offsets[number])
        bids, asks = pair.change(fair, self._mood.half_spread, self._pressure[number])
        if bids or asks:
            self._ready.append(Levels(at_us, pair.symbol, bids, asks))

    def _trade(self, at_us: int, number: int) -> None:
        pair = self._pairs[number]
        pressure = self._pressure[number]
        buys = self._rng.random() < 1 / (1 + math.exp(-1.2 * pressure - 0.3 * self._lean()))
        prints, changes = pair.trade(buys)
        symbol = pair.symbol
        self._ready.extend(Print(at_us, symbol, price, size, not buys) for price, size in prints)
        bids, asks = ([], changes) if buys else (changes, [])
        self._ready.append(Levels(at_us, symbol, bids, asks))
        # Who takes also moves the value a little.
        self._offsets[number] += 0.0000005 if buys else -0.0000005

    def _lean(self) -> float:
        return self._drift_sign if self._mood.drift else 0.0

    def _log_fair(self, symbol: SymbolConfig) -> float:
        return self._values.get(symbol.base, 0.0) - self._values.get(symbol.quote, 0.0)

    def _unit(self, symbol: SymbolConfig) -> float:
        """The value of one lot in the common currency of the values."""
        return math.exp(self._values.get(symbol.base, 0.0)) * float(symbol.step_size)

    def _past(self, number: int, start_us: int) -> list[Candle]:
        """Candles of the minutes before the start, walked backwards from the price of now."""
        pair = self._pairs[number]
        rng = self._rng
        minutes = self._config.warmup_minutes
        open_us = start_us - start_us % _MINUTE_US - minutes * _MINUTE_US
        deviation = 0.00005 * math.sqrt(15)
        prices = [pair.middle()]
        for _ in range(minutes * 4):
            prices.append(max(1.0, prices[-1] * math.exp(deviation * rng.gauss(0.0, 1.0))))
        prices.reverse()
        rows = []
        for minute in range(minutes):
            walk = [round(price) for price in prices[minute * 4 : minute * 4 + 5]]
            volume = pair.typical_volume(60 * self._config.trades_per_s)
            bought = int(volume * rng.uniform(0.3, 0.7))
            middle = sum(walk) // len(walk)
            rows.append(
                Candle(
                    open_us + minute * _MINUTE_US,
                    walk[0],
                    max(walk),
                    min(walk),
                    walk[-1],
                    volume,
                    volume * middle,
                    max(1, int(60 * self._config.trades_per_s * rng.uniform(0.5, 1.5))),
                    bought,
                    bought * middle,
                )
            )
        return rows


def _values(symbols: Sequence[SymbolConfig]) -> dict[str, float]:
    """The logarithm of every asset's value, from the pairs' start prices; a mere quote asset is worth one."""
    values: dict[str, float] = {}
    for symbol in symbols:
        quote = values.get(symbol.quote, 0.0)
        values.setdefault(symbol.base, quote + math.log(float(symbol.start_price)))
    return values
