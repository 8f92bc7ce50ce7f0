"""What the parts of this slice share: where things stand, whom to tell, and how an order's news is told.

The parts (`sending`, `words`, `exits`, `account`, `recovery`) decide; this holds their common state. All of
it dies with the actor's life, and the next life learns it anew from the venue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from actors.messages import (
    ApprovedOrder,
    DeskMode,
    InstrumentRules,
    Level,
    ModeChanged,
    OrderChanged,
    OrderIntent,
    OrderKind,
    RefusedOrder,
    Side,
)
from actors.orders.book_of_orders import Order, OrdersKnown
from actors.orders.client_ids import Sequences
from actors.orders.config import OrdersConfig
from actors.orders.holdings import Holdings
from actors.orders.protection import UnprotectedClock
from actors.orders.quantise import Grid
from actors.orders.reconcile import Phase
from actors.orders.unknown import QueryPolicy
from supervisor.flags import Flags
from supervisor.journal.messages import Append, Record
from supervisor.mailbox import Address
from supervisor.message import Message

S = 1_000_000_000

ExitCheck = Callable[[OrderIntent, int, int], ApprovedOrder | RefusedOrder]
"""(intent, position in lots, lots that working exits will sell) -> permission. Offered by the part that may
give it; it works without that part's actor."""


class Look(Message, frozen=True):
    """Orders to itself: a wait is over, look at this position."""

    instrument: str


class Shell(Protocol):
    """What the parts need of the actor around them."""

    @property
    def now_ns(self) -> int: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def flags(self) -> Flags: ...
    def tell(self, to: Address, message: Message) -> None: ...
    def publish(self, event: Message) -> None: ...
    def after(self, delay_s: float, message: Message) -> int: ...
    def ask(self, to: Address, question: Message, *, timeout_s: float) -> int: ...


@dataclass(frozen=True, slots=True)
class Addresses:
    """Whom orders speaks with. `strategies`: by instrument."""

    journal: Address
    lease: Address
    trade: Address
    rest: Address
    risk: Address
    portfolio: Address
    control: Address
    strategies: Mapping[str, Address]


@dataclass(frozen=True, slots=True)
class Seat:
    """Which account is traded, on which instruments, under which instance name."""

    account: str
    instance: str
    instruments: tuple[str, ...]
    # The venue's own deadline on every order, from the moment of signing (Binance recvWindow).
    order_window_s: float


class Line:
    """One instrument: its rules, its last book, and what is being done about its position."""

    __slots__ = (
        "bids",
        "book_ns",
        "clock",
        "entry_ticks",
        "failures",
        "gather_ns",
        "grid",
        "instrument",
        "leaving",
        "pause_ns",
        "refused_stops",
        "retry_ns",
        "said",
        "slice_lots",
        "stop_ticks",
        "through_ns",
        "trades",
        "tries",
    )

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.grid: Grid | None = None
        self.bids: tuple[Level, ...] = ()
        self.book_ns = 0
        self.entry_ticks = 0  # the price of the last entry's last fill
        self.stop_ticks = 0  # where new stops go; 0: nobody has said yet
        self.refused_stops: frozenset[OrderKind] = frozenset()
        self.clock = UnprotectedClock()
        self.gather_ns = 0  # a burst of fills is awaited until then
        self.retry_ns = 0  # after a refusal, nothing is sent before this
        self.failures = 0
        self.leaving = ""  # why the whole position is being sold
        self.tries = 0
        self.slice_lots = 0  # the position when the last slice was sent
        self.pause_ns = 0
        self.through_ns = 0  # since when the market stands below a stop that has not filled
        self.trades: deque[int] = deque(maxlen=50)  # the last booked trade ids: where a reading begins
        self.said: tuple[object, ...] | None = None


class Desk:
    """The state that all parts read."""

    def __init__(
        self, shell: Shell, config: OrdersConfig, seat: Seat, addresses: Addresses, exit_check: ExitCheck
    ) -> None:
        self.shell = shell
        self.config = config
        self.seat = seat
        self.addresses = addresses
        self.exit_check = exit_check
        self.known = OrdersKnown(live_max=config.live_max, recent_max=config.recent_max)
        self.holdings = Holdings(config.baseline)
        self.lines = {instrument: Line(instrument) for instrument in seat.instruments}
        self.window_ms = max(1, round(seat.order_window_s * 1000))
        self.uncertainty_ns = int(config.clock_uncertainty_s * S)
        self.query_policy = QueryPolicy(
            margin_ns=int((config.clock_uncertainty_s + config.query_margin_s) * S),
            first_ns=int(config.query_first_s * S),
            wait_max_ns=int(config.query_wait_max_s * S),
            lost_ns=int(config.query_lost_s * S),
        )
        self.phase = Phase.NO_LEASE
        self.epoch = 0  # 0: the lease is not ours, and nothing is sent
        self.sequences: Sequences | None = None
        self.believed = False  # positions are the venue's, agreed upon in this life
        self.mode: ModeChanged | None = None  # None: nobody has told us; then nothing is opened
        self.stopping = ""  # why nothing is opened any more, until the end of this life
        self.stop_flat = False
        self.trade_up = False  # the trade port has its session and its stream
        self.touched: set[str] = set()  # instruments whose protection is to be looked at
        self.unkept: deque[Record] = deque(maxlen=10_000)  # fills that the journal could not take yet
        self.closed_since_mark = 0
        self.journal_trouble = ""
        self._intent_ids = 0
        self._token = 0
        self.pending: dict[int, tuple[int, object]] = {}  # journal token -> (when, what waits for it)

    # -- what may be done --------------------------------------------------------------------------

    def entry_refusal(self) -> str:
        """Why nothing may be opened now: a stable code, empty if it may."""
        if not self.epoch:
            return "no_lease"
        if self.stopping:
            return "stopping"
        if self.phase is not Phase.OPEN_GATE:
            return "not_reconciled"
        if self.mode is None or self.mode.mode is not DeskMode.RUNNING or self.shell.flags["no_open"]:
            return "mode"
        if self.shell.flags["kill"]:
            return "killed"
        if not self.trade_up:
            return "no_stream"
        if self.journal_trouble:
            return "journal"
        return ""

    def may_exit(self, line: Line) -> bool:
        """Stops and exits need the lease, a position that we believe, and the venue's rules; nothing else."""
        if not (self.epoch and self.believed and line.grid is not None):
            return False
        return self.phase in (Phase.OPEN_GATE, Phase.PROTECT, Phase.WINDOW, Phase.STREAM)

    def flatten_wanted(self) -> str:
        """Why every position is to be sold, empty if none is."""
        if self.stop_flat:
            return "stopping"
        if self.mode is not None and self.mode.mode is DeskMode.FLATTENING:
            return "flatten"
        return ""

    # -- facts -------------------------------------------------------------------------------------

    def base(self, line: Line) -> str:
        return line.grid.rules.base if line.grid is not None else ""

    def position(self, line: Line) -> int:
        """The sellable position in lots: what fills have booked, less what the venue says was sold
        already."""
        if line.grid is None:
            return 0
        held = self.holdings.lots(line.grid.rules.base, line.grid)
        for order in self.known.of(line.instrument):
            if order.side is Side.SELL and order.fills_missing:
                held -= order.reported_lots - order.filled_lots
        return max(0, held)

    def held(self, order: Order, successor: Order | None = None) -> int:
        """Lots that a stop or an exit keeps from being sold by another order. `successor`: the order that
        takes its place in one request, where there is one.

        The venue does both halves or neither, and while every coin is ours it refuses to sell one twice: so
        what the successor leaves over may be covered anew at once. Where the owner's coins lie beside ours
        the venue would take those: then it is held until the venue has said that the order is gone.
        """
        if successor is None and not order.replaced_by:
            return order.remaining_lots
        successor = successor or self.known.live.get(order.replaced_by)
        if successor is None:
            return 0  # it has come and gone, so this one went before it
        line = self.lines[order.instrument]
        if not self.holdings.has_baseline(self.base(line)):
            return 0
        return max(0, order.remaining_lots - successor.remaining_lots)

    def coins(self) -> tuple[str, ...]:
        """The base coins that we trade."""
        return tuple(self.base(line) for line in self.lines.values() if line.grid is not None)

    def rules(self, rules: InstrumentRules) -> None:
        """Raises ValueError if two instruments share a coin: no one could say whose position a balance is."""
        line = self.lines.get(rules.instrument)
        if line is None:
            return
        for other in self.lines.values():
            if other is line or other.grid is None:
                continue
            theirs = other.grid.rules
            if rules.base in (theirs.base, theirs.quote) or theirs.base == rules.quote:
                raise ValueError(
                    f"{rules.instrument} and {other.instrument} share a coin ({rules.base} or "
                    f"{theirs.base}): on spot a balance could not be told apart into two positions. Trade one "
                    "of them, or use two accounts"
                )
        line.grid = Grid(rules)

    # -- telling -----------------------------------------------------------------------------------

    def route(self) -> Address:
        """Where orders go: the trade port, or REST as the second way while it is down."""
        return self.addresses.trade if self.trade_up else self.addresses.rest

    def touch(self, instrument: str) -> None:
        self.touched.add(instrument)

    def back_off(self, instrument: str) -> None:
        """A stop or an exit could not be sent, or was refused: the next try waits, longer each time."""
        line = self.lines[instrument]
        wait_s = min(self.config.retry_first_s * (1 << min(line.failures, 10)), self.config.retry_max_s)
        line.failures += 1
        line.retry_ns = self.shell.now_ns + int(wait_s * S)

    def next_intent_id(self) -> int:
        """Ids of orders' own intents are negative, so that they never meet a strategy's."""
        self._intent_ids -= 1
        return self._intent_ids

    def append(self, records: tuple[Record, ...], waiting: object) -> int:
        """Ask for records to be kept; `waiting` is handed back with the answer."""
        self._token += 1
        token = self._token
        shell = self.shell
        self.pending[token] = (shell.now_ns, waiting)
        shell.tell(self.addresses.journal, Append(records=records, token=token))
        return token

    def announce(self, order: Order) -> None:
        """Tell risk, its strategy and the public what became of an order; nothing if they know."""
        news = (order.state, order.filled_lots)
        if news == order.said:
            return
        order.said = news
        change = self.change_of(order)
        shell = self.shell
        shell.tell(self.addresses.risk, change)
        if order.strategy != "orders":
            strategy = self.addresses.strategies.get(order.instrument)
            if strategy is not None:
                shell.tell(strategy, change)
        shell.publish(change)

    def change_of(self, order: Order) -> OrderChanged:
        return OrderChanged(
            client_id=order.client_id,
            intent_id=order.intent_id,
            reservation_id=order.reservation_id,
            strategy=order.strategy,
            instrument=order.instrument,
            side=order.side,
            purpose=order.purpose,
            state=order.state,
            is_terminal=order.is_terminal,
            size_lots=order.size_lots,
            filled_lots=order.filled_lots,
            price_ticks=order.price_ticks,
            stop_ticks=order.stop_ticks,
            reason=order.reason,
        )
