"""Puts the weight counters of `weights.py` into a file that all processes of this host map into memory.

The lock is never waited for: a process that was stopped while it held it (SIGSTOP) must not stop its standby.
After some tries the count is done without it, which can at worst miss what was drawn in the same microsecond;
the venue's own counts, which come with every answer, put that right.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from pathlib import Path

from actors.venues.binance import weights
from actors.venues.binance.errors import Trouble
from actors.venues.binance.weights import Latch, Shares, Use

# Magic and version in one number: a file that does not begin with it is of another version, and is begun
# anew.
_MAGIC = 0x4E44_4257_0000_0001
_SECTION = 16  # 64-bit integers; the host's, then one for each account, whose first integer names it
_ACCOUNTS_MAX = 15
_SIZE = (1 + _ACCOUNTS_MAX) * _SECTION * 8
_NAME = (
    weights.COLUMNS
)  # the column in which a section's owner stands: the magic number, or a digest of the account
_LOCK_TRIES = 20


class HostBudget:
    """One for each account of this process; all of them on one path share one address's limits. `wall_ns` is
    venue time."""

    def __init__(self, path: Path, account: str, shares: Shares = Shares()) -> None:  # noqa: B008
        self._shares = shares
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            if os.fstat(self._fd).st_size < _SIZE:
                os.ftruncate(self._fd, _SIZE)
            self._map = mmap.mmap(self._fd, _SIZE)
            self._view = memoryview(self._map).cast("q")
            self._host = self._view[:_SECTION]
            if self._host[_NAME] != _MAGIC:
                for index in range(_SIZE // 8):
                    self._view[index] = 0
                weights.reset_host(self._host)
                self._host[_NAME] = _MAGIC
            self._account = self._section(account)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def take(self, use: Use, weight: int, orders: int, venue_ns: int) -> str | None:
        """Draw from what is left; None when granted, else the reason in words."""
        locked = self._lock()
        try:
            return weights.take(
                self._host, self._account, self._shares, use, weight, orders, venue_ns // 1_000_000
            )
        finally:
            if locked:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def saw_weight(self, used: int, sent_ns: int, venue_ns: int) -> None:
        """The venue's count of this minute, of an answer to what was sent at `sent_ns`."""
        weights.saw(self._host, weights.WEIGHT, used, sent_ns // 1_000_000, venue_ns // 1_000_000)

    def saw_orders(self, length_ms: int, used: int, sent_ns: int, venue_ns: int) -> None:
        """The venue's count of unfilled orders in the interval of `length_ms`; one that we do not know is
        ignored."""
        window = _ORDER_WINDOWS.get(length_ms)
        if window is not None:
            weights.saw(self._account, window, used, sent_ns // 1_000_000, venue_ns // 1_000_000)

    def limit_weight(self, limit: int) -> None:
        weights.set_limit(self._host, weights.WEIGHT, limit)

    def limit_orders(self, length_ms: int, limit: int) -> None:
        window = _ORDER_WINDOWS.get(length_ms)
        if window is not None:
            weights.set_limit(self._account, window, limit)

    def latch(self, trouble: Trouble, until_ms: int, venue_ns: int) -> None:
        """From now on, until then (venue time), all processes of this host hold back. Maintenance holds
        nothing back: exits and questions go on trying."""
        if trouble is Trouble.MAINTENANCE:
            return
        table = self._account if trouble is Trouble.ORDERS_LIMITED else self._host
        weights.set_latch(table, Latch(trouble, until_ms), venue_ns // 1_000_000)

    def latched(self, venue_ns: int) -> Latch | None:
        """Why no request at all may be sent now."""
        return weights.latch(self._host, venue_ns // 1_000_000)

    def weight_share(self, venue_ns: int) -> float:
        """How much of the minute's weight is used, 0 to 1."""
        return weights.used_share(self._host, weights.WEIGHT, venue_ns // 1_000_000)

    def close(self) -> None:
        for view in (self._account, self._host, self._view):
            view.release()
        self._map.close()
        os.close(self._fd)

    def _section(self, account: str) -> memoryview[int]:
        name = int.from_bytes(hashlib.blake2b(account.encode(), digest_size=7).digest(), "big") + 1
        for index in range(1, 1 + _ACCOUNTS_MAX):
            section = self._view[index * _SECTION : (index + 1) * _SECTION]
            if section[_NAME] == name:
                return section
            if section[_NAME] == 0:
                weights.reset_account(section)
                section[_NAME] = name
                return section
        raise ValueError(
            f"the weight budget has counters for {_ACCOUNTS_MAX} accounts and all are taken;"
            " remove its file while nothing runs"
        )

    def _lock(self) -> bool:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.sched_yield()
            else:
                return True
        return False


_ORDER_WINDOWS = {10_000: weights.ORDERS_10S, 86_400_000: weights.ORDERS_DAY}
