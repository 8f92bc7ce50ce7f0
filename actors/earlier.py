"""What the lives before this one did in the same run, read from the journal: for a summary that covers them all."""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.messages import Fill, OrderState
from actors.orders.journal_records import CLOSED, FILL, Closed
from actors.tally import Tally
from supervisor.journal.messages import ReadBack
from supervisor.journal.store import SqliteStore

PAGE = 10_000

_ends = msgspec.msgpack.Decoder(Closed)
_fills = msgspec.msgpack.Decoder(Fill)


def tally_of(journal: Path) -> Tally:
    """A tally that begins with the orders that ended and the fills that were booked; an empty one without a journal.

    To be called before the journal's own port opens it. Orders without an end are published by the life that
    finds out about them. Raises JournalRefused if the journal is damaged.
    """
    tally = Tally()
    if not journal.exists():
        return tally
    orders: dict[str, OrderState] = {}
    fills: list[Fill] = []
    store = SqliteStore(journal)
    try:
        after_seq, more = 0, True
        while more:
            page = store.read(ReadBack(kinds=(CLOSED, FILL), after_seq=after_seq, limit=PAGE))
            for record in page.records:
                after_seq = record.seq
                if record.kind == FILL:
                    fills.append(_fills.decode(record.body))
                else:
                    end = _ends.decode(record.body)
                    orders[end.client_id] = end.state
            more = page.more
    finally:
        store.close()
    tally.go_on_from(orders, fills)
    return tally
