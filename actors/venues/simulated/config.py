"""Every knob of the simulated exchange's engine; the server's own knobs live beside the server.

Amounts of money and sizes are Decimal in the asset's own unit, fees in basis points (1 bp = 0.01 %),
times in the unit that the name says.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

# Binance prints every spot price and amount with eight decimals, whatever the tick.
DECIMALS = 8

Regime = Literal["quiet", "normal", "trending", "violent", "switching"]


class SymbolConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One traded pair: its assets and its filters, named as in Binance's exchangeInfo."""

    symbol: str
    base: str
    quote: str
    # PRICE_FILTER and LOT_SIZE; the engine counts in these units, so they are the truth about precision.
    tick_size: Decimal
    step_size: Decimal
    min_price: Decimal
    max_price: Decimal
    min_qty: Decimal
    max_qty: Decimal
    # MARKET_LOT_SIZE: smaller than LOT_SIZE's, since a market order has no price to protect the book from it.
    market_max_qty: Decimal
    # NOTIONAL, in the quote asset. Binance's minimum is 5 USDT today; a desk must round up to it, never down.
    min_notional: Decimal = Decimal("5")
    max_notional: Decimal = Decimal("9000000")
    # The older MIN_NOTIONAL filter; Binance has moved pairs to NOTIONAL, so it is off (0) unless a test
    # wants it.
    legacy_min_notional: Decimal = Decimal(0)
    # Minutes over which the weighted average price of NOTIONAL and PERCENT_PRICE_BY_SIDE is taken; 0 = last
    # price.
    avg_price_mins: int = 5
    # PERCENT_PRICE_BY_SIDE: how far from the average price a limit price may stand.
    bid_multiplier_up: Decimal = Decimal("5")
    bid_multiplier_down: Decimal = Decimal("0.2")
    ask_multiplier_up: Decimal = Decimal("5")
    ask_multiplier_down: Decimal = Decimal("0.2")
    iceberg_parts: int = 100
    max_num_orders: int = 200
    max_num_algo_orders: int = 5
    max_num_iceberg_orders: int = 5
    max_num_order_amends: int = 10
    # MAX_POSITION in the base asset; 0 leaves the filter out, as Binance does for most pairs.
    max_position: Decimal = Decimal(0)
    # TRAILING_DELTA bounds in basis points.
    min_trailing_delta: int = 10
    max_trailing_delta: int = 2000
    # What an order carries that names no self-trade prevention mode; Binance's own default.
    default_stp: Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"] = "EXPIRE_MAKER"
    # Where the generated market starts; a recording brings its own prices.
    start_price: Decimal = Decimal("100")

    def __post_init__(self) -> None:
        for name in ("tick_size", "step_size", "min_qty", "max_qty", "market_max_qty", "start_price"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{self.symbol}: {name} must be above 0, not {getattr(self, name)}")
        smallest = Decimal(1).scaleb(-DECIMALS)
        for name in ("tick_size", "step_size"):
            if getattr(self, name) % smallest:
                raise ValueError(f"{self.symbol}: {name} {getattr(self, name)} is finer than {smallest}")
        if self.min_qty > self.max_qty:
            raise ValueError(f"{self.symbol}: min_qty is above max_qty, so no order could pass LOT_SIZE")
        if self.min_price > self.max_price:
            raise ValueError(
                f"{self.symbol}: min_price is above max_price, so no order could pass PRICE_FILTER"
            )
        if self.min_notional > self.max_notional:
            raise ValueError(
                f"{self.symbol}: min_notional is above max_notional, so no order could pass NOTIONAL"
            )


def _symbol(
    base: str, quote: str, tick: str, step: str, price: str, max_price: str, max_qty: str, **more: object
) -> SymbolConfig:
    return SymbolConfig(
        symbol=base + quote,
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        step_size=Decimal(step),
        min_price=Decimal(tick),
        max_price=Decimal(max_price),
        min_qty=Decimal(step),
        max_qty=Decimal(max_qty),
        market_max_qty=Decimal(max_qty) / 20,
        start_price=Decimal(price),
        **more,  # type: ignore[arg-type]
    )


def default_symbols() -> tuple[SymbolConfig, ...]:
    """Four pairs with Binance's ticks and lots; they share assets, so that fees and sums can be tested."""
    small = {"min_notional": Decimal("0.0001"), "max_notional": Decimal("100")}
    return (
        _symbol("BTC", "USDT", "0.01", "0.00001", "60000", "1000000", "9000"),
        _symbol("ETH", "USDT", "0.01", "0.0001", "2600", "1000000", "9000"),
        _symbol("BNB", "USDT", "0.01", "0.001", "520", "100000", "9000"),
        _symbol("ETH", "BTC", "0.00001", "0.0001", "0.0433", "922327", "100000", **small),
    )


class AccountConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account: what it owns at the start and what it pays for trading."""

    name: str
    balances: dict[str, Decimal] = {}
    # Binance's spot VIP 0: 10 bp both ways; the desk must earn more than it pays.
    maker_bps: Decimal = Decimal("10")
    taker_bps: Decimal = Decimal("10")
    # Pay fees in BNB at a discount while the BNB balance suffices, as Binance's switch "use BNB for fees"
    # does.
    bnb_fees: bool = False
    bnb_discount: Decimal = Decimal("0.25")
    # Where the fee is taken when BNB is not used: what was received (Binance's rule), or always base or
    # quote.
    fee_in: Literal["received", "base", "quote"] = "received"

    def __post_init__(self) -> None:
        for coin, amount in self.balances.items():
            if not amount >= 0:
                raise ValueError(f"account {self.name}: balance of {coin} is {amount}; it must be 0 or more")
        if not 0 <= self.bnb_discount < 1:
            raise ValueError(f"account {self.name}: bnb_discount {self.bnb_discount} must be in [0, 1)")
        for rate in (self.maker_bps, self.taker_bps):
            if not 0 <= rate < 1000:
                raise ValueError(f"account {self.name}: a fee of {rate} bp is outside [0, 1000)")


class RateLimitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits that exchangeInfo states; the server enforces them. Spot's values since 2023-08-25."""

    request_weight_1m: int = 6000
    orders_10s: int = 100
    orders_1d: int = 200000
    raw_requests_5m: int = 61000


class GeneratedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The random market: how deep, how busy, how wild."""

    regime: Regime = "switching"
    # Levels a side. 200 keep a simulated hour cheap; 1000 and more exercise a full snapshot.
    levels: int = 200
    # Mean book changes and trades a second in the normal regime; other regimes scale them.
    depth_per_s: float = 10.0
    trades_per_s: float = 5.0
    # Mean seconds in one regime before "switching" draws the next.
    regime_s: float = 90.0
    # One-minute candles made before the start, so that a first klines call has something to answer.
    warmup_minutes: int = 500

    def __post_init__(self) -> None:
        if not 20 <= self.levels <= 5000:
            raise ValueError(f"generated: levels {self.levels} must be in 20..5000")
        if not 0 < self.depth_per_s <= 1000 or not 0 < self.trades_per_s <= 1000:
            raise ValueError("generated: depth_per_s and trades_per_s must be above 0 and at most 1000")
        if not 0 <= self.warmup_minutes <= 1500:
            raise ValueError(f"generated: warmup_minutes {self.warmup_minutes} must be in 0..1500")


class VenueConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The exchange: its pairs, its accounts, its random market and the sizes of its memory."""

    symbols: tuple[SymbolConfig, ...] = msgspec.field(default_factory=default_symbols)
    accounts: tuple[AccountConfig, ...] = ()
    rate_limits: RateLimitConfig = msgspec.field(default_factory=RateLimitConfig)
    generated: GeneratedConfig = msgspec.field(default_factory=GeneratedConfig)
    # The venue sends book changes in batches, as Binance's @100ms streams do.
    depth_interval_ms: int = 100
    # Public trades and one-minute candles kept for queries, per pair.
    trades_kept: int = 5000
    klines_kept: int = 1500
    # The record judges the desk, so it may not forget: the venue stops when it is full rather than drop a
    # line.
    record_max: int = 5_000_000

    def __post_init__(self) -> None:
        names = [s.symbol for s in self.symbols]
        if len(set(names)) != len(names):
            raise ValueError(f"venue: a symbol is listed twice in {names}")
        if not names:
            raise ValueError("venue: symbols is empty, so there is nothing to trade")
        people = [a.name for a in self.accounts]
        if len(set(people)) != len(people):
            raise ValueError(f"venue: an account is listed twice in {people}")
        if not 10 <= self.depth_interval_ms <= 1000:
            raise ValueError(f"venue: depth_interval_ms {self.depth_interval_ms} must be in 10..1000")
