"""Every message between actors, on one page.

A message states a fact (`Fill`) or a wish (`OrderIntent`). Types carry permission: orders accepts only an
`ApprovedOrder`, and only `actors/risk/` may construct one. Units: prices and sizes of orders are integers of
tick and lot; market data are floats; whatever is booked is `Decimal`; `_ns` is nanoseconds, `venue_ns` and
`wall_ns` since the Unix epoch, `now_ns` and `send_by_ns` on the process's monotonic clock.

An *instrument* is named `venue/SYMBOL` ("binance/BTCUSDT"), an *account* `venue/name` ("binance/main").
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import ClassVar

from supervisor.message import Lane, Message


class Side(enum.Enum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Purpose(enum.Enum):
    """Why an order exists; flags, halts and caps bind OPEN only. The letter travels in the client id."""

    OPEN = "o"
    REDUCE = "r"
    PROTECT = "p"


class OrderKind(enum.Enum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    POST_ONLY = "POST_ONLY"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    OTHER = "OTHER"
    """A kind that we never send: an order of the account's owner, reported and left alone."""


class TimeInForce(enum.Enum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(enum.Enum):
    """What the venue says of an order, in its own standard terms."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        return self not in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


Level = tuple[float, float]
"""(price, size), both floats; size 0 in a diff deletes the level."""


# --- Market data: venue port -> feed -> strategy ------------------------------------------------------------


class InstrumentRules(Message, frozen=True):
    """What the venue demands of an order: filters of one instrument, from its exchange information."""

    instrument: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    size_min: Decimal
    size_max: Decimal
    notional_min: Decimal
    algo_orders_max: int
    status: str
    """The venue's word: TRADING, HALT, BREAK, CANCEL_ONLY."""
    order_types: tuple[str, ...] = ()


class DepthDiff(Message, frozen=True, kw_only=True):
    """One change of a book: update ids `first_id`..`last_id`, absolute sizes per level."""

    instrument: str
    first_id: int
    last_id: int
    previous_id: int | None = None
    """The last id of the event before, where the venue says it (Binance futures `pu`)."""
    bids: list[Level]
    asks: list[Level]
    venue_ns: int
    received_ns: int


class DepthSnapshot(Message, frozen=True):
    instrument: str
    last_id: int
    bids: list[Level]
    asks: list[Level]
    received_ns: int


class BookTicker(Message, frozen=True):
    """Best bid and ask as the venue states them beside the depth stream; used to prove the book right."""

    instrument: str
    update_id: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    received_ns: int


class TradeTick(Message, frozen=True):
    instrument: str
    trade_id: int
    price: float
    size: float
    buyer_is_maker: bool
    venue_ns: int
    received_ns: int


class Book(Message, frozen=True):
    """An immutable view of one synchronised book: the best levels of each side, best first."""

    instrument: str
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_ns: int
    received_ns: int

    @property
    def is_crossed(self) -> bool:
        return bool(self.bids and self.asks) and self.bids[0][0] >= self.asks[0][0]


class BookLost(Message, frozen=True):
    """The feed no longer believes its book (gap, silence, disconnect): do not trade on the last one."""

    instrument: str
    reason: str


class SnapshotWanted(Message, frozen=True):
    """Feed to the venue's REST port: fetch a fresh depth snapshot."""

    instrument: str
    levels: int = 1000

    def undelivered(self, written: bool) -> Message:
        return SnapshotFailed(instrument=self.instrument, reason="the REST port is down", retry_after_s=0.0)


class RulesWanted(Message, frozen=True):
    """A consumer that starts asks the REST port for the rules; answered by one `InstrumentRules` each."""

    instruments: tuple[str, ...]


class SnapshotFailed(Message, frozen=True):
    instrument: str
    reason: str
    retry_after_s: float


class StreamUp(Message, frozen=True):
    """A market stream is subscribed and acknowledged."""

    venue: str
    instruments: tuple[str, ...]


class StreamDown(Message, frozen=True):
    venue: str
    instruments: tuple[str, ...]
    reason: str


class FeedReport(Message, frozen=True):
    """Published by each feed every few seconds; counters are of this life of the feed."""

    instrument: str
    state: str
    """waiting, syncing, live or deepening: of the book, whoever believes it."""
    lost: str | None
    """Why the book must not be traded on; None while it is good."""
    update_id: int
    bid: float
    ask: float
    """0 where there is none."""
    diffs: int
    books: int
    duplicates: int
    gaps: int
    crossed: int
    resyncs: int
    losses: int
    tickers_compared: int
    tickers_equal: int
    snapshots_asked: int


class StreamReport(Message, frozen=True):
    """Published by a market port every few seconds; counters are of this life of the port."""

    venue: str
    connected: bool
    connects: int
    connects_failed: int
    handovers: int
    """Connections that were replaced by an overlapping one, without a hole."""
    frames: int
    frames_bad: int
    """Refused by the codec: torn, foreign, or with an impossible number."""
    duplicates: int
    last_error: str | None
    frames_bad_new: int = 0
    """Of `frames_bad`, those since the report before."""
    last_refusal: str | None = None
    """What was wrong with the last of them."""


# --- Orders: strategy -> risk -> orders ---------------------------------------------------------------------


class OrderIntent(Message, frozen=True, kw_only=True):
    """A wish of a strategy (or of orders itself, for exits). `reason` is the strategy's own short word."""

    intent_id: int
    strategy: str
    instrument: str
    side: Side
    purpose: Purpose
    kind: OrderKind
    tif: TimeInForce = TimeInForce.GTC
    size_lots: int
    price_ticks: int | None = None
    """None for a market order."""
    stop_ticks: int | None = None
    """OPEN: where the position's protective stop goes. PROTECT: the trigger of this very order."""
    target_ticks: int | None = None
    iceberg_lots: int | None = None
    decided_ns: int
    """now_ns of the decision; with the book's age it bounds how late the order may still be sent."""
    reason: str = ""


class ApprovedOrder(Message, frozen=True):
    """Permission to send. Only `actors/risk/` constructs it; it dies with orders' life."""

    intent: OrderIntent
    reservation_id: int
    """0 where nothing is reserved (REDUCE, PROTECT)."""
    send_by_ns: int


class RefusedOrder(Message, frozen=True):
    """An expected outcome: `reason` is a stable code such as "position_limit"; `detail` says the numbers."""

    intent_id: int
    strategy: str
    instrument: str
    purpose: Purpose
    reason: str
    detail: str = ""


class OrderState(enum.Enum):
    """Orders' own life cycle of one order (`actors/orders/lifecycle.py` is the table)."""

    PLANNED = "planned"
    JOURNALLED = "journalled"
    SENT = "sent"
    OPEN = "open"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class OrderChanged(Message, frozen=True):
    """Orders to risk, strategy and portfolio: a new state of an order. Terminal ones release reservations."""

    survives_restart: ClassVar[bool] = True

    client_id: str
    intent_id: int
    reservation_id: int
    strategy: str
    instrument: str
    side: Side
    purpose: Purpose
    state: OrderState
    is_terminal: bool
    size_lots: int
    filled_lots: int
    price_ticks: int | None
    stop_ticks: int | None
    reason: str = ""


class Fill(Message, frozen=True):
    """One execution. Its identity is (account, instrument, trade_id, order_id); it counts exactly once."""

    survives_restart: ClassVar[bool] = True

    account: str
    instrument: str
    trade_id: int
    order_id: int
    client_id: str
    side: Side
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_coin: str
    is_maker: bool
    venue_ns: int


class PositionChanged(Message, frozen=True):
    """Portfolio to risk and strategy: the net position after a fill was booked or a reconcile ended."""

    survives_restart: ClassVar[bool] = True

    instrument: str
    size_lots: int
    """Signed; sellable whole lots. Dust is apart."""
    dust: Decimal
    average_price: Decimal
    realised: Decimal
    """In quote, net of fees valued in quote."""
    fees: Decimal
    client_id: str = ""
    """The order whose fill this is; empty when no fill of ours caused it."""
    booked_lots: int = 0
    """Lots of that order booked so far: risk holds its reservation until they are in the position."""


class PositionsWanted(Message, frozen=True):
    """Asked of portfolio by who (re)starts; answered by `Positions`, with every fill told before in it."""

    instruments: tuple[str, ...]


class Positions(Message, frozen=True):
    """One entry for each wanted instrument whose rules portfolio knows, flat ones included."""

    positions: tuple[PositionChanged, ...]


class PositionReport(Message, frozen=True):
    """One instrument's line of the `PortfolioReport`; money in the instrument's quote coin."""

    instrument: str
    size_lots: int
    dust: Decimal
    average_price: Decimal
    mark: Decimal | None
    """The middle of the last book; None before the first."""
    unrealised: Decimal
    realised: Decimal
    """Net of fees valued in quote."""
    fees: Decimal


class PortfolioReport(Message, frozen=True):
    """Portfolio, published at most once a second: positions, P&L and fees by the coin they were paid in."""

    positions: tuple[PositionReport, ...]
    fees_by_coin: dict[str, Decimal]
    fees_unvalued: dict[str, Decimal]
    """Paid in a coin without a known price in quote: in no P&L figure yet."""
    fills: int
    adjustments: tuple[str, ...]
    """The last places where the venue's truth overruled the fills, in words."""
    wall_ns: int


class ProtectionChanged(Message, frozen=True):
    """Orders: the working stop of a position as last verified at the venue (None: it has none)."""

    instrument: str
    position_lots: int
    stop_client_id: str | None
    stop_ticks: int | None
    protected_lots: int
    verified_ns: int
    """wall_ns of the venue's last word on it."""
    unprotected_ns: int = 0
    """Time so far without enough of a stop, beyond what is allowed for placing the first; since orders'
    start."""


class PositionUnprotected(Message, frozen=True):
    """Orders, published: a position had no verified stop in time, or its stop does not fill; it is being
    sold."""

    instrument: str
    position_lots: int
    protected_lots: int
    reason: str


class OrderStrayed(Message, frozen=True):
    """Orders, published: an order with our prefix that this life does not know works at the venue. `late`:
    it was in flight from a sender before us, and is swept; otherwise two desks send on one account."""

    client_id: str
    instrument: str
    epoch: int
    late: bool


class OwnersOrders(Message, frozen=True):
    """Orders, published after reconciling: working orders without our prefix. Reported, never touched."""

    account: str
    orders: tuple[str, ...]


class AuditDiffered(Message, frozen=True):
    """Orders, published: the venue's balance is not what the fills come to, twice in a row; it reconciles
    anew."""

    account: str
    difference: str


class JournalTrouble(Message, frozen=True):
    """Orders, published: the journal does not keep what it is given; nothing is opened until it does (reason
    "")."""

    reason: str


class Reconciled(Message, frozen=True):
    """Orders: the venue's truth was read and agreed with; OPEN orders may follow. Snapshot for risk.

    It does not survive a restart of its receiver: a new life asks (`ReconciledWanted`), since a snapshot from
    before may lack what was approved or filled meanwhile.
    """

    account: str
    epoch: int
    positions: dict[str, int]
    """instrument -> signed lots"""
    open_orders: tuple[OrderChanged, ...]
    differences: tuple[str, ...]
    """What the journal believed otherwise, in words; empty when it agreed."""


class ReconciledWanted(Message, frozen=True):
    """Told to orders by who (re)starts; answered by `Reconciled`, once orders agrees with the venue."""


class CancelWanted(Message, frozen=True):
    """Strategy to orders: its resting entry is no longer wanted. A filled or unknown one is left as it is."""

    intent_id: int
    strategy: str
    instrument: str
    reason: str


# --- Orders <-> venue: wishes to the trade port, the venue's words back -------------------------------------


class PlaceOrder(Message, frozen=True, kw_only=True):
    """To the trade port. Strings are already quantised by the instrument's rules."""

    client_id: str
    instrument: str
    side: Side
    kind: OrderKind
    tif: TimeInForce
    size: str
    price: str | None = None
    stop_price: str | None = None
    iceberg_size: str | None = None
    window_ms: int
    """The venue's own deadline (Binance recvWindow) from the moment of signing."""
    send_by_ns: int
    opens: bool
    """An OPEN order: checked against the kill flag at the last moment before the bytes leave."""

    def undelivered(self, written: bool) -> Message:
        """What its sender is told when the port dies: written means nobody knows; unwritten, not sent."""
        if written:
            return OrderOutcomeUnknown(client_id=self.client_id, reason="connection lost after sending")
        return OrderNotSent(client_id=self.client_id, reason="connection lost before sending")


class CancelOrder(Message, frozen=True):
    client_id: str
    instrument: str

    def undelivered(self, written: bool) -> Message:
        return CancelOutcomeUnknown(client_id=self.client_id, reason="connection lost")


class ReplaceOrder(Message, frozen=True):
    """Cancel one order and place another in one request (STOP_ON_FAILURE). Answered for both client ids."""

    cancel_client_id: str
    instrument: str
    place: PlaceOrder

    def undelivered(self, written: bool) -> Message:
        return self.place.undelivered(written)


class QueryOrder(Message, frozen=True):
    client_id: str
    instrument: str

    def undelivered(self, written: bool) -> Message:
        return QueryFailed(what="order", key=self.client_id, reason="connection lost")


class QueryAccount(Message, frozen=True):
    """Open orders, balances and trades since an id, of one account: answered by one `AccountSnapshot`."""

    account: str
    instruments: tuple[str, ...]
    trades_since: dict[str, int]
    """instrument -> first trade id wanted (an overlap before the last one booked); absent: the recent ones"""

    def undelivered(self, written: bool) -> Message:
        return QueryFailed(what="account", key=self.account, reason="connection lost")


class OrderReport(Message, frozen=True):
    """The venue's word on one order: from its answer, the user stream or a query."""

    survives_restart: ClassVar[bool] = True

    client_id: str
    order_id: int
    instrument: str
    side: Side
    kind: OrderKind
    status: OrderStatus
    size: Decimal
    filled: Decimal
    price: Decimal
    stop_price: Decimal
    venue_ns: int
    source: str
    """"answer", "stream", "query" or "snapshot"."""
    reason: str = ""


class OrderRefusedByVenue(Message, frozen=True):
    """The venue said no: `code` and `words` are its own."""

    client_id: str
    code: int
    words: str


class OrderNotSent(Message, frozen=True):
    """Certain: the bytes never left (not connected, killed, too late, weight budget, ban)."""

    client_id: str
    reason: str


class OrderOutcomeUnknown(Message, frozen=True):
    """Time-out, 5xx, -1006, -1007 or a lost connection after sending: neither yes nor no."""

    client_id: str
    reason: str


class NoSuchOrder(Message, frozen=True):
    """The venue does not know the client id (yet): -2013. Believed only when said twice, late enough."""

    client_id: str
    asked_wall_ns: int


class CancelRefused(Message, frozen=True):
    client_id: str
    code: int
    words: str


class CancelOutcomeUnknown(Message, frozen=True):
    client_id: str
    reason: str


class QueryFailed(Message, frozen=True):
    what: str
    key: str
    reason: str


class Balance(Message, frozen=True):
    coin: str
    free: Decimal
    locked: Decimal


class AccountSnapshot(Message, frozen=True):
    """The venue's state of one account, read over one request each; `wall_ns` when the reading began."""

    account: str
    open_orders: tuple[OrderReport, ...]
    balances: tuple[Balance, ...]
    fills: tuple[Fill, ...]
    wall_ns: int


class BalancesChanged(Message, frozen=True):
    survives_restart: ClassVar[bool] = True

    account: str
    balances: tuple[Balance, ...]
    venue_ns: int


class UserStreamUp(Message, frozen=True):
    """The user stream is subscribed and acknowledged: from now on no fill is missed."""

    account: str


class UserStreamDown(Message, frozen=True):
    account: str
    reason: str


class ClockMeasured(Message, frozen=True):
    """Venue clock minus ours, with the half round trip as uncertainty."""

    venue: str
    offset_ms: float
    uncertainty_ms: float


class VenueTrouble(Message, frozen=True):
    """Something the venue imposes: "banned", "rate_limited" (this address), "orders_limited" (this account),
    "maintenance", or "unreachable" (several attempts failed); until when (wall), now if it does not say."""

    venue: str
    kind: str
    words: str
    until_wall_ns: int


# --- Operator and lease -------------------------------------------------------------------------------------


class Verb(enum.Enum):
    PAUSE = "pause"
    KILL = "kill"
    FLATTEN = "flatten"
    RESUME = "resume"


class OperatorCommand(Message, frozen=True):
    """One of the three verbs, or `resume`. Travels in the system lane: effective before the next tick."""

    lane: ClassVar[Lane] = Lane.SYSTEM

    verb: Verb
    by: str
    """"operator" or "operator:name" for a person, else the deciding part ("risk"); only a person resumes."""
    reason: str


class CommandRefused(Message, frozen=True):
    """Control's answer to a command that changes nothing; one that was taken is answered by `ModeChanged`."""

    verb: Verb
    reason: str


class StopTrading(Message, frozen=True):
    """To orders, before an orderly end: open nothing more, cancel entries and, with `flatten`, sell what is
    held. Answered (and published) by `TradingStopped` once no entry is left and, with `flatten`, all is flat
    or dust."""

    flatten: bool
    reason: str


class TradingStopped(Message, frozen=True):
    """Nothing of ours that opens is left at the venue. `positions`: what is still held, in lots, dust
    included; each stands under its stop unless it is dust."""

    flat: bool
    positions: dict[str, int]
    reason: str


class FlattenDone(Message, frozen=True):
    """Orders to control: flattening has nothing left to reduce. The kill stays latched."""


class DeskMode(enum.Enum):
    """RUNNING trades; PAUSED opens nothing; KILLED has cancelled OPEN and keeps stops; FLATTENING reduces."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"
    FLATTENING = "flattening"


class ModeChanged(Message, frozen=True):
    """Control to risk, orders, strategies: the latched mode. Only a person's `resume` lifts a kill."""

    lane: ClassVar[Lane] = Lane.SYSTEM

    mode: DeskMode
    by: str
    reason: str
    wall_ns: int


class ModeNotDurable(Message, frozen=True):
    """Control, published: the mode is in force but not in the journal: a crash would forget it."""

    mode: DeskMode
    reason: str


class ModeWanted(Message, frozen=True):
    """Told to control by who (re)starts; answered by `ModeChanged`."""


class EntriesForbidden(Message, frozen=True):
    """Control to itself, so that the flag is up at once: no OPEN order may leave in any mode but RUNNING."""

    lane: ClassVar[Lane] = Lane.SYSTEM
    raises_flag: ClassVar[str | None] = "no_open"


class EntriesAllowed(Message, frozen=True):
    lane: ClassVar[Lane] = Lane.SYSTEM
    lowers_flag: ClassVar[str | None] = "no_open"


class KillLatched(Message, frozen=True):
    """Control to itself, as above: KILLED or FLATTENING."""

    lane: ClassVar[Lane] = Lane.SYSTEM
    raises_flag: ClassVar[str | None] = "kill"


class KillLifted(Message, frozen=True):
    lane: ClassVar[Lane] = Lane.SYSTEM
    lowers_flag: ClassVar[str | None] = "kill"


class PauseLatched(Message, frozen=True):
    """Control to itself, as above: PAUSED, and not just because nothing is known yet."""

    lane: ClassVar[Lane] = Lane.SYSTEM
    raises_flag: ClassVar[str | None] = "pause"


class PauseLifted(Message, frozen=True):
    lane: ClassVar[Lane] = Lane.SYSTEM
    lowers_flag: ClassVar[str | None] = "pause"
