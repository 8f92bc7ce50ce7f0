"""Every knob of the orders slice. Times in seconds, prices as fractions of price."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class OrdersConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders are sent, doubted, protected and got rid of."""

    # What of the account's coins is the owner's own: coin -> amount. Flat means this, not zero. Nothing of
    # it is ever protected or sold, so a wrong figure here is a wrong position.
    baseline: dict[str, Decimal] = {}

    # How far the venue's clock may be from ours. Added to every order's deadline before the venue's "no such
    # order" is believed, and to the wait between the two sweeps of a takeover.
    clock_uncertainty_s: float = 0.1
    # Beyond that, for a venue whose query servers lag behind its matching engine.
    query_margin_s: float = 0.4
    # The wait between questions about one order: first, and at most. A venue in trouble is not helped by
    # more.
    query_first_s: float = 0.1
    query_wait_max_s: float = 5.0
    # A question that got no answer in this time is put again.
    query_lost_s: float = 3.0
    # Questions about orders that may be out at once; each costs weight at the venue.
    queries_max: int = 8
    # No word at all about an order or a cancel this long after its deadline: its outcome counts as unknown.
    answer_s: float = 1.0

    # Working orders at most, stops and exits included (those are sent above it too; entries are not).
    live_max: int = 64
    # Ended orders kept in memory for words that come late.
    recent_max: int = 1000
    # Order numbers are reserved in the journal in blocks; the last `ids_reserve` of what is left are for
    # exits.
    ids_block: int = 10_000
    ids_reserve: int = 200
    # An entry that still rests after this is cancelled: what it was based on is long gone.
    entry_rest_s: float = 10.0
    # How long an exit or a stop waits for the journal before it is sent without it (at most half of the order
    # window). An entry never is.
    journal_wait_s: float = 0.15

    # A new position must have a stop, verified at the venue, within this time; else it is sold.
    stop_deadline_s: float = 3.0
    # A stop that the venue accepted and that neither stream nor query has confirmed after this is asked for.
    stop_verify_s: float = 0.3
    # Fills of one order come in bursts; the first stop waits this long so that one stop covers the burst.
    stop_gather_s: float = 0.02
    # Where the stop goes if the strategy names no price; and the least distance, even if it names one:
    # closer, and the spread alone would trigger it.
    stop_distance_default: float = 0.005
    stop_distance: float = 0.0005
    # The limit of a stop-limit, below its trigger. Too near and a fast market leaves it behind.
    stop_limit_band: float = 0.005
    # Stop-market where the venue has it: it cannot be left behind.
    stop_prefers_market: bool = True
    # The market stands below a stop this long and it has not filled: it is replaced by an exit,
    # `chase_tries` times with a limit, then at the market.
    trigger_wait_s: float = 2.0
    chase_tries: int = 2

    # An exit sells at most this far below the best bid ...
    slippage_cap: float = 0.002
    # ... and takes at most this part of the depth down to there, per slice.
    slice_share: float = 0.5
    # Between slices: a book needs time to fill up again.
    slice_pause_s: float = 0.2
    # Slices in a row that met no buyer, before a flatten crosses at the market.
    flatten_tries: int = 20
    # A book older than this prices nothing.
    book_stale_s: float = 3.0

    # Waits after the venue refused a stop or an exit; doubles from first to max.
    retry_first_s: float = 0.05
    retry_max_s: float = 1.0

    # The account is read this often even when all seems well, and what it shows is compared.
    audit_s: float = 60.0
    # Fills that a report counts and that have not come after this are read from the venue.
    fills_grace_s: float = 0.25
    account_lost_s: float = 10.0
    account_retry_s: float = 0.5
    # Fills kept aside while reconciling; more, and the reading starts over.
    buffer_max: int = 10_000
    # How often waits are looked at.
    tick_s: float = 0.1

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and not value >= 0:
                raise ValueError(f"orders: {name} is {value}; it must be 0 or more")
        for coin, amount in self.baseline.items():
            if not (amount.is_finite() and amount >= 0):
                raise ValueError(f"orders: baseline of {coin} is {amount}; it must be 0 or more, in coins")
        # Or the first verification would be overdue before anyone asked.
        if self.stop_verify_s * 2 > self.stop_deadline_s:
            raise ValueError(
                "orders: stop_verify_s must be at most half of stop_deadline_s, or no stop is verified "
                "in time"
            )
        if not 0 < self.stop_distance <= self.stop_distance_default < 0.5:
            raise ValueError(
                "orders: needs 0 < stop_distance <= stop_distance_default < 0.5, or stops trigger at once, "
                "or never"
            )
        if not 0 < self.slippage_cap < 0.2:
            raise ValueError(
                "orders: slippage_cap must be above 0 and below 0.2; it is a fraction, 0.002 is 20 bp"
            )
        if not 0 < self.slice_share <= 1:
            raise ValueError("orders: slice_share must be above 0 and at most 1")
        if not 0 < self.tick_s <= 0.5:
            raise ValueError(
                "orders: tick_s must be above 0 and at most 0.5, or a missing stop is noticed late"
            )
        if self.ids_reserve * 2 >= self.ids_block:
            raise ValueError(
                "orders: ids_reserve must be less than half of ids_block, or no entry gets a number"
            )
        if self.live_max < 4 or self.recent_max < 100 or self.queries_max < 1:
            raise ValueError("orders: live_max must be at least 4, recent_max 100, queries_max 1")
