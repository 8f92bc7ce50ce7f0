"""The knobs of every strategy that makes one round trip at a time; its own knobs stand in its own file."""

from __future__ import annotations

from typing import Literal

import msgspec


class TripConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a round trip is entered, protected and left. Distances are taken from the entry's price."""

    # What one entry is worth in the instrument's quote coin. Small enough that the touch fills it whole: a
    # part of an entry can be too little to sell again. Floored to the lot.
    notional: float = 100.0

    # "ioc" takes the touch at once and leaves nothing resting, so every entry is over within one answer:
    # round trips are certain and cost the taker's fee. "post_only" joins the touch and waits `entry_rest_s`
    # for somebody to come: cheaper, but it fills mostly when the price runs through it.
    entry: Literal["ioc", "post_only"] = "ioc"
    entry_rest_s: float = 5.0

    # The protective stop: this many ticks behind the entry, and never nearer than the floor. Three ticks of
    # a liquid pair are less than its spread noise, and the stop would be hit by nothing but breathing.
    stop_ticks: int = 3
    stop_floor_bps: float = 5.0

    # Where the profit is taken: the farther of the two. Below the round trip's fees it only loses slower.
    target_ticks: int = 0
    target_bps: float = 5.0

    # A scalp that has not worked by now was wrong; it is left whatever its price is.
    max_hold_s: float = 30.0

    # An exit is an IOC limit this far through the touch: it fills though the touch has moved by a few ticks
    # since the decision, and never at any price, as a market order would.
    exit_through_bps: float = 2.0

    # After a trip or an unfilled entry, how long to keep out: the same signal is still on the screen, and
    # would be paid for again.
    cooldown_s: float = 2.0

    # After a refusal, how long not to ask for that side again: what refuses (a limit, a pause, a side that
    # spot cannot take) rarely changes within a book, and each refusal is counted and shown.
    refused_pause_s: float = 5.0

    # A wish that nobody answers died with its receiver. After this time it is forgotten and may be wished
    # again. An order that orders has spoken of is never forgotten this way: only a final state ends it.
    answer_timeout_s: float = 2.0

    # A book older than this is history. Twice the venue's slowest push interval, plus a bad network.
    book_age_max_ms: float = 1000.0

    # Books to see for this long after a start or a lost book before an entry; exits do not wait.
    warmup_s: float = 3.0

    def __post_init__(self) -> None:
        for name in ("notional", "entry_rest_s", "max_hold_s", "answer_timeout_s", "book_age_max_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0")
        for name in (
            "stop_floor_bps",
            "target_ticks",
            "target_bps",
            "exit_through_bps",
            "cooldown_s",
            "refused_pause_s",
            "warmup_s",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must not be negative")
        if self.stop_ticks < 1:
            raise ValueError(f"stop_ticks = {self.stop_ticks}: a stop at the entry's own price fires at once")
        if self.target_ticks == 0 and self.target_bps == 0:
            raise ValueError("target_ticks and target_bps are both 0: every entry would be left at once")
        if self.stop_floor_bps >= 1000:
            raise ValueError(f"stop_floor_bps = {self.stop_floor_bps}: a stop 10 % away protects nothing")
        if self.exit_through_bps >= 100:
            raise ValueError(
                f"exit_through_bps = {self.exit_through_bps}: an exit 1 % through the touch can be worse "
                "than the stop it is meant to spare"
            )
