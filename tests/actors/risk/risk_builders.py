"""A kernel that has heard everything it needs, and the intents and facts to try it with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.messages import (
    ApprovedOrder,
    Book,
    DeskMode,
    InstrumentRules,
    OrderChanged,
    OrderIntent,
    OrderKind,
    OrderState,
    PositionChanged,
    ProtectionChanged,
    Purpose,
    Reconciled,
    RefusedOrder,
    Side,
    TimeInForce,
)
from actors.risk.config import RiskConfig
from actors.risk.kernel import RiskKernel

BTC = "binance/BTCUSDT"
ETH = "binance/ETHUSDT"
D = Decimal
S = 1_000_000_000
NOW = 1_000 * S
WALL = 1_722_470_400 * S  # 2024-08-01T00:00:00Z


def rules(instrument: str = BTC, **changes: Any) -> InstrumentRules:
    """BTC: a lot of 0.00001 at a tick of 0.01, so that 100 lots at 50,000.00 are worth 50 USDT."""
    base = instrument.partition("/")[2].removesuffix("USDT")
    given: dict[str, Any] = {
        "instrument": instrument,
        "base": base,
        "quote": "USDT",
        "tick": D("0.01"),
        "lot": D("0.00001"),
        "size_min": D("0.00001"),
        "size_max": D(9000),
        "notional_min": D(5),
        "algo_orders_max": 5,
        "status": "TRADING",
    }
    return InstrumentRules(**{**given, **changes})


def book(instrument: str = BTC, *, bid: float = 50_000.0, ask: float = 50_000.01, at: int = NOW) -> Book:
    return Book(
        instrument=instrument,
        update_id=1,
        bids=((bid, 1.0),),
        asks=((ask, 1.0),),
        venue_ns=at,
        received_ns=at,
    )


def intent(
    lots: int = 200,
    *,
    instrument: str = BTC,
    side: Side = Side.BUY,
    purpose: Purpose = Purpose.OPEN,
    price: int | None = 5_000_001,
    stop: int | None = 4_997_500,
    target: int | None = 5_002_500,
    kind: OrderKind = OrderKind.LIMIT,
    at: int = NOW,
    intent_id: int = 1,
) -> OrderIntent:
    return OrderIntent(
        intent_id=intent_id,
        strategy="imbalance",
        instrument=instrument,
        side=side,
        purpose=purpose,
        kind=kind,
        tif=TimeInForce.IOC,
        size_lots=lots,
        price_ticks=price,
        stop_ticks=stop,
        target_ticks=target,
        decided_ns=at,
    )


def position(
    lots: int,
    *,
    instrument: str = BTC,
    price: str = "50000",
    realised: str = "0",
    client_id: str = "",
    booked: int = 0,
) -> PositionChanged:
    return PositionChanged(
        instrument=instrument,
        size_lots=lots,
        dust=D(0),
        average_price=D(price if lots else 0),
        realised=D(realised),
        fees=D(0),
        client_id=client_id,
        booked_lots=booked,
    )


def protected(lots: int, instrument: str = BTC) -> ProtectionChanged:
    return ProtectionChanged(
        instrument=instrument,
        position_lots=lots,
        stop_client_id="stop" if lots else None,
        stop_ticks=1,
        protected_lots=lots,
        verified_ns=0,
    )


def changed(
    approved: ApprovedOrder, state: OrderState, filled: int = 0, *, client_id: str = "c1"
) -> OrderChanged:
    wish = approved.intent
    return OrderChanged(
        client_id=client_id,
        intent_id=wish.intent_id,
        reservation_id=approved.reservation_id,
        strategy=wish.strategy,
        instrument=wish.instrument,
        side=wish.side,
        purpose=wish.purpose,
        state=state,
        is_terminal=state in ENDED,
        size_lots=wish.size_lots,
        filled_lots=filled,
        price_ticks=wish.price_ticks,
        stop_ticks=wish.stop_ticks,
    )


ENDED = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.NOT_SENT}
)


def reconciled(*open_orders: OrderChanged) -> Reconciled:
    return Reconciled(account="binance/main", epoch=1, positions={}, open_orders=open_orders, differences=())


def ready(*instruments: str, window_s: float = 0.3, **knobs: Any) -> RiskKernel:
    """Running, reconciled and flat in every instrument, with a fresh book at NOW."""
    names = instruments or (BTC,)
    kernel = RiskKernel(RiskConfig(**knobs), names, order_window_s=window_s, first_id=1, born_ns=0)
    kernel.mode = DeskMode.RUNNING
    for name in names:
        kernel.holdings[name].on_rules(rules(name), kernel.config)
        kernel.holdings[name].on_book(book(name))
    kernel.on_reconciled(reconciled(), NOW)
    kernel.on_positions(position(0, instrument=name) for name in names)
    start_day(kernel)
    return kernel


def start_day(kernel: RiskKernel, wall_ns: int = WALL) -> None:
    pnl = kernel.pnl()
    assert pnl is not None
    for record in kernel.day.on_pnl(pnl, wall_ns):
        kernel.day.on_durable(record.key)


def approved(answer: ApprovedOrder | RefusedOrder) -> ApprovedOrder:
    assert isinstance(answer, ApprovedOrder), answer
    return answer


def reason(answer: ApprovedOrder | RefusedOrder) -> str:
    """The code of a refusal; "" for an approval."""
    return answer.reason if isinstance(answer, RefusedOrder) else ""
