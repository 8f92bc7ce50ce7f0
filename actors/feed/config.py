"""Every knob of the feed, with the reason for its default."""

from __future__ import annotations

import msgspec


class FeedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table [feed] of a config. Raises ValueError where values contradict each other."""

    # Levels of each side that a told book shows. A strategy that looks deeper needs more; each costs time
    # in every tick.
    view_levels: int = 20
    # Levels of each side that are kept. Far ones are almost never read, but come back as the price moves.
    levels_max: int = 5000
    # Levels of each side asked of the venue: 1000 cost 50 of Binance's 6000 weight a minute, 5000 cost 250.
    snapshot_levels: int = 1000
    # A snapshot covers only so far (1000 levels of BTCUSDT are a third of a percent). When fewer covered
    # levels than this are left on a side, a new snapshot is fetched while the book lives on. 0: never, and
    # never distrust the far levels either (a recording has nobody to ask).
    deepen_below: int = 100
    # Diffs kept while a snapshot is awaited: at ten a second, more than a quarter of an hour.
    buffer_max: int = 10_000
    # Book tickers that are ahead of the depth stream, kept to be compared when it gets there: 100 ms of some
    # hundred a second.
    tickers_max: int = 1024

    # Between two requests for a snapshot: doubled after each failure from min to max, so that a venue in
    # trouble is not asked to death, and back to min after a success.
    snapshot_wait_min_s: float = 0.5
    snapshot_wait_max_s: float = 30.0
    # At most so many a minute, whatever happens: 10 of 1000 levels are a twelfth of Binance's weight.
    snapshots_per_minute_max: int = 10
    # An answer that has not come by then will not come: the REST port was restarted with the question in its
    # inbox.
    snapshot_timeout_s: float = 10.0

    # Nothing at all heard for so long: the book is not to be traded on. A page must follow within 30 s.
    stale_after_s: float = 5.0
    # The venue has traded or quoted past the book, and the book has not followed: the depth stream alone is
    # stuck. Above the slowest depth speed (1 s).
    stuck_after_s: float = 3.0
    check_every_s: float = 0.5
    # How often counters are published.
    report_every_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.view_levels <= self.levels_max:
            raise ValueError(
                f"feed: view_levels {self.view_levels} must be 1 to levels_max {self.levels_max}"
            )
        if not self.view_levels <= self.snapshot_levels <= min(self.levels_max, 5000):
            raise ValueError(
                f"feed: snapshot_levels {self.snapshot_levels} must lie between view_levels "
                f"{self.view_levels} and levels_max {self.levels_max} (and Binance gives at most 5000), or "
                "the view could never be filled"
            )
        if self.deepen_below and not self.view_levels <= self.deepen_below <= self.snapshot_levels // 2:
            raise ValueError(
                f"feed: deepen_below {self.deepen_below} must be 0, or lie between view_levels "
                f"{self.view_levels} and half of snapshot_levels {self.snapshot_levels}, or each snapshot "
                "would at once ask for the next"
            )
        if self.buffer_max < 100 or self.tickers_max < 1 or self.snapshots_per_minute_max < 1:
            raise ValueError(
                "feed: buffer_max must be at least 100, tickers_max and snapshots_per_minute_max at least 1"
            )
        if not 0 < self.snapshot_wait_min_s <= self.snapshot_wait_max_s:
            raise ValueError("feed: 0 < snapshot_wait_min_s <= snapshot_wait_max_s")
        if not 0 < self.check_every_s <= min(self.stale_after_s, self.stuck_after_s):
            raise ValueError(
                f"feed: check_every_s {self.check_every_s} must be above 0 and at most stale_after_s and "
                "stuck_after_s, or silence would be noticed late"
            )
        if not self.snapshot_timeout_s > 0 or not self.report_every_s > 0:
            raise ValueError("feed: snapshot_timeout_s and report_every_s must be above 0")
