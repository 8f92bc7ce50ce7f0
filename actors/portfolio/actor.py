"""The portfolio actor: books fills, tells positions, reports once a second; replays the journal at its start.

Fills survive its crash in its mailbox, and orders keeps each of them in the journal (kind `fill`, a `Fill` as
msgpack) before it tells one: what is read back and what still arrives overlap, and count once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from actors.messages import (
    BalancesChanged,
    Book,
    Fill,
    InstrumentRules,
    PositionChanged,
    Positions,
    PositionsWanted,
    Reconciled,
    ReconciledWanted,
    RulesWanted,
)
from actors.portfolio.books import Books
from actors.portfolio.config import PortfolioConfig
from supervisor.actor import Actor
from supervisor.journal.messages import ReadBack, Records
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Message

KIND = "fill"
READ_TIMEOUT_S = 5.0
RETRY_S = 0.5

_fills = msgspec.msgpack.Decoder(Fill)


class ReadAgain(Message, frozen=True):
    """To itself: the journal did not answer."""


class ReportNow(Message, frozen=True):
    """To itself, each `report_every_s`."""


class PortfolioActor(Actor):
    """`told` hears every position: risk, strategies. `rests`: the REST ports by venue; they say the rules."""

    def __init__(
        self,
        config: PortfolioConfig,
        instruments: Iterable[str],
        *,
        orders: Address,
        journal: Address,
        rests: Mapping[str, Address],
        told: Sequence[Address],
    ) -> None:
        self._config = config
        self._orders = orders
        self._journal = journal
        self._rests = rests
        self._told = tuple(told)
        self._books = Books(config, instruments)
        self._read_to = 0

    def started(self) -> None:
        # STARTING until the journal is read: fills that wait in the mailbox come after those in the journal.
        self._read()

    def stopping(self) -> None:
        """The last word on where the money is."""
        self.publish(self._books.report(self.wall_ns))

    def on_answer(self, answer: Answer) -> None:
        records = answer.message
        assert isinstance(records, Records), f"the journal answered {type(records).__name__}"
        for stored in records.records:
            # One that cannot be read is no fill of ours to guess at: crash, and let a person look.
            self._books.on_fill(_fills.decode(stored.body))
            self._read_to = stored.seq
        if records.more:
            self._read()
        else:
            self._begin()

    def on_ask_failed(self, failed: AskFailed) -> None:
        self.after(RETRY_S, ReadAgain())

    def on_read_again(self, message: ReadAgain) -> None:
        self._read()

    def _read(self) -> None:
        self.ask(self._journal, ReadBack(kinds=(KIND,), after_seq=self._read_to), timeout_s=READ_TIMEOUT_S)

    def _begin(self) -> None:
        for venue, rest in self._rests.items():
            wanted = tuple(name for name in self._books.instruments if name.startswith(f"{venue}/"))
            self.tell(rest, RulesWanted(instruments=wanted))
        self.tell(self._orders, ReconciledWanted())
        self.after(self._config.report_every_s, ReportNow())
        self.ready()

    # -- facts -------------------------------------------------------------------------------------

    def on_fill(self, fill: Fill) -> None:
        changed = self._books.on_fill(fill)
        if changed is not None:
            self._say(changed)

    def on_rules(self, rules: InstrumentRules) -> None:
        if rules.instrument not in self._books.instruments:
            return
        is_new = rules.instrument not in self._books.positions
        self._say(self._books.on_rules(rules))
        if is_new:
            # What orders said of it before could not be compared.
            self.tell(self._orders, ReconciledWanted())

    def on_book(self, book: Book) -> None:
        self._books.on_book(book)

    def on_balances(self, message: BalancesChanged) -> None:
        self._books.on_balances(message)

    def on_reconciled(self, message: Reconciled) -> None:
        for instrument, lots in message.positions.items():
            self._books.on_venue_position(instrument, lots)
            self._say(self._books.changed(instrument))

    def on_positions_wanted(self, message: PositionsWanted) -> None:
        self.reply(Positions(positions=self._books.positions_of(message.instruments)))

    def on_report_now(self, message: ReportNow) -> None:
        self.after(self._config.report_every_s, message)
        self.publish(self._books.report(self.wall_ns))
        if self._books.in_doubt:
            self.tell(self._orders, ReconciledWanted())

    def _say(self, changed: PositionChanged) -> None:
        for address in self._told:
            self.tell(address, changed)
        self.publish(changed)
