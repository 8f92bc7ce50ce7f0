"""The judge of a run: a lie about any order or fill is found in the venue's record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors.messages import Fill, OrderState, Side
from actors.tally import Tally, compare

ENTRY, STOP = "nda-o1-1", "nda-p1-2"
KEY = ("BTCUSDT", 7, 70)


def _order(client_id: str, status: str) -> dict[str, str]:
    return {"account": "main", "client_id": client_id, "status": status}


def _record(stop: str = "NEW") -> dict[str, Any]:
    fill = {
        "account": "main",
        "symbol": "BTCUSDT",
        "trade_id": 7,
        "order_id": 70,
        "client_id": ENTRY,
        "side": "BUY",
        "price": "60000.00000000",
        "quantity": "0.00166000",
        "fee": "0.00000166",
        "fee_coin": "BTC",
    }
    return {"fills": [fill], "orders": [_order(ENTRY, "FILLED"), _order(STOP, stop)]}


def _tally(stop: OrderState = OrderState.OPEN) -> Tally:
    tally = Tally()
    tally.orders = {ENTRY: OrderState.FILLED, STOP: stop}
    tally.fills[KEY] = Fill(
        account="binance/main",
        instrument="binance/BTCUSDT",
        trade_id=7,
        order_id=70,
        client_id=ENTRY,
        side=Side.BUY,
        price=Decimal("60000"),
        size=Decimal("0.00166"),
        fee=Decimal("0.00000166"),
        fee_coin="BTC",
        is_maker=False,
        venue_ns=1,
    )
    return tally


def test_the_truth_agrees() -> None:
    assert compare(_tally(), _record(), "main", "nd") == []
    assert compare(_tally(OrderState.CANCELED), _record("CANCELED"), "main", "nd") == []


@pytest.mark.parametrize(
    "lie",
    [
        {"client_id": "nda-o1-9"},
        {"side": Side.SELL},
        {"price": Decimal("60000.01")},
        {"size": Decimal("0.00165")},
        {"fee": Decimal("0")},
        {"fee_coin": "BNB"},
    ],
)
def test_a_fill_that_differs_in_anything_is_a_difference(lie: dict[str, Any]) -> None:
    tally = _tally()
    tally.fills[KEY] = msgspec.structs.replace(tally.fills[KEY], **lie)
    assert len(compare(tally, _record(), "main", "nd")) == 1


@pytest.mark.parametrize("state", [OrderState.NOT_SENT, OrderState.REJECTED])
@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED", "CANCELED"])
def test_an_order_that_the_venue_has_never_counts_as_one_that_was_never_there(
    state: OrderState, status: str
) -> None:
    assert len(compare(_tally(state), _record(status), "main", "nd")) == 1


def test_a_fill_or_an_order_that_is_missing_on_either_side_is_a_difference() -> None:
    tally = _tally()
    del tally.fills[KEY]
    assert len(compare(tally, _record(), "main", "nd")) == 1
    tally = _tally()
    del tally.orders[STOP]
    assert len(compare(tally, _record(), "main", "nd")) == 1
    invented = _record()
    invented["fills"] = []
    assert len(compare(_tally(), invented, "main", "nd")) == 1
