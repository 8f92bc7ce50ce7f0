"""The stable codes of every refusal: counted, shown in status and summary, and promised not to change."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """Why an order was refused. The last group is the only one that can meet a REDUCE or a PROTECT."""

    # The desk
    PAUSED = "paused"
    KILLED = "killed"
    FLATTENING = "flattening"
    HALTED = "halted"  # the venue is banned, rate limited or in maintenance
    UNRECONCILED = "unreconciled"  # positions or open orders are not known to be the venue's
    DAILY_LOSS = "daily_loss"
    DAY_UNKNOWN = "day_unknown"  # the start of the day is not in the journal yet
    UNPROTECTED = "unprotected"  # a position stands without its stop
    ORDER_RATE = "order_rate"
    CHECK_FAILED = "check_failed"  # an error inside a check

    # The market
    NO_RULES = "no_rules"
    MARKET_STATUS = "market_status"
    BOOK_STALE = "book_stale"
    SPREAD_TOO_WIDE = "spread_too_wide"
    TOO_LATE = "too_late"  # decided so long ago that it could not be sent any more
    PRICE_OFF_MARKET = "price_off_market"

    # The order
    SIDE_NOT_ALLOWED = "side_not_allowed"
    KIND_NOT_ALLOWED = "kind_not_allowed"  # an entry is never a market or a stop order
    NO_STOP = "no_stop"
    STOP_WRONG_SIDE = "stop_wrong_side"
    SIZE = "size"
    NOT_SELLABLE_AT_STOP = "not_sellable_at_stop"
    FEE_GATE = "fee_gate"

    # The limits
    POSITION_LIMIT = "position_limit"
    NOTIONAL_LIMIT = "notional_limit"
    OPEN_ORDERS_LIMIT = "open_orders_limit"

    # Exits
    NO_POSITION = "no_position"
    WOULD_INCREASE = "would_increase"
    NOT_AN_EXIT = "not_an_exit"


Refusal = tuple[Reason, str]
"""(code, the numbers in words)"""
