"""The system on one page: who runs, who falls with whom, and who speaks with whom.

    desk              one for one
      outside         one for one     pages, status: stopped last, so that they can still tell
      core            one for one     lease, journal
      venue/NAME      one for one     rest, trade, market, feeds: gives up alone, and never takes the desk with it
      trading         rest for one    control, portfolio, orders, risk, and a branch for each instrument's strategy:
        trades/NAME   one for one     gives up alone: its bug costs neither orders nor the other instruments

Slices do not know each other; the addresses that join them are made here, once, and outlive every life behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from actors.feed.actor import FeedActor
from actors.messages import Book
from actors.orders.actor import OrdersActor
from actors.orders.desk import Addresses as OrdersAddresses
from actors.orders.desk import Seat
from actors.portfolio.actor import PortfolioActor
from actors.risk.actor import RiskActor
from actors.risk.control_actor import ControlActor
from actors.risk.exits import exit_check
from actors.settings import Settings
from actors.strategy.actor import StrategyActor
from actors.strategy.registry import configure, maker
from supervisor.actor import Actor
from supervisor.failover.local import LeasePort
from supervisor.journal.port import JournalPort
from supervisor.mailbox import Address, Overflow
from supervisor.message import Message
from supervisor.port import Port
from supervisor.spec import Branch, Budget, Child, GiveUp, Strategy

JOURNAL_FILE = "journal.sqlite"
# A venue in trouble breaks its connections more often than a bug breaks an actor; the backoff keeps it polite.
VENUE_BUDGET = Budget(crashes_max=30, within_s=60.0)
# Poison comes once or twice; what crashes a quarter of a minute long, with the backoff between, is a bug.
STRATEGY_BUDGET = Budget(crashes_max=10, within_s=60.0)

Start = Callable[[], Actor | Port]


@dataclass(frozen=True, slots=True)
class Outside:
    """What differs between life, a bench and a simulation: how the ports are made. The actors never differ."""

    rest: Callable[[Desk], Start]
    trade: Callable[[Desk], Start]
    market: Callable[[Desk], Start]
    journal: Callable[[Desk], Start]
    lease: Callable[[Desk], Start]
    more: Callable[[Desk], tuple[Child, ...]] = lambda desk: ()
    """The branch `outside`: pages and status."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Every address of one desk, and the settings behind them."""

    settings: Settings
    # Somebody looks at the picture: the watcher is told every book too.
    is_watched: bool = False
    lease: Address = field(default_factory=lambda: Address("lease"))
    journal: Address = field(default_factory=lambda: Address("journal"))
    control: Address = field(default_factory=lambda: Address("control"))
    orders: Address = field(default_factory=lambda: _latest_books("orders"))
    portfolio: Address = field(default_factory=lambda: _latest_books("portfolio"))
    risk: Address = field(default_factory=lambda: _latest_books("risk"))
    pages: Address = field(default_factory=lambda: Address("pages"))
    status: Address = field(default_factory=lambda: Address("status"))
    watcher: Address = field(default_factory=lambda: _latest_books("watcher"))
    rest: Address = field(init=False)
    trade: Address = field(init=False)
    market: Address = field(init=False)
    feeds: dict[str, Address] = field(init=False)
    strategies: dict[str, Address] = field(init=False)

    def __post_init__(self) -> None:
        venue = self.settings.venue.name
        instruments = self.settings.instrument_names
        for name, made in (
            ("rest", Address(f"rest/{venue}")),
            ("trade", Address(f"trade/{venue}")),
            ("market", Address(f"market/{venue}")),
            ("feeds", {each: _feed(each) for each in instruments}),
            ("strategies", {each: _latest_books(f"strategy/{each}") for each in instruments}),
        ):
            object.__setattr__(self, name, made)

    @property
    def state_dir(self) -> Path:
        return self.settings.desk.state_dir

    @property
    def example(self) -> str:
        """The name of an actor worth crashing for practice."""
        return next(iter(self.strategies.values())).name

    @property
    def watchers(self) -> tuple[Address, ...]:
        return (self.watcher,) if self.is_watched else ()

    @property
    def instruments(self) -> tuple[str, ...]:
        return self.settings.instrument_names


def desk_tree(desk: Desk, outside: Outside) -> Branch:
    """The tree of one desk."""
    venue = desk.settings.venue.name
    more = outside.more(desk)
    return Branch(
        "desk",
        Strategy.ONE_FOR_ONE,
        (
            *((Branch("outside", Strategy.ONE_FOR_ONE, more),) if more else ()),
            Branch(
                "core",
                Strategy.ONE_FOR_ONE,
                (Child(desk.lease, outside.lease(desk)), Child(desk.journal, outside.journal(desk))),
            ),
            Branch(
                f"venue/{venue}",
                Strategy.ONE_FOR_ONE,
                (
                    Child(desk.rest, outside.rest(desk)),
                    Child(desk.trade, outside.trade(desk)),
                    *(Child(desk.feeds[each], _feed_actor(desk, each)) for each in desk.instruments),
                    Child(desk.market, outside.market(desk)),
                ),
                budget=VENUE_BUDGET,
                on_give_up=GiveUp.ALONE,
            ),
            # Each believes what those before it have told it, so it must not outlive them.
            Branch("trading", Strategy.REST_FOR_ONE, _trading(desk)),
        ),
    )


def _trading(desk: Desk) -> tuple[Child | Branch, ...]:
    settings = desk.settings
    window_s = settings.venue.order_window_s
    ports = (desk.lease, desk.journal, desk.trade, desk.rest)

    def control() -> Actor:
        return ControlActor(journal=desk.journal, told=(desk.risk, desk.orders, *desk.strategies.values()))

    def orders() -> Actor:
        return OrdersActor(
            settings.orders,
            Seat(
                account=settings.venue.account_name,
                instance=settings.desk.instance,
                instruments=desk.instruments,
                order_window_s=window_s,
            ),
            OrdersAddresses(
                journal=desk.journal,
                lease=desk.lease,
                trade=desk.trade,
                rest=desk.rest,
                risk=desk.risk,
                portfolio=desk.portfolio,
                control=desk.control,
                strategies=desk.strategies,
            ),
            exit_check(window_s),
        )

    def risk() -> Actor:
        return RiskActor(
            settings.risk,
            desk.instruments,
            order_window_s=window_s,
            orders=desk.orders,
            portfolio=desk.portfolio,
            control=desk.control,
            journal=desk.journal,
            rests={settings.venue.name: desk.rest},
        )

    return (
        Child(desk.control, control, ports=ports),
        # It is ready when it has read every fill of the journal: of months, where the desk has run for so long.
        Child(desk.portfolio, lambda: _portfolio(desk), ports=ports, start_timeout_s=60.0),
        Child(desk.orders, orders, ports=ports),
        Child(desk.risk, risk, ports=ports),
        *(_trades(desk, each, ports) for each in desk.instruments),
    )


def _trades(desk: Desk, instrument: str, ports: tuple[Address, ...]) -> Branch:
    return Branch(
        f"trades/{instrument}",
        Strategy.ONE_FOR_ONE,
        (Child(desk.strategies[instrument], _strategy(desk, instrument), ports=ports),),
        budget=STRATEGY_BUDGET,
        on_give_up=GiveUp.ALONE,
    )


def _portfolio(desk: Desk) -> Actor:
    return PortfolioActor(
        desk.settings.portfolio,
        desk.instruments,
        orders=desk.orders,
        journal=desk.journal,
        rests={desk.settings.venue.name: desk.rest},
        told=(desk.risk, desk.orders, *desk.strategies.values()),
    )


def _strategy(desk: Desk, instrument: str) -> Start:
    ((name, config),) = configure(desk.settings.strategy).items()
    make = maker(name, config, instrument)
    return lambda: StrategyActor(
        make,
        name,
        instrument,
        risk=desk.risk,
        orders=desk.orders,
        portfolio=desk.portfolio,
        rest=desk.rest,
    )


def _feed_actor(desk: Desk, instrument: str) -> Start:
    return lambda: FeedActor(
        instrument,
        rest=desk.rest,
        subscribers=(desk.strategies[instrument], desk.risk, *desk.watchers),
        books_to=(desk.orders, desk.portfolio),
        config=desk.settings.feed,
    )


def _latest_books(name: str) -> Address:
    return Address(name, latest={Book: attrgetter("instrument")})


def _feed(instrument: str) -> Address:
    # A diff that is dropped costs the book, once; a feed that blocks the socket would cost every book.
    return Address(f"feed/{instrument}", overflow=Overflow.DROP_OLDEST, dropped_key=_instrument_of)


def _instrument_of(message: Message) -> str:
    return getattr(message, "instrument", "")


def durable(desk: Desk) -> tuple[Start, Start]:
    """The journal and the lease of a desk that means it: on disk, in its state folder."""
    state = desk.state_dir
    return (
        lambda: JournalPort(state / JOURNAL_FILE, lease=desk.lease),
        lambda: LeasePort(state, owners=(desk.orders, desk.journal, *desk.watchers)),
    )
