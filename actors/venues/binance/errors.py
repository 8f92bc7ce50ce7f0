"""What an answer of Binance means for the order it is about, and for everybody on this address.

Two separate questions. The *outcome*: is the order certainly refused, certainly unknown to the venue, or may
it live? And the *trouble*: must we all hold back, and until when? Whatever is not in the table may live:
asking costs a query, guessing costs an order. Source: binance-spot-api-docs errors.md, rest-api.md and
web-socket-api.md (status codes).
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple


class Outcome(enum.Enum):
    REJECTED = "rejected"  # certain: the request had no effect
    UNKNOWN = "unknown"  # neither yes nor no
    NO_SUCH_ORDER = "no_such_order"  # the venue does not know the id (yet)


class Trouble(enum.Enum):
    """Values are the `kind` of VenueTrouble."""

    RATE_LIMITED = "rate_limited"  # requests of the whole address
    ORDERS_LIMITED = "orders_limited"  # new orders of this account; cancels may go on
    BANNED = "banned"  # every request makes it longer
    MAINTENANCE = "maintenance"


class Ruling(NamedTuple):
    outcome: Outcome
    trouble: Trouble | None = None


_REJECTED = Ruling(Outcome.REJECTED)
_UNKNOWN = Ruling(Outcome.UNKNOWN)

# Codes that say the same whatever the HTTP status beside them.
RULINGS: dict[int, Ruling] = {
    # The venue's own words for "execution status unknown", and errors inside it of which it cannot say more.
    -1000: _UNKNOWN,
    -1001: _UNKNOWN,
    -1006: _UNKNOWN,
    -1007: _UNKNOWN,
    # Overloaded: documented without a word on whether the request was dropped, so it is not believed to have
    # been.
    -1008: Ruling(Outcome.UNKNOWN, Trouble.MAINTENANCE),
    -1003: Ruling(Outcome.REJECTED, Trouble.RATE_LIMITED),
    -1015: Ruling(Outcome.REJECTED, Trouble.ORDERS_LIMITED),
    -1016: Ruling(Outcome.REJECTED, Trouble.MAINTENANCE),
    -1002: _REJECTED,
    -1010: _REJECTED,
    -1013: _REJECTED,
    -1014: _REJECTED,
    -1020: _REJECTED,
    -1021: _REJECTED,
    -1022: _REJECTED,
    -2010: _REJECTED,
    -2011: _REJECTED,
    -2013: Ruling(Outcome.NO_SUCH_ORDER),
    -2014: _REJECTED,
    -2015: _REJECTED,
    -2016: _REJECTED,
    -2026: _REJECTED,
    -2038: _REJECTED,
    -2039: _REJECTED,
}
_MAINTENANCE = (-1008, -1016)
# -11xx: a malformed request never reaches the matching engine.
_MALFORMED = range(-1199, -1099)

# An order of this very id is open already: the first sending of it arrived after all.
_DUPLICATE = "Duplicate order sent."

_BANNED_UNTIL = re.compile(r"banned until (\d{12,14})")

# The key is wrong, or may not do this: no restart helps.
KEY_REFUSED = frozenset({-2014, -2015, -1022, -1002})


def rule(status: int, code: int | None, words: str) -> Ruling:
    """`status` as in HTTP (the websocket API uses the same), `code` None where the body held none."""
    if status == 418 or (code == -1003 and _BANNED_UNTIL.search(words)):
        return Ruling(Outcome.REJECTED, Trouble.BANNED)
    if status >= 500:
        # Whatever the body says: "execution status is UNKNOWN and could have been a success".
        return Ruling(
            Outcome.UNKNOWN,
            Trouble.MAINTENANCE if code in _MAINTENANCE or (status, code) == (503, None) else None,
        )
    if code is None:
        if status == 429:
            return Ruling(Outcome.REJECTED, Trouble.RATE_LIMITED)
        # 403 is the web application firewall, which stands in front of everything; any other body without a
        # code is no answer of Binance's.
        return _REJECTED if status == 403 else _UNKNOWN
    if code == -2010 and words == _DUPLICATE:
        return _UNKNOWN
    if code in _MALFORMED:
        return _REJECTED
    ruling = RULINGS.get(code, _UNKNOWN)
    if status == 429 and ruling.trouble is None:
        return Ruling(Outcome.REJECTED, Trouble.RATE_LIMITED)
    return ruling


# Binance's bans last from 2 minutes to 3 days; a longer one is a misread number.
_BAN_DEFAULT_MS = 120_000
_LIMIT_DEFAULT_MS = 60_000
_MAINTENANCE_MS = 5_000
UNTIL_MAX_MS = 3 * 86_400_000 + 3_600_000


def until_ms(
    trouble: Trouble,
    words: str,
    now_ms: int,
    *,
    retry_after_s: str | None = None,
    retry_at_ms: int | None = None,
) -> int:
    """When `trouble` ends, in venue time: from the Retry-After header (seconds), the websocket API's
    retryAfter (ms since the epoch), the words of a ban, or else a default. Never in the past, never later
    than Binance's longest ban."""
    if trouble is Trouble.MAINTENANCE:
        return now_ms + _MAINTENANCE_MS
    candidates: list[int] = []
    if retry_at_ms is not None:
        candidates.append(retry_at_ms)
    if retry_after_s is not None and retry_after_s.isdecimal() and len(retry_after_s) < 8:
        candidates.append(now_ms + int(retry_after_s) * 1000)
    if found := _BANNED_UNTIL.search(words):
        candidates.append(int(found[1]))
    sound = [at for at in candidates if now_ms < at <= now_ms + UNTIL_MAX_MS]
    if sound:
        return max(sound)
    return now_ms + (_BAN_DEFAULT_MS if trouble is Trouble.BANNED else _LIMIT_DEFAULT_MS)
