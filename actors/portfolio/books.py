"""The books of the desk: every fill once, into its instrument's position and the ledger; rebuilt by replay.

Pure. A fill's identity is (account, instrument, trade id, order id). What fills cannot explain
(a difference to the venue that orders has agreed with) is adopted at the mark and kept in words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from actors.messages import (
    BalancesChanged,
    Book,
    Fill,
    InstrumentRules,
    PortfolioReport,
    PositionChanged,
    PositionReport,
)
from actors.portfolio.config import PortfolioConfig
from actors.portfolio.ledger import Ledger
from actors.portfolio.position import ZERO, Position

Identity = tuple[str, str, int, int]

# Fills of an instrument whose rules are not known yet; more than this many are lost to the books until the
# next start, which reads them back.
PENDING_MAX = 100_000
# Orders whose booked lots are remembered: a late fill of an older one starts its count again.
ORDERS_MAX = 10_000
ADJUSTMENTS_MAX = 20


class Books:
    """Positions by instrument, fees by coin. `instruments`: those the desk trades."""

    def __init__(self, config: PortfolioConfig, instruments: Iterable[str]) -> None:
        self.instruments = tuple(instruments)
        self.positions: dict[str, Position] = {}
        self.ledger = Ledger()
        self.fills = 0
        self.duplicates = 0
        self.adjustments: deque[str] = deque(maxlen=ADJUSTMENTS_MAX)
        self._config = config
        self._known: dict[Identity, None] = {}
        self._pending: dict[str, list[Fill]] = {}
        self._booked: dict[str, Decimal] = {}
        self._marks: dict[str, float] = {}
        # A difference to the venue, seen once: (instrument, its lots, ours).
        self._suspected: dict[str, tuple[int, int]] = {}

    # -- facts -------------------------------------------------------------------------------------

    def on_rules(self, rules: InstrumentRules) -> PositionChanged:
        """Books what waited for them."""
        position = self.positions.get(rules.instrument)
        if position is None:
            self.positions[rules.instrument] = Position(rules)
        else:
            position.rules = rules
        for fill in self._pending.pop(rules.instrument, ()):
            self._book(fill)
        return self.changed(rules.instrument)

    def on_fill(self, fill: Fill) -> PositionChanged | None:
        """None: booked before, or waiting for the rules of its instrument."""
        self._suspected.pop(fill.instrument, None)
        identity = (fill.account, fill.instrument, fill.trade_id, fill.order_id)
        if identity in self._known:
            self.duplicates += 1
            return None
        self._known[identity] = None
        if len(self._known) > self._config.fills_known_max:
            del self._known[next(iter(self._known))]
        if fill.instrument not in self.positions:
            waiting = self._pending.setdefault(fill.instrument, [])
            if len(waiting) < PENDING_MAX:
                waiting.append(fill)
            return None
        self._book(fill)
        return self.changed(fill.instrument, fill.client_id)

    def on_book(self, book: Book) -> None:
        if book.bids and book.asks:
            self._marks[book.instrument] = (book.bids[0][0] + book.asks[0][0]) / 2

    def on_balances(self, message: BalancesChanged) -> None:
        self.ledger.on_balances(message.balances)

    @property
    def in_doubt(self) -> bool:
        """Whether orders should be asked for its snapshot again."""
        return bool(self._suspected)

    def on_venue_position(self, instrument: str, venue_lots: int) -> None:
        """Orders agreed with the venue on a position.

        A difference is believed when it is said twice with no fill of the instrument between: the first time
        a fill may still be on its way, or the word be older than what was read back.
        """
        position = self.positions.get(instrument)
        if position is None:
            # Nothing to compare with before the rules; it is asked for again when they come.
            return
        ours = position.size_lots
        if ours == venue_lots:
            self._suspected.pop(instrument, None)
            return
        price = self.mark(instrument) or position.average_price
        if self._suspected.get(instrument) != (venue_lots, ours) or not price:
            self._suspected[instrument] = (venue_lots, ours)
            return
        del self._suspected[instrument]
        position.adopt((venue_lots - ours) * position.rules.lot, price)
        self.adjustments.append(
            f"{instrument}: the venue holds {venue_lots} lots, fills explain {ours}; taken in at {price}"
        )

    def _book(self, fill: Fill) -> None:
        position = self.positions[fill.instrument]
        position.book(fill)
        rules = position.rules
        if fill.fee_coin in (rules.base, rules.quote):
            self.ledger.pay(fill.fee_coin, fill.fee)
        else:
            price = self._config.coin_prices.get(fill.fee_coin)
            position.pay(self.ledger.pay_third(fill.fee_coin, fill.fee, price))
        self.fills += 1
        self._booked[fill.client_id] = self._booked.pop(fill.client_id, ZERO) + fill.size
        if len(self._booked) > ORDERS_MAX:
            del self._booked[next(iter(self._booked))]

    # -- questions ---------------------------------------------------------------------------------

    def mark(self, instrument: str) -> Decimal | None:
        """The middle of the last book."""
        mark = self._marks.get(instrument)
        # By its shortest text: the float's binary digits are not the price's.
        return None if mark is None else Decimal(repr(mark))

    def changed(self, instrument: str, client_id: str = "") -> PositionChanged:
        """The position as now booked; flat for an instrument of ours that nothing is known of."""
        position = self.positions.get(instrument)
        if position is None:
            return PositionChanged(
                instrument=instrument, size_lots=0, dust=ZERO, average_price=ZERO, realised=ZERO, fees=ZERO
            )
        booked = self._booked.get(client_id, ZERO)
        return PositionChanged(
            instrument=instrument,
            size_lots=position.size_lots,
            dust=position.dust,
            average_price=position.average_price,
            realised=position.realised,
            fees=position.fees,
            client_id=client_id,
            booked_lots=int(booked / position.rules.lot),
        )

    def positions_of(self, wanted: Iterable[str]) -> tuple[PositionChanged, ...]:
        """Those that can be said: with rules, or without any fill."""
        return tuple(
            self.changed(name)
            for name in wanted
            if name in self.positions or (name in self.instruments and name not in self._pending)
        )

    def report(self, wall_ns: int) -> PortfolioReport:
        return PortfolioReport(
            positions=tuple(self._line(name, position) for name, position in self.positions.items()),
            fees_by_coin=dict(self.ledger.fees),
            fees_unvalued=dict(self.ledger.unvalued),
            fills=self.fills,
            adjustments=tuple(self.adjustments),
            wall_ns=wall_ns,
        )

    def _line(self, instrument: str, position: Position) -> PositionReport:
        mark = self.mark(instrument)
        return PositionReport(
            instrument=instrument,
            size_lots=position.size_lots,
            dust=position.dust,
            average_price=position.average_price,
            mark=mark,
            unrealised=ZERO if mark is None else position.unrealised(mark),
            realised=position.realised,
            fees=position.fees,
        )
