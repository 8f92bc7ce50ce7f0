"""Reading an account whole: every page of it, each fill with its order, and nothing believed that was not
read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import trio

from actors.messages import AccountSnapshot, QueryAccount
from actors.venues.binance.account_read import ORDER_PAGES_MAX, PAGE, ReadFailed, read_account
from actors.venues.binance.answers import Reply
from actors.venues.binance.order_codec import NotUnderstood, OrderCodec
from actors.venues.binance.order_requests import Call
from actors.venues.binance.signing import Param
from tests.actors.venues.binance.order_samples import body, order_answer

BTC, ETH = "binance/BTCUSDT", "binance/ETHUSDT"
CODEC = OrderCodec("binance", "binance/main")


def trade(number: int, order_id: int) -> dict[str, Any]:
    """rest-api.md, "Account trade list"."""
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": order_id,
        "orderListId": -1,
        "price": "50000.00",
        "qty": "0.001",
        "quoteQty": "50.0",
        "commission": "0.00001",
        "commissionAsset": "BNB",
        "time": 1499865549590 + number,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    }


class Account:
    """Answers as Binance pages: by `fromId` and by `orderId`, upwards, at most `limit`."""

    def __init__(self, trades: int = 0, per_order: int = 1) -> None:
        self.trades = [trade(number, 1000 + number // per_order) for number in range(trades)]
        self.orders = [
            order_answer(f"nd-o-{id_}", orderId=id_) for id_ in sorted({t["orderId"] for t in self.trades})
        ]
        self.open: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, str | int]]] = []
        self.replies: dict[str, Reply] = {}

    async def __call__(self, call: Call, params: list[Param]) -> Reply:
        asked = dict(params)
        self.asked.append((call.method, asked))
        if call.method in self.replies:
            return self.replies[call.method]
        return Reply(200, body(self._result(call.method, asked)))

    def _result(self, method: str, asked: dict[str, str | int]) -> object:
        limit = int(asked.get("limit", PAGE))
        if method == "openOrders.status":
            return [order for order in self.open if order["symbol"] == asked["symbol"]]
        if method == "account.status":
            return {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.5"}]}
        if method == "myTrades":
            if asked["symbol"] != "BTCUSDT":
                return []
            if "fromId" not in asked:
                return self.trades[-limit:]
            return [t for t in self.trades if t["id"] >= int(asked["fromId"])][:limit]
        return [order for order in self.orders if order["orderId"] >= int(asked["orderId"])][:limit]


def read(account: Account, since: int | None = 0, instruments: tuple[str, ...] = (BTC,)) -> AccountSnapshot:
    wish = QueryAccount(
        account="binance/main",
        instruments=instruments,
        trades_since={} if since is None else dict.fromkeys(instruments, since),
    )

    async def run() -> AccountSnapshot:
        return await read_account(account, CODEC, wish, wall_ns=7)

    return trio.run(run)


def test_every_page_of_trades_is_read_and_each_trade_once() -> None:
    account = Account(trades=2 * PAGE + 5)
    fills = read(account, since=3).fills
    assert [fill.trade_id for fill in fills] == list(range(3, 2 * PAGE + 5))
    assert all(fill.client_id == f"nd-o-{fill.order_id}" for fill in fills)


def test_a_last_page_that_is_exactly_full_ends_the_reading() -> None:
    assert len(read(Account(trades=PAGE)).fills) == PAGE


def test_without_a_first_id_only_the_recent_trades_are_read() -> None:
    account = Account(trades=3 * PAGE)
    assert [fill.trade_id for fill in read(account, since=None).fills] == list(range(2 * PAGE, 3 * PAGE))


def test_orders_are_read_before_trades_so_that_none_falls_in_between() -> None:
    account = Account(trades=1)
    read(account)
    assert [method for method, _ in account.asked] == [
        "openOrders.status",
        "account.status",
        "myTrades",
        "allOrders",
    ]


def test_an_open_order_names_its_own_fills_without_a_further_question() -> None:
    account = Account(trades=1)
    account.open = [order_answer("nd-o-open", orderId=1000, status="PARTIALLY_FILLED")]
    snapshot = read(account)
    assert [fill.client_id for fill in snapshot.fills] == ["nd-o-open"]
    assert snapshot.open_orders[0].source == "snapshot"
    assert "allOrders" not in [method for method, _ in account.asked]


def test_an_order_that_cannot_be_found_leaves_its_fills_without_a_name() -> None:
    account = Account(trades=2)
    account.orders = []
    assert [fill.client_id for fill in read(account).fills] == ["", ""]


def test_the_search_for_names_is_bounded() -> None:
    account = Account(trades=1)
    account.orders = [order_answer(f"x-{id_}", orderId=id_) for id_ in range(1001, 1001 + 10 * PAGE)]
    assert read(account).fills[0].client_id == ""
    assert len([method for method, _ in account.asked if method == "allOrders"]) == ORDER_PAGES_MAX


def test_each_instrument_is_read_by_itself() -> None:
    account = Account(trades=2)
    account.open = [
        order_answer("nd-o-1", orderId=1),
        order_answer("nd-o-2", orderId=1, symbol="ETHUSDT"),
    ]
    snapshot = read(account, instruments=(BTC, ETH))
    assert {(report.instrument, report.client_id) for report in snapshot.open_orders} == {
        (BTC, "nd-o-1"),
        (ETH, "nd-o-2"),
    }
    assert snapshot.balances[0].free == Decimal("1.5")
    assert snapshot.wall_ns == 7


@pytest.mark.parametrize("method", ["openOrders.status", "account.status", "myTrades", "allOrders"])
def test_one_part_that_fails_fails_the_whole_reading(method: str) -> None:
    account = Account(trades=1)
    account.replies[method] = Reply(400, b"", -2015, "Invalid API-key, IP, or permissions for action.")
    with pytest.raises(ReadFailed, match=f"{method}: -2015: Invalid API-key"):
        read(account)
    account.replies[method] = Reply(200, b"<html>")
    with pytest.raises(NotUnderstood):
        read(account)


def test_an_endless_history_is_refused_and_not_read_forever() -> None:
    class Endless(Account):
        def _result(self, method: str, asked: dict[str, str | int]) -> object:
            if method == "myTrades":
                first = int(asked["fromId"])
                return [trade(number, 1) for number in range(first, first + PAGE)]
            return super()._result(method, asked)

    with pytest.raises(ReadFailed, match="another account"):
        read(Endless())
