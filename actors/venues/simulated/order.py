"""An order and an order list as the exchange holds them, with the words that Binance uses for their
states."""

from __future__ import annotations

from decimal import Decimal

from actors.venues.simulated.pair import Pair

OPEN_STATUSES = frozenset({"NEW", "PARTIALLY_FILLED"})
LIMIT_TYPES = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
ALGO_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


class Order:
    """One order; prices in ticks, sizes in lots, money in Decimal, times in microseconds.

    `remaining` is what may still trade, `visible` the part of it that the book shows, `ahead` the background
    lots in front of it at its price. `locked` is what its account has reserved for it.
    """

    __slots__ = (
        "account",
        "ahead",
        "amends",
        "client_id",
        "executed",
        "iceberg",
        "list",
        "locked",
        "number",
        "order_id",
        "pair",
        "prevented",
        "prevented_match_id",
        "price",
        "quantity",
        "quote_quantity",
        "quote_traded",
        "remaining",
        "side",
        "status",
        "stop_above",
        "stop_price",
        "stp",
        "strategy_id",
        "strategy_type",
        "tif",
        "time_us",
        "type",
        "update_us",
        "visible",
        "working_us",
    )

    def __init__(self, account: str, pair: Pair, side: str, kind: str, client_id: str) -> None:
        self.account = account
        self.pair = pair
        self.side = side
        self.type = kind
        self.client_id = client_id
        self.order_id = -1
        # The how-many-th order of the whole venue it is.
        self.number = 0
        self.tif = "GTC"
        self.price = 0
        self.stop_price = 0
        # True when the trigger is reached from below (market price >= stop price).
        self.stop_above = False
        self.quantity = 0
        self.quote_quantity = Decimal(0)
        self.iceberg = 0
        self.stp = "NONE"
        self.strategy_id: int | None = None
        self.strategy_type: int | None = None
        self.status = "NEW"
        self.executed = 0
        self.quote_traded = Decimal(0)
        self.remaining = 0
        self.visible = 0
        self.ahead = 0
        self.prevented = 0
        self.prevented_match_id: int | None = None
        self.locked = Decimal(0)
        self.amends = 0
        self.time_us = 0
        self.update_us = 0
        # When it went onto the book; None while a stop has not triggered.
        self.working_us: int | None = None
        self.list: OrderList | None = None

    @property
    def is_buy(self) -> bool:
        return self.side == "BUY"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def has_limit(self) -> bool:
        return self.type in LIMIT_TYPES

    @property
    def is_algo(self) -> bool:
        """Counts for MAX_NUM_ALGO_ORDERS: an order with a trigger."""
        return self.type in ALGO_TYPES

    @property
    def waits_for_trigger(self) -> bool:
        return self.is_algo and self.working_us is None

    @property
    def list_id(self) -> int:
        return -1 if self.list is None else self.list.list_id

    def show(self) -> None:
        """Set the visible part: all of it, or the next slice of an iceberg."""
        self.visible = min(self.remaining, self.iceberg) if self.iceberg else self.remaining

    def need(self) -> Decimal:
        """What its account must keep reserved for it: quote for a buy, base for a sell."""
        if not self.is_buy:
            return self.pair.size(self.remaining)
        # A stop without a limit buys at an unknown price: it reserves at its trigger.
        return self.pair.reserve(self.price if self.has_limit else self.stop_price, self.remaining)


class OrderList:
    """An OCO: two orders of which at most one trades; they share one reservation."""

    __slots__ = ("account", "client_id", "list_id", "orders", "pair", "status", "status_type", "time_us")

    def __init__(self, account: str, pair: Pair, list_id: int, client_id: str, time_us: int) -> None:
        self.account = account
        self.pair = pair
        self.list_id = list_id
        self.client_id = client_id
        self.time_us = time_us
        self.status_type = "EXEC_STARTED"
        self.status = "EXECUTING"
        self.orders: list[Order] = []
