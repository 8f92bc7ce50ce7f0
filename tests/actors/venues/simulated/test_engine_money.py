"""Fees, reservations and the sums of every coin."""

from __future__ import annotations

from decimal import Decimal

import pytest
from engine_desk import BTC, ETHBTC, ONE, START_US, Desk, rich

from actors.venues.simulated.config import AccountConfig, VenueConfig, default_symbols
from actors.venues.simulated.market import Levels


def test_a_buy_pays_its_fee_in_what_it_received_and_a_sell_too():
    desk = Desk()
    bought = desk.place("MARKET", "BUY", quantity="1")
    sold = desk.place("MARKET", "SELL", quantity="1")
    assert (bought["fills"][0]["commission"], bought["fills"][0]["commissionAsset"]) == ("0.00100000", "BTC")
    assert (sold["fills"][0]["commission"], sold["fills"][0]["commissionAsset"]) == ("0.10000000", "USDT")
    assert desk.balance("BTC") == (Decimal("999.999"), 0)
    assert desk.balance("USDT") == (Decimal("1000000") - Decimal("100.01") + 100 - Decimal("0.1"), 0)


@pytest.mark.parametrize(("coin", "fee_in"), [("BTC", "base"), ("USDT", "quote")])
def test_fees_can_be_taken_always_in_base_or_in_quote(coin, fee_in):
    desk = Desk(rich("me", fee_in=fee_in))
    for side in ("BUY", "SELL"):
        assert desk.place("MARKET", side, quantity="1")["fills"][0]["commissionAsset"] == coin


def test_maker_and_taker_pay_their_own_rates():
    desk = Desk(rich("me", maker_bps=Decimal(2), taker_bps=Decimal(7)), rich("you"))
    maker = desk.limit("SELL", "1", "100.01")
    desk.levels(asks=[(10_001, 0)])
    desk.limit("BUY", "1", "100.01", "you")
    taker = desk.place("MARKET", "SELL", quantity="1")
    (fill, _) = desk.call("myTrades", symbol="BTCUSDT")
    assert fill["orderId"] == maker["orderId"] and fill["commission"] == "0.02000200"
    assert taker["fills"][0]["commission"] == "0.07000000"


def bnb_desk(bnb: str) -> Desk:
    """BTCUSDT around 100 and BNBUSDT around 500."""
    btc, _, bnb_usdt, _ = default_symbols()
    account = AccountConfig(
        name="me", bnb_fees=True, balances={"USDT": Decimal(10_000), "BTC": Decimal(10), "BNB": Decimal(bnb)}
    )
    books = [
        Levels(START_US, "BTCUSDT", [(10_000, ONE)], [(10_001, ONE)], reset=True),
        Levels(START_US, "BNBUSDT", [(50_000, ONE)], [(50_002, ONE)], reset=True),
    ]
    return Desk(config=VenueConfig(symbols=(btc, bnb_usdt), accounts=(account,)), books=books)


def test_fees_in_bnb_cost_a_quarter_less_while_the_bnb_suffices():
    desk = bnb_desk("1")
    fill = desk.place("MARKET", "SELL", quantity="1")["fills"][0]
    # 100 USDT x 10 bp x 0.75, at 500.01 USDT a BNB.
    assert (fill["commissionAsset"], fill["commission"]) == ("BNB", "0.00014999")
    assert desk.balance("USDT")[0] == 10_100


def test_fees_fall_back_to_the_received_coin_when_the_bnb_does_not_suffice():
    desk = bnb_desk("0.0001")
    fill = desk.place("MARKET", "SELL", quantity="1")["fills"][0]
    assert (fill["commissionAsset"], fill["commission"]) == ("USDT", "0.10000000")
    assert desk.balance("BNB")[0] == Decimal("0.0001")


def test_a_resting_buy_locks_its_limit_and_gets_back_what_a_better_price_saved():
    desk = Desk(asks=[(10_001, ONE)])
    desk.limit("BUY", "2", "100.50")
    free, locked = desk.balance("USDT")
    assert locked == Decimal("100.50") and free == 1_000_000 - Decimal("100.01") - Decimal("100.50")


def test_amounts_finer_than_eight_decimals_are_booked_without_losing_a_unit():
    # A tick times a lot of this pair is 1e-9, so no amount of it is exact.
    config = VenueConfig(symbols=(ETHBTC,), accounts=(rich("me"), rich("you")))
    book = Levels(START_US, "ETHBTC", [(4_000, 9)], [(5_000, 9)], reset=True)
    desk = Desk(config=config, books=[book])
    for n in range(1, 20):
        common = {"symbol": "ETHBTC", "type": "LIMIT", "timeInForce": "GTC", "price": f"0.{4300 + n:05}"}
        desk.call("order.place", "me", side="SELL", quantity=f"{n}.{n:04}", **common)
        desk.call("order.place", "you", side="BUY", quantity=f"{n}.{n:04}", **common)
    record = desk.exchange.record
    for coin in ("BTC", "ETH"):
        held = sum(sum(desk.balance(coin, name)) for name in ("me", "you"))
        fees = sum(Decimal(record.fees()[name].get(coin, "0")) for name in ("me", "you"))
        assert held + fees == 2000
        assert desk.balance(coin)[1] == desk.balance(coin, "you")[1] == 0


def test_account_status_and_commission_tell_what_is_owned_and_paid():
    desk = Desk(rich("me", bnb_fees=True))
    desk.limit("BUY", "1", "99.00")
    account = desk.call("account.status", omitZeroBalances="true")
    usdt = next(entry for entry in account["balances"] if entry["asset"] == "USDT")
    assert usdt == {"asset": "USDT", "free": "999901.00000000", "locked": "99.00000000"}
    assert account["commissionRates"]["maker"] == "0.00100000" and account["makerCommission"] == 10
    commission = desk.call("account.commission", symbol="BTCUSDT")
    assert commission["discount"] == {
        "enabledForAccount": True, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75000000",
    }  # fmt: skip


def test_the_record_agrees_with_what_a_client_is_told_and_keeps_what_it_is_not():
    desk = Desk()
    order = desk.limit("BUY", "1.5", "100.01")
    desk.call("order.cancel", symbol="BTCUSDT", orderId=order["orderId"])
    desk.refused("order.cancel", symbol="BTCUSDT", orderId=order["orderId"])
    record = desk.exchange.record
    entry = record.orders["BTCUSDT", order["orderId"]]
    assert [change.what for change in entry.changes] == ["NEW", "TRADE", "CANCELED"]
    summary = record.summary("me")
    assert summary["orders"] == {"CANCELED": 1} and summary["fills"] == 1
    assert summary["rejections"] == {"-2011": 1} and summary["fees"] == {"BTC": "0.00100000"}
    assert summary["bought"] == {"BTCUSDT": "1.00000000"}
    told = desk.call("account.status")["balances"]
    assert {b["asset"]: b["free"] for b in told}["BTC"] == summary["balances"]["BTC"]["free"]


def test_a_full_record_stops_the_venue_rather_than_forget():
    desk = Desk(config=VenueConfig(symbols=(BTC,), accounts=(rich("me"),), record_max=3))
    for _ in range(3):
        desk.limit("BUY", "1", "99.00")
    with pytest.raises(MemoryError, match="record_max"):
        desk.limit("BUY", "1", "99.00")


def test_a_deposit_is_announced_recorded_and_spendable_and_a_withdrawal_needs_free_money():
    desk = Desk(rich("me", balances={"USDT": Decimal(10)}))
    desk.exchange.transfer("me", "USDT", Decimal(90), desk.now_us)
    kinds = [event.kind for event in desk.events()]
    assert kinds == ["balanceUpdate", "outboundAccountPosition"]
    desk.limit("BUY", "1", "99.00")
    with pytest.raises(ValueError, match="free"):
        desk.exchange.transfer("me", "USDT", Decimal(-2), desk.now_us)
    assert desk.balance("USDT") == (1, 99)
    assert [entry.amount for entry in desk.exchange.record.transfers] == ["90.00000000"]
