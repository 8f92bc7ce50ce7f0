"""The trading floor: requests and moves of the background, each a step that leaves everything settled.

Whoever calls it has parsed and admitted the request (requests.py, admission.py). After every public method no
reached trigger is unserved, every changed balance is announced, and the book carries its new update id.
"""

from __future__ import annotations

from decimal import Decimal

from actors.venues.simulated.lifecycle import Lifecycle, Placement
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.market import Levels, Print
from actors.venues.simulated.matching import cross, print_trade
from actors.venues.simulated.order import Order, OrderList
from actors.venues.simulated.pair import money
from actors.venues.simulated.replies import Json, ms


class Floor:
    """All pairs and all orders."""

    def __init__(self, life: Lifecycle) -> None:
        self._life = life
        self._listings = life.listings
        self._ledger = life.ledger
        self._shelf = life.shelf
        self._publisher = life.publisher

    def place(self, order: Order, now_us: int) -> Placement:
        """Take an admitted order: match it, then rest or expire what is left."""
        life = self._life
        placement = life.placement = Placement(order)
        if order.type != "MARKET":
            self._ledger.lock(order, order.need())
        life.accept(order, now_us)
        life.start(order, now_us)
        life.placement = None
        self._settle_step(self._listings[order.pair.symbol], now_us)
        return placement

    def place_list(self, orders: OrderList, now_us: int) -> None:
        """Take an admitted OCO; its legs share one reservation, the greater of the two."""
        self._shelf.add_list(orders)
        self._ledger.lock(orders.orders[0], max(leg.need() for leg in orders.orders))
        for leg in orders.orders:
            self._life.accept(leg, now_us)
        self._life.announce_list(orders, now_us)
        for leg in orders.orders:
            if leg.is_open:
                self._life.start(leg, now_us)
        self._settle_step(self._listings[orders.pair.symbol], now_us)

    def cancel(self, order: Order, client_id: str, now_us: int) -> None:
        """Cancel an open order, and with it its whole list."""
        legs = [leg for leg in order.list.orders if leg.is_open] if order.list else [order]
        for leg in legs:
            self._life.withdraw(leg)
            leg.status = "CANCELED"
            self._life.note(leg, "CANCELED", now_us, client_id=client_id)
            self._life.close(leg, now_us)
        self._settle_step(self._listings[order.pair.symbol], now_us)

    def transfer(self, account: str, coin: str, amount: Decimal, now_us: int) -> None:
        """A deposit or withdrawal. Raises ValueError when that much is not free."""
        self._ledger.transfer(account, coin, amount)
        payload: Json = {
            "e": "balanceUpdate",
            "E": ms(now_us),
            "a": coin,
            "d": money(amount),
            "T": ms(now_us),
        }
        self._publisher.user(account, "balanceUpdate", payload, now_us)
        self._announce_all(now_us)

    def tell_rejected(self, order: Order, reason: str, now_us: int) -> None:
        """A cancel-replace whose new half was refused after the cancel: only its account hears of it."""
        order.status = "REJECTED"
        order.time_us = order.update_us = now_us
        self._life.report(order, "REJECTED", now_us, reason=reason)

    def amend(self, order: Order, quantity: int, client_id: str, now_us: int) -> int:
        """Reduce an order's quantity in its place in the queue; returns the execution id.

        The legs of a list keep equal quantities, so amending one amends both.
        """
        life = self._life
        listing = self._listings[order.pair.symbol]
        legs = [leg for leg in order.list.orders if leg.is_open and leg is not order] if order.list else []
        for leg in [*legs, order]:
            old = leg.client_id
            leg.quantity = quantity
            leg.remaining = quantity - leg.executed - leg.prevented
            leg.visible = min(leg.visible, leg.remaining)
            leg.amends += 1
            if leg is order:
                self._shelf.rename(leg, client_id)
            if not leg.waits_for_trigger:
                listing.book.half(leg.is_buy).touch(leg.price)
            life.note(leg, "REPLACED", now_us, original=old)
        execution_id = life.execution_id
        self._relock([*legs, order])
        if order.list:
            order.list.status_type = "UPDATED"
            life.announce_list(order.list, now_us)
            order.list.status_type = "EXEC_STARTED"
        self._settle_step(listing, now_us)
        return execution_id

    def on_levels(self, event: Levels, now_us: int) -> None:
        """Others changed their orders; where they now cross ours, we trade as makers."""
        listing = self._listings[event.symbol]
        book = listing.book
        if event.reset:
            book.bids.replace_background(event.bids)
            book.asks.replace_background(event.asks)
        else:
            for price, size in event.bids:
                book.bids.set_background(price, size)
            for price, size in event.asks:
                book.asks.set_background(price, size)
        if book.bids.queues or book.asks.queues:
            for is_buy, fill in cross(book):
                self._life.trade(listing, None, not is_buy, fill, now_us)
        self._settle_step(listing, now_us)

    def on_print(self, event: Print, now_us: int) -> None:
        """Others traded; what of it meets our orders is ours, the rest is theirs."""
        listing = self._listings[event.symbol]
        left = event.size
        for fill in print_trade(listing.book.half(event.buyer_is_maker), event.price, event.size):
            if fill.price == event.price:
                left -= fill.lots
            self._life.trade(listing, None, not event.buyer_is_maker, fill, now_us)
        if left > 0:
            self._life.public_trade(listing, event.price, left, event.buyer_is_maker, now_us)
        self._settle_step(listing, now_us)

    def _relock(self, legs: list[Order]) -> None:
        held = sum((leg.locked for leg in legs), Decimal(0))
        self._ledger.lock(legs[0], max(leg.need() for leg in legs) - held)

    def _settle_step(self, listing: Listing, now_us: int) -> None:
        self._publisher.end_of_taker(listing.pair, listing.history)
        while listing.traded_low is not None:
            for order in listing.reached():
                # The other leg of its list may have ended it meanwhile.
                if order.is_open and order.waits_for_trigger:
                    self._life.trigger(order, now_us)
        self._announce_all(now_us)
        self._publisher.step(listing.pair, listing.book, now_us)

    def _announce_all(self, now_us: int) -> None:
        for name, wallet in self._ledger.wallets.items():
            if wallet.touched:
                self._announce_balances(name, sorted(wallet.touched), now_us)
                wallet.touched = {}
                wallet.update_us = now_us

    def _announce_balances(self, account: str, coins: list[str], now_us: int) -> None:
        balances = self._ledger.wallets[account].balances
        payload: Json = {
            "e": "outboundAccountPosition",
            "E": ms(now_us),
            "u": ms(now_us),
            "B": [
                {"a": coin, "f": money(balances[coin].free), "l": money(balances[coin].locked)}
                for coin in coins
            ],
        }
        self._publisher.user(account, "outboundAccountPosition", payload, now_us)
