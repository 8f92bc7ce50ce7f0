"""The orders actor in a simulated tree: real dispatcher, journal in memory, and the model venue behind two
actors that stand for the ports, with every kind of bad luck on the way."""

from __future__ import annotations

import random
from decimal import Decimal

from actors.messages import (
    ApprovedOrder,
    Book,
    CancelWanted,
    DeskMode,
    Fill,
    FlattenDone,
    ModeChanged,
    ModeWanted,
    OperatorCommand,
    OrderChanged,
    OrderIntent,
    OrderKind,
    OrderState,
    PlaceOrder,
    ProtectionChanged,
    Purpose,
    Reconciled,
    RefusedOrder,
    Side,
    StopTrading,
    TimeInForce,
    TradingStopped,
)
from actors.orders.actor import OrdersActor
from actors.orders.config import OrdersConfig
from actors.orders.desk import Addresses, ExitCheck, Seat
from supervisor.actor import Actor
from supervisor.failover.messages import Fenced, Leading, WhoLeads
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.simulation import Simulation
from supervisor.spec import Branch, Budget, Child, Strategy
from tests.actors.orders.model_roads import Cable, Carry, Luck, Road
from tests.actors.orders.model_venue import ACCOUNT, INSTRUMENT, LOT, RULES, ModelVenue, VenueOrder

S = 1_000_000_000
WINDOW_S = 0.3


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
        self.stream_up_ns = 0
        self.exit_check: ExitCheck = check_exit
        self.mode = ModeChanged(mode=DeskMode.RUNNING, by="test", reason="", wall_ns=0)
        self.store = store or MemoryStore()
        self.sent: list[Message] = []
        self.placed_ns: dict[str, int] = {}
        self.to_control: list[Message] = []
        self.at_risk: list[Message] = []
        self.at_portfolio: list[Message] = []
        self.at_strategy: list[Message] = []
        self.actors: list[OrdersActor] = []
        self.intents: list[OrderIntent] = []
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
            actor = OrdersActor(self.config, seat, addresses, self.exit_check)
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
        values: dict[str, object] = {
            "intent_id": len(self.intents) + 1,
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
        self.intents.append(OrderIntent(**(values | more)))  # type: ignore[arg-type]
        return self.intents[-1]

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
        """What the venue's stream has said sets out; nobody hears it while the stream is down."""
        words, self.venue.stream = self.venue.stream, []
        self.sim.tell(self.trade, Carry(words=tuple(words)))

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
        self.stream_up_ns = self.now_ns if up else self.stream_up_ns
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

    @property
    def protection(self) -> ProtectionChanged:
        """What risk was told last."""
        return [word for word in self.at_risk if isinstance(word, ProtectionChanged)][-1]

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
