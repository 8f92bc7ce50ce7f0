"""Listen keys: the old way to a user data stream, kept for old clients that tests need (listen_key_legacy).

Source: binance-spot-api-docs user-data-stream.md before 2025-10: a key lives 60 minutes, a keepalive extends
it, an unknown key is refused with -1125. Pure: the time comes in as an argument.
"""

from __future__ import annotations

import random
import string

from actors.venues.simulated.errors import VenueError

LIFE_US = 60 * 60 * 1_000_000
_LETTERS = string.ascii_letters + string.digits


class ListenKeys:
    """The keys now alive: at most one per account, as at the venue."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._alive: dict[str, tuple[str, int]] = {}

    def start(self, account: str, now_us: int) -> str:
        """The account's key, made if it has none; it now lives another 60 minutes."""
        for key, (owner, until_us) in list(self._alive.items()):
            if until_us <= now_us:
                del self._alive[key]
            elif owner == account:
                self._alive[key] = (account, now_us + LIFE_US)
                return key
        key = "".join(self._rng.choice(_LETTERS) for _ in range(60))
        self._alive[key] = (account, now_us + LIFE_US)
        return key

    def ping(self, key: str, now_us: int) -> None:
        """Raises VenueError -1125 for a key that is not alive."""
        self._alive[key] = (self.account(key, now_us), now_us + LIFE_US)

    def stop(self, key: str, now_us: int) -> None:
        self.account(key, now_us)
        del self._alive[key]

    def account(self, key: str, now_us: int) -> str:
        """Whose key it is. Raises VenueError -1125."""
        owner, until_us = self._alive.get(key, ("", 0))
        if until_us <= now_us:
            raise VenueError(-1125, "This listenKey does not exist.")
        return owner
