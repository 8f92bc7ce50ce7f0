"""What leaves on the streams: ids without holes, a ticker that agrees with the depth, our own orders among them."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

from engine_desk import BTC, FLOOR, START_US, Desk, busy

from actors.venues.simulated.history import MINUTE_US


class Client:
    """A client that joins by Binance's rule: snapshot, then every diff in order."""

    def __init__(self, snapshot: dict) -> None:
        self.bids = {Decimal(p): q for p, q in snapshot["bids"]}
        self.asks = {Decimal(p): q for p, q in snapshot["asks"]}
        self.update_id = snapshot["lastUpdateId"]
        self.gaps = 0

    def take(self, event: dict) -> None:
        if event["u"] <= self.update_id:
            return
        self.gaps += event["U"] > self.update_id + 1
        self.update_id = event["u"]
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, size in levels:
                if Decimal(size):
                    side[Decimal(price)] = size
                else:
                    side.pop(Decimal(price), None)

    def top(self) -> tuple[Decimal, str, Decimal, str]:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def test_snapshot_and_diffs_rebuild_the_book_and_the_ticker_agrees_at_every_equal_id():
    exchange = busy(3)
    at_us = START_US + 5_000_000
    client = Client(exchange.call("depth", None, {"symbol": "BTCUSDT", "limit": "5000"}, at_us))
    exchange.drain()
    tickers: dict[int, dict] = {}
    compared = diffs = 0
    for step in range(300):
        now = at_us + step * 100_000
        if step % 7 == 0:
            bid = Decimal(exchange.call("ticker.book", None, {"symbol": "BTCUSDT"}, now)["bidPrice"])
            params = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
            exchange.call("order.place", "me", params | {"quantity": "0.01", "price": str(bid - step)}, now)
        exchange.advance(now)
        for event in exchange.drain():
            if event.symbol != "BTCUSDT":
                continue
            if event.kind == "bookTicker":
                assert Decimal(event.payload["b"]) < Decimal(event.payload["a"])
                tickers[event.payload["u"]] = event.payload
            elif event.kind == "depthUpdate":
                client.take(event.payload)
                diffs += 1
                ticker = tickers.get(client.update_id)
                if ticker:
                    compared += 1
                    assert client.top() == (
                        Decimal(ticker["b"]), ticker["B"], Decimal(ticker["a"]), ticker["A"],
                    )  # fmt: skip
    assert client.gaps == 0 and diffs > 150 and compared > 50
    snapshot = exchange.call("depth", None, {"symbol": "BTCUSDT", "limit": "5000"}, now)
    assert client.top() == Client(snapshot).top()
    assert client.bids == Client(snapshot).bids and client.asks == Client(snapshot).asks


def test_depth_comes_on_the_hundred_millisecond_grid_and_only_with_changes():
    exchange = busy(4, regime="violent")
    exchange.advance(START_US + 3_000_000)
    times = defaultdict(list)
    for event in exchange.drain():
        if event.kind == "depthUpdate":
            times[event.symbol].append(event.at_us)
            assert event.payload["b"] or event.payload["a"]
            assert list(event.payload) == ["e", "E", "s", "U", "u", "b", "a"]
    for at in times.values():
        assert all(t % 100_000 == 0 for t in at) and len(set(at)) == len(at)
    quiet = Desk()
    quiet.wait(5)
    assert quiet.events() == []


def test_the_exchange_says_when_it_next_has_something_to_do():
    desk = Desk()
    assert desk.exchange.next_event_us() is None
    desk.limit("BUY", "1", "99.00")
    due = desk.exchange.next_event_us()
    assert due is not None and due % 100_000 == 0 and 0 < due - desk.now_us <= 100_000
    desk.events()
    desk.exchange.advance(due - 1)
    assert desk.events() == []
    desk.exchange.advance(due)
    assert [event.kind for event in desk.events()] == ["depthUpdate"]
    assert desk.exchange.next_event_us() is None


def test_trades_have_ids_without_holes_and_a_taker_s_trades_at_one_price_are_one_aggtrade():
    desk = Desk(bids=[(9_000, 1)], asks=[(11_000, 1)])
    for account in ("me", "you", "me"):
        desk.limit("SELL", "1", "100.00", account)
    desk.limit("SELL", "1", "100.01", "you")
    desk.events()
    desk.limit("BUY", "3.5", "100.01", "you")
    trades = [event.payload for event in desk.events("trade", "aggTrade")]
    singles = [t for t in trades if t["e"] == "trade"]
    aggs = [t for t in trades if t["e"] == "aggTrade"]
    assert [t["t"] for t in singles] == list(range(singles[0]["t"], singles[0]["t"] + 4))
    assert [(a["q"], a["f"], a["l"]) for a in aggs] == [
        ("3.00000000", singles[0]["t"], singles[2]["t"]),
        ("0.50000000", singles[3]["t"], singles[3]["t"]),
    ]
    assert list(singles[0]) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert list(aggs[0]) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]
    rest = desk.call("trades.aggregate", None, symbol="BTCUSDT")
    assert [row["q"] for row in rest] == [a["q"] for a in aggs]
    assert len(desk.call("trades.recent", None, symbol="BTCUSDT")) == 4


def test_an_account_hears_of_its_orders_and_balances_and_of_nobody_else_s():
    desk = Desk()
    desk.limit("BUY", "1.5", "100.01")
    events = [event for event in desk.events() if event.account is not None]
    assert {event.account for event in events} == {"me"}
    assert [event.payload.get("x", event.kind) for event in events] == [
        "NEW",
        "TRADE",
        "outboundAccountPosition",
    ]
    report = events[1].payload
    assert (report["l"], report["L"], report["z"], report["t"], report["n"], report["N"]) == (
        "1.00000000", "100.01000000", "1.00000000", FLOOR + 1, "0.00100000", "BTC",
    )  # fmt: skip
    assert set(report) == set("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV")
    balances = events[2].payload
    assert balances["B"] == [
        {"a": "BTC", "f": "1000.99900000", "l": "0.00000000"},
        {"a": "USDT", "f": "999849.98500000", "l": "50.00500000"},
    ]


def test_klines_are_whole_contiguous_and_agree_with_the_trades():
    exchange = busy(5)
    now = START_US + 130_000_000
    exchange.advance(now)
    minutes = exchange.call("klines", None, {"symbol": "BTCUSDT", "interval": "1m", "limit": "1000"}, now)
    assert len(minutes) == 30 + 3
    assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(minutes))
    for row in minutes:
        low, high = Decimal(row[3]), Decimal(row[2])
        assert low <= Decimal(row[1]) <= high and low <= Decimal(row[4]) <= high
    trades = exchange.call("trades.recent", None, {"symbol": "BTCUSDT", "limit": "1000"}, now)
    first = START_US // MINUTE_US * 60_000
    assert sum(Decimal(row[5]) for row in minutes if row[0] >= first) == sum(
        Decimal(t["qty"]) for t in trades
    )
    assert minutes[-1][4] == trades[-1]["price"]
    fives = exchange.call("klines", None, {"symbol": "BTCUSDT", "interval": "5m"}, now)
    assert sum(Decimal(row[5]) for row in fives) == sum(Decimal(row[5]) for row in minutes)
    assert all(row[0] % 300_000 == 0 and row[6] == row[0] + 299_999 for row in fives)
    day = exchange.call("ticker.24hr", None, {"symbol": "BTCUSDT"}, now)
    assert day["lastPrice"] == trades[-1]["price"] and Decimal(day["lowPrice"]) <= Decimal(day["highPrice"])
    average = Decimal(exchange.call("avgPrice", None, {"symbol": "BTCUSDT"}, now)["price"])
    assert Decimal(day["lowPrice"]) <= average <= Decimal(day["highPrice"])


def test_exchange_info_lists_the_pairs_with_the_filters_that_are_applied():
    desk = Desk()
    info = desk.call("exchangeInfo", None)
    (symbol,) = info["symbols"]
    filters = {entry["filterType"]: entry for entry in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == f"{BTC.min_notional:.8f}"
    assert {"ICEBERG_PARTS", "MARKET_LOT_SIZE", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "TRAILING_DELTA",
            "PERCENT_PRICE_BY_SIDE", "MAX_NUM_ICEBERG_ORDERS", "MAX_NUM_ORDER_AMENDS"} <= set(filters)  # fmt: skip
    assert {limit["rateLimitType"] for limit in info["rateLimits"]} == {
        "REQUEST_WEIGHT",
        "ORDERS",
        "RAW_REQUESTS",
    }
    assert symbol["status"] == "TRADING" and "LIMIT_MAKER" in symbol["orderTypes"]
