"""Readings of the account: one at a time, for reconciling, for fills that did not come, and as a regular
audit.

An audit books what the stream forgot, doubts what the venue no longer lists, and compares what we believe to
hold with the balance. A difference that two readings in a row show is not explained away: everything is
reconciled anew.
"""

from __future__ import annotations

from decimal import Decimal

from actors.messages import AccountSnapshot, Fill, OrderState, QueryAccount
from actors.orders.book_of_orders import identity
from actors.orders.desk import Desk, S
from actors.orders.reconcile import READING, Phase
from actors.orders.unknown import Doubt
from actors.orders.words import Words

# The venue's clock stamps trades, ours stamps sends: a trade this much older than a send may still be its
# own.
_STAMP_SLACK_NS = 2 * S
# Two parts that count the same fills differ for a moment at every fill; a reading for each would eat the
# budget.
_SUSPECT_NS = 10 * S


class Account:
    """Asks for the account when somebody needs it, and digests what comes."""

    def __init__(self, desk: Desk, words: Words) -> None:
        self._desk = desk
        self._words = words
        self._asked_ns = 0  # of the reading that is out; 0: none is
        self._asked_wall_ns = 0
        self._retry_ns = 0
        self._audited_ns = 0
        self._suspects = False
        self._missing_ns = 0  # since when fills have been missing
        self._mismatch: dict[str, Decimal] | None = None
        self._audit_s = int(desk.config.audit_s * S)
        self._grace_ns = int(desk.config.fills_grace_s * S)
        self._lost_ns = int(desk.config.account_lost_s * S)
        self._pause_ns = int(desk.config.tick_s * S)
        self._retry_wait_ns = int(desk.config.account_retry_s * S)

    def ask_if_due(self) -> None:
        desk = self._desk
        now_ns = desk.shell.now_ns
        if self._asked_ns and now_ns - self._asked_ns < self._lost_ns:
            return
        if not desk.epoch or now_ns < self._retry_ns or not self._is_wanted(now_ns):
            return
        self._asked_ns = now_ns
        self._asked_wall_ns = desk.shell.wall_ns
        self._missing_ns = 0
        # Not from the last booked one: a fill can be missing that is older. Absent, the venue gives its
        # recent ones.
        looks_far = any(order.fills_missing for order in desk.known.live.values())
        since = {
            line.instrument: min(line.trades)
            for line in desk.lines.values()
            if len(line.trades) == line.trades.maxlen and not looks_far
        }
        desk.shell.tell(
            desk.addresses.rest,
            QueryAccount(account=desk.seat.account, instruments=desk.seat.instruments, trades_since=since),
        )

    def ask_anew(self) -> None:
        """Ask for a reading that begins now; one that is out already began too early, and will not count."""
        self._retry_ns = self._asked_ns = 0
        self.ask_if_due()

    def _is_wanted(self, now_ns: int) -> bool:
        desk = self._desk
        orders = desk.known.live.values()
        if desk.phase in READING or any(o.doubt is not None and o.doubt.wants_trades for o in orders):
            return True
        if any(o.fills_missing for o in orders):
            # The stream is about to bring them, most often.
            self._missing_ns = self._missing_ns or now_ns
            return now_ns - self._missing_ns >= self._grace_ns
        self._missing_ns = 0
        if not desk.believed:
            return False
        # While the stream is down, fills are only seen by looking.
        if desk.phase is Phase.STREAM:
            return True
        wait_ns = _SUSPECT_NS if self._suspects else self._audit_s
        return now_ns - self._audited_ns >= wait_ns

    def audit_soon(self) -> None:
        """Somebody counts otherwise than we do."""
        self._suspects = True

    def failed(self) -> None:
        self._asked_ns = 0
        self._retry_ns = self._desk.shell.now_ns + self._retry_wait_ns

    # -- what a reading says -----------------------------------------------------------------------

    def take_in(self, snapshot: AccountSnapshot) -> int:
        """Apply fills, working orders and what is missing among them. Returns when it was asked for; 0 if it
        answers an earlier question than the one that is out: then it proves nothing by what it lacks."""
        asked_ns = 0
        if self._asked_ns and snapshot.wall_ns >= self._asked_wall_ns:
            asked_ns, self._asked_ns = self._asked_ns, 0
            self._retry_ns = self._desk.shell.now_ns + self._pause_ns
        for fill in sorted(snapshot.fills, key=lambda fill: (fill.venue_ns, fill.trade_id)):
            self._words.fill(fill)
        listed = set()
        for report in snapshot.open_orders:
            listed.add(report.client_id)
            self._words.report(report)
        if asked_ns:
            self._doubt_unlisted(listed, asked_ns)
            self._clear_trades(snapshot.fills, asked_ns)
        return asked_ns

    def _doubt_unlisted(self, listed: set[str], asked_ns: int) -> None:
        """An order that should work and is not listed is not dropped; the venue is asked what became of
        it."""
        for order in list(self._desk.known.live.values()):
            works = order.state is OrderState.OPEN and order.owed is None and order.opened_ns < asked_ns
            if works and order.client_id not in listed and order.doubt is None:
                order.doubt = Doubt(order.deadline_ns)

    def _clear_trades(self, fills: tuple[Fill, ...], asked_ns: int) -> None:
        for order in list(self._desk.known.live.values()):
            doubt = order.doubt
            if doubt is None or not doubt.absent or asked_ns < doubt.absent_ns:
                continue
            doubt.trades_clear = not any(
                fill.instrument == order.instrument
                and fill.venue_ns >= order.sent_wall_ns - _STAMP_SLACK_NS
                and self.is_unexplained(fill)
                for fill in fills
            )
            self._words.settle_absent(order)

    def is_unexplained(self, fill: Fill) -> bool:
        """A trade of nobody knows which order: neither ours nor, by its client id, the owner's."""
        return not fill.client_id and not self._desk.known.has_counted(identity(fill))

    # -- audit -------------------------------------------------------------------------------------

    def audit(self, snapshot: AccountSnapshot) -> str:
        """Compare what we believe to hold with the balance. Returns the difference in words once it has
        lasted for two readings, else "". Call after `take_in`, while positions are believed."""
        desk = self._desk
        self._audited_ns = desk.shell.now_ns
        self._suspects = False
        truth = desk.holdings.ours(snapshot.balances, desk.coins())
        wrong: dict[str, Decimal] = {}
        for line in desk.lines.values():
            if line.grid is None:
                continue
            coin = line.grid.rules.base
            difference = truth[coin] - desk.holdings.coins.get(coin, Decimal(0))
            if abs(difference) >= line.grid.rules.lot:
                wrong[coin] = difference
        # Orders in flight move the balance between the requests of one reading; only what stays is a
        # difference.
        before, self._mismatch = self._mismatch, wrong or None
        if not wrong:
            return ""
        if wrong != before:
            self._audited_ns = 0
            return ""
        self._mismatch = None
        return "; ".join(
            f"the venue holds {amount:+} {coin} more than we believe" for coin, amount in wrong.items()
        )
