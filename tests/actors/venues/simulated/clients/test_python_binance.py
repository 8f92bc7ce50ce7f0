"""The simulated venue through python-binance, synchronous and asynchronous, unmodified: a subclass with URLs.

What is expected is Binance's documentation, see clients_fixture.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.venues.simulated.config import AccountConfig
from tests.actors.venues.simulated.clients.clients_fixture import (
    BEST_ASK,
    BEST_BID,
    FEE,
    LIMIT,
    OCO,
    RESTING,
    changed,
)
from tests.actors.venues.simulated.clients.python_binance_fixture import pointed_at, urls
from tests.actors.venues.simulated.venue_fixture import (
    WEALTH,
    LocalVenue,
    VenueThread,
    server_config,
    write_private_key,
)

binance = pytest.importorskip("binance", reason="python-binance is not installed")
exceptions = pytest.importorskip("binance.exceptions", reason="python-binance is not installed")

pytestmark = [
    pytest.mark.clients,
    # It builds on the old half of websockets, and asks for an event loop where none runs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
]


@pytest.fixture
def client(venue_thread: LocalVenue) -> Iterator[Any]:
    client = pointed_at(venue_thread)
    yield client
    client.close_connection()


def _balance(client: Any, coin: str) -> tuple[Decimal, Decimal]:
    row = client.get_asset_balance(coin)
    return Decimal(row["free"]), Decimal(row["locked"])


# --- The market ---------------------------------------------------------------------------------------


def test_it_learns_the_rules_and_the_time(client: Any) -> None:
    assert client.ping() == {}
    assert abs(client.get_server_time()["serverTime"] - time.time() * 1000) < 1000
    info = client.get_symbol_info("BTCUSDT")
    filters = {row["filterType"]: row for row in info["filters"]}
    assert filters["PRICE_FILTER"] == {
        "filterType": "PRICE_FILTER",
        "minPrice": "0.01000000",
        "maxPrice": "1000000.00000000",
        "tickSize": "0.01000000",
    }
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert info["status"] == "TRADING"
    assert {"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"} <= set(
        info["orderTypes"]
    )
    limits = {
        (row["rateLimitType"], row["interval"]): row["limit"]
        for row in client.get_exchange_info()["rateLimits"]
    }
    assert limits[("REQUEST_WEIGHT", "MINUTE")] == 6000
    assert limits[("ORDERS", "SECOND")] == 100


def test_book_trades_candles_and_tickers_agree(client: Any) -> None:
    client.order_market_buy(symbol="BTCUSDT", quantity="0.5")
    book = client.get_order_book(symbol="BTCUSDT", limit=5)
    assert book["bids"][0] == [f"{BEST_BID:.8f}", "1.00000000"]
    assert book["asks"][0] == [f"{BEST_ASK:.8f}", "0.50000000"]
    assert len(book["asks"]) == 5
    trade = client.get_recent_trades(symbol="BTCUSDT")[-1]
    assert (trade["price"], trade["qty"], trade["isBuyerMaker"]) == (f"{BEST_ASK:.8f}", "0.50000000", False)
    assert client.get_historical_trades(symbol="BTCUSDT", fromId=trade["id"]) == [trade]
    folded = client.get_aggregate_trades(symbol="BTCUSDT")[-1]
    assert (folded["f"], folded["l"], folded["p"]) == (trade["id"], trade["id"], trade["price"])
    candle = client.get_klines(symbol="BTCUSDT", interval="1m")[-1]
    assert (candle[4], candle[5], candle[6] - candle[0], candle[8]) == (
        trade["price"],
        trade["qty"],
        59_999,
        1,
    )
    assert client.get_ticker(symbol="BTCUSDT")["lastPrice"] == trade["price"]
    assert client.get_symbol_ticker(symbol="BTCUSDT")["price"] == trade["price"]
    assert client.get_orderbook_ticker(symbol="BTCUSDT")["bidPrice"] == book["bids"][0][0]
    assert client.get_avg_price(symbol="BTCUSDT")["mins"] == 5
    assert {row["symbol"] for row in client.get_all_tickers()} >= {"BTCUSDT", "ETHBTC"}


def test_the_wallets_questions_are_answered(client: Any) -> None:
    assert client.get_system_status() == {"status": 0, "msg": "normal"}
    assert client.get_account_status() == {"data": "Normal"}
    assert client.get_account_api_permissions()["enableWithdrawals"] is False
    assert client.get_trade_fee(symbol="BTCUSDT")[0]["makerCommission"] == "0.001"


# --- Orders and money ---------------------------------------------------------------------------------


def test_a_resting_order_locks_is_found_and_is_cancelled(client: Any) -> None:
    order = client.order_limit_buy(
        symbol="BTCUSDT", quantity="0.001", price="59000.00", newClientOrderId="mine-1"
    )
    assert (order["status"], order["fills"], order["clientOrderId"]) == ("NEW", [], "mine-1")
    assert _balance(client, "USDT") == (Decimal(999_941), Decimal(59))
    found = client.get_order(symbol="BTCUSDT", origClientOrderId="mine-1")
    assert (found["orderId"], found["isWorking"], found["executedQty"]) == (
        order["orderId"],
        True,
        "0.00000000",
    )
    assert [row["orderId"] for row in client.get_open_orders(symbol="BTCUSDT")] == [order["orderId"]]
    gone = client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "mine-1")
    assert gone["clientOrderId"] != "mine-1", "a cancel has an id of its own"
    assert _balance(client, "USDT") == (Decimal(1_000_000), Decimal(0))
    assert [row["status"] for row in client.get_all_orders(symbol="BTCUSDT")] == ["CANCELED"]


def test_a_market_order_is_filled_level_by_level_for_its_fee(client: Any) -> None:
    order = client.order_market_buy(symbol="BTCUSDT", quantity="1.5")
    cost = BEST_ASK + Decimal("60000.02") / 2
    assert order["status"] == "FILLED"
    assert Decimal(order["cummulativeQuoteQty"]) == cost
    assert [(fill["price"], fill["qty"], fill["commission"]) for fill in order["fills"]] == [
        ("60000.01000000", "1.00000000", "0.00100000"),
        ("60000.02000000", "0.50000000", "0.00050000"),
    ]
    assert _balance(client, "BTC")[0] == 10 + Decimal("1.5") * (1 - FEE)
    assert _balance(client, "USDT")[0] == 1_000_000 - cost
    mine = client.get_my_trades(symbol="BTCUSDT", orderId=order["orderId"])
    assert [row["id"] for row in mine] == [fill["tradeId"] for fill in order["fills"]]
    assert {(row["commissionAsset"], row["isMaker"], row["isBuyer"]) for row in mine} == {
        ("BTC", False, True)
    }


def test_fees_paid_in_bnb_are_a_quarter_less() -> None:
    account = AccountConfig(name="desk", balances=WEALTH, bnb_fees=True)
    other = AccountConfig(name="other", balances=WEALTH)
    with VenueThread(server_config(venue={"accounts": (account, other)})) as venue:
        client = pointed_at(venue)
        order = client.order_market_sell(symbol="BTCUSDT", quantity="0.5")
        fee = Decimal(order["fills"][0]["commission"])
        assert order["fills"][0]["commissionAsset"] == "BNB"
        # Half a bitcoin at 59999.99 is worth 57.69 BNB at 520.
        assert abs(fee - BEST_BID / 2 * FEE * Decimal("0.75") / 520) < Decimal("0.00000002")
        assert _balance(client, "BNB")[0] == 100 - fee
        assert _balance(client, "USDT")[0] == 1_000_000 + BEST_BID / 2
        client.close_connection()


def test_ioc_fok_post_only_and_iceberg(client: Any) -> None:
    over = {**LIMIT, "quantity": "1.5", "price": "60000.01"}
    ioc = client.create_order(**{**over, "timeInForce": "IOC"})
    assert (ioc["status"], ioc["executedQty"]) == ("EXPIRED", "1.00000000")
    fok = client.create_order(**{**over, "price": "60000.02", "timeInForce": "FOK"})
    assert (fok["status"], fok["executedQty"], fok["fills"]) == ("EXPIRED", "0.00000000", [])
    maker = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.001"}
    with pytest.raises(exceptions.BinanceAPIException) as error:
        client.create_order(**maker, price="60000.02")
    assert (error.value.code, error.value.message) == (-2010, "Order would immediately match and take.")
    assert client.create_order(**maker, price="59000.00", newOrderRespType="RESULT")["status"] == "NEW"
    client.create_order(**{**LIMIT, "quantity": "0.1", "price": "60000.00", "icebergQty": "0.01"})
    assert client.get_order_book(symbol="BTCUSDT", limit=5)["bids"][0] == ["60000.00000000", "0.01000000"]


def test_one_leg_of_an_oco_fills_and_the_other_expires(venue_thread: LocalVenue, client: Any) -> None:
    placed = client.create_oco_order(**{**OCO, "abovePrice": "60000.01"})
    assert (placed["listStatusType"], placed["listOrderStatus"]) == ("EXEC_STARTED", "EXECUTING")
    assert _balance(client, "BTC") == (Decimal("9.99"), Decimal("0.01")), "reserved once for both legs"
    assert len(client.get_open_orders(symbol="BTCUSDT")) == 2
    other = pointed_at(venue_thread, venue_thread.other)
    other.order_limit_buy(symbol="BTCUSDT", quantity="1.01", price="60000.01")
    other.close_connection()
    states = {row["type"]: row["status"] for row in client.get_all_orders(symbol="BTCUSDT")}
    assert states == {"LIMIT_MAKER": "FILLED", "STOP_LOSS_LIMIT": "EXPIRED"}
    assert _balance(client, "BTC") == (Decimal("9.99"), Decimal(0))
    assert _balance(client, "USDT")[0] == 1_000_000 + BEST_ASK / 100 * (1 - FEE)


def test_a_half_success_of_cancel_replace_is_409_with_both_halves(client: Any) -> None:
    order = client.create_order(**RESTING)
    replaced = client.cancel_replace_order(
        **{**RESTING, "price": "59001.00"},
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=order["orderId"],
    )
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    with pytest.raises(exceptions.BinanceAPIException) as error:
        client.cancel_replace_order(
            **{**RESTING, "quantity": "20"},
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=replaced["newOrderResponse"]["orderId"],
        )
    assert (error.value.status_code, error.value.code) == (409, -2021)
    data = error.value.response.json()["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert data["newOrderResponse"]["code"] == -2010
    with pytest.raises(exceptions.BinanceAPIException) as error:
        client.cancel_replace_order(**RESTING, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=12345)
    assert (error.value.status_code, error.value.code) == (400, -2022)


def test_a_test_order_is_judged_and_not_placed(client: Any) -> None:
    assert client.create_test_order(**RESTING) == {}
    with pytest.raises(exceptions.BinanceAPIException) as error:
        client.create_test_order(**changed({"price": "59000.005"}))
    assert error.value.code == -1013
    assert client.get_open_orders() == []


def test_an_ed25519_key_in_a_file_signs_as_well(venue_thread: LocalVenue, tmp_path: Path) -> None:
    key = venue_thread.ed25519
    client = type("Client", (binance.Client,), urls(venue_thread))(
        key.api_key, private_key=write_private_key(key, tmp_path)
    )
    order = client.create_order(**RESTING)
    assert client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
    client.close_connection()
