"""Price-time matching: who trades with whom, at what price, in what order. Knows books, not money.

Three ways in which a trade of ours comes about:
- our order takes (`take`): it eats the other side level by level, background and other accounts in queue
order; - others trade (`print_trade`): a trade through our price fills us wholly, one at our price first eats
what is ahead; - the background's new levels cross our resting order (`cross`): we are the maker, the
crossing size is eaten. What was eaten stays eaten until the background itself changes that level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from actors.venues.simulated.book import Book, HalfBook
from actors.venues.simulated.order import Order


class Fill(NamedTuple):
    """A trade at the maker's price, in ticks and lots; `maker` is None where the background made it."""

    maker: Order | None
    price: int
    lots: int


class Verdict(Enum):
    """What self-trade prevention says about a maker of our own that stands next."""

    TRADE = 0
    # The maker has been taken off the book: look who is next.
    AGAIN = 1
    # The taker may not go on.
    STOP = 2


def take(
    half: HalfBook,
    limit: int | None,
    lots: int,
    guard: Callable[[Order], Verdict],
    afford: Callable[[int], int] | None = None,
) -> Iterator[Fill]:
    """A taker eats this half up to `limit` (None = any price). The book is already changed when a fill is
    yielded.

    `guard` is asked before each of our own makers; `afford(price)` caps the lots that the taker can still
    pay at a price, and 0 ends the taking.
    """
    sign = half.sign
    while lots > 0:
        price = half.best()
        if price is None or (limit is not None and price * sign < limit * sign):
            return
        maker, size = _front(half, price)
        if maker is not None:
            verdict = guard(maker)
            if verdict is Verdict.STOP:
                return
            if verdict is Verdict.AGAIN:
                continue
        size = min(lots, size)
        if afford is not None:
            size = min(size, afford(price))
            if size <= 0:
                return
        lots -= size
        if maker is None:
            half.take_background(price, size)
        else:
            _reduce(half, maker, size)
        yield Fill(maker, price, size)


def print_trade(half: HalfBook, price: int, lots: int) -> Iterator[Fill]:
    """Others traded at `price` against this half; yields what of it falls to us.

    Our orders at better prices are filled wholly, whatever the size of the trade (they would have been hit
    first); at the price itself the trade works through the queue.
    """
    queues = half.queues
    if not queues:
        half.take_background(price, lots)
        return
    sign = half.sign
    for ours in sorted((p for p in queues if p * sign > price * sign), key=lambda p: -p * sign):
        for order in list(queues[ours]):
            size = order.remaining
            _reduce(half, order, size)
            yield Fill(order, ours, size)
    while lots > 0:
        maker, size = _front(half, price)
        if not size:
            return
        size = min(lots, size)
        lots -= size
        if maker is None:
            half.take_background(price, size)
        else:
            _reduce(half, maker, size)
            yield Fill(maker, price, size)


def cross(book: Book) -> Iterator[tuple[bool, Fill]]:
    """The background stands at or through our resting orders: they trade, at our price.

    Yields (our order is a buy, fill). A background that is crossed in itself is left as it is.
    """
    while True:
        bid = book.bids.best()
        ask = book.asks.best()
        if bid is None or ask is None or bid < ask:
            return
        if bid in book.bids.queues and ask in book.asks.background:
            mine, theirs, at, against = book.bids, book.asks, bid, ask
        elif ask in book.asks.queues and bid in book.bids.background:
            mine, theirs, at, against = book.asks, book.bids, ask, bid
        else:
            return
        order = mine.queues[at][0]
        size = min(order.visible, theirs.background[against])
        theirs.take_background(against, size)
        _reduce(mine, order, size)
        yield mine.sign > 0, Fill(order, at, size)


def available(half: HalfBook, limit: int | None, lots: int, skip: Callable[[Order], bool]) -> int:
    """How much of `lots` could trade now, hidden parts of icebergs included, `skip`ped makers not."""
    found = 0
    for _price, size in _levels(half, limit, skip):
        found += size
        if found >= lots:
            return lots
    return found


def cost(half: HalfBook, lots: int) -> int:
    """The sum of ticks·lots that taking `lots` now would cost (as far as the book goes)."""
    total = 0
    for price, size in _levels(half, None, lambda _order: False):
        size = min(size, lots)
        total += price * size
        lots -= size
        if not lots:
            break
    return total


def _levels(half: HalfBook, limit: int | None, skip: Callable[[Order], bool]) -> Iterator[tuple[int, int]]:
    sign = half.sign
    for key in reversed(half.keys):
        if limit is not None and key < limit * sign:
            return
        price = key * sign
        size = half.background.get(price, 0)
        for order in half.queues.get(price, ()):
            if not skip(order):
                size += order.remaining
        yield price, size


def _front(half: HalfBook, price: int) -> tuple[Order | None, int]:
    """Who stands first at a price, and with how much; (None, size) is the background."""
    size = half.background.get(price, 0)
    queue = half.queues.get(price)
    if not queue:
        return None, size
    first = queue[0]
    if first.ahead > 0 and size:
        return None, min(first.ahead, size)
    return first, first.visible


def _reduce(half: HalfBook, order: Order, lots: int) -> None:
    order.remaining -= lots
    order.visible -= lots
    order.executed += lots
    if order.remaining == 0:
        half.remove(order)
    elif order.visible <= 0:
        half.requeue(order)
    else:
        half.touch(order.price)
