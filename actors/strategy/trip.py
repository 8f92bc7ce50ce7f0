"""One round trip at a time: what a strategy knows of its own entry, position and exit.

A strategy only says when; this says whether it may. Every guard that waits for somebody's answer runs out by
itself, for the one who owed it may have crashed; only an order that orders has spoken of is waited for until
its final state, since orders itself never forgets one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from actors.messages import (
    Book,
    CancelWanted,
    DeskMode,
    InstrumentRules,
    OrderChanged,
    OrderIntent,
    PositionChanged,
    Purpose,
    RefusedOrder,
    Side,
)
from actors.strategy.config import TripConfig
from actors.strategy.intents import Grid, open_intent, reduce_intent, target_distance
from actors.strategy.protocol import Strategy, Wish

NS = 1_000_000_000


class Working:
    """An order on its way: wished, and `known` once orders has spoken of it."""

    __slots__ = ("cancel_ns", "intent_id", "known", "side", "since_ns")

    def __init__(self, intent_id: int, side: Side, since_ns: int) -> None:
        self.intent_id = intent_id
        self.side = side
        self.since_ns = since_ns
        self.known = False
        self.cancel_ns: int | None = None


class Trip:
    """The round trip of one strategy on one instrument."""

    def __init__(self, strategy: str, instrument: str, config: TripConfig, new_id: Callable[[], int]) -> None:
        self.strategy = strategy
        self.instrument = instrument
        self.config = config
        self.mode = DeskMode.RUNNING
        self.position: PositionChanged | None = None
        # Enough to be sold again. What is less is dust: it stays, and counts as flat.
        self.held = False
        self.average_price = 0.0
        self.entered_ns = 0
        self.entry: Working | None = None
        self.exit: Working | None = None
        self._grid: Grid | None = None
        self._new_id = new_id
        self._age_max_ns = int(config.book_age_max_ms * 1e6)
        self._answer_ns = int(config.answer_timeout_s * NS)
        self._hold_ns = int(config.max_hold_s * NS)
        self._warm_ns: int | None = None
        self._target = 0.0
        self._quiet_until_ns = {Side.BUY: 0, Side.SELL: 0}
        # Fills that orders reported and portfolio has not booked: (client id, lots), waited for until then.
        self._due = ("", 0)
        self._due_until_ns = 0
        self._booked = ("", 0)

    # -- questions ---------------------------------------------------------------------------------

    def reads(self, book: Book, now_ns: int) -> bool:
        """Whether a decision may rest on this book. A crossed one is a feed that lags, not a chance."""
        bids, asks = book.bids, book.asks
        if self._grid is None or not bids or not asks or bids[0][0] >= asks[0][0]:
            return False
        if now_ns - book.received_ns > self._age_max_ns:
            return False
        if self._warm_ns is None:
            self._warm_ns = now_ns + int(self.config.warmup_s * NS)
        return True

    def may_enter(self, side: Side, now_ns: int) -> bool:
        """Flat, warm, running, nothing under way, and neither cooling down nor refused a moment ago."""
        return (
            not self.held
            and now_ns >= self._quiet_until_ns[side]
            and now_ns >= self._due_until_ns
            and self.position is not None
            and self.mode is DeskMode.RUNNING
            and self._warm_ns is not None
            and now_ns >= self._warm_ns
            and not self._busy(self.entry, now_ns)
            and not self._busy(self.exit, now_ns)
        )

    def exit_reason(self, book: Book, now_ns: int) -> str:
        """ "target", "time" or "" for what is held; the stop is the venue's to keep."""
        if now_ns - self.entered_ns >= self._hold_ns:
            return "time"
        price = self.average_price
        if not price or self._grid is None:
            return ""
        gained = book.bids[0][0] - price if self.is_long else price - book.asks[0][0]
        # Half a tick of allowance: prices are floats, and the average of equal prices is not always equal.
        return "target" if gained + self._grid.tick / 2 >= self._target else ""

    @property
    def is_long(self) -> bool:
        return self.position is not None and self.position.size_lots > 0

    # -- wishes ------------------------------------------------------------------------------------

    def enter(self, side: Side, book: Book, now_ns: int, reason: str) -> list[Wish]:
        """The OPEN on `side`; ask `may_enter` first."""
        if self._grid is None:
            return []
        intent = open_intent(
            self.config, self._grid, self.strategy, side, book, now_ns, self._new_id(), reason
        )
        self.entry = Working(intent.intent_id, side, now_ns)
        return [intent]

    def leave(self, book: Book, now_ns: int, reason: str) -> list[Wish]:
        """The REDUCE of all that is held, and the withdrawal of an entry that still rests; or nothing yet."""
        # While the desk flattens, orders reduces by itself: two who sell one position would sell it twice.
        if self.mode is DeskMode.FLATTENING or self.position is None or self._grid is None:
            return []
        wishes = self.withdraw(now_ns, reason)
        if self._busy(self.exit, now_ns) or now_ns < self._due_until_ns:
            return wishes
        intent: OrderIntent = reduce_intent(
            self.config,
            self._grid,
            self.strategy,
            self.position.size_lots,
            book,
            now_ns,
            self._new_id(),
            reason,
        )
        self.exit = Working(intent.intent_id, intent.side, now_ns)
        wishes.append(intent)
        return wishes

    def withdraw(self, now_ns: int, reason: str) -> list[Wish]:
        """Asks for a resting entry to be cancelled, again each `answer_timeout_s` for as long as it rests."""
        entry = self.entry
        if entry is None or not entry.known:
            return []
        if entry.cancel_ns is not None and now_ns - entry.cancel_ns < self._answer_ns:
            return []
        entry.cancel_ns = now_ns
        return [
            CancelWanted(
                intent_id=entry.intent_id,
                strategy=self.strategy,
                instrument=self.instrument,
                reason=reason,
            )
        ]

    def rested(self, now_ns: int) -> bool:
        """A post-only entry has waited long enough for somebody to come."""
        return self.entry is not None and now_ns - self.entry.since_ns >= self.config.entry_rest_s * NS

    # -- facts -------------------------------------------------------------------------------------

    def on_book_lost(self) -> None:
        self._warm_ns = None

    def on_rules(self, rules: InstrumentRules) -> None:
        self._grid = Grid(rules)
        self._weigh()

    def on_order(self, change: OrderChanged, now_ns: int) -> None:
        if change.purpose is Purpose.PROTECT:
            return
        working = self.entry if change.purpose is Purpose.OPEN else self.exit
        ours = working is not None and working.intent_id == change.intent_id
        if change.is_terminal:
            if ours:
                self._now_working(change.purpose, None)
            self._ended(change, now_ns)
            return
        if working is None or not ours:
            # From an earlier life of ours, or forgotten too early: it is ours again until it ends.
            working = Working(change.intent_id, change.side, now_ns)
            self._now_working(change.purpose, working)
        working.known = True

    def on_refused(self, refused: RefusedOrder, now_ns: int) -> None:
        """The side stays quiet for `refused_pause_s`; a refused exit is wished again later."""
        if self.entry is not None and self.entry.intent_id == refused.intent_id:
            self._quiet_until_ns[self.entry.side] = now_ns + int(self.config.refused_pause_s * NS)
            self.entry = None
        elif self.exit is not None and self.exit.intent_id == refused.intent_id:
            self.exit.since_ns = now_ns

    def on_position(self, position: PositionChanged, now_ns: int) -> None:
        was_held = self.held
        self.position = position
        self.average_price = float(position.average_price)
        self._weigh()
        if self.held and not was_held:
            self.entered_ns = now_ns
        elif was_held and not self.held:
            self._keep_out(now_ns)
        if position.client_id:
            self._booked = (position.client_id, position.booked_lots)
            if self._booked[0] == self._due[0] and self._booked[1] >= self._due[1]:
                self._due_until_ns = 0

    # -- inner -------------------------------------------------------------------------------------

    def _now_working(self, purpose: Purpose, working: Working | None) -> None:
        if purpose is Purpose.OPEN:
            self.entry = working
        else:
            self.exit = working

    def _ended(self, change: OrderChanged, now_ns: int) -> None:
        if change.purpose is Purpose.OPEN:
            self._keep_out(now_ns)
        booked = self._booked[1] if self._booked[0] == change.client_id else 0
        if change.filled_lots > booked:
            # The position that we know is older than this order's fills: nothing is decided on it.
            self._due = (change.client_id, change.filled_lots)
            self._due_until_ns = now_ns + self._answer_ns

    def _busy(self, working: Working | None, now_ns: int) -> bool:
        return working is not None and (working.known or now_ns - working.since_ns < self._answer_ns)

    def _keep_out(self, now_ns: int) -> None:
        until = now_ns + int(self.config.cooldown_s * NS)
        for side, quiet in self._quiet_until_ns.items():
            self._quiet_until_ns[side] = max(quiet, until)

    def _weigh(self) -> None:
        """Whether the position is enough to be sold again, by the rules as now known."""
        position, grid = self.position, self._grid
        if position is None or not position.size_lots or grid is None:
            self.held = position is not None and position.size_lots != 0
            return
        self._target = target_distance(self.config, grid.tick, self.average_price)
        size = abs(position.size_lots) * grid.rules.lot
        # One without a known price is taken for a whole one: better an exit too many than a holding that
        # nobody leaves.
        worth = size * position.average_price
        self.held = size >= grid.rules.size_min and (not worth or worth >= grid.rules.notional_min)


class TripStrategy(Strategy):
    """A strategy of one trip at a time: give it a `name`, write `on_book`, ask `self.trip`."""

    name: ClassVar[str]
    Config: ClassVar[type[msgspec.Struct]] = TripConfig

    def __init__(self, config: TripConfig, instrument: str, new_id: Callable[[], int]) -> None:
        self.trip = Trip(self.name, instrument, config, new_id)

    def on_book_lost(self) -> None:
        self.trip.on_book_lost()

    def on_rules(self, rules: InstrumentRules) -> None:
        self.trip.on_rules(rules)

    def on_mode(self, mode: DeskMode) -> None:
        self.trip.mode = mode

    def on_order(self, change: OrderChanged, now_ns: int) -> None:
        self.trip.on_order(change, now_ns)

    def on_refused(self, refused: RefusedOrder, now_ns: int) -> None:
        self.trip.on_refused(refused, now_ns)

    def on_position(self, position: PositionChanged, now_ns: int) -> None:
        self.trip.on_position(position, now_ns)
