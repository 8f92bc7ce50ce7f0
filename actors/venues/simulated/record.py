"""The venue's own record: every order, every change of its state, every fill, rejection and balance.

Judging is done from this, so it is complete and independent of what clients were told.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from decimal import Decimal

import msgspec

from actors.venues.simulated.ledger import Ledger
from actors.venues.simulated.order import Order
from actors.venues.simulated.pair import money


class Change(msgspec.Struct, frozen=True, gc=False):
    """One step of an order: `what` is NEW, TRIGGERED, TRADE, CANCELED, EXPIRED, REPLACED or
    TRADE_PREVENTION."""

    at_us: int
    what: str
    status: str
    executed: str
    quantity: str
    client_id: str


class OrderEntry(msgspec.Struct):
    """An order that the venue accepted, and its life."""

    account: str
    symbol: str
    order_id: int
    client_id: str
    list_id: int
    side: str
    type: str
    tif: str
    price: str
    stop_price: str
    quantity: str
    quote_quantity: str
    at_us: int
    status: str
    changes: list[Change]


class FillEntry(msgspec.Struct, frozen=True, gc=False):
    """One side of a trade. `quote_quantity` is price · quantity as booked."""

    at_us: int
    account: str
    symbol: str
    trade_id: int
    order_id: int
    client_id: str
    list_id: int
    side: str
    price: str
    quantity: str
    quote_quantity: str
    fee: str
    fee_coin: str
    maker: bool


class RejectionEntry(msgspec.Struct, frozen=True, gc=False):
    """A request of an account that was refused, with Binance's code and words."""

    at_us: int
    account: str
    method: str
    symbol: str
    client_id: str
    code: int
    message: str


class TransferEntry(msgspec.Struct, frozen=True, gc=False):
    """Money that came from outside, or left when negative."""

    at_us: int
    account: str
    coin: str
    amount: str


class Record:
    """Append-only; times in microseconds, prices and amounts as decimal strings with eight decimals."""

    def __init__(self, ledger: Ledger, entries_max: int) -> None:
        self.orders: dict[tuple[str, int], OrderEntry] = {}
        self.fills: list[FillEntry] = []
        self.rejections: list[RejectionEntry] = []
        self.transfers: list[TransferEntry] = []
        self._fills_of: dict[tuple[str, str], list[FillEntry]] = {}
        self._ledger = ledger
        self._initial = self.balances()
        self._entries = 0
        self._entries_max = entries_max

    def accepted(self, order: Order) -> None:
        """A new order, before any change of it is noted."""
        pair = order.pair
        self.orders[pair.symbol, order.order_id] = OrderEntry(
            order.account,
            pair.symbol,
            order.order_id,
            order.client_id,
            order.list_id,
            order.side,
            order.type,
            order.tif,
            pair.price_text(order.price),
            pair.price_text(order.stop_price),
            pair.size_text(order.quantity),
            money(order.quote_quantity),
            order.time_us,
            order.status,
            [],
        )

    def changed(self, order: Order, what: str, at_us: int, client_id: str = "") -> None:
        """A step in an order's life; `client_id` names the request that caused it where it has one."""
        self._count()
        pair = order.pair
        entry = self.orders[pair.symbol, order.order_id]
        entry.status = order.status
        entry.changes.append(
            Change(
                at_us,
                what,
                order.status,
                pair.size_text(order.executed),
                pair.size_text(order.quantity),
                client_id or order.client_id,
            )
        )

    def filled(self, fill: FillEntry) -> None:
        self._count()
        self.fills.append(fill)
        self._fills_of.setdefault((fill.account, fill.symbol), []).append(fill)

    def fills_of(self, account: str, symbol: str) -> list[FillEntry]:
        """The fills of an account in a pair, oldest first."""
        return self._fills_of.get((account, symbol), [])

    def rejected(self, rejection: RejectionEntry) -> None:
        self._count()
        self.rejections.append(rejection)

    def transferred(self, transfer: TransferEntry) -> None:
        self._count()
        self.transfers.append(transfer)

    def balances(self) -> dict[str, dict[str, dict[str, str]]]:
        """Every account's coins now: {account: {coin: {free, locked}}}."""
        return {
            name: {
                coin: {"free": money(balance.free), "locked": money(balance.locked)}
                for coin, balance in sorted(wallet.balances.items())
            }
            for name, wallet in self._ledger.wallets.items()
        }

    def fees(self) -> dict[str, dict[str, str]]:
        """What every account paid so far: {account: {coin: amount}}."""
        return {
            name: {coin: money(amount) for coin, amount in sorted(wallet.fees.items()) if amount}
            for name, wallet in self._ledger.wallets.items()
        }

    def summary(self, account: str) -> dict[str, object]:
        """Counts of one account: orders by status, fills, rejections by code; its balances and its fees by
        coin.

        Keys: orders {status: n}, orders_total, fills, fills_maker, bought and sold {coin: amount of base},
        rejections {code: n}, balances {coin: {free, locked}}, initial_balances, fees {coin: amount}.
        Raises KeyError for an account that the venue does not have.
        """
        balances = self.balances()[account]
        mine = [fill for fill in self.fills if fill.account == account]
        orders = Counter(entry.status for entry in self.orders.values() if entry.account == account)
        sums: dict[tuple[str, str], Decimal] = {}
        for fill in mine:
            key = fill.side, fill.symbol
            sums[key] = sums.get(key, Decimal(0)) + Decimal(fill.quantity)
        return {
            "orders": dict(sorted(orders.items())),
            "orders_total": sum(orders.values()),
            "fills": len(mine),
            "fills_maker": sum(fill.maker for fill in mine),
            "bought": {
                symbol: money(total) for (side, symbol), total in sorted(sums.items()) if side == "BUY"
            },
            "sold": {
                symbol: money(total) for (side, symbol), total in sorted(sums.items()) if side == "SELL"
            },
            "rejections": {
                str(code): count
                for code, count in sorted(
                    Counter(r.code for r in self.rejections if r.account == account).items()
                )
            },
            "balances": balances,
            "initial_balances": self._initial[account],
            "fees": self.fees()[account],
        }

    def export(self) -> dict[str, object]:
        """Everything, ready for JSON: orders (with changes), fills, rejections, transfers, balances."""
        return {
            "orders": [msgspec.to_builtins(entry) for entry in self.orders.values()],
            "fills": [msgspec.to_builtins(fill) for fill in self.fills],
            "rejections": [msgspec.to_builtins(rejection) for rejection in self.rejections],
            "transfers": [msgspec.to_builtins(transfer) for transfer in self.transfers],
            "initial_balances": self._initial,
            "balances": self.balances(),
            "fees": self.fees(),
        }

    def digest(self) -> str:
        """A SHA-256 over everything recorded: equal for equal runs."""
        return hashlib.sha256(msgspec.json.encode(self.export(), order="deterministic")).hexdigest()

    def _count(self) -> None:
        self._entries += 1
        if self._entries > self._entries_max:
            raise MemoryError(
                f"the venue's record holds {self._entries_max} entries and may not forget any; "
                "raise record_max or end the run"
            )
