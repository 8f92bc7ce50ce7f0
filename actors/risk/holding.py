"""What risk knows of one instrument: rules, last price, position, its stop, and the exits under way."""

from __future__ import annotations

from actors.messages import (
    Book,
    InstrumentRules,
    OrderChanged,
    PositionChanged,
    ProtectionChanged,
    Purpose,
)
from actors.risk.config import RiskConfig
from actors.risk.limits import Limits

# A REDUCE that orders has not spoken of for this long never reached it.
EXIT_SILENCE_NS = 5_000_000_000


class Holding:
    """One instrument. `is_confirmed`: portfolio has said the position since orders' last snapshot."""

    __slots__ = (
        "_exits",
        "ask",
        "bid",
        "book_ns",
        "instrument",
        "is_confirmed",
        "limits",
        "position",
        "protected_lots",
        "venue",
    )

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.venue = instrument.partition("/")[0]
        self.limits: Limits | None = None
        self.position: PositionChanged | None = None
        self.is_confirmed = False
        self.bid = self.ask = 0.0
        self.book_ns = 0
        self.protected_lots = 0
        # REDUCE orders by intent: (lots still leaving, since, whether orders has spoken of it).
        self._exits: dict[int, tuple[int, int, bool]] = {}

    # -- facts -------------------------------------------------------------------------------------

    def on_rules(self, rules: InstrumentRules, config: RiskConfig) -> None:
        self.limits = Limits(rules, config)

    def on_book(self, book: Book) -> None:
        if book.bids and book.asks:
            self.bid = book.bids[0][0]
            self.ask = book.asks[0][0]
            self.book_ns = book.received_ns

    def on_book_lost(self) -> None:
        self.book_ns = 0

    def on_protection(self, message: ProtectionChanged) -> None:
        self.protected_lots = message.protected_lots if message.stop_client_id is not None else 0

    def on_exit_approved(self, intent_id: int, size_lots: int, now_ns: int) -> None:
        self._exits[intent_id] = (size_lots, now_ns, False)

    def on_exit_changed(self, change: OrderChanged, now_ns: int) -> None:
        if change.purpose is not Purpose.REDUCE:
            return
        if change.is_terminal:
            self._exits.pop(change.intent_id, None)
        else:
            self._exits[change.intent_id] = (change.size_lots - change.filled_lots, now_ns, True)

    def forget_exits(self) -> None:
        self._exits.clear()

    # -- questions ---------------------------------------------------------------------------------

    @property
    def size_lots(self) -> int:
        return 0 if self.position is None else self.position.size_lots

    def exit_lots(self, now_ns: int) -> int:
        """Lots that REDUCE orders may still sell or buy back."""
        for intent_id, (_, since_ns, is_known) in list(self._exits.items()):
            if not is_known and now_ns - since_ns > EXIT_SILENCE_NS:
                del self._exits[intent_id]
        return sum(lots for lots, _, _ in self._exits.values())

    def mark_ticks(self) -> int:
        """The dearer side of the last book, else what the position cost; 0: no price at all."""
        if self.limits is None:
            return 0
        price = self.ask or (0.0 if self.position is None else float(self.position.average_price))
        return round(price / self.limits.tick)

    def unprotected_lots(self) -> int:
        """Lots without a working stop, as far as they are enough for the venue to take a stop at all."""
        if self.position is None or not self.position.size_lots:
            return 0
        size = abs(self.position.size_lots)
        if self.limits is None:
            return size
        bare = size - self.protected_lots
        if (
            bare < self.limits.size_min_lots
            or 0 < self.limits.value(bare, self.mark_ticks()) < self.limits.value_min
        ):
            return 0
        return bare

    def pnl(self) -> float | None:
        """Realised and unrealised, in quote, dust included; None while a price or the position is missing.

        A float: it is compared with a limit, never booked.
        """
        position = self.position
        if position is None:
            return None
        realised = float(position.realised)
        if not position.size_lots and not position.dust:
            return realised
        if self.limits is None or not self.bid:
            return None
        size = position.size_lots * self.limits.lot + float(position.dust)
        return realised + size * ((self.bid + self.ask) / 2 - float(position.average_price))
