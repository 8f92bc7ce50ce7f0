"""Records of a venue and of a journal, written by hand: a good one, and the parts to plant faults with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.chaos.judge import Booked, Change, Fill, Kept, Order, Terms

ACCOUNT, SYMBOL = "main", "BTCUSDT"
TERMS = {SYMBOL: Terms("BTC", Decimal("0.00001"), Decimal(5))}
S = 1_000_000


def order(
    client_id: str,
    at_us: int,
    *changes: Change,
    kind: str = "LIMIT",
    side: str = "BUY",
    order_id: int = 0,
    symbol: str = SYMBOL,
) -> Order:
    steps = changes or (change(at_us, "NEW"),)
    return Order(
        ACCOUNT,
        symbol,
        order_id or abs(hash(client_id)),
        client_id,
        side,
        kind,
        at_us,
        steps[-1].status,
        steps,
    )


def change(at_us: int, what: str, status: str = "", executed: str = "0", quantity: str = "0.001") -> Change:
    return Change(at_us, what, status or what, Decimal(executed), Decimal(quantity))


def stop(client_id: str, from_us: int, to_us: int | None = None, *, how: str = "CANCELED") -> Order:
    """A stop for 0.001 that stands from one moment to another."""
    end = (change(to_us, how, "NEW" if how == "TRIGGERED" else ""),) if to_us is not None else ()
    return order(client_id, from_us, change(from_us, "NEW"), *end, kind="STOP_LOSS", side="SELL")


def fill(
    at_us: int,
    side: str = "BUY",
    size: str = "0.001",
    *,
    trade_id: int = 0,
    client_id: str = "nda-o1-1",
    fee: str = "0",
) -> Fill:
    return Fill(
        at_us=at_us, account=ACCOUNT, symbol=SYMBOL, trade_id=trade_id or at_us, order_id=1, client_id=client_id,
        side=side, price=Decimal(60_000), quantity=Decimal(size), fee=Decimal(fee), fee_coin="BTC",
    )  # fmt: skip


def booked(of: Fill) -> Booked:
    return Booked(of.symbol, of.trade_id, of.order_id, of.side, of.price, of.quantity, of.fee, of.fee_coin)


def kept(*fills: Fill, intents: dict[str, int] | None = None) -> Kept:
    return Kept((), intents or {}, tuple(booked(each) for each in fills))


def balances(before: str = "0", after: str = "0") -> dict[str, Any]:
    """A record's balances of BTC."""
    return {
        "initial_balances": {ACCOUNT: {"BTC": {"free": before, "locked": "0"}}},
        "balances": {ACCOUNT: {"BTC": {"free": after, "locked": "0"}}},
    }
