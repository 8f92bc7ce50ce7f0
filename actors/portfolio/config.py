"""`[portfolio]`: what the books of the desk need to know beyond the fills."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class PortfolioConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All have a default that suits one venue and a handful of instruments."""

    # What a third coin that fees are paid in is worth in quote ("BNB" on Binance, with the discount on).
    # Without a price such fees are counted by coin and stand in no P&L. Fixed, not the market's: the fills
    # are booked again at each start, and fees worth something else each time would shift the day's P&L under
    # the loss limit. Set it a little high.
    coin_prices: dict[str, Decimal] = {}

    # How often the report is published. It is for people: once a second is what a terminal can show.
    report_every_s: float = 1.0

    # The identities of the newest fills, kept to book each of them once. A venue repeats fills of minutes or
    # hours; this is weeks of a busy desk, in some 30 MB.
    fills_known_max: int = 100_000

    def __post_init__(self) -> None:
        for coin, price in self.coin_prices.items():
            if not (price.is_finite() and price > 0):
                raise ValueError(f"coin_prices.{coin} = {price}: must be above 0")
        if not self.report_every_s >= 1:
            raise ValueError(f"report_every_s = {self.report_every_s}: at most one report a second")
        if self.fills_known_max < 1000:
            raise ValueError(
                f"fills_known_max = {self.fills_known_max}: below 1000 a venue that repeats a day's fills "
                "would have them booked twice"
            )
