"""What earlier lives left in the journal, read at the start of each: numbers in use, orders without an end,
fills.

None of it is the truth about what is. It says which questions to put to the venue, which executions were
counted, and what the holdings should come to, so that a difference can be told.
"""

from __future__ import annotations

from decimal import Decimal

from actors.messages import OrderState, Purpose
from actors.orders.book_of_orders import Order
from actors.orders.client_ids import Sequences
from actors.orders.desk import Desk, S
from actors.orders.journal_records import (
    KINDS,
    MARK,
    Intent,
    JournalView,
    Mark,
    intent_of,
    mark_record,
    mark_seq,
)
from actors.orders.lifecycle import Event
from actors.orders.sending import Sender
from supervisor.errors import Halt
from supervisor.journal.messages import ReadBack, Records, Stored

_TIMEOUT_S = 10.0
# An order without an end may be of any age; its trades are looked for this far back.
_LOOK_BACK_NS = 3600 * S
_FILLS_PER_MARK = 1000


class Past:
    """Reads the journal back page by page, and writes the summaries that keep the reading short."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk = desk
        self._sender = sender
        self.is_new = True
        """No life before this one ever agreed with the venue: there is nothing to compare with."""
        self._view: JournalView | None = None
        self._mark: Stored | None = None
        self._after_seq = 0
        self._reads_marks = False
        self._ask_id = 0
        self._last_seq = 0
        self.records_read = 0

    def begin(self) -> None:
        """A new epoch: read from the start."""
        self._desk.sequences = None
        self._view, self._mark = JournalView(), None
        self._after_seq = self._ask_id = 0
        self._reads_marks = True

    def read_on(self) -> None:
        """Ask for the next page, unless it is asked for or all is read."""
        desk = self._desk
        if self._ask_id or desk.sequences is not None:
            return
        kinds = (MARK,) if self._reads_marks else KINDS
        self._ask_id = desk.shell.ask(
            desk.addresses.journal,
            ReadBack(kinds=kinds, after_seq=self._after_seq),
            timeout_s=_TIMEOUT_S,
        )

    def records(self, ask_id: int, records: Records) -> None:
        """A page of the journal: first the summaries, of which the last counts, then everything after it."""
        view = self._view
        if ask_id != self._ask_id or view is None:
            return
        self._ask_id = 0
        page = records.records
        self.records_read += len(page)
        if self._reads_marks:
            self._mark = page[-1] if page else self._mark
            self._after_seq = page[-1].seq if page else self._after_seq
            if not records.more:
                self._reads_marks = False
                self._after_seq = 0
                if self._mark is not None:
                    view.mark(self._mark)
                    self._after_seq = mark_seq(self._mark)
            self.read_on()
            return
        view.read(page)
        if records.more:
            self._after_seq = page[-1].seq
            self.read_on()
        else:
            self._number_from(view)

    def ask_failed(self, ask_id: int) -> None:
        if ask_id == self._ask_id:
            self._ask_id = 0  # asked again by whoever waits for it

    def _number_from(self, view: JournalView) -> None:
        desk = self._desk
        if view.epoch_max > desk.epoch:
            raise Halt(
                f"the journal was written under epoch {view.epoch_max} and the lease says {desk.epoch}: the "
                "lease store went back in time. Restore it, or raise its counter above "
                f"{view.epoch_max}; nothing was sent"
            )
        config = desk.config
        desk.sequences = Sequences(
            desk.seat.instance,
            desk.epoch,
            view.next_sequence,
            block=config.ids_block,
            reserve=config.ids_reserve,
        )
        self.is_new = view.coins is None
        self._sender.reserve_numbers()

    # -- taking it over ----------------------------------------------------------------------------

    def learn(self) -> None:
        """Take over what the journal believes; needs the rules of every instrument."""
        desk = self._desk
        view, self._view = self._view, None
        if view is None:
            return
        for known, size in view.fills.items():
            desk.known.count_fill(known, size)
        filled = dict(view.filled)
        desk.holdings.coins = dict.fromkeys(desk.coins(), Decimal(0)) | (view.coins or {})
        for fill in view.fills_since:
            line = desk.lines.get(fill.instrument)
            if line is not None and line.grid is not None:
                desk.holdings.book(fill, line.grid.rules.base)
                filled[fill.client_id] = filled.get(fill.client_id, 0) + line.grid.lots(fill.size)
        for instrument, ids in view.trades.items():
            if instrument in desk.lines:
                desk.lines[instrument].trades.extend(ids)
        for instrument, ticks in view.stops.items():
            if instrument in desk.lines:
                desk.lines[instrument].stop_ticks = ticks
        for intent in view.working.values():
            if intent.instrument in desk.lines and desk.known.get(intent.client_id) is None:
                self._remember(intent, filled.get(intent.client_id, 0))

    def _remember(self, intent: Intent, filled_lots: int) -> None:
        """An order of an earlier life that has no end in the journal: it may work, or never have left."""
        desk = self._desk
        shell = desk.shell
        order = Order(
            intent.client_id,
            intent.instrument,
            intent.side,
            intent.purpose,
            intent.kind,
            intent.tif,
            intent.size_lots,
            intent.price_ticks,
            intent.stop_ticks,
        )
        order.strategy, order.intent_id, order.epoch = intent.strategy, intent.intent_id, intent.epoch
        order.filled_lots = filled_lots
        # A port may still hold it; nobody here knows since when.
        order.deadline_ns = shell.now_ns + int(2 * desk.seat.order_window_s * S)
        order.sent_wall_ns = shell.wall_ns - _LOOK_BACK_NS
        order.state = OrderState.SENT
        if order.purpose is Purpose.OPEN:
            order.cancel_wanted = "swept"
        desk.known.add(order)
        desk.known.move(order, Event.OUTCOME_UNKNOWN)

    # -- summaries ---------------------------------------------------------------------------------

    def seen_seq(self, last_seq: int) -> None:
        """The journal has everything up to here on disk."""
        self._last_seq = max(self._last_seq, last_seq)

    def write_mark(self) -> None:
        desk = self._desk
        if not desk.believed or desk.sequences is None:
            desk.append((), None)
            return
        desk.closed_since_mark = 0
        live = desk.known.live.values()
        mark = Mark(
            # Up to here all that we have journalled is in memory; what is replayed twice changes nothing.
            seq=self._last_seq,
            next_sequence=desk.sequences.end,
            live=tuple(intent_of(order) for order in live),
            filled={order.client_id: order.filled_lots for order in live if order.filled_lots},
            fills=tuple(desk.known.last_fills(_FILLS_PER_MARK)),
            coins=dict(desk.holdings.coins),
            trades={line.instrument: tuple(line.trades) for line in desk.lines.values()},
            stops={line.instrument: line.stop_ticks for line in desk.lines.values() if line.stop_ticks},
        )
        desk.append((mark_record(mark, f"{desk.epoch}-{desk.shell.wall_ns}"),), None)
