"""Positions, P&L and fees from fills: hand-computed numbers, and nothing lost or made at any price."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Book, Fill, InstrumentRules, Side
from actors.portfolio.books import Books
from actors.portfolio.config import PortfolioConfig
from actors.portfolio.position import Position

BTC = "binance/BTCUSDT"
D = Decimal

RULES = InstrumentRules(
    instrument=BTC,
    base="BTC",
    quote="USDT",
    tick=D("0.01"),
    lot=D("0.00001"),
    size_min=D("0.00001"),
    size_max=D(9000),
    notional_min=D(5),
    algo_orders_max=5,
    status="TRADING",
)


def fill(
    trade_id: int,
    side: Side,
    size: str,
    price: str,
    fee: str = "0",
    coin: str = "USDT",
    *,
    order_id: int = 1,
    client_id: str = "c1",
    instrument: str = BTC,
) -> Fill:
    return Fill(
        account="binance/main",
        instrument=instrument,
        trade_id=trade_id,
        order_id=order_id,
        client_id=client_id,
        side=side,
        price=D(price),
        size=D(size),
        fee=D(fee),
        fee_coin=coin,
        is_maker=False,
        venue_ns=trade_id,
    )


def opened(**prices: Decimal) -> Books:
    books = Books(PortfolioConfig(coin_prices=prices), (BTC,))
    books.on_rules(RULES)
    return books


def mark(books: Books, bid: float, ask: float) -> None:
    books.on_book(
        Book(instrument=BTC, update_id=1, bids=((bid, 1.0),), asks=((ask, 1.0),), venue_ns=0, received_ns=0)
    )


def test_a_round_trip_with_fees_in_quote() -> None:
    books = opened()
    bought = books.on_fill(fill(1, Side.BUY, "0.002", "50000", "0.1"))
    assert bought is not None
    assert (bought.size_lots, bought.dust, bought.average_price) == (200, D(0), D(50000))
    assert (bought.realised, bought.fees) == (D("-0.1"), D("0.1"))
    sold = books.on_fill(fill(2, Side.SELL, "0.002", "50100", "0.1002"))
    assert sold is not None
    # 0.002 * 100 = 0.2 gained, less 0.1 and 0.1002 in fees.
    assert (sold.size_lots, sold.realised, sold.fees) == (0, D("-0.0002"), D("0.2002"))
    assert books.ledger.fees == {"USDT": D("0.2002")}


def test_a_fee_in_base_shrinks_what_was_bought_and_leaves_dust_apart() -> None:
    books = opened()
    bought = books.on_fill(fill(1, Side.BUY, "0.002", "50000", "0.000002", "BTC"))
    assert bought is not None
    # 0.002 - 0.000002 = 0.001998: 199 lots of 0.00001, and 0.000008 below a lot.
    assert (bought.size_lots, bought.dust) == (199, D("0.000008"))
    assert (bought.realised, bought.fees) == (D("-0.1"), D("0.1"))
    assert bought.booked_lots == 200
    sold = books.on_fill(fill(2, Side.SELL, "0.00199", "50000", client_id="c2"))
    assert sold is not None
    assert (sold.size_lots, sold.dust, sold.realised) == (0, D("0.000008"), D("-0.1"))
    assert books.ledger.fees == {"BTC": D("0.000002")}


def test_a_fee_in_a_third_coin_has_its_own_ledger_and_a_value_only_where_it_has_a_price() -> None:
    priced = opened(BNB=D(600))
    bought = priced.on_fill(fill(1, Side.BUY, "0.002", "50000", "0.000125", "BNB"))
    assert bought is not None
    assert (bought.size_lots, bought.realised, bought.fees) == (200, D("-0.075"), D("0.075"))
    assert priced.ledger.fees == {"BNB": D("0.000125")}
    assert priced.ledger.unvalued == {}
    unpriced = opened()
    bought = unpriced.on_fill(fill(1, Side.BUY, "0.002", "50000", "0.000125", "BNB"))
    assert bought is not None and bought.realised == 0
    assert unpriced.report(0).fees_unvalued == {"BNB": D("0.000125")}


def test_what_is_bought_at_two_prices_is_sold_at_their_average() -> None:
    books = opened()
    books.on_fill(fill(1, Side.BUY, "0.001", "50000"))
    second = books.on_fill(fill(2, Side.BUY, "0.003", "50200"))
    assert second is not None and second.average_price == D(50150)
    part = books.on_fill(fill(3, Side.SELL, "0.001", "50250"))
    assert part is not None
    assert (part.size_lots, part.average_price, part.realised) == (300, D(50150), D("0.1"))
    mark(books, 50_249.0, 50_251.0)
    [line] = books.report(0).positions
    assert (line.mark, line.unrealised) == (D(50250), D("0.3"))


def test_a_sale_through_zero_closes_at_the_average_and_opens_the_other_way_at_its_price() -> None:
    books = opened()
    books.on_fill(fill(1, Side.BUY, "0.001", "50000"))
    short = books.on_fill(fill(2, Side.SELL, "0.003", "50100"))
    assert short is not None
    assert (short.size_lots, short.average_price, short.realised) == (-200, D(50100), D("0.1"))


def test_a_fill_that_is_told_twice_counts_once() -> None:
    books = opened()
    first = fill(7, Side.BUY, "0.001", "50000", "0.05")
    assert books.on_fill(first) is not None
    assert books.on_fill(first) is None
    # A self-trade gives two fills one trade id; the order id tells them apart.
    assert books.on_fill(fill(7, Side.SELL, "0.001", "50000", "0.05", order_id=2)) is not None
    assert (books.fills, books.duplicates) == (2, 1)


def test_fills_wait_for_the_rules_of_their_instrument() -> None:
    books = Books(PortfolioConfig(), (BTC,))
    assert [p.size_lots for p in books.positions_of((BTC,))] == [0]
    assert books.on_fill(fill(1, Side.BUY, "0.001", "50000")) is None
    assert books.positions_of((BTC,)) == ()  # not flat, and not known either
    assert books.on_rules(RULES).size_lots == 100


def test_booked_lots_count_up_over_the_fills_of_one_order() -> None:
    books = opened()
    seen = [
        books.on_fill(fill(1, Side.BUY, "0.001", "50000", client_id="a")),
        books.on_fill(fill(2, Side.BUY, "0.002", "50000", client_id="b")),
        books.on_fill(fill(3, Side.BUY, "0.0005", "50000", client_id="a")),
    ]
    assert [(one.client_id, one.booked_lots) for one in seen if one] == [("a", 100), ("b", 200), ("a", 150)]


def test_the_venues_position_is_believed_when_it_is_said_twice_and_makes_no_profit() -> None:
    books = opened()
    books.on_fill(fill(1, Side.BUY, "0.001", "50000"))
    mark(books, 50_099.0, 50_101.0)
    before = books.report(0).positions[0]
    books.on_venue_position(BTC, 150)
    assert books.changed(BTC).size_lots == 100 and books.in_doubt
    books.on_venue_position(BTC, 150)
    after = books.report(0)
    assert after.positions[0].size_lots == 150 and not books.in_doubt
    assert before.realised + before.unrealised == after.positions[0].realised + after.positions[0].unrealised
    assert "the venue holds 150 lots, fills explain 100" in after.adjustments[0]


def test_what_has_no_price_is_not_taken_in_for_nothing() -> None:
    """Coins taken in at 0 would be a profit at the next price, and a loss for the day when they go."""
    books = opened()
    for _ in range(3):
        books.on_venue_position(BTC, 150)
    assert books.changed(BTC).size_lots == 0 and books.in_doubt
    mark(books, 49_999.0, 50_001.0)
    books.on_venue_position(BTC, 150)
    assert (books.changed(BTC).size_lots, books.changed(BTC).average_price) == (150, D(50_000))


def test_a_snapshot_older_than_a_fill_changes_nothing() -> None:
    books = opened()
    books.on_fill(fill(1, Side.BUY, "0.001", "50000"))
    books.on_venue_position(BTC, 0)  # from before that fill
    books.on_fill(fill(1, Side.BUY, "0.001", "50000"))  # read back already; now its own word arrives
    books.on_venue_position(BTC, 0)
    books.on_venue_position(BTC, 100)
    assert books.changed(BTC).size_lots == 100 and not books.in_doubt
    assert books.report(0).adjustments == ()


def test_a_price_of_nothing_is_refused_in_the_config() -> None:
    with pytest.raises(ValueError, match=r"coin_prices.BNB = 0"):
        PortfolioConfig(coin_prices={"BNB": D(0)})


sizes = st.integers(1, 5_000_000).map(lambda lots: D(lots) * RULES.lot)
prices = st.integers(1, 10_000_000).map(lambda ticks: D(ticks) * RULES.tick)
fills = st.builds(
    lambda side, size, price, fee_bps, coin: Fill(
        account="binance/main",
        instrument=BTC,
        trade_id=0,
        order_id=1,
        client_id="c",
        side=side,
        price=price,
        size=size,
        fee=(size if coin == "BTC" else size * price) * fee_bps / 10_000,
        fee_coin=coin,
        is_maker=False,
        venue_ns=0,
    ),
    st.sampled_from(Side),
    sizes,
    prices,
    st.integers(0, 20),
    st.sampled_from(["USDT", "BTC", "BNB"]),
)


@given(st.lists(fills, max_size=30), prices)
def test_at_any_price_cash_and_coins_are_worth_what_the_books_say_was_earned(
    run: list[Fill], price: D
) -> None:
    position = Position(RULES)
    third = D(0)
    for one in run:
        position.book(one)
        if one.fee_coin == "BNB":
            position.pay(one.fee * 3)
            third += one.fee * 3
    assert position.cash + position.size * price - third == position.realised + position.unrealised(price)
    assert position.size_lots * RULES.lot + position.dust == position.size
    assert abs(position.dust) < RULES.lot


@given(st.lists(fills, max_size=20), st.data())
def test_told_in_any_repetition_the_books_end_the_same(run: list[Fill], data: st.DataObject) -> None:
    numbered = [
        Fill(**{name: getattr(one, name) for name in Fill.__struct_fields__} | {"trade_id": i})
        for i, one in enumerate(run)
    ]
    once, often = opened(), opened()
    for one in numbered:
        once.on_fill(one)
        often.on_fill(one)
        for again in data.draw(st.lists(st.sampled_from(numbered[: one.trade_id + 1]), max_size=3)):
            assert often.on_fill(again) is None
    assert once.changed(BTC) == often.changed(BTC)
    assert once.ledger.fees == often.ledger.fees
