"""Handover: two connections carry the same streams for a while, and what leaves here is one stream without a
hole and without a repetition.

The new connection may run ahead of the old one or behind it. So of each stream whose ids have an order, the
new connection's messages are held back until one of them provably follows what the old connection has
already delivered; from then on the two are merged, and whichever is second is dropped. If the old connection
dies first, what was held is let go: there may then be a hole, and the feed finds it by its ids. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.messages import BookTicker, DepthDiff, TradeTick

MarketData = DepthDiff | BookTicker | TradeTick
Key = tuple[type[MarketData], str]

# Held messages of all streams together: ten seconds of a thousand a second.
HELD_MAX = 10_000


class Handover:
    """Made when the new connection is opened, thrown away when the old one is closed."""

    def __init__(self, instruments: Iterable[str]) -> None:
        # A handover is over when every depth stream was seen to run on without a hole. Trades may be silent
        # for hours, and a book ticker needs no predecessor.
        self._to_join: set[Key] = {(DepthDiff, instrument) for instrument in instruments}
        self._last: dict[Key, int] = {}
        self._joined: set[Key] = set()
        self._held: dict[Key, list[MarketData]] = {}
        self._held_count = 0
        self.duplicates = 0

    @property
    def is_complete(self) -> bool:
        """Nothing would be missed if the old connection were closed now."""
        return not self._to_join

    @property
    def is_overfull(self) -> bool:
        """The old connection does not catch up; waiting longer only costs memory."""
        return self._held_count >= HELD_MAX

    def from_old(self, message: MarketData) -> list[MarketData]:
        """What to pass on, in order."""
        key = (type(message), message.instrument)
        if not self._passes(key, message):
            return []
        held = self._held.get(key)
        if held is None:
            return [message]
        if _first_id(held[0]) > self._last[key] + 1:
            return [message]
        return [message, *self._join(key)]

    def from_new(self, message: MarketData) -> list[MarketData]:
        """What to pass on, in order; nothing while it is held."""
        key = (type(message), message.instrument)
        if key in self._joined or isinstance(message, BookTicker):
            return [message] if self._passes(key, message) else []
        last = self._last.get(key)
        self._held.setdefault(key, []).append(message)
        self._held_count += 1
        if last is None or _first_id(self._held[key][0]) > last + 1:
            return []
        return self._join(key)

    def release(self) -> list[MarketData]:
        """The old connection is gone: everything that is held, in order within each stream."""
        released: list[MarketData] = []
        for key in list(self._held):
            released += self._join(key)
        return released

    def _join(self, key: Key) -> list[MarketData]:
        held = self._held.pop(key, [])
        self._held_count -= len(held)
        self._joined.add(key)
        self._to_join.discard(key)
        return [message for message in held if self._passes(key, message)]

    def _passes(self, key: Key, message: MarketData) -> bool:
        """Whether it says something new; notes that it did."""
        if (at := _last_id(message)) <= self._last.get(key, -1):
            self.duplicates += 1
            return False
        self._last[key] = at
        return True


def _first_id(message: MarketData) -> int:
    if isinstance(message, DepthDiff):
        # USD-M's ids have holes between diffs; there a diff follows the one that it names.
        return message.first_id if message.previous_id is None else message.previous_id + 1
    return _last_id(message)


def _last_id(message: MarketData) -> int:
    if isinstance(message, DepthDiff):
        return message.last_id
    return message.trade_id if isinstance(message, TradeTick) else message.update_id
