"""Handover: two connections carry the same streams for a while, and what leaves here is one stream without a
hole and without a repetition.

The new connection may run ahead of the old one or behind it. So of each stream whose ids have an order, the
new connection's messages are held back until one of them provably follows what the old connection has
already delivered; from then on the two are merged, and whichever is second is dropped. If the old connection
dies first, what was held is let go: there may then be a hole, and the feed finds it by its ids. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.messages import BookTicker, DepthDiff, TradeTick

MarketData = DepthDiff | BookTicker | TradeTick
Key = tuple[type[MarketData], str]

# Held messages of all streams together: ten seconds of a thousand a second.
HELD_MAX = 10_000


class Handover:
    """Made when the new connection is opened, thrown away when the old one is closed."""

    def __init__(self, instruments: Iterable[str], delivered: Mapping[Key, int]) -> None:
        """`delivered`: the last id of each stream that the old connection has brought so far."""
        # Over when, of every depth stream, the old connection has also brought what the new one began with: frames
        # of one connection come in order, so whatever else it brought before that is here too. Trades may be
        # silent for hours, and are not waited for.
        self._to_meet: set[Key] = {(DepthDiff, instrument) for instrument in instruments}
        self._began: dict[Key, int] = {}
        self._old = dict(delivered)
        self._last = dict(delivered)
        self._joined: set[Key] = set()
        self._held: dict[Key, list[MarketData]] = {}
        self._held_count = 0
        self.duplicates = 0

    @property
    def is_complete(self) -> bool:
        """Nothing would be missed if the old connection were closed now."""
        return not self._to_meet

    @property
    def is_overfull(self) -> bool:
        """The old connection does not catch up; waiting longer only costs memory."""
        return self._held_count >= HELD_MAX

    def from_old(self, message: MarketData) -> list[MarketData]:
        """What to pass on, in order."""
        key = (type(message), message.instrument)
        self._old[key] = _last_id(message)
        self._note_meeting(key)
        passed = [message] if self._passes(key, message) else []
        return [*passed, *self._join_if_it_follows(key)]

    def from_new(self, message: MarketData) -> list[MarketData]:
        """What to pass on, in order; nothing while it is held."""
        key = (type(message), message.instrument)
        if key not in self._began:
            self._began[key] = _last_id(message)
            self._note_meeting(key)
        if key in self._joined or isinstance(message, BookTicker):
            return [message] if self._passes(key, message) else []
        self._held.setdefault(key, []).append(message)
        self._held_count += 1
        return self._join_if_it_follows(key)

    def release(self) -> list[MarketData]:
        """The old connection is gone: everything that is held, in order within each stream."""
        return [message for key in list(self._held) for message in self._join(key)]

    def _join_if_it_follows(self, key: Key) -> list[MarketData]:
        held, last = self._held.get(key), self._last.get(key)
        if not held or last is None or _first_id(held[0]) > last + 1:
            return []
        return self._join(key)

    def _join(self, key: Key) -> list[MarketData]:
        held = self._held.pop(key)
        self._held_count -= len(held)
        self._joined.add(key)
        return [message for message in held if self._passes(key, message)]

    def _note_meeting(self, key: Key) -> None:
        began = self._began.get(key)
        if began is not None and self._old.get(key, -1) >= began:
            self._to_meet.discard(key)

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
