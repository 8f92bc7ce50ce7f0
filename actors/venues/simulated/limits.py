"""What one client may ask for: request weight and raw requests per IP, new orders per account, and the ban.

Source: binance-spot-api-docs rest-api.md "LIMITS", web-socket-api.md "Rate limits" and
faqs/order_count_decrement.md. Intervals are aligned to the clock: a 1 MINUTE limit starts again with each
minute. A request beyond the weight is answered 429 with Retry-After; who goes on regardless is banned (418),
each time for longer.

Pure: the time comes in as an argument, in microseconds.
"""

from __future__ import annotations

import msgspec

from actors.venues.simulated.config import RateLimitConfig
from actors.venues.simulated.errors import VenueError

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US
# How many addresses are remembered; loopback has few, so a full table means something is wrong with the
# caller.
IPS_MAX = 1024
_ADVICE = "Please use WebSocket Streams for live updates to avoid polling the API."


class BanConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a client that ignores 429 is banned, and for how long.

    Binance bans for 2 minutes to 3 days, growing for repeat offenders; how many 429 answers it gives in a
    minute before it bans is not published, so it is a knob.
    """

    after_429s: int = 5
    first_s: float = 120.0
    max_s: float = 259_200.0

    def __post_init__(self) -> None:
        if self.after_429s < 1:
            raise ValueError(
                f"ban: after_429s {self.after_429s} must be 1 or more: a ban needs a warning first"
            )
        if not 0 < self.first_s <= self.max_s:
            raise ValueError(f"ban: first_s {self.first_s} must be above 0 and at most max_s {self.max_s}")


class Window:
    """A count that starts again at every multiple of its length."""

    def __init__(self, length_us: int) -> None:
        self.length_us = length_us
        self.count = 0
        self._index = -1

    def roll(self, now_us: int) -> int:
        """The count of the interval that `now_us` lies in."""
        index = now_us // self.length_us
        if index != self._index:
            self._index, self.count = index, 0
        return self.count

    def add(self, now_us: int, amount: int) -> int:
        self.count = max(self.roll(now_us) + amount, 0)
        return self.count

    def ends_us(self, now_us: int) -> int:
        return (now_us // self.length_us + 1) * self.length_us


class TooMany(VenueError):
    """A refusal for going too fast: 429 or 418, with the time from which requests are welcome again."""

    def __init__(self, code: int, message: str, http_status: int, retry_at_us: int) -> None:
        super().__init__(code, message, http_status)
        self.retry_at_us = retry_at_us


class _Address:
    """What is remembered of one IP."""

    def __init__(self) -> None:
        self.weight = Window(MINUTE_US)
        self.raw = Window(5 * MINUTE_US)
        self.attempts = Window(5 * MINUTE_US)
        self.warned = Window(MINUTE_US)
        self.banned_until_us = 0
        self.bans = 0


class Limits:
    """The counters of all clients, and the rules on them."""

    def __init__(self, rates: RateLimitConfig, ban: BanConfig, connections_5m: int) -> None:
        self._rates = rates
        self._ban = ban
        self._connections_5m = connections_5m
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, tuple[Window, Window]] = {}
        self.bans = 0
        self.requests_during_ban = 0

    # --- Requests, per IP --------------------------------------------------------------------------------

    def admit(self, ip: str, weight: int, now_us: int) -> None:
        """Count one request. Raises TooMany -1003: 429 beyond a limit, 418 while banned."""
        address = self._address(ip)
        self._refuse_banned(address, now_us)
        raw = address.raw.add(now_us, 1)
        used = address.weight.add(now_us, weight)
        limit, raw_limit = self._rates.request_weight_1m, self._rates.raw_requests_5m
        if used > limit:
            text = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
            text = f"{text} {_ADVICE}"
            self._warn(address, now_us, text, address.weight.ends_us(now_us))
        if raw > raw_limit:
            text = f"Too many requests; current limit is {raw_limit} raw requests per 5 MINUTE. {_ADVICE}"
            self._warn(address, now_us, text, address.raw.ends_us(now_us))

    def connect(self, ip: str, weight: int, now_us: int) -> None:
        """Count one attempt to open a websocket (weight 0 for streams). Raises TooMany."""
        address = self._address(ip)
        self._refuse_banned(address, now_us)
        address.weight.add(now_us, weight)
        if address.attempts.add(now_us, 1) > self._connections_5m:
            text = f"Too many connections; current limit is {self._connections_5m} connections per 5 MINUTE."
            raise TooMany(-1003, text, 429, address.attempts.ends_us(now_us))

    def used_weight(self, ip: str, now_us: int) -> int:
        return self._address(ip).weight.roll(now_us)

    def ban(self, ip: str, until_us: int) -> None:
        """Ban an address until then, whatever it did."""
        self._address(ip).banned_until_us = until_us
        self.bans += 1

    def pardon(self) -> None:
        """Lift every ban."""
        for address in self._addresses.values():
            address.banned_until_us = 0

    def is_banned(self, ip: str, now_us: int) -> bool:
        return self._address(ip).banned_until_us > now_us

    def _address(self, ip: str) -> _Address:
        if ip not in self._addresses and len(self._addresses) >= IPS_MAX:
            self._addresses.pop(next(iter(self._addresses)))
        return self._addresses.setdefault(ip, _Address())

    def _refuse_banned(self, address: _Address, now_us: int) -> None:
        if address.banned_until_us > now_us:
            self.requests_during_ban += 1
            raise _banned(address.banned_until_us)

    def _warn(self, address: _Address, now_us: int, text: str, retry_at_us: int) -> None:
        """Answer 429, or ban who has been told often enough."""
        if address.warned.add(now_us, 1) > self._ban.after_429s:
            length_s = min(self._ban.first_s * 2**address.bans, self._ban.max_s)
            address.bans += 1
            self.bans += 1
            address.banned_until_us = now_us + int(length_s * SECOND_US)
            raise _banned(address.banned_until_us)
        raise TooMany(-1003, text, 429, retry_at_us)

    # --- New orders, per account -------------------------------------------------------------------------

    def check_orders(self, account: str, now_us: int) -> None:
        """Raises TooMany -1015 when the account has as many unfilled orders in an interval as it may."""
        for window, limit, name in self._order_windows(account):
            if window.roll(now_us) >= limit:
                text = f"Too many new orders; current limit is {limit} orders per {name}."
                raise TooMany(-1015, text, 429, window.ends_us(now_us))

    def count_orders(self, account: str, change: int, now_us: int) -> None:
        """Add orders that were accepted, or take away (negative) those that have begun to trade."""
        for window, _, _ in self._order_windows(account):
            window.add(now_us, change)

    def order_counts(self, account: str, now_us: int) -> tuple[int, int]:
        """Unfilled orders in the current 10 seconds and in the current day."""
        ten, day = self._windows(account)
        return ten.roll(now_us), day.roll(now_us)

    def _windows(self, account: str) -> tuple[Window, Window]:
        return self._orders.setdefault(account, (Window(10 * SECOND_US), Window(DAY_US)))

    def _order_windows(self, account: str) -> tuple[tuple[Window, int, str], ...]:
        ten, day = self._windows(account)
        return (ten, self._rates.orders_10s, "10 SECOND"), (day, self._rates.orders_1d, "1 DAY")

    # --- As Binance prints them --------------------------------------------------------------------------

    def weight_row(self, ip: str, now_us: int) -> dict[str, object]:
        row = _row("REQUEST_WEIGHT", "MINUTE", 1, self._rates.request_weight_1m)
        return {**row, "count": self.used_weight(ip, now_us)}

    def order_rows(self, account: str, now_us: int) -> list[dict[str, object]]:
        ten, day = self.order_counts(account, now_us)
        return [
            {**_row("ORDERS", "SECOND", 10, self._rates.orders_10s), "count": ten},
            {**_row("ORDERS", "DAY", 1, self._rates.orders_1d), "count": day},
        ]


def _row(kind: str, interval: str, number: int, limit: int) -> dict[str, object]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _banned(until_us: int) -> TooMany:
    text = (
        f"Way too much request weight used; IP banned until {until_us // 1000}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return TooMany(-1003, text, 418, until_us)
