"""The same work in one plain function: the kernels of the desk called one after another, with nothing between them.

`PlainPath.tick` is what a program without a tree would do with a depth diff: frame, codec, book, strategy, risk,
orders' record and last checks, budget, frame of the order. No step of the tree's path is left out, and none is done
in a cheaper way; what the tree does for an order once its bytes have left is done in `after`.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.bench import scene
from actors.bench.scene import ACCOUNT, INSTRUMENT, Diffs
from actors.feed.staleness import Staleness
from actors.feed.sync import BookSync, Step
from actors.messages import (
    ApprovedOrder,
    Book,
    DepthDiff,
    DeskMode,
    ModeChanged,
    OrderChanged,
    OrderIntent,
    OrderReport,
    PlaceOrder,
    PositionChanged,
    Reconciled,
)
from actors.orders.client_ids import Sequences
from actors.orders.desk import Addresses, Desk, Seat
from actors.orders.reconcile import Phase
from actors.orders.sending import Sender
from actors.orders.words import Words
from actors.portfolio.books import Books
from actors.risk.day import DayRecord, day_of
from actors.risk.exits import exit_check
from actors.risk.kernel import RiskKernel
from actors.settings import Settings
from actors.strategy.imbalance import Imbalance
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.frame_reader import FrameReader
from actors.venues.binance.market_session import MarketSession
from actors.venues.binance.signing import Ed25519Signer
from actors.venues.binance.trade_session import Answered, Deed, Send, Told, TradeSession
from actors.venues.binance.ws_frames import text_frame
from supervisor.effects import Asker
from supervisor.flags import Flags
from supervisor.journal.memory import MemoryStore
from supervisor.journal.messages import Append, Appended
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.secret import Secret
from supervisor.world import RealWorld

S = 1_000_000_000
NAMES = ("journal", "lease", "trade", "rest", "risk", "portfolio", "control")


class Shell:
    """Where orders' parts tell: lists."""

    def __init__(self) -> None:
        self.flags = Flags()
        self.told: list[tuple[Address, Message]] = []
        self.published: list[Message] = []

    @property
    def now_ns(self) -> int:
        return time.monotonic_ns()

    @property
    def wall_ns(self) -> int:
        return time.time_ns()

    def tell(self, to: Address, message: Message) -> None:
        self.told.append((to, message))

    def publish(self, event: Message) -> None:
        self.published.append(event)

    def after(self, delay_s: float, message: Message) -> int:
        return 0

    def ask(self, to: Address, question: Message, *, timeout_s: float) -> int:
        raise AssertionError("a tick asks nobody")


class PlainPath:
    """One desk's kernels, made ready as the tree makes them."""

    def __init__(self, folder: Path) -> None:
        config = scene.settings(folder)
        self._world = RealWorld()
        self._reader = FrameReader(config.market.frame_bytes_max)
        self._market = MarketSession(
            config.venue.stream_url, (INSTRUMENT,), config.market, chance=self._world.random.random
        )
        self._levels = config.feed.view_levels
        self.sync = BookSync(config.feed)
        self._staleness = Staleness(config.feed, time.monotonic_ns())
        self._strategy = Imbalance(
            scene.strategy_config(config), INSTRUMENT, lambda: int(self._world.new_id(), 16) >> 1
        )
        self.risk = _risk(config)
        self._books = Books(config.portfolio, (INSTRUMENT,))
        self._shell = Shell()
        self.desk = _desk(config, self._shell)
        self._sender = Sender(self.desk)
        self._words = Words(self.desk, self._sender)
        self.store = MemoryStore()
        self.budget = HostBudget(folder / "plain-budget", config.venue.account_name)
        scene.lift(self.budget)
        signer = Ed25519Signer(Ed25519PrivateKey.generate())
        self._trade = TradeSession(config.venue, Secret("key"), signer, VenueClock(), self.budget)
        self._asker = Asker(Address("orders"), 0)
        self._book: Book

    def begin(self, diffs: Diffs) -> None:
        """As after a start that has gone well: streams up, book live, everybody agreed."""
        market, now_ns = self._market, time.monotonic_ns()
        market.start(now_ns / 1e9)
        market.on_open(1, now_ns / 1e9)
        market.on_frame(1, scene.answer({"method": "LIST_SUBSCRIPTIONS", "id": 1}).encode(), now_ns)
        market.on_frame(1, diffs.payload(), now_ns)
        first = next(message for message in market.messages if isinstance(message, DepthDiff))
        market.messages.clear()
        self.sync.on_diff(first)
        assert self.sync.on_snapshot(scene.snapshot(first.last_id)) is Step.JOINED
        flat = self._books.on_rules(scene.rules())
        self._strategy.on_rules(scene.rules())
        self._strategy.on_position(flat, now_ns)
        self._strategy.on_mode(DeskMode.RUNNING)
        self._agree(flat, now_ns)
        self._do(self._trade.opened(time.monotonic_ns(), time.time_ns()))
        assert self._trade.stream_up

    def tick(self, frame: bytes) -> bytes:
        """One depth diff's frame in, the order's frame out."""
        # The market port.
        reader, market = self._reader, self._market
        reader.feed(frame)
        market.on_frame(1, reader.messages.popleft(), time.monotonic_ns())
        (diff,) = market.messages
        assert type(diff) is DepthDiff
        market.messages.clear()
        # The feed.
        sync, now_ns = self.sync, time.monotonic_ns()
        step = sync.on_diff(diff)
        self._staleness.on_diff(diff.last_id, now_ns, sync.ahead)
        assert step is Step.CHANGED and self._staleness.verdict(now_ns) is None
        book = Book(
            instrument=INSTRUMENT,
            update_id=sync.update_id,
            bids=sync.book.bids(self._levels),
            asks=sync.book.asks(self._levels),
            venue_ns=diff.venue_ns,
            received_ns=diff.received_ns,
        )
        # The strategy, and risk.
        (intent,) = self._strategy.on_book(book, now_ns)
        assert type(intent) is OrderIntent
        self.risk.holdings[INSTRUMENT].on_book(book)
        approved = self.risk.check(intent, time.monotonic_ns(), time.time_ns())
        assert isinstance(approved, ApprovedOrder), approved
        # Orders, and the journal.
        shell = self._shell
        line = self.desk.lines[INSTRUMENT]
        line.bids, line.book_ns = book.bids, book.received_ns
        self._sender.enter(approved)
        _, append = shell.told.pop()
        assert type(append) is Append
        (appended,) = self.store.append([append], 1, time.time_ns())
        assert isinstance(appended, Appended)
        self._sender.journalled(self.desk.pending.pop(appended.token)[1])  # type: ignore[arg-type]
        # The trade port. What else orders has told (that the order is sent) is heard in `after`.
        _, place = shell.told.pop(0)
        assert type(place) is PlaceOrder
        order = self._trade.prepare(place, self._asker, shell.flags, time.monotonic_ns(), time.time_ns())
        assert isinstance(order, bytes), order
        sent = text_frame(order, os.urandom(4))
        self._book = book
        return sent

    def after(self, order: bytes) -> bytes:
        """Everything that follows a sent order, to its end; returns the order's own text."""
        self._books.on_book(self._book)
        self._hear()
        text = scene.unmasked(order)
        asked = json.loads(text)
        self._do(self._trade.received(scene.answer(asked), time.monotonic_ns(), time.time_ns()))
        self._hear()
        return text

    def close(self) -> None:
        self.budget.close()

    # -- the parts -----------------------------------------------------------------------------------------

    def _agree(self, flat: PositionChanged, now_ns: int) -> None:
        risk, wall_ns = self.risk, time.time_ns()
        risk.mode = DeskMode.RUNNING
        risk.holdings[INSTRUMENT].on_rules(scene.rules(), risk.config)
        agreed = Reconciled(account=ACCOUNT, epoch=1, positions={}, open_orders=(), differences=())
        assert risk.on_reconciled(agreed, now_ns) == (INSTRUMENT,)
        risk.on_positions((flat,))
        risk.day.restore([DayRecord(day=day_of(wall_ns), pnl=0.0)])

    def _do(self, deeds: list[Deed]) -> None:
        """What the trade session wants done; the venue answers at once."""
        for deed in deeds:
            if isinstance(deed, Send):
                asked = json.loads(deed.data)
                self._do(self._trade.received(scene.answer(asked), time.monotonic_ns(), time.time_ns()))
            elif isinstance(deed, Answered):
                (report,) = deed.messages
                assert isinstance(report, OrderReport)
                self._words.report(report)
            else:
                assert isinstance(deed, Told), deed

    def _hear(self) -> None:
        """Risk and the strategy hear what became of an order; the journal keeps its end."""
        told, self._shell.told = self._shell.told, []
        self._shell.published.clear()
        now_ns = time.monotonic_ns()
        for to, message in told:
            if isinstance(message, OrderChanged):
                hears = self.risk if to is self.desk.addresses.risk else self._strategy
                hears.on_order(message, now_ns)
            elif isinstance(message, Append):
                self.store.append([message], 1, time.time_ns())
                self.desk.pending.pop(message.token)


def _risk(config: Settings) -> RiskKernel:
    return RiskKernel(
        config.risk,
        (INSTRUMENT,),
        order_window_s=config.venue.order_window_s,
        first_id=1,
        # Long ago: no approval of a life before this one can be under way.
        born_ns=time.monotonic_ns() - 60 * S,
    )


def _desk(config: Settings, shell: Shell) -> Desk:
    window_s = config.venue.order_window_s
    at = {name: Address(name) for name in NAMES}
    desk = Desk(
        shell,
        config.orders,
        Seat(account=ACCOUNT, instance="a", instruments=(INSTRUMENT,), order_window_s=window_s),
        Addresses(**at, strategies={INSTRUMENT: Address("strategy")}),
        exit_check(window_s),
    )
    desk.rules(scene.rules())
    desk.epoch, desk.believed, desk.trade_up, desk.phase = 1, True, True, Phase.OPEN_GATE
    desk.mode = ModeChanged(mode=DeskMode.RUNNING, by="bench", reason="", wall_ns=0)
    desk.sequences = Sequences("a", 1, 1, block=1_000_000, reserve=200)
    block = desk.sequences.wanted()
    assert block is not None
    desk.sequences.granted(block)
    return desk
