"""Every knob of the desk: one struct for each table of `configs/*.toml`, in the same order.

The structs of a slice live beside the code they tune; here they are joined, and what spans slices is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from actors.feed.config import FeedConfig
from actors.orders.config import OrdersConfig
from actors.portfolio.config import PortfolioConfig
from actors.risk.config import RiskConfig
from actors.strategy.registry import config_of, configure
from actors.venues.binance.config import BinanceConfig
from actors.venues.binance.market_config import MarketConfig
from actors.venues.simulated.server_config import ServerConfig
from supervisor.config import load
from supervisor.config_build import StructOf, Wrong
from supervisor.keeper.config import KeeperConfig
from supervisor.paging.channels import PagingConfig
from supervisor.telemetry.logs import LogConfig
from supervisor.telemetry.status import StatusConfig

ENV_PREFIX = "NIGHTDESK"


class DeskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [desk]."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,24}$")] = "desk"
    # Journal, lease, keys and logs. One desk a folder: a second one on the same folder is refused.
    state_dir: Path
    # Part of every client order id, so that the two engines of a pair can be told apart at the venue.
    instance: Annotated[str, Meta(pattern=r"^[a-z]$")] = "a"
    # What an orderly stop (SIGTERM, Ctrl-C, --for) does with a position: "keep" leaves it with its stop at the
    # venue, since the desk will be back; "flatten" sells it first, as a demo should.
    on_stop: Literal["keep", "flatten"] = "keep"
    # How long that flattening may take; then the rest stays, with its stop.
    flatten_s: Annotated[float, Meta(gt=0, le=300)] = 15.0


class InstrumentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[instruments]] entry: what is traded, by the venue's own symbol."""

    symbol: Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,24}$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole config file."""

    NAMED_TABLES: ClassVar[dict[str, StructOf]] = {"strategy": config_of}

    desk: DeskConfig
    venue: BinanceConfig
    instruments: Annotated[tuple[InstrumentConfig, ...], Meta(min_length=1, max_length=32)]
    market: MarketConfig = msgspec.field(default_factory=MarketConfig)
    feed: FeedConfig = msgspec.field(default_factory=FeedConfig)
    # [strategy.NAME]: NAME is a file in actors/strategy/, and the table its own struct.
    strategy: dict[str, dict[str, Any]] = msgspec.field(default_factory=lambda: {"imbalance": {}})
    risk: RiskConfig = msgspec.field(default_factory=RiskConfig)
    orders: OrdersConfig = msgspec.field(default_factory=OrdersConfig)
    portfolio: PortfolioConfig = msgspec.field(default_factory=PortfolioConfig)
    paging: PagingConfig = msgspec.field(default_factory=PagingConfig)
    status: StatusConfig = msgspec.field(default_factory=StatusConfig)
    log: LogConfig = msgspec.field(default_factory=LogConfig)
    keeper: KeeperConfig = msgspec.field(default_factory=KeeperConfig)
    # Where it stands, the desk starts this exchange beside itself and trades there; [venue]'s URLs and keys are
    # then filled in by the desk.
    simulated: ServerConfig | None = None

    def __post_init__(self) -> None:
        symbols = [entry.symbol for entry in self.instruments]
        if len(set(symbols)) != len(symbols):
            raise Wrong("instruments", f"instruments: a symbol is listed twice in {symbols}; name each once")
        if len(self.strategy) != 1:
            raise Wrong(
                "strategy",
                f"strategy: {len(self.strategy)} tables; name exactly one [strategy.NAME], since two strategies on "
                "one instrument would trade against each other",
            )
        strategies = configure(self.strategy)
        for name, config in strategies.items():
            notional = getattr(config, "notional", None)
            if notional is not None and Decimal(str(notional)) > self.risk.order_notional_max:
                raise Wrong(
                    f"strategy.{name}.notional",
                    f"strategy.{name}.notional = {notional} is above risk.order_notional_max = "
                    f"{self.risk.order_notional_max}: every entry would be refused; lower the one or raise the other",
                )
        listed = self.simulated.listed if self.simulated is not None else None
        for at, symbol in enumerate(symbols):
            if listed is not None and symbol not in listed:
                raise Wrong(
                    f"instruments[{at}].symbol",
                    f"{symbol} is not traded by the simulated venue; choose one of {', '.join(sorted(listed))}, or add "
                    "it to [[simulated.venue.symbols]]",
                )
        self._check_quotes()

    def _check_quotes(self) -> None:
        """As far as it is known before the venue has been asked; risk holds out for the rest."""
        simulated = self.simulated
        if simulated is None or simulated.market == "live":
            return
        quotes = {pair.symbol: pair.quote for pair in simulated.venue.symbols}
        for at, entry in enumerate(self.instruments):
            if quotes[entry.symbol] != quotes[self.instruments[0].symbol]:
                raise Wrong(
                    f"instruments[{at}].symbol",
                    f"{entry.symbol} is quoted in {quotes[entry.symbol]} and {self.instruments[0].symbol} in "
                    f"{quotes[self.instruments[0].symbol]}: limits and P&L of a desk are sums in one coin; run a desk "
                    "for each quote coin",
                )

    @property
    def instrument_names(self) -> tuple[str, ...]:
        return tuple(self.venue.instrument(entry.symbol) for entry in self.instruments)


def read(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """The settings in a file, over them the environment (NIGHTDESK__TABLE__KEY) and `--set` overrides.

    Raises ConfigError with every problem's file, line and remedy.
    """
    return load(path, Settings, env_prefix=ENV_PREFIX, overrides=overrides)
