"""Where every order and order list is found again: by id, by client id, open ones by account and pair."""

from __future__ import annotations

import random
import string

from actors.venues.simulated.order import Order, OrderList

_LETTERS = string.ascii_letters + string.digits


class Shelf:
    """All orders ever accepted; order ids count per pair, list ids for the whole venue, as at Binance.

    Both begin above `id_floor`.
    """

    def __init__(self, symbols: list[str], rng: random.Random, id_floor: int) -> None:
        self._id_floor = id_floor
        self.orders: dict[str, dict[int, Order]] = {symbol: {} for symbol in symbols}
        self.lists: dict[int, OrderList] = {}
        self._open: dict[tuple[str, str], dict[int, Order]] = {}
        self._mine: dict[tuple[str, str], list[Order]] = {}
        # The latest order of each client id: an id may be used again once its order is closed.
        self._by_client: dict[tuple[str, str, str], Order] = {}
        self._lists_by_client: dict[tuple[str, str], OrderList] = {}
        self._rng = rng
        # Orders accepted so far, of all pairs and accounts.
        self.accepted = 0

    def client_id(self) -> str:
        """An id for an order or a cancel whose sender named none: 22 letters and digits."""
        return "".join(self._rng.choices(_LETTERS, k=22))

    def add(self, order: Order) -> None:
        """Give a new order its id and remember it."""
        symbol = order.pair.symbol
        book = self.orders[symbol]
        order.order_id = self._id_floor + len(book) + 1
        book[order.order_id] = order
        self.accepted += 1
        order.number = self.accepted
        key = (order.account, symbol)
        self._open.setdefault(key, {})[order.order_id] = order
        self._mine.setdefault(key, []).append(order)
        self._by_client[*key, order.client_id] = order

    def rename(self, order: Order, client_id: str) -> None:
        """An amended order goes by another client id; the old one no longer finds it."""
        key = (order.account, order.pair.symbol)
        if self._by_client.get((*key, order.client_id)) is order:
            del self._by_client[*key, order.client_id]
        order.client_id = client_id
        self._by_client[*key, client_id] = order

    def close(self, order: Order) -> None:
        del self._open[order.account, order.pair.symbol][order.order_id]

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Open orders of an account, of one pair or of all, in order of acceptance."""
        if symbol is not None:
            return list(self._open.get((account, symbol), {}).values())
        found = [
            order for (name, _), orders in self._open.items() if name == account for order in orders.values()
        ]
        return sorted(found, key=lambda order: (order.time_us, order.pair.symbol, order.order_id))

    def all_orders(self, account: str, symbol: str) -> list[Order]:
        """Every order of an account in a pair, oldest first."""
        return self._mine.get((account, symbol), [])

    def find(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """By id, by client id, or by both, which must then agree; None when there is none of this account."""
        if order_id is not None:
            order = self.orders[symbol].get(order_id)
            if order is None or order.account != account:
                return None
            return order if client_id is None or order.client_id == client_id else None
        return self._by_client.get((account, symbol, client_id or ""))

    def add_list(self, orders: OrderList) -> None:
        self.lists[orders.list_id] = orders
        self._lists_by_client[orders.account, orders.client_id] = orders

    def next_list_id(self) -> int:
        return self._id_floor + len(self.lists) + 1

    def find_list(self, account: str, list_id: int | None, client_id: str | None) -> OrderList | None:
        """By id or by client id; None when there is none of this account."""
        if list_id is not None:
            orders = self.lists.get(list_id)
            return orders if orders is not None and orders.account == account else None
        return self._lists_by_client.get((account, client_id or ""))

    def lists_of(self, account: str) -> list[OrderList]:
        """Every list of an account, oldest first."""
        return [orders for orders in self.lists.values() if orders.account == account]
