"""The life of an order: accepted, triggered, filled, expired, closed; each step booked, noted, told.

NEW -> PARTIALLY_FILLED -> FILLED
 |  \\-> EXPIRED (by its type's rules, or because the other leg of its list goes on)
 |  \\-> EXPIRED_IN_MATCH (self-trade prevention)
 \\---> CANCELED (on request; see floor.py)
"""

from __future__ import annotations

from decimal import Decimal

from actors.venues.simulated import replies
from actors.venues.simulated.ledger import Ledger
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.matching import Fill, Verdict, available, take
from actors.venues.simulated.order import Order, OrderList
from actors.venues.simulated.pair import money
from actors.venues.simulated.publisher import Publisher
from actors.venues.simulated.record import FillEntry, Record
from actors.venues.simulated.replies import Json
from actors.venues.simulated.shelf import Shelf

# A quote-quantity order takes "as many lots as its money buys"; this stands for "many".
_MANY = 1 << 62

LastTrade = tuple[int, int, Decimal, Decimal, str, int, bool]


class Placement:
    """What a new order has done by the time of its answer."""

    __slots__ = ("fills", "order", "prevented")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.fills: list[Json] = []
        self.prevented: list[Json] = []


class Lifecycle:
    """Moves orders through their states; owns no books, only works on them."""

    def __init__(
        self,
        listings: dict[str, Listing],
        ledger: Ledger,
        shelf: Shelf,
        record: Record,
        publisher: Publisher,
    ) -> None:
        self.listings = listings
        self.ledger = ledger
        self.shelf = shelf
        self.record = record
        self.publisher = publisher
        self.execution_id = 0
        # The order now being placed; its fills go into its answer.
        self.placement: Placement | None = None
        self._prevented_id = 0

    def accept(self, order: Order, now_us: int) -> None:
        order.time_us = order.update_us = now_us
        self.shelf.add(order)
        if not order.is_algo:
            order.working_us = now_us
        self.record.accepted(order)
        self.note(order, "NEW", now_us)

    def start(self, order: Order, now_us: int) -> None:
        """A stop begins to wait; anything else goes to the market."""
        if order.waits_for_trigger:
            self.listings[order.pair.symbol].stops.append(order)
        else:
            self.execute(order, now_us)

    def trigger(self, order: Order, now_us: int) -> None:
        """The stop price traded: the order becomes what it was going to be."""
        self.listings[order.pair.symbol].stops.remove(order)
        order.working_us = order.update_us = now_us
        if order.list:
            self.resolve(order, now_us)
        self.record.changed(order, "TRIGGERED", now_us)
        self.report(order, "NEW", now_us)
        if order.is_buy and not order.has_limit:
            # It buys at whatever price: the reservation at the stop price becomes free money to spend.
            self.ledger.lock(order, -order.locked)
        self.execute(order, now_us)

    def execute(self, order: Order, now_us: int) -> None:
        """Match as a taker; then rest what is left, or expire it."""
        listing = self.listings[order.pair.symbol]
        half = listing.book.half(not order.is_buy)
        limit = order.price if order.has_limit else None
        if order.tif == "FOK" and self._fillable(order, listing) < order.remaining:
            self.expire(order, now_us)
            return

        def guard(maker: Order) -> Verdict:
            return self._prevent(order, maker, now_us)

        def affordable(price: int) -> int:
            return _affordable(self.ledger, order, price)

        lots = _MANY if order.quote_quantity else order.remaining
        for fill in take(half, limit, lots, guard, None if order.has_limit else affordable):
            if not order.quote_quantity:
                order.remaining -= fill.lots
            order.executed += fill.lots
            self.trade(listing, order, order.is_buy, fill, now_us)
        self.publisher.end_of_taker(listing.pair, listing.history)
        if order.status == "EXPIRED_IN_MATCH":
            self.close(order, now_us)
        elif order.quote_quantity:
            self._finish_quote_order(order, half.best() is None, now_us)
        elif not order.remaining:
            return
        elif order.has_limit and order.tif == "GTC":
            order.show()
            listing.book.half(order.is_buy).add(order)
        else:
            self.expire(order, now_us)

    def trade(self, listing: Listing, taker: Order | None, taker_buys: bool, fill: Fill, now_us: int) -> None:
        """Book both sides of a trade; None as taker or maker is the background."""
        price, lots = fill.price, fill.lots
        trade_id = self.public_trade(listing, price, lots, not taker_buys, now_us)
        for order, buys, is_maker in ((fill.maker, not taker_buys, True), (taker, taker_buys, False)):
            if order is None:
                self.ledger.settle_background(listing.pair, buys, price, lots)
            else:
                self._book(order, price, lots, trade_id, is_maker, now_us)

    def public_trade(self, listing: Listing, price: int, lots: int, buyer_is_maker: bool, now_us: int) -> int:
        """Put a trade on the tape; returns its id."""
        trade = listing.history.add(now_us, price, lots, buyer_is_maker)
        self.publisher.trade(listing.pair, listing.history, trade)
        listing.note_price(price)
        return trade.trade_id

    def expire(self, order: Order, now_us: int) -> None:
        """End an order by the venue's rules."""
        self.withdraw(order)
        order.status = "EXPIRED"
        self.note(order, "EXPIRED", now_us)
        self.close(order, now_us)

    def resolve(self, order: Order, now_us: int) -> None:
        """One leg of a list trades or triggers: the other one ends."""
        assert order.list is not None
        for leg in order.list.orders:
            if leg is not order and leg.is_open:
                self.expire(leg, now_us)

    def withdraw(self, order: Order) -> None:
        """Take an order off the book or off the list of stops, wherever it is."""
        listing = self.listings[order.pair.symbol]
        if order in listing.stops:
            listing.stops.remove(order)
            return
        half = listing.book.half(order.is_buy)
        if order in half.queues.get(order.price, ()):
            half.remove(order)

    def close(self, order: Order, now_us: int) -> None:
        """The order's last state is reached: give back what it reserved; end its list if it was the last."""
        order.update_us = now_us
        self.shelf.close(order)
        orders = order.list
        sibling = next((leg for leg in orders.orders if leg.is_open), None) if orders else None
        if sibling is not None:
            sibling.locked += order.locked
            order.locked = Decimal(0)
            self.ledger.relock(sibling)
            return
        self.ledger.relock(order)
        if orders is not None:
            orders.status_type = orders.status = "ALL_DONE"
            self.announce_list(orders, now_us)

    def announce_list(self, orders: OrderList, now_us: int) -> None:
        orders.time_us = now_us
        self.publisher.user(orders.account, "listStatus", replies.list_status(orders, now_us), now_us)

    def note(
        self,
        order: Order,
        what: str,
        now_us: int,
        *,
        client_id: str | None = None,
        original: str | None = None,
        last: LastTrade | None = None,
        prevention: Json | None = None,
    ) -> None:
        """Write a step into the record and tell the account."""
        order.update_us = now_us
        self.record.changed(order, what, now_us, client_id or "")
        self.report(
            order, what, now_us, client_id=client_id, original=original, last=last, prevention=prevention
        )

    def report(
        self,
        order: Order,
        what: str,
        now_us: int,
        *,
        client_id: str | None = None,
        original: str | None = None,
        last: LastTrade | None = None,
        prevention: Json | None = None,
        reason: str = "NONE",
    ) -> None:
        """Send an executionReport; `client_id` names the cancel that caused it, `original` an amended id."""
        self.execution_id += 1
        report = replies.execution_report(
            order,
            what,
            now_us,
            self.execution_id,
            client_id=client_id,
            last=last,
            prevention=prevention,
            reason=reason,
        )
        if original is not None:
            report["C"] = original
        self.publisher.user(order.account, "executionReport", report, now_us)

    def _book(self, order: Order, price: int, lots: int, trade_id: int, is_maker: bool, now_us: int) -> None:
        if order.list:
            self.resolve(order, now_us)
        pair = order.pair
        paid, fee, coin = self.ledger.settle(order, price, lots, is_maker)
        order.quote_traded += paid
        is_done = not order.remaining and not order.quote_quantity
        order.status = "FILLED" if is_done else "PARTIALLY_FILLED"
        price_text, size_text = pair.price_text(price), pair.size_text(lots)
        self.record.filled(
            FillEntry(
                at_us=now_us,
                account=order.account,
                symbol=pair.symbol,
                trade_id=trade_id,
                order_id=order.order_id,
                client_id=order.client_id,
                list_id=order.list_id,
                side=order.side,
                price=price_text,
                quantity=size_text,
                quote_quantity=money(paid),
                fee=money(fee),
                fee_coin=coin,
                maker=is_maker,
            )
        )
        self.note(order, "TRADE", now_us, last=(price, lots, paid, fee, coin, trade_id, is_maker))
        if self.placement is not None and self.placement.order is order:
            self.placement.fills.append(
                {
                    "price": price_text,
                    "qty": size_text,
                    "commission": money(fee),
                    "commissionAsset": coin,
                    "tradeId": trade_id,
                }
            )
        if is_done:
            self.close(order, now_us)

    def _finish_quote_order(self, order: Order, is_exhausted: bool, now_us: int) -> None:
        # The quantity of such an order is known only afterwards: it is what its money bought.
        order.quantity = order.executed
        if is_exhausted or not order.executed:
            self.expire(order, now_us)
            return
        order.status = "FILLED"
        self.record.changed(order, "FILLED", now_us)
        self.close(order, now_us)

    def _fillable(self, order: Order, listing: Listing) -> int:
        own = order.stp != "NONE"
        return available(
            listing.book.half(not order.is_buy),
            order.price if order.has_limit else None,
            order.remaining,
            lambda maker: own and maker.account == order.account,
        )

    def _prevent(self, taker: Order, maker: Order, now_us: int) -> Verdict:
        """Self-trade prevention by the taker's mode. Source: binance-spot-api-docs faqs/stp_faq.md."""
        if taker.account != maker.account or taker.stp == "NONE":
            return Verdict.TRADE
        self._prevented_id += 1
        match: Json = {
            "preventedMatchId": self._prevented_id,
            "makerOrderId": maker.order_id,
            "price": maker.pair.price_text(maker.price),
        }
        ends_taker = taker.stp in ("EXPIRE_TAKER", "EXPIRE_BOTH")
        lots = min(taker.remaining or maker.remaining, maker.remaining)
        if ends_taker:
            match["takerPreventedQuantity"] = taker.pair.size_text(taker.remaining)
        if taker.stp in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
            match["makerPreventedQuantity"] = maker.pair.size_text(maker.remaining)
            self.withdraw(maker)
            self._end_in_match(maker, taker, maker.price, lots, now_us)
            self.close(maker, now_us)
        if self.placement is not None and self.placement.order is taker:
            self.placement.prevented.append(match)
        if not ends_taker:
            return Verdict.AGAIN
        # `execute` closes the taker once the matching has stopped.
        self._end_in_match(taker, maker, maker.price, lots, now_us)
        return Verdict.STOP

    def _end_in_match(self, order: Order, other: Order, price: int, lots: int, now_us: int) -> None:
        pair = order.pair
        prevented = order.remaining
        order.prevented += prevented
        order.remaining = 0
        order.prevented_match_id = self._prevented_id
        order.status = "EXPIRED_IN_MATCH"
        prevention: Json = {
            "v": self._prevented_id,
            "A": pair.size_text(order.prevented),
            "B": pair.size_text(prevented),
            "u": -1,
            "U": other.order_id,
            "Cs": pair.symbol,
            "pl": pair.size_text(lots),
            "pL": pair.price_text(price),
            "pY": money(pair.paid(price, lots)),
        }
        self.note(order, "TRADE_PREVENTION", now_us, prevention=prevention)


def _affordable(ledger: Ledger, order: Order, price: int) -> int:
    """How many lots an order without a limit can still take at a price: by its money, by what it asks."""
    pair = order.pair
    free = ledger.wallets[order.account].free(pair.quote if order.is_buy else pair.base)
    unit = pair.price(price) * pair.lot
    lots = int(free / unit) if order.is_buy else int((free + order.locked) / pair.lot)
    if order.quote_quantity:
        lots = min(lots, int((order.quote_quantity - order.quote_traded) / unit))
    return lots
