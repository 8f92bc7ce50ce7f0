"""Our place in the queue against everybody else's orders, and among our own."""

from __future__ import annotations

from decimal import Decimal

from engine_desk import BIDS, ONE, Desk


def test_a_trade_at_our_price_first_eats_what_was_there_before_us():
    desk = Desk()
    order = desk.limit("BUY", "1", "100.00")
    desk.printed(10_000, ONE, buyer_is_maker=True)
    assert desk.status(order)["executedQty"] == "0.00000000"
    desk.printed(10_000, ONE // 4, buyer_is_maker=True)
    assert desk.status(order)["executedQty"] == "0.25000000"
    desk.printed(10_000, ONE, buyer_is_maker=True)
    assert desk.status(order)["status"] == "FILLED"


def test_size_that_joins_after_us_stands_behind_us():
    desk = Desk()
    order = desk.limit("BUY", "1", "100.00")
    desk.levels(bids=[(10_000, 5 * ONE)])
    desk.printed(10_000, 2 * ONE, buyer_is_maker=True)
    assert desk.status(order)["status"] == "FILLED"


def test_cancels_ahead_shrink_the_queue_in_proportion():
    desk = Desk(bids=[(10_000, 4 * ONE)])
    order = desk.limit("BUY", "1", "100.00")
    # Four more join behind us; then half of the eight leave: two of ours ahead are taken to have left.
    desk.levels(bids=[(10_000, 8 * ONE)])
    desk.levels(bids=[(10_000, 4 * ONE)])
    desk.printed(10_000, 2 * ONE, buyer_is_maker=True)
    assert desk.status(order)["executedQty"] == "0.00000000"
    desk.printed(10_000, ONE // 2, buyer_is_maker=True)
    assert desk.status(order)["executedQty"] == "0.50000000"


def test_a_trade_through_our_price_fills_us_wholly_at_our_price():
    desk = Desk()
    order = desk.limit("BUY", "3", "99.99")
    desk.printed(9_998, 1, buyer_is_maker=True)
    status = desk.status(order)
    assert status["status"] == "FILLED" and status["cummulativeQuoteQty"] == "299.97000000"
    assert all(trade["isMaker"] for trade in desk.call("myTrades", symbol="BTCUSDT"))


def test_a_trade_on_the_other_side_does_not_touch_us():
    desk = Desk()
    order = desk.limit("BUY", "1", "100.00")
    desk.printed(10_001, 50 * ONE, buyer_is_maker=False)
    assert desk.status(order)["executedQty"] == "0.00000000"


def test_a_background_offer_at_or_below_our_bid_trades_with_us_as_maker():
    desk = Desk()
    order = desk.limit("BUY", "2", "100.00")
    desk.events()
    desk.levels(bids=[(price, 0) for price, _ in BIDS[:3]], asks=[(9_999, ONE)])
    status = desk.status(order)
    assert status["executedQty"] == "1.00000000" and status["cummulativeQuoteQty"] == "100.00000000"
    # Its whole size met us, so nothing of it is left in the book, and the book is not crossed.
    assert desk.shown("asks", "99.99000000") == "0"
    top = desk.call("ticker.book", None, symbol="BTCUSDT")
    assert Decimal(top["bidPrice"]) < Decimal(top["askPrice"])


def test_our_own_orders_at_one_price_trade_in_the_order_of_their_coming():
    desk = Desk(bids=[(9_000, ONE)], asks=[(11_000, ONE)])
    first = desk.limit("SELL", "1", "100.00", "me")
    second = desk.limit("SELL", "1", "100.00", "you")
    desk.limit("BUY", "1.5", "100.00", "me")
    assert desk.status(first)["status"] == "FILLED"
    assert desk.status(second, "you")["executedQty"] == "0.50000000"


def test_a_better_price_trades_before_an_earlier_order():
    desk = Desk(bids=[(9_000, ONE)], asks=[(11_000, ONE)])
    early = desk.limit("SELL", "1", "100.10")
    better = desk.limit("SELL", "1", "100.00", "you")
    desk.limit("BUY", "1", "100.10", "me")
    assert desk.status(early)["status"] == "NEW"
    assert desk.status(better, "you")["status"] == "FILLED"


def test_the_background_that_stood_first_trades_before_our_orders_in_a_taking_too():
    desk = Desk()
    mine = desk.limit("SELL", "1", "100.01")
    taker = desk.limit("BUY", "1.5", "100.01", "you")
    assert [fill["qty"] for fill in taker["fills"]] == ["1.00000000", "0.50000000"]
    assert desk.status(mine)["executedQty"] == "0.50000000"


def test_an_iceberg_shows_one_slice_and_goes_to_the_end_of_the_queue_with_each_new_one():
    desk = Desk(bids=[(9_000, ONE)], asks=[(11_000, ONE)])
    iceberg = desk.limit("SELL", "3", "100.00", icebergQty="1")
    plain = desk.limit("SELL", "1", "100.00", "you")
    assert desk.shown("asks", "100.00000000") == "2.00000000"
    desk.limit("BUY", "1.5", "100.00", "you", selfTradePreventionMode="NONE")
    assert desk.status(iceberg)["executedQty"] == "1.00000000"
    assert desk.status(plain, "you")["executedQty"] == "0.50000000"
    assert desk.shown("asks", "100.00000000") == "1.50000000"
    desk.limit("BUY", "2.5", "100.00", "you")
    assert desk.status(iceberg)["status"] == "FILLED"


def test_amending_keeps_the_place_in_the_queue_and_replacing_loses_it():
    desk = Desk(bids=[(10_000, ONE)])
    kept = desk.limit("BUY", "2", "100.00")
    lost = desk.limit("BUY", "2", "100.00", "you")
    desk.levels(bids=[(10_000, 3 * ONE)])
    desk.call("order.amend.keepPriority", symbol="BTCUSDT", orderId=kept["orderId"], newQty="1")
    answer = desk.call(
        "order.cancelReplace", "you", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
        cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=lost["orderId"], quantity="1", price="100.00",
        newOrderRespType="RESULT",
    )  # fmt: skip
    desk.printed(10_000, 2 * ONE, buyer_is_maker=True)
    assert desk.status(kept)["status"] == "FILLED"
    assert desk.status(answer["newOrderResponse"], "you")["executedQty"] == "0.00000000"
