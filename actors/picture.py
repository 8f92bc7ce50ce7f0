"""The desk as last published: what the live view, `nightdesk status` and a page show. A subscriber of the
runtime.

Pure but for what it is asked with: the tree and the time come in as arguments. Bounded: an entry for each
instrument and each order that is not at its end.
"""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal

from actors import messages as m
from actors.notices import line_of
from actors.view import BookLine, OrderLine, PositionLine, TreeLine, ViewModel
from supervisor.events import ChildCrashed
from supervisor.failover.messages import Fenced, Leading
from supervisor.message import Message
from supervisor.paging.messages import Paged
from supervisor.report import NodeReport, TreeReport
from supervisor.telemetry import lines

EVENTS_KEPT = 20
ORDERS_MAX = 1_000
# Levels of a side that count for the imbalance shown; the strategy has its own setting.
LEVELS = 10
_QUIET = ("DEBUG",)


class Picture:
    """Call it with each event; `view` gives the whole as a `ViewModel`."""

    def __init__(self, name: str, venue: str, paste: str) -> None:
        self._name = name
        self._venue = venue
        self._paste = paste
        self._rules: dict[str, m.InstrumentRules] = {}
        self._books: dict[str, m.Book] = {}
        self._feeds: dict[str, m.FeedReport] = {}
        self._protections: dict[str, m.ProtectionChanged] = {}
        self._positions: dict[str, m.PositionChanged] = {}
        self._orders: dict[str, m.OrderChanged] = {}
        self._portfolio: m.PortfolioReport | None = None
        self._refusals: Counter[str] = Counter()
        self._events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self._mode = "starting"
        self._role = "no lease yet"
        self._fills = self._crashes = self._pages = 0
        self._last_page = ""

    def __call__(self, event: Message) -> None:
        match event:
            case m.Book():
                self._books[event.instrument] = event
                return
            case m.FeedReport():
                self._feeds[event.instrument] = event
            case m.BookLost():
                self._books.pop(event.instrument, None)
            case m.InstrumentRules():
                self._rules[event.instrument] = event
            case m.ProtectionChanged():
                self._protections[event.instrument] = event
            case m.PositionChanged():
                self._positions[event.instrument] = event
            case m.PortfolioReport():
                self._portfolio = event
            case m.OrderChanged():
                self._keep_order(event)
            case m.Fill():
                self._fills += 1
            case m.RefusedOrder():
                self._refusals[event.reason] += 1
            case m.ModeChanged():
                self._mode = event.mode.value
            case Leading():
                self._role = f"leader, epoch {event.epoch}"
            case Fenced():
                self._role = "standby"
            case ChildCrashed():
                self._crashes += 1
            case Paged():
                self._pages += 1
                self._last_page = f"{event.page.title}\n{event.page.text}"
            case _:
                pass
        said = lines.line_of(event) or line_of(event)
        if said is not None and said.level not in _QUIET and not isinstance(event, Paged):
            self._events.append(said.words.partition("\n")[0])

    def view(self, tree: TreeReport | None, *, up_s: float, wall_ns: int) -> ViewModel:
        """Everything, as of now. `tree` None: it does not run yet, or no more."""
        portfolio = self._portfolio
        reports = portfolio.positions if portfolio is not None else ()
        fees = portfolio.fees_by_coin if portfolio is not None else {}
        return ViewModel(
            name=self._name,
            mode=self._mode,
            role=self._role,
            venue=self._venue,
            up_s=up_s,
            wall_ns=wall_ns,
            tree=tuple(_tree_lines(tree.root)) if tree is not None else (),
            books=tuple(self._book(name) for name in sorted({*self._feeds, *self._books})),
            positions=tuple(self._position(each) for each in reports if self._lots(each)),
            orders=tuple(self._order(each) for each in self._orders.values()),
            pnl=_money(sum((each.realised + each.unrealised for each in reports), Decimal(0))),
            fees=", ".join(f"{fee.normalize():f} {coin}" for coin, fee in sorted(fees.items())) or "none",
            fills=self._fills,
            refusals=dict(self._refusals),
            crashes=self._crashes,
            pages=self._pages,
            last_page=self._last_page,
            events=tuple(self._events),
            paste=self._paste,
        )

    def _keep_order(self, event: m.OrderChanged) -> None:
        if event.is_terminal:
            self._orders.pop(event.client_id, None)
        elif len(self._orders) < ORDERS_MAX or event.client_id in self._orders:
            self._orders[event.client_id] = event

    def _book(self, instrument: str) -> BookLine:
        book, feed = self._books.get(instrument), self._feeds.get(instrument)
        if book is None:
            lost = feed.lost if feed is not None else "not there yet"
            bid, ask = (feed.bid, feed.ask) if feed is not None else (0.0, 0.0)
            return BookLine(instrument, f"{bid:g}", "", f"{ask:g}", "", None, lost)
        (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
        asked = sum(size for _, size in book.asks[:LEVELS])
        imbalance = sum(size for _, size in book.bids[:LEVELS]) / asked if asked else None
        return BookLine(
            instrument, _float(bid), _float(bid_size), _float(ask), _float(ask_size), imbalance, None
        )

    def _lots(self, report: m.PositionReport) -> int:
        """The newest word on a position: orders knows of a fill up to a second before the next report."""
        protection = self._protections.get(report.instrument)
        return protection.position_lots if protection is not None else report.size_lots

    def _position(self, report: m.PositionReport) -> PositionLine:
        protection = self._protections.get(report.instrument)
        stop, covered = None, False
        if protection is not None and protection.stop_client_id is not None:
            stop = self._price(report.instrument, protection.stop_ticks)
            covered = protection.protected_lots >= abs(protection.position_lots)
        return PositionLine(
            instrument=report.instrument,
            size=self._size(report.instrument, self._lots(report)),
            average=_money(report.average_price, signed=False),
            unrealised=_money(report.unrealised),
            stop=stop,
            is_covered=covered,
        )

    def _order(self, order: m.OrderChanged) -> OrderLine:
        ticks = order.price_ticks if order.price_ticks is not None else order.stop_ticks
        return OrderLine(
            instrument=order.instrument,
            side=order.side.value,
            purpose=order.purpose.name,
            state=order.state.value,
            size=self._size(order.instrument, order.size_lots),
            price=self._price(order.instrument, ticks),
        )

    def _price(self, instrument: str, ticks: int | None) -> str:
        if ticks is None:
            return "market"
        rules = self._rules.get(instrument)
        return f"{rules.tick * ticks:f}" if rules is not None else f"tick {ticks}"

    def _size(self, instrument: str, lots: int) -> str:
        rules = self._rules.get(instrument)
        return f"{(rules.lot * lots).normalize():f} {rules.base}" if rules is not None else f"{lots} lots"


def _tree_lines(node: NodeReport, depth: int = 0) -> list[TreeLine]:
    is_branch = node.kind == "branch"
    found = [TreeLine(node.name, depth, is_branch, node.state, node.restarts)]
    for child in node.children:
        found += _tree_lines(child, depth + 1)
    return found


def _money(amount: Decimal, *, signed: bool = True) -> str:
    return f"{amount:+.4f}" if signed else f"{amount:.2f}"


def _float(number: float) -> str:
    return f"{number:.8f}".rstrip("0").rstrip(".")
