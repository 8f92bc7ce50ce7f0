"""An outcome that is not known: what to ask, how often, and when "no such order" may be believed.

The venue may not know an order yet that is still on its way, and a query can be answered by a server that
lags. So "no such order" closes an order only when all of this holds:
1. it was said twice, to two questions;
2. the first of them was put after the order's own deadline (after which the venue itself refuses it), plus a
   margin;
3. the trades, read after that, hold none that could be its own.

Until then the order counts as working, everywhere. There is no limit on the time: a venue that does not
answer leaves it open, and the caps that it fills are not freed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueryPolicy:
    """Nanoseconds, all of them."""

    margin_ns: int  # after the deadline, before "no such order" counts
    first_ns: int  # the wait after a first question that settled nothing; doubles ...
    wait_max_ns: int  # ... up to this
    lost_ns: int  # a question without an answer is put again after this


class Doubt:
    """What was asked about one order, and what came back."""

    __slots__ = (
        "absent",
        "absent_ns",
        "asked_ns",
        "asked_wall_ns",
        "deadline_ns",
        "next_ns",
        "trades_clear",
        "tries",
    )

    def __init__(self, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self.asked_ns = 0  # of the question that is out; 0: none is
        self.asked_wall_ns = 0
        self.next_ns = 0  # not to be asked before this
        self.tries = 0
        self.absent = 0  # believed "no such order"s so far
        self.absent_ns = 0  # when the first of them came
        self.trades_clear = False

    def is_due(self, now_ns: int, policy: QueryPolicy) -> bool:
        """Whether to ask now: nothing is out (or it is lost), and the wait is over."""
        if self.asked_ns:
            return now_ns - self.asked_ns >= policy.lost_ns
        return now_ns >= self.next_ns

    def asked(self, now_ns: int, wall_ns: int) -> None:
        self.asked_ns = now_ns
        self.asked_wall_ns = wall_ns
        self.tries += 1

    def unanswered(self, now_ns: int, policy: QueryPolicy) -> None:
        """The question failed, or its answer settled nothing."""
        self.asked_ns = 0
        self.next_ns = now_ns + self._wait_ns(policy)

    def said_absent(self, now_ns: int, asked_wall_ns: int, policy: QueryPolicy) -> None:
        """The venue answered that it knows no such order, to a question put at `asked_wall_ns`."""
        told_ns = self.asked_ns
        # An answer to an earlier question than the one that is out is an old opinion.
        current = bool(told_ns) and asked_wall_ns >= self.asked_wall_ns
        self.asked_ns = 0
        earliest_ns = self.deadline_ns + policy.margin_ns
        if current and told_ns >= earliest_ns:
            self.absent += 1
            self.absent_ns = self.absent_ns or now_ns
        self.next_ns = max(now_ns + self._wait_ns(policy), earliest_ns)

    @property
    def wants_trades(self) -> bool:
        return self.absent > 0 and not self.trades_clear

    def is_absent(self) -> bool:
        return self.absent >= 2 and self.trades_clear

    def _wait_ns(self, policy: QueryPolicy) -> int:
        return min(policy.first_ns << min(self.tries, 16), policy.wait_max_ns)
