"""The order book of one pair: everybody else's sizes by price, and our orders in their queues.

One half is bids, the other asks. Prices are keyed so that the best is the last of a sorted list.

Our place in the queue: an order that joins a level stands behind the background size displayed there then
(`Order.ahead`). Trades at the price eat the queue from the front. When the background shrinks without a
trade, those who left are taken to be spread evenly over it, so `ahead` shrinks in the same proportion; when
it grows, the newcomers stand behind us. This is the probability queue model with f(x) = x of hftbacktest
(ProbQueueModel), after E. Rigtorp, "Estimating Order Queue Position" (2013).
"""

from __future__ import annotations

from bisect import bisect_left, insort

from actors.venues.simulated.order import Order


class HalfBook:
    """One side. `sign` is +1 for bids and -1 for asks; a price's key is sign·price, so the best has the
    greatest."""

    __slots__ = ("background", "changed", "keys", "queues", "sign", "touched")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.background: dict[int, int] = {}
        self.queues: dict[int, list[Order]] = {}
        self.keys: list[int] = []
        # Prices whose displayed size changed since the last depthUpdate, in order of change.
        self.changed: dict[int, None] = {}
        # Whether this step of the market or of a request has changed anything.
        self.touched = False

    def best(self) -> int | None:
        """The best price, or None on an empty side."""
        return self.keys[-1] * self.sign if self.keys else None

    def displayed(self, price: int) -> int:
        """The size that the public book shows at a price: the background's and our visible parts."""
        size = self.background.get(price, 0)
        queue = self.queues.get(price)
        if queue:
            size += sum(order.visible for order in queue)
        return size

    def top(self, levels: int) -> list[tuple[int, int]]:
        """The best `levels` (price, displayed size), best first."""
        sign = self.sign
        background = self.background
        if not self.queues:
            return [(key * sign, background[key * sign]) for key in self.keys[: -levels - 1 : -1]]
        return [(key * sign, self.displayed(key * sign)) for key in self.keys[: -levels - 1 : -1]]

    def set_background(self, price: int, size: int) -> bool:
        """Set the background's size at a price; True when the displayed size changed."""
        before = self.background.get(price, 0)
        if before == size:
            return False
        queue = self.queues.get(price)
        if size:
            self.background[price] = size
            if not before and not queue:
                insort(self.keys, price * self.sign)
        else:
            del self.background[price]
            if not queue:
                self._forget(price)
        if queue and size < before:
            for order in queue:
                order.ahead = order.ahead * size // before
        self.changed[price] = None
        self.touched = True
        return True

    def take_background(self, price: int, size: int) -> None:
        """Background size traded away from the front of the queue."""
        left = self.background.get(price, 0) - size
        queue = self.queues.get(price)
        if left > 0:
            self.background[price] = left
        elif price in self.background:
            del self.background[price]
            if not queue:
                self._forget(price)
        if queue:
            for order in queue:
                order.ahead = max(0, order.ahead - size)
        self.changed[price] = None
        self.touched = True

    def add(self, order: Order) -> None:
        """Our order joins the end of its level."""
        price = order.price
        queue = self.queues.get(price)
        if queue is None:
            queue = self.queues[price] = []
            if price not in self.background:
                insort(self.keys, price * self.sign)
        order.ahead = self.background.get(price, 0)
        queue.append(order)
        self.changed[price] = None
        self.touched = True

    def remove(self, order: Order) -> None:
        """Our order leaves the book."""
        queue = self.queues[order.price]
        queue.remove(order)
        self.changed[order.price] = None
        self.touched = True
        if not queue:
            del self.queues[order.price]
            if order.price not in self.background:
                self._forget(order.price)

    def requeue(self, order: Order) -> None:
        """An iceberg shows its next slice: it goes to the end of its level."""
        queue = self.queues[order.price]
        queue.remove(order)
        order.show()
        order.ahead = self.background.get(order.price, 0)
        queue.append(order)
        self.changed[order.price] = None
        self.touched = True

    def touch(self, price: int) -> None:
        """The displayed size at a price changed by other means."""
        self.changed[price] = None
        self.touched = True

    def replace_background(self, levels: list[tuple[int, int]]) -> None:
        """The background is exactly these levels (a snapshot); what stayed equal keeps our place in its
        queue."""
        fresh = dict(levels)
        for price in [price for price in self.background if price not in fresh]:
            self.set_background(price, 0)
        for price, size in levels:
            self.set_background(price, size)

    def _forget(self, price: int) -> None:
        key = price * self.sign
        del self.keys[bisect_left(self.keys, key)]


class Book:
    """Both halves and the update id, which grows by one with every change of a level."""

    __slots__ = ("asks", "bids", "last_top", "sent_id", "update_id")

    def __init__(self, first_update_id: int) -> None:
        self.bids = HalfBook(1)
        self.asks = HalfBook(-1)
        self.update_id = first_update_id
        # The last update id that a depthUpdate covered.
        self.sent_id = first_update_id
        self.last_top: tuple[int, int, int, int] | None = None

    def open(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        """Begin with this background; it counts as already told."""
        for half, levels in ((self.bids, bids), (self.asks, asks)):
            half.replace_background(levels)
            half.changed.clear()
            half.touched = False

    def half(self, is_buy: bool) -> HalfBook:
        return self.bids if is_buy else self.asks

    def top(self) -> tuple[int, int, int, int]:
        """Best bid, its size, best ask, its size; zeros where a side is empty."""
        bid = self.bids.best()
        ask = self.asks.best()
        return (
            bid or 0,
            0 if bid is None else self.bids.displayed(bid),
            ask or 0,
            0 if ask is None else self.asks.displayed(ask),
        )

    def step(self) -> bool:
        """End one step: a new update id if any level changed in it; True then."""
        if not (self.bids.touched or self.asks.touched):
            return False
        self.bids.touched = self.asks.touched = False
        self.update_id += 1
        return True
