"""A small spot venue with the behaviour that orders must survive: it locks coins, triggers stops, refuses
what a real one refuses, says things twice, late or not at all, and keeps its own record of what was true.

One instrument, price by decree (`move`). Money is Decimal; nothing here knows the code under test.
"""

from __future__ import annotations

from decimal import Decimal

from actors.messages import (
    AccountSnapshot,
    Balance,
    CancelRefused,
    Fill,
    InstrumentRules,
    NoSuchOrder,
    OrderKind,
    OrderRefusedByVenue,
    OrderReport,
    OrderStatus,
    PlaceOrder,
    Side,
    TimeInForce,
)
from supervisor.message import Message

INSTRUMENT = "sim/BTCUSDT"
ACCOUNT = "sim/main"
TICK, LOT = Decimal("0.01"), Decimal("0.00001")
FEE = Decimal("0.001")

RULES = InstrumentRules(
    instrument=INSTRUMENT,
    base="BTC",
    quote="USDT",
    tick=TICK,
    lot=LOT,
    size_min=LOT,
    size_max=Decimal(9000),
    notional_min=Decimal(5),
    algo_orders_max=5,
    status="TRADING",
    order_types=("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"),
)


class VenueOrder:
    def __init__(self, place: PlaceOrder, order_id: int) -> None:
        self.client_id = place.client_id
        self.order_id = order_id
        self.side, self.kind, self.tif = place.side, place.kind, place.tif
        self.size = Decimal(place.size)
        self.price = Decimal(place.price or 0)
        self.stop = Decimal(place.stop_price or 0)
        self.filled = Decimal(0)
        self.status = OrderStatus.NEW
        self.triggered = False

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    @property
    def left(self) -> Decimal:
        return self.size - self.filled

    @property
    def waits(self) -> bool:
        return self.stop > 0 and not self.triggered


class ModelVenue:
    """`stream` collects what its user stream says; whoever carries it decides when, and how often, it
    arrives."""

    def __init__(self, base: Decimal = Decimal(0)) -> None:
        self.bid, self.ask = Decimal("60000.00"), Decimal("60000.01")
        self.depth = Decimal(9000)  # what one IOC or market order finds at the touch
        self.total = {"BTC": base, "USDT": Decimal(10_000_000)}
        self.owners = base  # the owner's coins: never to be sold
        self.orders: dict[str, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.stream: list[Message] = []
        self.ids_repeated: list[str] = []
        self.hides: set[str] = set()  # not listed among the open orders: a server that lags
        self.refuses: dict[OrderKind, tuple[int, str]] = {}
        self.lowest_base = base
        self.wall_ns = 0
        self._numbers = 1000
        self._trade_ids = 50
        # Judged by its own record: seconds in which a position stood without enough of a stop.
        self.bare_since_ns: int | None = None
        self.bare_ns = 0
        self.entered_ns: int | None = None

    # -- requests ----------------------------------------------------------------------------------

    def place(self, place: PlaceOrder) -> Message:
        if place.client_id in self.orders:
            self.ids_repeated.append(place.client_id)
            if self.orders[place.client_id].is_open:
                return self._refuse(place, -2010, "Duplicate order sent.")
        size, price, stop = Decimal(place.size), Decimal(place.price or 0), Decimal(place.stop_price or 0)
        if place.kind in self.refuses:
            return self._refuse(place, *self.refuses[place.kind])
        if size % LOT or price % TICK or stop % TICK or size <= 0:
            return self._refuse(place, -1013, "Filter failure: LOT_SIZE")
        if size * (price or stop or self.bid) < 5:
            return self._refuse(place, -1013, "Filter failure: NOTIONAL")
        if place.side is Side.SELL and size > self.free("BTC"):
            return self._refuse(place, -2010, "Account has insufficient balance for requested action.")
        if stop and self.bid <= stop:
            return self._refuse(place, -2010, "Stop price would trigger immediately.")
        if stop and sum(o.waits for o in self.orders.values() if o.is_open) >= RULES.algo_orders_max:
            return self._refuse(place, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
        if place.kind is OrderKind.POST_ONLY and place.side is Side.BUY and price >= self.ask:
            return self._refuse(place, -2010, "Order would immediately match and take.")
        self._numbers += 1
        order = VenueOrder(place, self._numbers)
        self.orders[place.client_id] = order
        self._report(order)
        if not order.waits:
            self._match(order)
        return self.report(order, "answer")

    def cancel(self, client_id: str) -> Message:
        order = self.orders.get(client_id)
        if order is None or not order.is_open:
            return CancelRefused(client_id=client_id, code=-2011, words="Unknown order sent.")
        self._end(order, OrderStatus.CANCELED)
        return self.report(order, "answer")

    def replace(self, client_id: str, place: PlaceOrder) -> tuple[Message, ...]:
        from actors.messages import OrderNotSent

        said = self.cancel(client_id)
        if isinstance(said, CancelRefused):
            return said, OrderNotSent(client_id=place.client_id, reason="cancel failed")
        return said, self.place(place)

    def query(self, client_id: str) -> Message:
        order = self.orders.get(client_id)
        if order is None:
            return NoSuchOrder(client_id=client_id, asked_wall_ns=self.wall_ns)
        return self.report(order, "query")

    def snapshot(self, since: dict[str, int], wall_ns: int) -> AccountSnapshot:
        locked = self.total["BTC"] - self.free("BTC")
        return AccountSnapshot(
            account=ACCOUNT,
            open_orders=tuple(
                self.report(o, "snapshot")
                for o in self.orders.values()
                if o.is_open and o.client_id not in self.hides
            ),
            balances=(
                Balance(coin="BTC", free=self.free("BTC"), locked=locked),
                Balance(coin="USDT", free=self.total["USDT"], locked=Decimal(0)),
            ),
            # As the real list of trades: by the venue's own number, without the client's id.
            fills=tuple(
                Fill(**{f: getattr(fill, f) for f in fill.__struct_fields__} | {"client_id": ""})
                for fill in self.fills
                if fill.trade_id >= since.get(INSTRUMENT, 0)
            ),
            wall_ns=wall_ns,
        )

    # -- the market --------------------------------------------------------------------------------

    def move(self, bid: Decimal) -> None:
        """The touch moves; stops trigger, resting orders that are met are filled."""
        self.bid, self.ask = bid, bid + TICK
        for order in list(self.orders.values()):
            if order.is_open and order.waits and self.bid <= order.stop:
                order.triggered = True
            if order.is_open and not order.waits:
                self._match(order)

    def fill(self, client_id: str, size: Decimal) -> None:
        """Somebody trades against a resting order."""
        order = self.orders[client_id]
        if order.is_open and not order.waits:
            self._execute(order, min(size, order.left), order.price)

    def owner_buys(self, size: Decimal) -> None:
        """The owner trades by hand on the same account."""
        self.total["BTC"] += size
        self._trade_ids += 1
        self._numbers += 1
        self.fills.append(self._fill("", self._numbers, Side.BUY, self.ask, size, Decimal(0), "BTC"))

    def free(self, coin: str) -> Decimal:
        held = self.total[coin]
        if coin == "BTC":
            held -= sum(o.left for o in self.orders.values() if o.is_open and o.side is Side.SELL)
        return held

    @property
    def position(self) -> Decimal:
        return self.total["BTC"] - self.owners

    @property
    def stopped(self) -> Decimal:
        """What working stops would sell."""
        return sum(
            (o.left for o in self.orders.values() if o.is_open and o.stop > 0 and o.side is Side.SELL),
            Decimal(0),
        )

    def judge(self, now_ns: int) -> None:
        """Keep the time without enough of a stop; call it before and after anything changes."""
        missing = self.position - self.stopped
        bare = missing * self.bid >= Decimal("5.5") and missing >= LOT
        if bare and self.bare_since_ns is None:
            self.bare_since_ns = now_ns
        elif not bare and self.bare_since_ns is not None:
            self.bare_ns = max(self.bare_ns, now_ns - self.bare_since_ns)
            self.bare_since_ns = None

    # -- inside ------------------------------------------------------------------------------------

    def report(self, order: VenueOrder, source: str) -> OrderReport:
        return OrderReport(
            client_id=order.client_id,
            order_id=order.order_id,
            instrument=INSTRUMENT,
            side=order.side,
            kind=order.kind,
            status=order.status,
            size=order.size,
            filled=order.filled,
            price=order.price,
            stop_price=order.stop,
            venue_ns=self.wall_ns,
            source=source,
        )

    def _report(self, order: VenueOrder) -> None:
        self.stream.append(self.report(order, "stream"))

    def _refuse(self, place: PlaceOrder, code: int, words: str) -> OrderRefusedByVenue:
        return OrderRefusedByVenue(client_id=place.client_id, code=code, words=words)

    def _match(self, order: VenueOrder) -> None:
        market = order.kind in (OrderKind.MARKET, OrderKind.STOP_MARKET)
        price = self.ask if order.side is Side.BUY else self.bid
        crosses = market or (order.price >= price if order.side is Side.BUY else order.price <= price)
        if crosses:
            self._execute(order, min(order.left, self.depth), price)
        if order.is_open and (market or order.tif is TimeInForce.IOC):
            self._end(order, OrderStatus.EXPIRED)

    def _execute(self, order: VenueOrder, size: Decimal, price: Decimal) -> None:
        size -= size % LOT
        if size <= 0:
            return
        order.filled += size
        order.status = OrderStatus.PARTIALLY_FILLED if order.left else OrderStatus.FILLED
        buys = order.side is Side.BUY
        fee, coin = (size * FEE, "BTC") if buys else (size * price * FEE, "USDT")
        self.total["BTC"] += size - fee if buys else -size
        self.total["USDT"] += -size * price if buys else size * price - fee
        self.lowest_base = min(self.lowest_base, self.total["BTC"])
        self._trade_ids += 1
        fill = self._fill(order.client_id, order.order_id, order.side, price, size, fee, coin)
        self.fills.append(fill)
        self.stream += [fill, self.report(order, "stream")]

    def _fill(
        self,
        client_id: str,
        order_id: int,
        side: Side,
        price: Decimal,
        size: Decimal,
        fee: Decimal,
        coin: str,
    ) -> Fill:
        return Fill(
            account=ACCOUNT,
            instrument=INSTRUMENT,
            trade_id=self._trade_ids,
            order_id=order_id,
            client_id=client_id,
            side=side,
            price=price,
            size=size,
            fee=fee,
            fee_coin=coin,
            is_maker=False,
            venue_ns=self.wall_ns,
        )

    def _end(self, order: VenueOrder, status: OrderStatus) -> None:
        order.status = status
        self._report(order)
