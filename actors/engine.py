"""One engine: the desk's tree with its real ports, from start to an orderly end.

The shell around `actors/tree.py`: it makes what outlives a port's life (keys, clock, host budget, pager), runs
the tree under the overrun guard, and ends it the way the config says.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import trio

import actors
import supervisor
from actors import notices
from actors.messages import PositionsWanted, StopTrading, TradingStopped
from actors.operating import Operating
from actors.picture import Picture
from actors.settings import Settings
from actors.tree import Desk, Outside, Start, desk_tree, durable
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.market import MarketPort
from actors.venues.binance.rest import RestPort
from actors.venues.binance.signing import make_signer
from actors.venues.binance.trade import TradePort
from actors.venues.binance.weights import Shares
from actors.view import ViewModel
from actors.watcher import WatcherActor
from supervisor import runtime
from supervisor.errors import ActorDied, AskTimeout, Overloaded
from supervisor.message import Message
from supervisor.overrun import OverrunGuard
from supervisor.paging.channels import Channel, channels
from supervisor.paging.escalation import Escalation
from supervisor.paging.operate import operate
from supervisor.paging.outbox import FILE as OUTBOX_FILE
from supervisor.paging.outbox import Outbox
from supervisor.paging.port import Pager, PagesPort
from supervisor.paging.routes import Routes
from supervisor.paging.rules import Fold
from supervisor.runtime import Runtime, Subscriber
from supervisor.secret import Secret
from supervisor.spec import Branch, Child
from supervisor.telemetry.lines import LogEvents
from supervisor.telemetry.status import StatusPort, as_plain
from supervisor.world import RealWorld

BUDGET_FILE = "binance-budget"
# With on_stop = "keep" only entries are cancelled; that takes one answer of the venue each.
KEEP_S = 2.0
# The keeper is gone, and this process has 1.9 s: the venue's answer, and the end of the tree.
AT_ONCE_S = 0.6


class Engine:
    """Everything of one process that outlives the lives in its tree."""

    def __init__(
        self,
        settings: Settings,
        subscribers: Sequence[Subscriber] = (),
        *,
        on_running: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Raises SecretError when a key cannot be read: nothing has been started then. `on_running` is told now
        and then which actor runs."""
        self.settings = settings
        self._on_running = on_running
        self.desk = Desk(settings, is_watched=True)
        self.world = RealWorld()
        self._began_ns = self.world.monotonic_ns()
        self.picture = Picture(
            settings.desk.name, settings.venue.rest_url, f"{command()} chaos crash {self.desk.example}"
        )
        self.situation = notices.Situation()
        self.pager = Pager(
            Fold(self.situation.lines, every_s=settings.paging.every_s),
            wall_ns=self.world.wall_ns,
            command=notices.STATUS,
            rules=(notices.paged_of,),
            outbox=Outbox(self.desk.state_dir / OUTBOX_FILE),
            routes=Routes(settings.paging.routes, escalate_to=settings.paging.escalate_to),
            escalate=Escalation(settings.paging.escalate_after_s, settings.paging.escalate_times),
        )
        self.runtime: Runtime | None = None
        self._clock = VenueClock()
        self._api_key = Secret.load(settings.venue.api_key)
        self._signer = make_signer(Secret.load(settings.venue.api_secret))
        venue = settings.venue
        budget_dir = Path(venue.budget_dir) if venue.budget_dir else settings.desk.state_dir
        self._budget = HostBudget(
            budget_dir / BUDGET_FILE,
            venue.account_name,
            Shares(routine=venue.routine_share, open=venue.open_share),
        )
        # The log hears everything first, so that a page is never about something that the log does not have.
        self._subscribers: tuple[Subscriber, ...] = (
            LogEvents(notices.line_of),
            self.situation,
            self.picture,
            self.pager,
            self._listen,
            *subscribers,
        )
        self._stopped = trio.Event()
        self._said: TradingStopped | None = None

    async def run(
        self, ended: Callable[[], None], *, task_status: trio.TaskStatus[Runtime] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run the tree until `stop`; `ended` is called when it is over. Raises what `supervisor.runtime.run` raises."""
        roots = [Path(actors.__file__).parent, Path(supervisor.__file__).parent]
        guard = OverrunGuard(roots, on_running=self._on_running)

        async def tree(*, task_status: trio.TaskStatus[Runtime]) -> None:
            try:
                await runtime.run(
                    self.tree(),
                    world=self.world,
                    subscribers=self._subscribers,
                    overruns=guard,
                    task_status=task_status,
                )
            finally:
                ended()

        async with trio.open_nursery() as nursery:
            self.runtime = await nursery.start(tree)
            task_status.started(self.runtime)

    def tree(self) -> Branch:
        """The desk's tree as data: who runs, who falls with whom."""
        return desk_tree(self.desk, self._outside())

    async def stop(self, reason: str, *, at_once: bool = False) -> TradingStopped | None:
        """The orderly end: entries go, and with on_stop = "flatten" what is held is sold; then the tree stops.

        `at_once`: there is a second left, whatever the config says: entries go, positions keep their stops.
        None: orders did not say in time that it is done; what stands at the venue stands under its stop.
        """
        assert self.runtime is not None
        desk = self.settings.desk
        flatten = desk.on_stop == "flatten" and not at_once
        keep_s = AT_ONCE_S if at_once else KEEP_S
        self.runtime.tell(self.desk.orders, StopTrading(flatten=flatten, reason=reason))
        with trio.move_on_after(desk.flatten_s if flatten else keep_s):
            await self._stopped.wait()
        # Orders told portfolio of every fill before it said so; an answer from portfolio has them all in it.
        with contextlib.suppress(ActorDied, AskTimeout, Overloaded):
            await self.runtime.ask(
                self.desk.portfolio, PositionsWanted(instruments=self.desk.instruments), timeout_s=keep_s
            )
        self.runtime.stop()
        return self._said

    def _listen(self, event: Message) -> None:
        if isinstance(event, TradingStopped):
            self._said = event
            self._stopped.set()

    def view(self) -> ViewModel:
        """Everything, as of now."""
        return self.picture.view(
            self.runtime.tree() if self.runtime is not None else None,
            up_s=(self.world.monotonic_ns() - self._began_ns) / 1e9,
            wall_ns=self.world.wall_ns(),
        )

    # -- ports ---------------------------------------------------------------------------------------------

    def _outside(self) -> Outside:
        journal, lease = durable(self.desk)
        return Outside(
            rest=self._rest,
            trade=self._trade,
            market=self._market,
            journal=lambda _: journal,
            lease=lambda _: lease,
            more=self._pages_and_status,
        )

    def _rest(self, desk: Desk) -> Start:
        return lambda: RestPort(
            self.settings.venue,
            self._api_key,
            self._signer,
            clock=self._clock,
            budget=self._budget,
            instruments=desk.instruments,
            consumers=(
                desk.orders,
                desk.risk,
                desk.portfolio,
                *desk.strategies.values(),
                *desk.watchers,
            ),
            listeners=(desk.orders, desk.risk),
        )

    def _trade(self, desk: Desk) -> Start:
        return lambda: TradePort(
            self.settings.venue,
            self._api_key,
            self._signer,
            clock=self._clock,
            budget=self._budget,
            orders=desk.orders,
            listeners=(desk.risk,),
        )

    def _market(self, desk: Desk) -> Start:
        return lambda: MarketPort(
            self.settings.venue.stream_url,
            desk.feeds,
            trades_to={each: (address,) for each, address in desk.strategies.items()},
            config=self.settings.market,
            venue=self.settings.venue.name,
        )

    def _pages_and_status(self, desk: Desk) -> tuple[Child, ...]:
        takers = channels(self.settings.paging)
        return (
            Child(desk.pages, lambda: self._pages(takers)),
            Child(desk.status, self._status),
            Child(desk.watcher, lambda: WatcherActor(self.picture)),
        )

    def _pages(self, takers: tuple[Channel, ...]) -> PagesPort:
        paging = self.settings.paging
        return PagesPort(self.pager, takers, timeout_s=paging.timeout_s, a_minute_max=paging.a_minute_max)

    def _status(self) -> StatusPort:
        return StatusPort(
            self.settings.status,
            name=self.settings.desk.name,
            state_dir=self.desk.state_dir,
            snapshot=self._snapshot,
            operate=Operating(self.desk.control, self._crash, partial(operate, self.pager)),
        )

    def _snapshot(self) -> dict[str, object]:
        """The picture that people see, and the tree with its counters for whoever watches by program."""
        tree = as_plain(self.runtime.tree()) if self.runtime is not None else None
        return {"view": as_plain(self.view()), "tree": tree}

    def _crash(self, name: str) -> None:
        assert self.runtime is not None
        self.runtime.crash(name)


def command() -> str:
    """How this command was called, so that a line to paste works where it is pasted."""
    called = Path(sys.argv[0])
    if called.name != "nightdesk":
        return "nightdesk"
    found = shutil.which("nightdesk")
    return "nightdesk" if found is not None and Path(found).samefile(called) else str(called)
