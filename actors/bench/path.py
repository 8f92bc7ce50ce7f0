"""From the bytes of a depth diff to the bytes of an order: the production tree against one plain function.

Both do the same work with the same kernels on the same diffs; what is between them is what the tree costs: tasks,
mailboxes, effects, supervision. One tick at a time, idle between, as in life: the tree's clock starts when a
frame's bytes are handed to the connection in memory, and stops when the order's bytes arrive at its other end.
`without_commit` keeps the journal in memory, `with_commit` on disk, synced (synchronous=FULL). Rounds of the three
are interleaved, and `vs_plain_function` is the median over rounds of the ratio of their p50, since a shared machine
moves absolute figures and leaves ratios alone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import actors
import supervisor
from actors import notices
from actors.bench import scene
from actors.bench.plain import PlainPath
from actors.bench.scene import Diffs, ScriptedRest, Venue, server_frame, settings
from actors.messages import OrderChanged
from actors.picture import Picture
from actors.tree import Desk, Outside, desk_tree, durable
from actors.venues.binance.budget import HostBudget
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.market import MarketPort, web_socket
from actors.venues.binance.signing import Ed25519Signer
from actors.venues.binance.trade import TradePort
from actors.venues.binance.wire import Wire
from actors.watcher import WatcherActor
from supervisor import runtime
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.message import Message
from supervisor.overrun import OverrunGuard
from supervisor.paging.port import Pager
from supervisor.paging.rules import Fold
from supervisor.runtime import Runtime
from supervisor.secret import Secret
from supervisor.spec import Child
from supervisor.world import RealWorld

# Between two ticks: long enough for every cache to cool and for the loop to sleep, on both sides.
IDLE_S = 0.001
WARM_UP = 30
# So many ticks of one side, then so many of the other: a neighbour's burst of work meets both.
BLOCK = 20
START_S = 20.0
TICK_S = 5.0


def measure(rounds: int = 3, blocks: int = 30) -> dict[str, float]:
    """Each of `rounds` starts the tree twice, and runs `blocks` of 20 ticks of each side; about 10 s a round.
    Must not be called under Trio, and only in the main thread, where the overrun guard works."""
    samples: dict[str, list[int]] = {"without_commit": [], "with_commit": [], "plain_function": []}
    ratios: list[float] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="nightdesk-bench-") as folder:
            for tree, plain in trio.run(
                both, Path(folder), blocks, restrict_keyboard_interrupt_to_checkpoints=True
            ):
                samples["without_commit"] += tree
                samples["plain_function"] += plain
                ratios.append(statistics.median(tree) / statistics.median(plain))
        with tempfile.TemporaryDirectory(prefix="nightdesk-bench-") as folder:
            samples["with_commit"] += trio.run(
                committing, Path(folder), blocks * BLOCK, restrict_keyboard_interrupt_to_checkpoints=True
            )
    result: dict[str, float] = {}
    for name, values in samples.items():
        values.sort()
        result[f"{name}_p50_us"] = statistics.median(values) / 1000
        result[f"{name}_p99_us"] = values[int(len(values) * 0.99)] / 1000
    result["vs_plain_function"] = statistics.median(ratios)
    return {name: round(value, 3) for name, value in result.items()}


async def both(folder: Path, blocks: int) -> list[tuple[list[int], list[int]]]:
    """Blocks of the tree and of the plain function in turn: nanoseconds of each tick."""
    async with running(folder, with_commit=False) as bench:
        plain = PlainBench(folder)
        await bench.ticks(WARM_UP)
        await plain.ticks(WARM_UP)
        found = [(await bench.ticks(BLOCK), await plain.ticks(BLOCK)) for _ in range(blocks)]
        plain.path.close()
        return found


async def committing(folder: Path, ticks: int) -> list[int]:
    """Nanoseconds of each tick of a tree whose journal is on disk."""
    async with running(folder, with_commit=True) as bench:
        await bench.ticks(WARM_UP)
        return await bench.ticks(ticks)


class PlainBench:
    """The plain function, and the market that it sees. The function knows no Trio; only the pause before it does."""

    def __init__(self, folder: Path) -> None:
        self.path, self._diffs = PlainPath(folder), Diffs()
        self.path.begin(self._diffs)

    async def ticks(self, count: int) -> list[int]:
        return [await self._tick() for _ in range(count)]

    async def _tick(self) -> int:
        frame = server_frame(self._diffs.payload())
        await trio.sleep(IDLE_S)
        began_ns = time.perf_counter_ns()
        order = self.path.tick(frame)
        took_ns = time.perf_counter_ns() - began_ns
        self.path.after(order)
        return took_ns


@dataclass
class Bench:
    """A running desk, the far end of its connections, and the market that it sees."""

    venue: Venue
    diffs: Diffs
    runtime: Runtime
    ended: _Ended

    async def ticks(self, count: int) -> list[int]:
        with trio.fail_after(TICK_S + count * IDLE_S * 100):
            return [await self.tick() for _ in range(count)]

    async def tick(self) -> int:
        """One diff in, one order out, its end heard by everybody; then idle. Nanoseconds from bytes to bytes."""
        venue = self.venue
        assert venue.market is not None
        frame = server_frame(self.diffs.payload())
        orders, over = len(venue.orders), self.ended.expect()
        await trio.sleep(IDLE_S)
        began_ns = time.perf_counter_ns()
        venue.market.peer.put(frame)
        await over.wait()
        assert len(venue.orders) == orders + 1, "one diff, one order"
        return venue.order_ns - began_ns


class _Ended:
    """A subscriber: hears that an order has come to its end."""

    def __init__(self) -> None:
        self._over = trio.Event()

    def expect(self) -> trio.Event:
        self._over = trio.Event()
        return self._over

    def __call__(self, event: Message) -> None:
        if isinstance(event, OrderChanged) and event.is_terminal:
            self._over.set()


@asynccontextmanager
async def running(folder: Path, with_commit: bool) -> AsyncIterator[Bench]:
    """The production tree, over connections in memory, up to its first order."""
    desk = Desk(settings(folder), is_watched=True)
    world, ended = RealWorld(), _Ended()
    picture = Picture("bench", "memory", "")
    situation = notices.Situation()
    pager = Pager(
        Fold(situation.lines, every_s=60.0), wall_ns=world.wall_ns, command="", rules=(notices.incident_of,)
    )
    async with trio.open_nursery() as nursery:
        venue = Venue(nursery)
        stopped = trio.Event()

        async def tree(task_status: trio.TaskStatus[Runtime]) -> None:
            try:
                await runtime.run(
                    desk_tree(desk, _outside(desk, venue, picture, with_commit)),
                    world=world,
                    # As in life, but for the log: where its lines go is not ours to measure.
                    subscribers=(situation, picture, pager, ended),
                    overruns=OverrunGuard([Path(actors.__file__).parent, Path(supervisor.__file__).parent]),
                    task_status=task_status,
                )
            finally:
                stopped.set()

        bench = Bench(venue, Diffs(), await nursery.start(tree), ended)
        await _first_order(bench)
        yield bench
        bench.runtime.stop()
        await stopped.wait()
        nursery.cancel_scope.cancel()


async def _first_order(bench: Bench) -> None:
    """Diffs until the desk has agreed with the venue and trades."""
    over = bench.ended.expect()
    with trio.fail_after(START_S):
        while not over.is_set():
            await trio.sleep(0.05)
            if bench.venue.market is not None:
                bench.venue.market.peer.put(server_frame(bench.diffs.payload()))
        # The orders that these diffs may still cause.
        await trio.sleep(0.1)


def _outside(desk: Desk, venue: Venue, picture: Picture, with_commit: bool) -> Outside:
    config = desk.settings
    clock = VenueClock()
    budget = HostBudget(desk.state_dir / "budget", config.venue.account_name)
    scene.lift(budget)
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    journal, lease = durable(desk)
    store = MemoryStore()

    async def dial(url: str) -> tuple[Wire, str, str]:
        return Wire(venue.connect_trade()), "venue", "/"

    async def dial_market(url: str) -> tuple[Wire, str, str]:
        return Wire(venue.connect_market()), "venue", "/"

    return Outside(
        rest=lambda _: ScriptedRest,
        trade=lambda _: (
            lambda: TradePort(
                config.venue,
                Secret("key"),
                signer,
                clock=clock,
                budget=budget,
                orders=desk.orders,
                listeners=(desk.risk,),
                dial=dial,
            )
        ),
        market=lambda _: (
            lambda: MarketPort(
                config.venue.stream_url,
                desk.feeds,
                trades_to={each: (address,) for each, address in desk.strategies.items()},
                config=config.market,
                connect=web_socket(config.market, dial_market),
            )
        ),
        journal=lambda _: journal if with_commit else lambda: MemoryJournal(store, desk.lease),
        lease=lambda _: lease,
        more=lambda _: (Child(desk.watcher, lambda: WatcherActor(picture)),),
    )
