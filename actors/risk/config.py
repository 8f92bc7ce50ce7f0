"""`[risk]`: what an OPEN order must not exceed. REDUCE and PROTECT are bound by none of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec


class RiskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money is in the quote coin of the desk's instruments, which must be one and the same."""

    # Which sides may be opened. Spot without borrowed coins can only be long; the other words come with the
    # venues that can do more.
    direction: Literal["long_only"] = "long_only"

    # The most that one order, one instrument (position and everything that may still fill) and the whole
    # desk may be worth. Three, since each is a different accident: a size typed wrong, a strategy that adds
    # to a loser, a day on which all instruments fall together.
    order_notional_max: Decimal = Decimal(200)
    position_notional_max: Decimal = Decimal(400)
    desk_notional_max: Decimal = Decimal(1000)

    # The same in coins, by instrument ("binance/BTCUSDT"), where a limit that moves with the price is not
    # enough. Without an entry only the money limits bind.
    position_max: dict[str, Decimal] = {}

    # OPEN orders that may fill at the same time, over all instruments.
    open_orders_max: int = 3

    # OPEN orders approved within the window: a strategy that has run wild is slowed before it has cost much.
    order_rate_max: int = 10
    order_rate_window_s: float = 10.0

    # Realised and unrealised loss since the start of the UTC day, after which the desk flattens and opens
    # nothing until the next day, over restarts.
    daily_loss_max: Decimal = Decimal(50)

    # No entry into a book whose spread has opened: it costs more than any scalp brings, and it means that
    # the makers know something.
    spread_max_bps: float = 20.0

    # An entry's limit may be this far beyond the touch, and no farther: the guard against a wrong number.
    price_band_bps: float = 50.0

    # No entry on a price older than this. At least the strategies' own limit, or they ask in vain.
    book_age_max_ms: float = 2000.0

    # The taker's fee. On spot a buy may be charged in the coin that was bought, so less can be sold than was
    # bought: what remains must still be sellable at the stop, with this margin over the venue's minimum.
    fee_bps: float = 10.0
    dust_margin: float = 0.1

    # Refuse entries whose target does not pay the fees of both ways and this margin. Off, since the desk that
    # demonstrates recovery trades signals that do not; on, for money.
    fee_gate: bool = False
    fee_gate_margin_bps: float = 2.0

    def __post_init__(self) -> None:
        for name in ("order_notional_max", "position_notional_max", "desk_notional_max", "daily_loss_max"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0")
        for instrument, size in self.position_max.items():
            if not size > 0:
                raise ValueError(f"position_max.{instrument!r} = {size}: must be above 0")
            if "/" not in instrument:
                raise ValueError(f'position_max.{instrument!r}: name it with its venue, as "binance/BTCUSDT"')
        if self.order_notional_max > self.position_notional_max:
            raise ValueError(
                f"order_notional_max = {self.order_notional_max} is above position_notional_max = "
                f"{self.position_notional_max}: no order of that size could ever be approved"
            )
        if self.position_notional_max > self.desk_notional_max:
            raise ValueError(
                f"position_notional_max = {self.position_notional_max} is above desk_notional_max = "
                f"{self.desk_notional_max}: the desk's limit would bind first, and the other never"
            )
        if self.open_orders_max < 1 or self.order_rate_max < 1:
            raise ValueError("open_orders_max and order_rate_max must be at least 1, or nothing ever trades")
        for name in ("order_rate_window_s", "spread_max_bps", "price_band_bps", "book_age_max_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0")
        if not 0 <= self.fee_bps < 1000:
            raise ValueError(f"fee_bps = {self.fee_bps}: must be from 0 to below 1000 (10 %)")
        if not 0 <= self.dust_margin <= 10 or self.fee_gate_margin_bps < 0:
            raise ValueError("dust_margin must be from 0 to 10, and fee_gate_margin_bps not negative")
