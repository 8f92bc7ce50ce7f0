"""Orders of every type against the book: what trades, at what price, what rests, what expires."""

from __future__ import annotations

from decimal import Decimal

import pytest
from engine_desk import ASKS, Desk, rich

from actors.venues.simulated.errors import VenueError


def test_a_limit_order_below_the_market_rests_and_is_shown_in_the_public_book():
    desk = Desk()
    answer = desk.limit("BUY", "0.5", "99.90")
    assert answer["status"] == "NEW" and answer["fills"] == []
    assert desk.shown("bids", "99.90000000") == "1.50000000"


def test_an_aggressive_order_eats_level_by_level_at_each_level_s_price():
    desk = Desk()
    answer = desk.limit("BUY", "2.5", "100.05")
    assert [(fill["price"], fill["qty"]) for fill in answer["fills"]] == [
        ("100.01000000", "1.00000000"),
        ("100.02000000", "1.00000000"),
        ("100.03000000", "0.50000000"),
    ]
    assert answer["status"] == "FILLED"
    assert answer["cummulativeQuoteQty"] == "250.04500000"


def test_what_was_eaten_stays_eaten_until_the_background_changes_that_level():
    desk = Desk()
    desk.limit("BUY", "1", "100.01")
    desk.wait(10)
    assert desk.shown("asks", "100.01000000") == "0"
    desk.levels(asks=[(10_001, 50_000)])
    assert desk.shown("asks", "100.01000000") == "0.50000000"


def test_the_rest_of_a_limit_order_joins_the_book_at_its_own_price():
    desk = Desk(asks=[(10_001, 100_000), (10_005, 100_000)])
    answer = desk.limit("BUY", "1.5", "100.02")
    assert answer["status"] == "PARTIALLY_FILLED" and answer["executedQty"] == "1.00000000"
    assert desk.shown("bids", "100.02000000") == "0.50000000"


def test_a_market_order_takes_what_there_is_and_the_rest_expires():
    desk = Desk()
    answer = desk.place("MARKET", "BUY", quantity="25")
    assert answer["status"] == "EXPIRED" and answer["executedQty"] == "20.00000000"
    assert len(answer["fills"]) == len(ASKS)


def test_a_market_buy_by_quote_quantity_spends_as_much_as_fits_and_never_more():
    desk = Desk(asks=[(10_001, 30_000), (10_010, 10_000_000)])
    answer = desk.place("MARKET", "BUY", quoteOrderQty="100")
    assert answer["status"] == "FILLED"
    assert Decimal("99.99") < Decimal(answer["cummulativeQuoteQty"]) <= 100
    assert answer["origQuoteOrderQty"] == "100.00000000" and answer["origQty"] == answer["executedQty"]


def test_a_market_sell_by_quote_quantity_sells_as_much_as_needed():
    desk = Desk()
    answer = desk.place("MARKET", "SELL", quoteOrderQty="50")
    assert answer["status"] == "FILLED" and answer["executedQty"] == "0.50000000"


def test_an_ioc_order_never_rests():
    desk = Desk(asks=[(10_001, 100_000), (10_005, 100_000)])
    answer = desk.limit("BUY", "1.5", "100.02", timeInForce="IOC")
    assert answer["status"] == "EXPIRED" and answer["executedQty"] == "1.00000000"
    assert desk.call("openOrders.status", symbol="BTCUSDT") == []
    assert desk.balance("USDT")[1] == 0


def test_a_fok_order_fills_whole_or_not_at_all():
    desk = Desk()
    nothing = desk.limit("BUY", "3", "100.02", timeInForce="FOK")
    assert (
        nothing["status"] == "EXPIRED" and nothing["executedQty"] == "0.00000000" and nothing["fills"] == []
    )
    whole = desk.limit("BUY", "3", "100.03", timeInForce="FOK")
    assert whole["status"] == "FILLED"


def test_a_fok_order_counts_the_hidden_part_of_an_iceberg_as_liquidity():
    desk = Desk(asks=[(10_050, 100_000)])
    desk.limit("SELL", "5", "100.20", "you", icebergQty="1")
    assert desk.limit("BUY", "5", "100.20", timeInForce="FOK")["status"] == "FILLED"


def test_a_limit_maker_that_would_take_is_refused_and_one_that_would_not_rests():
    desk = Desk()
    refusal = desk.refused(
        "order.place", symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER", quantity="1", price="100.01"
    )
    assert (refusal.code, refusal.message) == (-2010, "Order would immediately match and take.")
    assert desk.place("LIMIT_MAKER", "BUY", quantity="1", price="100.00")["status"] == "NEW"
    assert desk.exchange.record.summary("me")["orders"] == {"NEW": 1}


def test_response_types_default_to_full_for_market_and_limit_and_to_ack_for_the_rest():
    desk = Desk()
    common = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "1"}
    limit = desk.call("order.place", type="LIMIT", timeInForce="GTC", price="99", **common)
    maker = desk.call("order.place", type="LIMIT_MAKER", price="99", **common)
    result = desk.call("order.place", type="LIMIT_MAKER", price="99", newOrderRespType="RESULT", **common)
    assert "fills" in limit
    assert set(maker) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert "fills" not in result and result["status"] == "NEW"


def test_order_answers_carry_exactly_the_documented_fields():
    desk = Desk()
    answer = desk.limit("BUY", "1", "99.00")
    assert list(answer) == [
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime", "price", "origQty", "executedQty",
        "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce", "type", "side", "workingTime",
        "selfTradePreventionMode", "fills",
    ]  # fmt: skip
    assert set(desk.status(answer)) == {
        "symbol", "orderId", "orderListId", "clientOrderId", "price", "origQty", "executedQty",
        "cummulativeQuoteQty", "status", "timeInForce", "type", "side", "stopPrice", "icebergQty", "time",
        "updateTime", "isWorking", "workingTime", "origQuoteOrderQty", "selfTradePreventionMode",
    }  # fmt: skip


def test_a_client_id_is_unique_among_open_orders_only():
    desk = Desk()
    desk.limit("BUY", "1", "99.00", newClientOrderId="mine")
    refusal = desk.refused(
        "order.place", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="1",
        price="99.00", newClientOrderId="mine",
    )  # fmt: skip
    assert (refusal.code, refusal.message) == (-2010, "Duplicate order sent.")
    desk.call("order.cancel", symbol="BTCUSDT", origClientOrderId="mine")
    again = desk.limit("BUY", "1", "99.00", newClientOrderId="mine")
    found = desk.call("order.status", symbol="BTCUSDT", origClientOrderId="mine")
    assert found["orderId"] == again["orderId"]


def test_two_accounts_may_use_the_same_client_id_and_never_see_each_other_s_orders():
    desk = Desk()
    mine = desk.limit("BUY", "1", "99.00", newClientOrderId="same")
    yours = desk.limit("BUY", "1", "99.00", "you", newClientOrderId="same")
    assert mine["orderId"] != yours["orderId"]
    assert desk.refused("order.status", symbol="BTCUSDT", orderId=yours["orderId"]).code == -2013
    assert desk.refused("order.cancel", symbol="BTCUSDT", orderId=yours["orderId"]).code == -2011


def test_a_cancel_names_itself_and_the_order_it_ended():
    desk = Desk()
    order = desk.limit("BUY", "1", "99.00", newClientOrderId="mine")
    desk.events()
    answer = desk.call(
        "order.cancel", symbol="BTCUSDT", orderId=order["orderId"], newClientOrderId="the-cancel"
    )
    assert (answer["origClientOrderId"], answer["clientOrderId"]) == ("mine", "the-cancel")
    assert answer["status"] == "CANCELED"
    (report,) = desk.reports()
    assert (report["x"], report["X"], report["c"], report["C"]) == (
        "CANCELED",
        "CANCELED",
        "the-cancel",
        "mine",
    )
    refusal = desk.refused("order.cancel", symbol="BTCUSDT", orderId=order["orderId"])
    assert (refusal.code, refusal.message) == (-2011, "Unknown order sent.")


def test_cancel_restrictions_are_kept():
    desk = Desk(asks=[(10_001, 100_000)])
    new = desk.limit("BUY", "1", "99.00")
    part = desk.limit("BUY", "2", "100.01")
    words = "Order was not canceled due to cancel restrictions."
    ask = {"symbol": "BTCUSDT"}
    first = desk.refused(
        "order.cancel", orderId=new["orderId"], cancelRestrictions="ONLY_PARTIALLY_FILLED", **ask
    )
    second = desk.refused("order.cancel", orderId=part["orderId"], cancelRestrictions="ONLY_NEW", **ask)
    assert (first.code, first.message) == (second.code, second.message) == (-2011, words)
    assert desk.refused("order.cancel", orderId=new["orderId"], cancelRestrictions="ANY", **ask).code == -1145
    desk.call("order.cancel", orderId=new["orderId"], cancelRestrictions="ONLY_NEW", **ask)


def test_cancel_all_cancels_the_pair_s_orders_and_says_so_when_there_are_none():
    desk = Desk()
    for price in ("99.00", "98.00"):
        desk.limit("BUY", "1", price)
    answer = desk.call("openOrders.cancelAll", symbol="BTCUSDT")
    assert [report["status"] for report in answer] == ["CANCELED", "CANCELED"]
    assert desk.refused("openOrders.cancelAll", symbol="BTCUSDT").code == -2011


def test_a_request_past_its_deadline_is_refused_before_matching():
    desk = Desk()
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    desk.now_us += 5000
    with pytest.raises(VenueError, match="-1021"):
        desk.exchange.call("order.place", "me", params, desk.now_us, desk.now_us - 1)
    assert desk.exchange.record.fills == [] and desk.exchange.record.orders == {}
    desk.exchange.call("order.place", "me", params, desk.now_us, desk.now_us)


def test_self_trades_happen_only_in_mode_none():
    for mode, taker, maker in (
        ("NONE", "FILLED", "FILLED"),
        ("EXPIRE_TAKER", "EXPIRED_IN_MATCH", "NEW"),
        ("EXPIRE_MAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
    ):
        desk = Desk(asks=[(10_050, 100_000)])
        resting = desk.limit("SELL", "1", "100.20")
        taking = desk.limit("BUY", "1", "100.20", selfTradePreventionMode=mode)
        assert (taking["status"], desk.status(resting)["status"]) == (taker, maker), mode
        if mode != "NONE":
            assert desk.exchange.record.fills == []
            assert taking["preventedMatches"][0]["makerOrderId"] == resting["orderId"]
        locked = desk.balance("USDT")[1]
        assert locked == (Decimal("100.2") if taker == "NEW" else 0)
        assert desk.balance("BTC")[1] == (1 if maker == "NEW" else 0)


def test_self_trade_prevention_leaves_other_accounts_alone():
    desk = Desk(asks=[(10_050, 100_000)])
    desk.limit("SELL", "1", "100.20", "you")
    assert desk.limit("BUY", "1", "100.20", selfTradePreventionMode="EXPIRE_BOTH")["status"] == "FILLED"


def test_an_order_beyond_the_balance_is_refused_and_nothing_is_locked():
    desk = Desk(rich("me", balances={"USDT": Decimal(100)}))
    for params in (
        {"type": "LIMIT", "timeInForce": "GTC", "quantity": "1.1", "price": "99.00"},
        {"type": "MARKET", "quantity": "1.1"},
        {"type": "MARKET", "quoteOrderQty": "100.1"},
        {"type": "STOP_LOSS", "quantity": "1.1", "stopPrice": "101.00"},
    ):
        refusal = desk.refused("order.place", symbol="BTCUSDT", side="BUY", **params)
        assert (refusal.code, refusal.message) == (
            -2010,
            "Account has insufficient balance for requested action.",
        )
    assert desk.balance("USDT") == (100, 0)
    assert len(desk.exchange.record.rejections) == 4


def test_a_venue_that_starts_again_never_gives_out_an_id_twice():
    first = Desk()
    orders = [first.limit("BUY", "1", "100.01", "you") for _ in range(3)]
    later = Desk(start_us=first.now_us + 1_000_000)
    again = later.limit("BUY", "1", "100.01", "you")
    assert again["orderId"] > max(order["orderId"] for order in orders)
    assert again["fills"][0]["tradeId"] > orders[0]["fills"][0]["tradeId"]
    assert later.depth()["lastUpdateId"] > first.depth()["lastUpdateId"]
