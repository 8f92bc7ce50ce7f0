"""The orders actor in a simulated tree: real dispatcher, journal in memory, and the model venue behind two
actors that stand for the ports, with every kind of bad luck on the way."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal

from actors.messages import (
    ApprovedOrder,
    Book,
    CancelOrder,
    CancelOutcomeUnknown,
    CancelWanted,
    DeskMode,
    Fill,
    FlattenDone,
    ModeChanged,
    ModeWanted,
    NoSuchOrder,
    OperatorCommand,
    OrderChanged,
    OrderIntent,
    OrderKind,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderState,
    PlaceOrder,
    ProtectionChanged,
    Purpose,
    QueryAccount,
    QueryFailed,
    QueryOrder,
    Reconciled,
    RefusedOrder,
    ReplaceOrder,
    RulesWanted,
    Side,
    StopTrading,
    TimeInForce,
    TradingStopped,
    UserStreamDown,
    UserStreamUp,
)
from actors.orders.actor import OrdersActor
from actors.orders.config import OrdersConfig
from actors.orders.desk import Addresses, Seat
from supervisor.actor import Actor
from supervisor.failover.messages import Fenced, Leading, WhoLeads
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.mailbox import Address
from supervisor.message import Down, Message
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Budget, Child, Strategy
from tests.actors.orders.model_venue import ACCOUNT, INSTRUMENT, LOT, RULES, ModelVenue, VenueOrder

S = 1_000_000_000
WINDOW_S = 0.3


@dataclass
class Luck:
    """What goes wrong on the way to the venue and back; chances in [0, 1], times in seconds."""

    random: random.Random = field(default_factory=lambda: random.Random(0))
    delay_s: float = 0.005
    jitter_s: float = 0.0
    lose: float = 0.0  # a request never arrives
    mute: float = 0.0  # it arrives, and the answer is lost
    twice: float = 0.0  # a word is said twice
    stream_lose: float = 0.0  # a word of the user stream never comes
    query_lag_s: float = 0.0  # a query does not know an order younger than this
    rest_dead: bool = False
    answer_s: float = 0.5  # when the port gives up on an answer

    def wait_s(self) -> float:
        return self.delay_s + self.random.random() * self.jitter_s

    def happens(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance


class Arrives(Message, frozen=True):
    request: Message
    sender: object
    signed_ns: int


class Said(Message, frozen=True):
    """A word on its way to orders."""

    word: Message
    answers: int = 0


class GiveUp(Message, frozen=True):
    answers: int
    words: tuple[Message, ...]


class Cable(Message, frozen=True):
    """The trade port's connection is cut, or stands again."""

    up: bool


class Road(Actor):
    """What both ports have in common: requests arrive late or never, words come late, twice or never."""

    def __init__(self, rig: Rig, streams: bool) -> None:
        self._rig = rig
        self._streams = streams
        self._waiting: dict[int, bool] = {}
        self._count = 0

    def started(self) -> None:
        self.ready()
        if self._streams:
            self.watch(self._rig.orders)
            self._rig.carrier = self
            self._rig.stream_up = True
            self.tell(self._rig.orders, UserStreamUp(account=ACCOUNT))

    def on_down(self, message: Down) -> None:
        if self._rig.stream_up:
            self.tell(self._rig.orders, UserStreamUp(account=ACCOUNT))

    def on_cable(self, message: Cable) -> None:
        self._rig.stream_up = message.up
        self._rig.venue.stream.clear()
        word = UserStreamDown(account=ACCOUNT, reason="cable cut")
        self.tell(self._rig.orders, UserStreamUp(account=ACCOUNT) if message.up else word)

    def on_rules_wanted(self, message: RulesWanted) -> None:
        self.tell(self._rig.orders, RULES)

    def on_request(
        self, message: PlaceOrder | CancelOrder | ReplaceOrder | QueryOrder | QueryAccount
    ) -> None:
        rig, luck = self._rig, self._rig.luck
        rig.sent.append(message)
        place = message.place if isinstance(message, ReplaceOrder) else message
        if isinstance(place, PlaceOrder):
            late = self.now_ns > place.send_by_ns
            killed = place.opens and (self.flags["kill"] or self.flags["no_open"])
            if late or killed or (self._streams and not rig.stream_up):
                self.tell(
                    rig.orders, OrderNotSent(client_id=place.client_id, reason="late" if late else "down")
                )
                if isinstance(message, ReplaceOrder):
                    self.tell(
                        rig.orders,
                        CancelOutcomeUnknown(client_id=message.cancel_client_id, reason="not sent"),
                    )
                return
        self._count += 1
        self._waiting[self._count] = True
        words = given_up(message)
        self.after(luck.answer_s, GiveUp(answers=self._count, words=words))
        if luck.happens(luck.lose) or (luck.rest_dead and not self._streams):
            return
        self.after(luck.wait_s(), Arrives(request=message, sender=self._count, signed_ns=self.now_ns))

    def on_arrives(self, message: Arrives) -> None:
        rig, luck, request = self._rig, self._rig.luck, message.request
        venue = rig.venue
        venue.wall_ns = self.wall_ns
        venue.judge(self.now_ns)
        place = request.place if isinstance(request, ReplaceOrder) else request
        if isinstance(place, PlaceOrder) and self.now_ns > message.signed_ns + place.window_ms * 1_000_000:
            # Outside of the receive window: the venue refuses it without looking.
            said: tuple[Message, ...] = (venue._refuse(place, -1021, "outside of the recvWindow"),)
        elif isinstance(request, PlaceOrder):
            said = (venue.place(request),)
            rig.placed_ns[request.client_id] = self.now_ns
        elif isinstance(request, CancelOrder):
            said = (venue.cancel(request.client_id),)
        elif isinstance(request, ReplaceOrder):
            said = venue.replace(request.cancel_client_id, request.place)
            rig.placed_ns[request.place.client_id] = self.now_ns
        elif isinstance(request, QueryOrder):
            young = self.now_ns - rig.placed_ns.get(request.client_id, 0) < luck.query_lag_s * S
            said = (
                NoSuchOrder(client_id=request.client_id, asked_wall_ns=self.wall_ns)
                if young
                else venue.query(request.client_id),
            )
        else:
            said = (venue.snapshot(request.trades_since, self.wall_ns),)
        venue.judge(self.now_ns)
        rig.pump()
        if not luck.happens(luck.mute):
            for word in said:
                self.after(luck.wait_s(), Said(word=word, answers=message.sender))

    def on_said(self, message: Said) -> None:
        self._waiting.pop(message.answers, None)
        self.tell(self._rig.orders, message.word)
        if self._rig.luck.happens(self._rig.luck.twice):
            self.tell(self._rig.orders, message.word)

    def on_give_up(self, message: GiveUp) -> None:
        if self._waiting.pop(message.answers, None):
            for word in message.words:
                self.tell(self._rig.orders, word)

    def carry(self, word: Message) -> None:
        """One word of the user stream, on its way."""
        luck = self._rig.luck
        if not luck.happens(luck.stream_lose):
            self._life.after(luck.wait_s(), Said(word=word))


def given_up(request: Message) -> tuple[Message, ...]:
    if isinstance(request, PlaceOrder):
        return (OrderOutcomeUnknown(client_id=request.client_id, reason="no answer"),)
    if isinstance(request, CancelOrder):
        return (CancelOutcomeUnknown(client_id=request.client_id, reason="no answer"),)
    if isinstance(request, ReplaceOrder):
        return (
            CancelOutcomeUnknown(client_id=request.cancel_client_id, reason="no answer"),
            OrderOutcomeUnknown(client_id=request.place.client_id, reason="no answer"),
        )
    if isinstance(request, QueryOrder):
        return (QueryFailed(what="order", key=request.client_id, reason="no answer"),)
    return (QueryFailed(what="account", key=ACCOUNT, reason="no answer"),)


class Lease(Actor):
    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def on_who(self, message: WhoLeads) -> None:
        self.reply(self._rig.lease_word())


class Control(Actor):
    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def on_mode_wanted(self, message: ModeWanted) -> None:
        self.reply(self._rig.mode)

    def on_word(self, message: OperatorCommand | FlattenDone) -> None:
        self._rig.to_control.append(message)


class Listener(Actor):
    """Stands for risk, portfolio and strategy: keeps what it hears."""

    def __init__(self, heard: list[Message]) -> None:
        self._heard = heard

    def on_any(self, message: OrderChanged | ProtectionChanged | Reconciled | Fill | TradingStopped) -> None:
        self._heard.append(message)


class Rig:
    """A desk with one instrument. Build it, `open()` it, then `buy`, `trade`, `run`, and look."""

    def __init__(
        self,
        config: OrdersConfig | None = None,
        *,
        base: Decimal = Decimal(0),
        seed: int = 0,
        store: MemoryStore | None = None,
        venue: ModelVenue | None = None,
        epoch: int = 1,
    ) -> None:
        self.config = config or OrdersConfig(baseline={"BTC": base} if base else {})
        self.venue = venue or ModelVenue(base)
        self.luck = Luck(random.Random(f"{seed}/luck"))
        self.epoch = epoch
        self.leads = True
        self.stream_up = False
        self.carrier: Road | None = None
        self.mode = ModeChanged(mode=DeskMode.RUNNING, by="test", reason="", wall_ns=0)
        self.store = store or MemoryStore()
        self.sent: list[Message] = []
        self.placed_ns: dict[str, int] = {}
        self.to_control: list[Message] = []
        self.at_risk: list[Message] = []
        self.at_portfolio: list[Message] = []
        self.at_strategy: list[Message] = []
        self.actors: list[OrdersActor] = []
        self._intents = 0
        names = ("orders", "lease", "journal", "trade", "rest", "risk", "portfolio", "control", "strategy")
        self.orders, self.lease, self.journal, self.trade, self.rest, self.risk, *rest = map(Address, names)
        self.portfolio, self.control, self.strategy = rest
        self.sim = Simulation(self._tree(), seed)

    def _tree(self) -> Branch:
        seat = Seat(ACCOUNT, "a", (INSTRUMENT,), WINDOW_S)
        addresses = Addresses(
            self.journal, self.lease, self.trade, self.rest, self.risk, self.portfolio, self.control,
            {INSTRUMENT: self.strategy},
        )  # fmt: skip

        def orders() -> OrdersActor:
            actor = OrdersActor(self.config, seat, addresses, check_exit)
            self.actors.append(actor)
            return actor

        children = (
            Child(self.lease, lambda: Lease(self)),
            Child(self.journal, lambda: MemoryJournal(self.store, self.lease)),
            Child(self.control, lambda: Control(self)),
            Child(self.portfolio, lambda: Listener(self.at_portfolio)),
            Child(self.orders, orders, ports=(self.trade, self.rest, self.journal, self.lease)),
            Child(self.risk, lambda: Listener(self.at_risk)),
            Child(self.strategy, lambda: Listener(self.at_strategy)),
            Child(self.trade, lambda: Road(self, True)),
            Child(self.rest, lambda: Road(self, False)),
        )
        return Branch("desk", Strategy.ONE_FOR_ONE, children, budget=Budget(1000, 1.0))

    # -- doing -------------------------------------------------------------------------------------

    def open(self, seconds: float = 3.0) -> Rig:
        self.sim.start()
        self.book()
        self.run(seconds)
        assert self.desk.phase.value == "open", self.desk.phase
        return self

    def run(self, seconds: float) -> None:
        """Time passes; the book is refreshed each second, and the venue's own clock of protection runs."""
        while seconds > 0:
            step = min(seconds, 0.25)
            self.sim.run_for(step)
            self.book()
            seconds -= step
        self.venue.judge(self.now_ns)

    def intent(self, **more: object) -> OrderIntent:
        self._intents += 1
        values: dict[str, object] = {
            "intent_id": self._intents,
            "strategy": "imbalance",
            "instrument": INSTRUMENT,
            "side": Side.BUY,
            "purpose": Purpose.OPEN,
            "kind": OrderKind.LIMIT,
            "tif": TimeInForce.IOC,
            "size_lots": 100,
            "price_ticks": int(self.venue.ask / RULES.tick),
            "stop_ticks": int(self.venue.bid / RULES.tick) - 30_000,
            "decided_ns": self.now_ns,
        }
        return OrderIntent(**(values | more))  # type: ignore[arg-type]

    def approve(self, intent: OrderIntent) -> None:
        by_ns = intent.decided_ns + int(WINDOW_S * S)
        reservation = intent.intent_id if intent.purpose is Purpose.OPEN else 0
        self.sim.tell(self.orders, ApprovedOrder(intent=intent, reservation_id=reservation, send_by_ns=by_ns))
        self.sim.settle()

    def buy(self, lots: int = 100, **more: object) -> OrderIntent:
        """An entry that fills at once, unless `more` says otherwise."""
        intent = self.intent(size_lots=lots, **more)
        self.approve(intent)
        return intent

    def sell(self, lots: int, **more: object) -> OrderIntent:
        """The strategy's exit."""
        values = {"price_ticks": int(self.venue.bid / RULES.tick) - 100, "stop_ticks": None} | more
        intent = self.intent(size_lots=lots, side=Side.SELL, purpose=Purpose.REDUCE, **values)
        self.approve(intent)
        return intent

    def cancel(self, intent: OrderIntent) -> None:
        self.sim.tell(
            self.orders,
            CancelWanted(
                intent_id=intent.intent_id, strategy=intent.strategy, instrument=INSTRUMENT, reason="test"
            ),
        )

    def move(self, bid: str | Decimal) -> None:
        """The market moves, and the book says so."""
        self.venue.wall_ns = self.sim.world.wall_ns()
        self.venue.judge(self.now_ns)
        self.venue.move(Decimal(bid))
        self.venue.judge(self.now_ns)
        self.pump()
        self.book()

    def meet(self, client_id: str, lots: int) -> None:
        """Somebody trades against one of our resting orders."""
        self.venue.wall_ns = self.sim.world.wall_ns()
        self.venue.judge(self.now_ns)
        self.venue.fill(client_id, LOT * lots)
        self.venue.judge(self.now_ns)
        self.pump()

    def pump(self) -> None:
        """What the venue's stream has said sets out, unless nobody listens."""
        words, self.venue.stream = self.venue.stream, []
        if self.stream_up and self.carrier is not None:
            self.sim.dispatcher.touch()
            for word in words:
                self.carrier.carry(word)

    def book(self) -> None:
        bid, ask = float(self.venue.bid), float(self.venue.ask)
        book = Book(
            instrument=INSTRUMENT,
            update_id=1,
            bids=((bid, 5.0), (bid - 0.01, 5.0)),
            asks=((ask, 5.0),),
            venue_ns=0,
            received_ns=self.now_ns,
        )
        self.sim.tell(self.orders, book)
        self.sim.settle()

    def stream(self, up: bool) -> None:
        """The user stream comes or goes; what it would have said meanwhile is never said."""
        self.sim.tell(self.trade, Cable(up=up))
        self.sim.settle()

    def set_mode(self, mode: DeskMode) -> None:
        self.mode = ModeChanged(mode=mode, by="test", reason="", wall_ns=0)
        self.sim.tell(self.orders, self.mode)
        self.sim.settle()

    def stop_trading(self, flatten: bool = True) -> None:
        self.sim.tell(self.orders, StopTrading(flatten=flatten, reason="test"))
        self.sim.settle()

    def lease_word(self) -> Leading | Fenced:
        return Leading(store_id="test", epoch=self.epoch) if self.leads else Fenced(reason="test")

    # -- looking -----------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self.sim.world.time_ns

    @property
    def desk(self):  # type: ignore[no-untyped-def]
        return self.actors[-1]._desk

    @property
    def line(self):  # type: ignore[no-untyped-def]
        return self.desk.lines[INSTRUMENT]

    @property
    def position_lots(self) -> int:
        return self.desk.position(self.line)

    def states(self, purpose: Purpose = Purpose.OPEN) -> list[OrderState]:
        return [c.state for c in self.at_risk if isinstance(c, OrderChanged) and c.purpose is purpose]

    def last(self, intent: OrderIntent) -> OrderChanged:
        return [c for c in self.at_risk if isinstance(c, OrderChanged) and c.intent_id == intent.intent_id][
            -1
        ]

    def live(self, purpose: Purpose | None = None) -> list[str]:
        """Client ids that work at the venue."""
        letter = purpose and f"-{purpose.value}"
        return [
            o.client_id
            for o in self.venue.orders.values()
            if o.is_open and (not letter or letter in o.client_id)
        ]

    def sends(self, kind: type) -> list[Message]:
        return [message for message in self.sent if isinstance(message, kind)]

    def sent_first(self, kind: type) -> Message:
        return self.sends(kind)[0]

    def venue_order(self, client_id: str, side: Side, size: str, price: str) -> VenueOrder:
        """An order that somebody else has put there."""
        place = PlaceOrder(
            client_id=client_id,
            instrument=INSTRUMENT,
            side=side,
            kind=OrderKind.LIMIT,
            tif=TimeInForce.GTC,
            size=size,
            price=price,
            window_ms=300,
            send_by_ns=0,
            opens=False,
        )
        return VenueOrder(place, 7)

    def events(self, kind: type) -> list[Message]:
        return [event for event in self.sim.events if isinstance(event, kind)]

    @property
    def booked(self) -> list[Fill]:
        return [word for word in self.at_portfolio if isinstance(word, Fill)]

    def check(self) -> None:
        """What must hold once it is quiet."""
        venue = self.venue
        assert not venue.ids_repeated, "a client id was used twice"
        assert venue.lowest_base >= venue.owners, "the owner's coins were sold"
        ours = [f for f in venue.fills if f.client_id]
        seen = [(f.trade_id, f.order_id) for f in self.booked]
        assert sorted(seen) == sorted((f.trade_id, f.order_id) for f in ours), "a fill is missing or doubled"
        assert self.desk.holdings.coins["BTC"] == venue.position, "the position is not the venue's"
        missing = venue.position - venue.stopped
        assert missing * venue.bid < Decimal("5.5") or missing < LOT, f"unprotected: {missing}"
        assert venue.stopped <= max(venue.position, Decimal(0)), "more stops than position"


def check_exit(intent: OrderIntent, position: int, working: int) -> ApprovedOrder | RefusedOrder:
    """Stands for risk's check: an exit cannot increase a position, nor sell what another exit will."""
    if intent.side is Side.SELL and 0 < intent.size_lots <= position - working:
        return ApprovedOrder(
            intent=intent, reservation_id=0, send_by_ns=intent.decided_ns + int(WINDOW_S * S)
        )
    return RefusedOrder(
        intent_id=intent.intent_id,
        strategy=intent.strategy,
        instrument=intent.instrument,
        purpose=intent.purpose,
        reason="would_increase",
        detail=f"{intent.size_lots} of {position}, {working} working",
    )
