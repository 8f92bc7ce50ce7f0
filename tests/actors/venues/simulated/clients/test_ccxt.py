"""The simulated venue through ccxt, synchronous and unmodified: only its URLs and documented options are set.

What is expected is Binance's documentation (clients_fixture.py) in ccxt's unified terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.actors.venues.simulated.clients.ccxt_fixture import SYMBOL, pointed_at
from tests.actors.venues.simulated.clients.clients_fixture import (
    BEST_ASK,
    BEST_BID,
    FEE,
    OCO,
)
from tests.actors.venues.simulated.venue_fixture import LocalVenue

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def client(venue_thread: LocalVenue) -> Iterator[Any]:
    client = pointed_at(venue_thread)
    client.load_markets()
    yield client
    client.session.close()


def _balance(client: Any, coin: str) -> dict[str, Decimal]:
    return {name: Decimal(str(amount)) for name, amount in client.fetch_balance()[coin].items()}


# --- The market ---------------------------------------------------------------------------------------


def test_markets_carry_the_ticks_lots_and_limits_of_the_filters(client: Any) -> None:
    assert set(client.symbols) == {"BTC/USDT", "ETH/USDT", "BNB/USDT", "ETH/BTC"}
    market = client.market(SYMBOL)
    assert (market["id"], market["base"], market["quote"]) == ("BTCUSDT", "BTC", "USDT")
    assert (market["spot"], market["active"], market["margin"]) == (True, True, False)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert (market["limits"]["amount"]["min"], market["limits"]["amount"]["max"]) == (0.00001, 9000)
    assert (market["limits"]["price"]["min"], market["limits"]["price"]["max"]) == (0.01, 1000000)
    assert (market["limits"]["cost"]["min"], market["limits"]["cost"]["max"]) == (5, 9000000)
    assert market["limits"]["market"]["max"] == 450


def test_it_starts_with_all_its_default_questions_and_its_own_brake(venue_thread: LocalVenue) -> None:
    client = ccxt.binance(
        {
            "apiKey": venue_thread.hmac.api_key,
            "secret": venue_thread.hmac.client_secret,
            "urls": {"api": pointed_at(venue_thread).urls["api"]},
            "options": {"fetchMarkets": {"types": ["spot"]}, "adjustForTimeDifference": True},
        }
    )
    assert client.enableRateLimit
    client.load_markets()
    assert set(client.currencies) >= {"BTC", "USDT"}
    assert abs(client.options["timeDifference"]) < 1000
    assert client.fetch_status()["status"] == "ok"
    assert abs(client.fetch_time() - client.milliseconds()) < 1000
    fees = client.fetch_trading_fees()[SYMBOL]
    assert (fees["maker"], fees["taker"]) == (0.001, 0.001)


def test_the_order_book_is_the_venues_own(venue_thread: LocalVenue, client: Any) -> None:
    book = client.fetch_order_book(SYMBOL, 100)
    raw = httpx.get(f"{venue_thread.url}/api/v3/depth?symbol=BTCUSDT&limit=100").json()
    assert book["nonce"] == raw["lastUpdateId"]
    for side in ("bids", "asks"):
        assert book[side] == [[float(price), float(size)] for price, size in raw[side]]
    assert (book["bids"][0], book["asks"][0]) == ([float(BEST_BID), 1], [float(BEST_ASK), 1])
    assert len(book["bids"]) == len(book["asks"]) == 25
    best = client.fetch_bids_asks([SYMBOL])[SYMBOL]
    assert (best["bid"], best["ask"]) == (float(BEST_BID), float(BEST_ASK))


def test_trades_candles_and_tickers_tell_of_the_same_trade(client: Any) -> None:
    order = client.create_order(SYMBOL, "market", "buy", 0.5)
    trade = client.fetch_trades(SYMBOL)[-1]
    assert (trade["price"], trade["amount"], trade["side"]) == (float(BEST_ASK), 0.5, "buy")
    assert order["trades"][0]["id"] == client.fetch_my_trades(SYMBOL)[-1]["id"]
    candle = client.fetch_ohlcv(SYMBOL, "1m")[-1]
    assert candle[0] % 60_000 == 0
    assert (candle[4], candle[5]) == (float(BEST_ASK), 0.5)
    ticker = client.fetch_ticker(SYMBOL)
    assert (ticker["last"], ticker["baseVolume"]) == (float(BEST_ASK), 0.5)
    assert ticker["quoteVolume"] == float(BEST_ASK / 2)
    assert client.fetch_tickers([SYMBOL])[SYMBOL]["last"] == float(BEST_ASK)


# --- Orders and money ---------------------------------------------------------------------------------


def test_a_resting_order_locks_its_money_until_it_is_cancelled(client: Any) -> None:
    order = client.create_order(SYMBOL, "limit", "buy", 0.001, 59000)
    assert (order["status"], order["filled"], order["remaining"]) == ("open", 0, 0.001)
    locked = _balance(client, "USDT")
    assert (locked["used"], locked["free"]) == (59, 999_941)
    assert client.fetch_open_orders(SYMBOL)[0]["id"] == order["id"]
    assert [59000, 0.001] in client.fetch_order_book(SYMBOL, 100)["bids"]
    assert client.cancel_order(order["id"], SYMBOL)["status"] == "canceled"
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    assert _balance(client, "USDT")["used"] == 0
    assert client.fetch_open_orders(SYMBOL) == []


def test_a_market_order_moves_both_balances_by_price_and_fee(client: Any) -> None:
    btc, usdt = _balance(client, "BTC")["total"], _balance(client, "USDT")["total"]
    # It eats the first level and half of the second.
    order = client.create_order(SYMBOL, "market", "buy", 1.5)
    cost = BEST_ASK + Decimal("60000.02") / 2
    assert (order["status"], order["filled"], order["cost"]) == ("closed", 1.5, float(cost))
    assert [(trade["price"], trade["amount"]) for trade in order["trades"]] == [
        (60000.01, 1),
        (60000.02, 0.5),
    ]
    assert _balance(client, "BTC")["total"] - btc == Decimal("1.5") * (1 - FEE)
    assert usdt - _balance(client, "USDT")["total"] == cost
    mine = client.fetch_my_trades(SYMBOL)
    assert [trade["takerOrMaker"] for trade in mine] == ["taker", "taker"]
    assert sum(Decimal(str(trade["fee"]["cost"])) for trade in mine) == Decimal("0.0015")
    assert {trade["fee"]["currency"] for trade in mine} == {"BTC"}
    assert {trade["order"] for trade in mine} == {order["id"]}


def test_a_sale_pays_its_fee_in_the_quote_asset(client: Any) -> None:
    usdt = _balance(client, "USDT")["total"]
    order = client.create_order(SYMBOL, "limit", "sell", 0.1, 59000)
    assert (order["status"], order["average"]) == ("closed", float(BEST_BID))
    assert _balance(client, "USDT")["total"] - usdt == BEST_BID / 10 * (1 - FEE)
    fee = client.fetch_my_trades(SYMBOL)[-1]["fee"]
    assert (fee["currency"], fee["cost"]) == ("USDT", 5.999999)


def test_money_buys_as_much_as_it_is_worth(client: Any) -> None:
    order = client.create_market_buy_order_with_cost(SYMBOL, 600)
    assert order["status"] == "closed"
    assert order["filled"] == 0.00999, "600 / 60000.01, down to a lot"
    assert order["cost"] == float(Decimal("0.00999") * BEST_ASK)


def test_ioc_fills_what_it_can_and_the_rest_expires(client: Any) -> None:
    order = client.create_order(SYMBOL, "limit", "buy", 1.5, 60000.01, {"timeInForce": "IOC"})
    assert (order["status"], order["filled"], order["remaining"]) == ("expired", 1, 0.5)
    assert client.fetch_order(order["id"], SYMBOL)["timeInForce"] == "IOC"
    assert _balance(client, "USDT")["used"] == 0


def test_fok_is_all_or_nothing(client: Any) -> None:
    killed = client.create_order(SYMBOL, "limit", "buy", 1.5, 60000.01, {"timeInForce": "FOK"})
    assert (killed["status"], killed["filled"]) == ("expired", 0)
    filled = client.create_order(SYMBOL, "limit", "buy", 1.5, 60000.02, {"timeInForce": "FOK"})
    assert (filled["status"], filled["filled"]) == ("closed", 1.5)


def test_post_only_rests_or_is_refused(client: Any) -> None:
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        client.create_order(SYMBOL, "limit", "buy", 0.001, 60000.01, {"postOnly": True})
    order = client.create_order(SYMBOL, "limit", "buy", 0.001, 60000, {"postOnly": True})
    assert (order["status"], order["postOnly"]) == ("open", True)
    assert client.fetch_order_book(SYMBOL)["bids"][0] == [60000, 0.001]


def test_an_iceberg_shows_only_its_tip(client: Any) -> None:
    order = client.create_order(SYMBOL, "limit", "buy", 0.1, 60000, {"icebergQty": "0.01"})
    assert client.fetch_order_book(SYMBOL)["bids"][0] == [60000, 0.01]
    assert client.fetch_order(order["id"], SYMBOL)["info"]["icebergQty"] == "0.01000000"
    assert _balance(client, "USDT")["used"] == 6000, "all of it is reserved, hidden or not"


def test_a_resting_order_is_filled_by_another_account_as_maker(venue_thread: LocalVenue, client: Any) -> None:
    mine = client.create_order(SYMBOL, "limit", "sell", 0.2, 60000)
    other = pointed_at(venue_thread, venue_thread.other)
    other.load_markets()
    other.create_order(SYMBOL, "limit", "buy", 0.15, 60000)
    part = client.fetch_order(mine["id"], SYMBOL)
    assert (part["status"], part["filled"], part["remaining"]) == ("open", 0.15, 0.05)
    assert part["info"]["status"] == "PARTIALLY_FILLED"
    fill = client.fetch_my_trades(SYMBOL)[-1]
    assert (fill["takerOrMaker"], fill["side"], fill["fee"]["cost"]) == ("maker", "sell", 9)
    other.session.close()


def test_a_stop_waits_for_its_price_and_is_found_open(client: Any) -> None:
    stop = client.create_order(SYMBOL, "limit", "sell", 0.01, 58900, {"stopLossPrice": 59000})
    found = client.fetch_order(stop["id"], SYMBOL)
    assert (found["info"]["type"], found["triggerPrice"], found["status"]) == (
        "STOP_LOSS_LIMIT",
        59000,
        "open",
    )
    assert found["info"]["isWorking"] in (False, "false")
    assert _balance(client, "BTC")["used"] == Decimal("0.01")


def test_an_oco_reserves_once_and_is_cancelled_by_either_leg(client: Any) -> None:
    placed = client.private_post_orderlist_oco(OCO)
    assert (placed["contingencyType"], placed["listOrderStatus"]) == ("OCO", "EXECUTING")
    assert len(client.fetch_open_orders(SYMBOL)) == 2
    # Only one leg can ever trade, so the quantity is reserved once.
    assert _balance(client, "BTC")["used"] == Decimal("0.01")
    by_type = {report["type"]: report["orderId"] for report in placed["orderReports"]}
    client.cancel_order(by_type["LIMIT_MAKER"], SYMBOL)
    statuses = {kind: client.fetch_order(number, SYMBOL)["status"] for kind, number in by_type.items()}
    assert statuses == {"LIMIT_MAKER": "canceled", "STOP_LOSS_LIMIT": "canceled"}
    status = client.private_get_orderlist({"orderListId": placed["orderListId"]})
    assert status["listOrderStatus"] == "ALL_DONE"


def test_a_filled_leg_of_an_oco_expires_its_stop(venue_thread: LocalVenue, client: Any) -> None:
    placed = client.private_post_orderlist_oco({**OCO, "abovePrice": "60000.01"})
    by_type = {report["type"]: report["orderId"] for report in placed["orderReports"]}
    other = pointed_at(venue_thread, venue_thread.other)
    other.load_markets()
    # Our leg stands behind the 1 BTC that was there first.
    other.create_order(SYMBOL, "limit", "buy", 1.01, 60000.01)
    other.session.close()
    assert client.fetch_order(by_type["LIMIT_MAKER"], SYMBOL)["status"] == "closed"
    assert client.fetch_order(by_type["STOP_LOSS_LIMIT"], SYMBOL)["status"] == "expired"
    assert client.private_get_openorderlist() == []


def test_an_order_is_replaced_and_all_are_cancelled_at_once(client: Any) -> None:
    first = client.create_order(SYMBOL, "limit", "buy", 0.001, 59000)
    second = client.edit_order(first["id"], SYMBOL, "limit", "buy", 0.002, 59001)
    assert (second["status"], second["price"], second["amount"]) == ("open", 59001, 0.002)
    assert client.fetch_order(first["id"], SYMBOL)["status"] == "canceled"
    client.create_order(SYMBOL, "limit", "sell", 0.001, 61000)
    assert len(client.cancel_all_orders(SYMBOL)) == 2
    assert client.fetch_open_orders(SYMBOL) == []
    assert {order["status"] for order in client.fetch_orders(SYMBOL)} == {"canceled"}


def test_an_ed25519_key_signs_as_well(venue_thread: LocalVenue) -> None:
    client = pointed_at(venue_thread, venue_thread.ed25519)
    client.load_markets()
    assert client.create_order(SYMBOL, "limit", "buy", 0.001, 59000)["status"] == "open"
    client.session.close()
