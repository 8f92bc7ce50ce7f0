"""One pair on the trading floor: its book, its past, and the orders that wait for a trigger."""

from __future__ import annotations

from actors.venues.simulated.book import Book
from actors.venues.simulated.history import History
from actors.venues.simulated.order import Order
from actors.venues.simulated.pair import Pair


class Listing:
    """A pair and everything that belongs to it."""

    __slots__ = ("book", "history", "pair", "stops", "traded_high", "traded_low")

    def __init__(self, pair: Pair, book: Book, history: History) -> None:
        self.pair = pair
        self.book = book
        self.history = history
        # Orders that wait for their trigger, in order of arrival.
        self.stops: list[Order] = []
        # The range of prices traded since triggers were last looked at; None = no trade.
        self.traded_low: int | None = None
        self.traded_high = 0

    def note_price(self, price: int) -> None:
        """A trade happened here; triggers are looked at when the step ends."""
        if self.traded_low is None:
            self.traded_low = self.traded_high = price
        elif price < self.traded_low:
            self.traded_low = price
        elif price > self.traded_high:
            self.traded_high = price

    def reached(self) -> list[Order]:
        """The stops that the trades since the last look have reached, and forget those trades."""
        low, high = self.traded_low, self.traded_high
        self.traded_low = None
        if low is None or not self.stops:
            return []
        return [
            order
            for order in self.stops
            if (high >= order.stop_price if order.stop_above else low <= order.stop_price)
        ]
