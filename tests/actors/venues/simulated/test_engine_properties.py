"""What must hold whatever anybody does: money is conserved, nothing trades out of turn, the books add up."""

from __future__ import annotations

import random
from decimal import Decimal

from engine_desk import START_US, Desk, busy
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.exchange import Exchange

ACCOUNTS = ("me", "you")
SYMBOLS = ("BTCUSDT", "ETHBTC", "BNBUSDT")
KINDS = (
    "LIMIT",
    "LIMIT",
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "OCO",
)


def act(exchange: Exchange, rng: random.Random, now_us: int) -> None:
    """One request that a client might send, good or bad."""
    account, symbol = rng.choice(ACCOUNTS), rng.choice(SYMBOLS)
    roll = rng.random()
    try:
        if roll < 0.2:
            orders = exchange.call("openOrders.status", account, {"symbol": symbol}, now_us)
            if orders:
                order = rng.choice(orders)
                exchange.call(
                    "order.cancel", account, {"symbol": symbol, "orderId": str(order["orderId"])}, now_us
                )
        elif roll < 0.3:
            orders = exchange.call("openOrders.status", account, {"symbol": symbol}, now_us)
            if orders:
                order = rng.choice(orders)
                smaller = Decimal(order["origQty"]) * rng.randrange(2, 9) / 10
                params = {"symbol": symbol, "orderId": str(order["orderId"]), "newQty": f"{smaller:.3f}"}
                exchange.call("order.amend.keepPriority", account, params, now_us)
        else:
            place(exchange, rng, account, symbol, now_us)
    except VenueError:
        pass


def place(exchange: Exchange, rng: random.Random, account: str, symbol: str, now_us: int) -> None:
    info = exchange.call("exchangeInfo", None, {"symbol": symbol}, now_us)["symbols"][0]
    tick = Decimal(info["filters"][0]["tickSize"])
    last = Decimal(exchange.call("ticker.price", None, {"symbol": symbol}, now_us)["price"])

    def near(spread: float) -> str:
        return str((last * Decimal(1 + rng.uniform(-spread, spread)) // tick + 1) * tick)

    side, kind = rng.choice(("BUY", "SELL")), rng.choice(KINDS)
    quantity = f"{rng.uniform(0.01, 3):.3f}"
    params = {"symbol": symbol, "side": side, "quantity": quantity}
    mode = {"selfTradePreventionMode": rng.choice(("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"))}
    if kind == "OCO":
        legs = {"aboveType": "LIMIT_MAKER", "abovePrice": near(0.002), "belowType": "STOP_LOSS_LIMIT",
                "belowStopPrice": near(0.002), "belowPrice": near(0.002), "belowTimeInForce": "GTC"}  # fmt: skip
        if side == "BUY":
            legs = {key.replace("above", "x").replace("below", "above").replace("x", "below"): value
                    for key, value in legs.items()}  # fmt: skip
        exchange.call("orderList.place.oco", account, params | legs | mode, now_us)
        return
    params |= {"type": kind} | mode
    if kind in ("LIMIT", "STOP_LOSS_LIMIT"):
        params["timeInForce"] = rng.choice(("GTC", "GTC", "GTC", "IOC", "FOK"))
    if kind in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT"):
        params["price"] = near(0.001)
        if rng.random() < 0.3 and params.get("timeInForce", "GTC") == "GTC":
            params["icebergQty"] = f"{float(quantity) / 4:.3f}"
    if kind in ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT"):
        params["stopPrice"] = near(0.002)
    exchange.call("order.place", account, params, now_us)


def check(exchange: Exchange) -> None:
    """Everything that must hold between any two steps."""
    ledger, record = exchange._ledger, exchange.record
    coins = {coin for wallet in ledger.wallets.values() for coin in wallet.balances}
    for coin in coins:
        held = sum(wallet.total(coin) for wallet in ledger.wallets.values())
        fees = sum(wallet.fees.get(coin, Decimal(0)) for wallet in ledger.wallets.values())
        owned = sum(wallet.config.balances.get(coin, Decimal(0)) for wallet in ledger.wallets.values())
        assert held + fees + ledger.background.get(coin, Decimal(0)) == owned, coin
    for name, wallet in ledger.wallets.items():
        locked: dict[str, Decimal] = {}
        for order in exchange._state.shelf.open_orders(name):
            coin = order.pair.quote if order.is_buy else order.pair.base
            locked[coin] = locked.get(coin, Decimal(0)) + order.locked
            if order.list is None:
                assert order.locked == order.need()
        for coin, balance in wallet.balances.items():
            assert balance.free >= 0 and balance.locked == locked.get(coin, Decimal(0)), (name, coin)
    executed: dict[tuple[str, int], Decimal] = {}
    for fill in record.fills:
        key = (fill.symbol, fill.order_id)
        executed[key] = executed.get(key, Decimal(0)) + Decimal(fill.quantity)
    for (symbol, order_id), entry in record.orders.items():
        order = exchange._state.shelf.orders[symbol][order_id]
        assert executed.get((symbol, order_id), Decimal(0)) == order.pair.size(order.executed)
        assert entry.status == order.status
        if order.is_open:
            assert order.executed + order.prevented + order.remaining == order.quantity
        for fill_price in (f.price for f in record.fills if (f.symbol, f.order_id) == (symbol, order_id)):
            limit = order.pair.price(order.price)
            if order.has_limit:
                assert Decimal(fill_price) <= limit if order.is_buy else Decimal(fill_price) >= limit
    for listing in exchange._listings.values():
        book = listing.book
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is None or ask is None or bid < ask
        for half in (book.bids, book.asks):
            assert half.keys == sorted({p * half.sign for p in (*half.background, *half.queues)})
            for price, queue in half.queues.items():
                aheads = [order.ahead for order in queue]
                # Who came later stands behind at least as much of the background.
                assert aheads == sorted(aheads) and aheads[-1] <= half.background.get(price, 0)
                assert all(0 < order.visible <= order.remaining for order in queue)
    ids: dict[tuple[str, str], list[int]] = {}
    for fill in record.fills:
        ids.setdefault((fill.account, fill.symbol), []).append(fill.trade_id)
    assert all(found == sorted(found) for found in ids.values())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), regime=st.sampled_from(("normal", "violent")))
def test_money_orders_and_books_add_up_after_any_sequence_of_requests(seed, regime):
    rng = random.Random(seed)
    exchange = busy(seed % 50, regime, levels=20)
    now_us = START_US
    for _ in range(40):
        now_us += rng.randrange(300_000)
        act(exchange, rng, now_us)
        check(exchange)
    exchange.advance(now_us + 2_000_000)
    check(exchange)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.integers(0, 3), st.integers(1, 4)), min_size=2, max_size=8),
       st.integers(1, 20))  # fmt: skip
def test_a_taker_fills_the_best_price_first_and_the_earliest_within_a_price(makers, wanted):
    desk = Desk(bids=[(9_000, 1)], asks=[(11_000, 1)])
    resting = [
        desk.limit("SELL", str(size), f"{100 + step}", account)["orderId"] for account, step, size in makers
    ]
    desk.limit("BUY", str(wanted), "105", "you", timeInForce="IOC")
    expected, left = [], wanted
    for index in sorted(range(len(makers)), key=lambda n: (makers[n][1], n)):
        size = min(left, makers[index][2])
        left -= size
        if size:
            expected.append((resting[index], Decimal(size)))
    got = [(f.order_id, Decimal(f.quantity)) for f in desk.exchange.record.fills if f.maker]
    assert got == expected


@settings(max_examples=30, deadline=None)
@given(ours=st.integers(9_985, 10_000), prints=st.lists(st.tuples(st.integers(9_980, 10_000), st.integers(1, 300_000)),
                                                        min_size=1, max_size=12))  # fmt: skip
def test_nothing_trades_through_our_resting_order(ours, prints):
    desk = Desk()
    order = desk.limit("BUY", "1", f"{ours / 100:.2f}")
    for price, lots in prints:
        desk.printed(price, lots, buyer_is_maker=True)
        if price < ours:
            assert desk.status(order)["status"] == "FILLED"
    status = desk.status(order)
    at_ours = sum(lots for price, lots in prints if price == ours)
    if all(price >= ours for price, _ in prints):
        # One BTC stood ahead of us; only what came after it was ours.
        assert Decimal(status["executedQty"]) == min(1, max(0, Decimal(at_ours - 100_000) / 100_000))
