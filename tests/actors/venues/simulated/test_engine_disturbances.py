"""Faults inside the exchange: each does what it says, ends when it should, and never touches the record."""

from __future__ import annotations

import pytest
from engine_desk import FLOOR, ONE, START_US, Desk, busy

from actors.venues.simulated.errors import VenueError

SECOND = 1_000_000


def test_a_hidden_order_is_unknown_to_queries_but_not_to_streams_cancels_or_the_record():
    desk = Desk()
    old = desk.limit("BUY", "1", "98.00")
    desk.exchange.disturbances.hide_orders("me", desk.now_us + SECOND)
    hidden = desk.limit("BUY", "1", "99.00")
    assert desk.refused("order.status", symbol="BTCUSDT", orderId=hidden["orderId"]).code == -2013
    for method in ("openOrders.status", "allOrders"):
        found = desk.call(method, symbol="BTCUSDT")
        assert [order["orderId"] for order in found] == [old["orderId"]]
    assert len(desk.reports()) == 2 and len(desk.exchange.record.orders) == 2
    other = desk.limit("BUY", "1", "99.00", "you")
    assert desk.status(other, "you")["status"] == "NEW"
    desk.call("order.cancel", symbol="BTCUSDT", orderId=hidden["orderId"])
    desk.wait(2)
    assert desk.status(hidden)["status"] == "CANCELED"


def test_a_duplicate_fill_is_told_twice_and_booked_once():
    desk = Desk()
    desk.exchange.disturbances.duplicate_fills("me", 1)
    desk.limit("BUY", "2", "100.02")
    fills = [report for report in desk.reports() if report["x"] == "TRADE"]
    assert [fill["t"] - FLOOR for fill in fills] == [1, 1, 2]
    assert fills[0] == fills[1]
    assert len(desk.exchange.record.fills) == 2


def test_late_user_events_keep_their_order_and_nothing_overtakes_them():
    desk = Desk()
    desk.exchange.disturbances.delay_user_events("me", 2 * SECOND, desk.now_us + SECOND // 2)
    desk.limit("BUY", "1", "100.01")
    assert desk.reports() == []
    desk.wait(1)
    # The fault is over, but what follows may not arrive before what is late.
    desk.limit("BUY", "1", "99.00")
    assert desk.reports() == [] and len(desk.exchange.record.fills) == 1
    desk.wait(2)
    reports = desk.reports()
    assert [(report["i"] - FLOOR, report["x"]) for report in reports] == [
        (1, "NEW"),
        (1, "TRADE"),
        (2, "NEW"),
    ]
    desk.limit("BUY", "1", "99.00")
    assert [report["i"] - FLOOR for report in desk.reports()] == [3]


def test_a_lost_depth_event_is_a_hole_in_the_ids():
    desk = Desk()
    desk.exchange.disturbances.drop_depth("BTCUSDT", 1)
    seen = []
    for size in (1, 2, 3):
        desk.levels(bids=[(10_000, size * ONE * 2)])
        desk.wait(0.2)
        seen += [event.payload for event in desk.events("depthUpdate")]
    assert len(seen) == 2
    assert seen[1]["U"] == seen[0]["u"] + 1
    first = desk.exchange.call("depth", None, {"symbol": "BTCUSDT"}, desk.now_us)["lastUpdateId"] - 2
    assert seen[0]["U"] == first + 1


def test_every_pair_loses_the_same_number_when_all_are_asked_to():
    exchange = busy(8)
    exchange.advance(START_US + SECOND)
    exchange.drain()
    exchange.disturbances.drop_depth(None, 2)
    exchange.advance(START_US + 5 * SECOND)
    last: dict[str, int] = {}
    holes = dict.fromkeys(("BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC"), 0)
    for event in exchange.drain():
        if event.kind == "depthUpdate":
            if event.symbol in last:
                holes[event.symbol] += event.payload["U"] != last[event.symbol] + 1
            last[event.symbol] = event.payload["u"]
    # What was lost came first, so no hole shows between those that were sent.
    assert set(holes.values()) == {0}
    exchange.disturbances.drop_depth("ETHBTC", 1)
    before = last["ETHBTC"]
    exchange.advance(START_US + 6 * SECOND)
    first = next(e.payload for e in exchange.drain() if e.kind == "depthUpdate" and e.symbol == "ETHBTC")
    assert first["U"] > before + 1


def test_a_stale_book_stands_still_while_trades_go_on_and_follows_without_a_hole():
    exchange = busy(6)
    at = START_US + 2 * SECOND
    exchange.advance(at)
    last_u = [e.payload["u"] for e in exchange.drain() if e.kind == "depthUpdate" and e.symbol == "BTCUSDT"][
        -1
    ]
    exchange.disturbances.freeze_depth("BTCUSDT", at + 3 * SECOND)
    exchange.advance(at + 3 * SECOND - 1)
    kinds = {e.kind for e in exchange.drain() if e.symbol == "BTCUSDT"}
    assert kinds == {"trade", "aggTrade"}
    exchange.advance(at + 4 * SECOND)
    depth = [e.payload for e in exchange.drain() if e.kind == "depthUpdate" and e.symbol == "BTCUSDT"]
    assert depth[0]["U"] == last_u + 1


def test_no_ticks_means_no_event_at_all_of_that_pair():
    exchange = busy(6)
    exchange.advance(START_US + SECOND)
    exchange.drain()
    exchange.disturbances.freeze_all("BTCUSDT", START_US + 4 * SECOND)
    exchange.advance(START_US + 4 * SECOND - 1)
    symbols = {event.symbol for event in exchange.drain()}
    assert "BTCUSDT" not in symbols and "ETHUSDT" in symbols
    exchange.advance(START_US + 6 * SECOND)
    assert "BTCUSDT" in {event.symbol for event in exchange.drain()}


@pytest.mark.parametrize(("status", "may_cancel"), [("HALT", False), ("BREAK", False), ("CANCEL_ONLY", True)])
def test_a_halted_pair_takes_no_orders_and_its_market_stands_still(status, may_cancel):
    desk = Desk()
    order = desk.limit("BUY", "1", "99.95")
    desk.exchange.disturbances.set_status("BTCUSDT", status)
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    refusal = desk.refused("order.place", **params)
    assert (refusal.code, refusal.message) == (-1013, "Market is closed.")
    assert desk.call("exchangeInfo", None)["symbols"][0]["status"] == status
    desk.printed(9_000, ONE, buyer_is_maker=True)
    assert desk.status(order)["executedQty"] == "0.00000000"
    cancel = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    if may_cancel:
        desk.call("order.cancel", **cancel)
    else:
        assert desk.refused("order.cancel", **cancel).code == -2011
    desk.exchange.disturbances.set_status("BTCUSDT", "TRADING")
    desk.call("order.place", **params)


def test_a_halt_ends_by_itself_and_the_book_is_then_what_the_others_made_of_it():
    desk = Desk()
    order = desk.limit("BUY", "1", "99.95")
    desk.exchange.disturbances.set_status(None, "HALT", desk.now_us + SECOND)
    before = desk.depth()
    desk.levels(bids=[(10_000 - n, 0) for n in range(8)], asks=[(9_994, ONE // 2)])
    assert desk.depth() == before
    assert desk.exchange.next_event_us() <= desk.now_us + SECOND
    desk.wait(1)
    assert desk.status(order)["executedQty"] == "0.50000000"
    assert desk.shown("bids", "100.00000000") == "0"


def test_maintenance_answers_nothing_and_moves_nothing():
    desk = Desk()
    order = desk.limit("BUY", "1", "99.95")
    desk.exchange.disturbances.maintenance(desk.now_us + SECOND)
    for method, account in (("ping", None), ("order.status", "me")):
        refusal = desk.refused(method, account, symbol="BTCUSDT", orderId=order["orderId"])
        assert (refusal.code, refusal.http_status) == (-1016, 503)
    desk.printed(9_000, ONE, buyer_is_maker=True)
    desk.wait(1)
    assert desk.status(order)["executedQty"] == "0.00000000"


def test_poison_goes_out_as_it_is():
    desk = Desk()
    desk.exchange.disturbances.poison("BTCUSDT", "depthUpdate", b'{"e":"depthUpdate","b":[["nan","inf"]]}')
    (event,) = desk.events()
    assert (event.kind, event.symbol, event.account) == ("depthUpdate", "BTCUSDT", None)
    assert event.payload == b'{"e":"depthUpdate","b":[["nan","inf"]]}'


def test_clear_ends_every_disturbance():
    desk = Desk()
    inside = desk.exchange.disturbances
    far = desk.now_us + 1000 * SECOND
    inside.hide_orders(None, far)
    inside.duplicate_fills(None, 9)
    inside.delay_user_events(None, SECOND, far)
    inside.drop_depth(None, 9)
    inside.freeze_all(None, far)
    inside.set_status(None, "HALT")
    inside.maintenance(far)
    inside.clear()
    order = desk.limit("BUY", "1", "100.01")
    assert desk.status(order)["status"] == "FILLED"
    assert [report["x"] for report in desk.reports()] == ["NEW", "TRADE"]


def test_an_unknown_status_is_refused():
    with pytest.raises(ValueError, match="TRADING, HALT, BREAK, CANCEL_ONLY"):
        Desk().exchange.disturbances.set_status(None, "CLOSED")
    assert issubclass(VenueError, Exception)
