"""Staleness: is the book still being told what happens at the venue? Pure; times are monotonic nanoseconds.

Silence proves nothing by itself: a quiet market is silent too. So there are two answers. Nothing at all for
`stale_after_s` is silence. And a trade, or a book ticker with an update id ahead of the book, is evidence
that the venue has moved on; if the depth stream has not followed within `stuck_after_s`, it is stuck, however
loud the other streams are.
"""

from __future__ import annotations

from actors.feed.config import FeedConfig
from actors.messages import BookTicker


class Staleness:
    """Tell it what arrives; ask it what is wrong."""

    __slots__ = ("_ahead_id", "_ahead_ns", "_heard_ns", "_stale_ns", "_stuck_ns")

    def __init__(self, config: FeedConfig, now_ns: int) -> None:
        self._stale_ns = int(config.stale_after_s * 1e9)
        self._stuck_ns = int(config.stuck_after_s * 1e9)
        self.reset(now_ns)

    def reset(self, now_ns: int) -> None:
        """A new stream begins: what was ahead of the old book says nothing about the next one."""
        self._heard_ns = now_ns
        self._ahead_ns: int | None = None
        self._ahead_id = 0

    def on_diff(self, last_id: int, now_ns: int, ahead: BookTicker | None = None) -> None:
        """`ahead`: the oldest ticker that the book has not come to. Without it, a stream that runs on but
        lags would be forgiven with every diff."""
        self._heard_ns = now_ns
        if last_id < self._ahead_id:
            return
        self._ahead_ns = None
        if ahead is not None and ahead.update_id > last_id:
            self._ahead_ns, self._ahead_id = ahead.received_ns, ahead.update_id

    def on_ticker(self, update_id: int, book_id: int, now_ns: int) -> None:
        self._heard_ns = now_ns
        if self._ahead_ns is None and update_id > book_id:
            self._ahead_ns, self._ahead_id = now_ns, update_id

    def on_trade(self, book_id: int, now_ns: int) -> None:
        """A trade takes from a level, so a diff must follow, whichever its id."""
        self._heard_ns = now_ns
        if self._ahead_ns is None:
            self._ahead_ns, self._ahead_id = now_ns, book_id + 1

    def verdict(self, now_ns: int) -> str | None:
        """What is wrong, in words, or None."""
        silent_ns = now_ns - self._heard_ns
        if silent_ns >= self._stale_ns:
            return f"silent for {silent_ns / 1e9:.1f} s"
        if self._ahead_ns is not None and now_ns - self._ahead_ns >= self._stuck_ns:
            return f"the depth stream is {(now_ns - self._ahead_ns) / 1e9:.1f} s behind trades and quotes"
        return None
