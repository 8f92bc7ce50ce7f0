"""What supervision costs: the production dispatcher against plain Trio, interleaved in one run.

`measure` returns ratios, since this machine's neighbours move absolute figures by a factor of two and leave
ratios alone: `hop4_vs_channels` (p50 of four hops), `restart_vs_nursery` (p50, crash to the next message
handled), `system_lane_vs_fifo` (p50, a system message behind 20,000 ticks), `burst64_vs_channels` (messages
per second of CPU). The figures of both sides stand beside each, in microseconds. All that runs in life is
on: buffered effects, budgets, crash reports, the overrun guard.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

import trio

from supervisor.actor import Actor
from supervisor.mailbox import Address
from supervisor.message import Lane, Message
from supervisor.overrun import OverrunGuard
from supervisor.runtime import Runtime, run
from supervisor.spec import Backoff, Branch, Budget, Child, Strategy

HOPS = 4
BURST = 64
BACKLOG = 20_000
# A budget that this bench does not spend, and restarts without a wait: the price of a crash, not of the
# pause after it.
UNSPENT = Budget(crashes_max=10_000_000)
AT_ONCE = Backoff(min_s=0.0)


class Tick(Message, frozen=True):
    survives_restart: ClassVar[bool] = True

    number: int
    price: float


class Burst(Message, frozen=True):
    """Asks the producer for BURST ticks."""


class Poison(Message, frozen=True):
    """Crashes who reads it."""


class Kill(Message, frozen=True):
    lane: ClassVar[Lane] = Lane.SYSTEM


class Relay(Actor):
    """Hands a tick on."""

    def __init__(self, to: Address) -> None:
        self._to = to

    def on_tick(self, tick: Tick) -> None:
        self.tell(self._to, tick)


class Producer(Actor):
    def __init__(self, to: Address) -> None:
        self._to = to

    def on_burst(self, _: Burst) -> None:
        for number in range(BURST):
            self.tell(self._to, Tick(number=number, price=1.0))


class Sink(Actor):
    """Notes when something arrived."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_tick(self, tick: Tick) -> None:
        clock = self._clock
        clock.left -= 1
        if clock.left == 0:
            clock.over()

    def on_kill(self, _: Kill) -> None:
        self._clock.over()

    def on_poison(self, _: Poison) -> None:
        self._clock.begin()
        raise ValueError("asked for")


class Clock:
    """Shared by both sides of a comparison: when it began, when it was over, and the waking of who waits
    for that."""

    def __init__(self) -> None:
        self.samples_ns: list[int] = []
        self.left = 0  # so many messages are still to come; below 0: only a Kill counts
        self._began_ns = 0
        self._done = trio.Event()

    def begin(self) -> None:
        self._began_ns = time.perf_counter_ns()

    def over(self) -> None:
        self.samples_ns.append(time.perf_counter_ns() - self._began_ns)
        self._done.set()

    async def wait(self) -> None:
        await self._done.wait()

    def expect(self, count: int = 1) -> None:
        self.left = count
        self._done = trio.Event()


def measure(rounds: int = 7) -> dict[str, float]:
    """Run everything `rounds` times, both sides in turn; about 1 s a round. Must not be called under Trio."""
    return trio.run(_measure, rounds, restrict_keyboard_interrupt_to_checkpoints=True)


async def _measure(rounds: int) -> dict[str, float]:
    samples: dict[str, list[int]] = {}
    rates: dict[str, list[float]] = {}

    def keep(name: str, clock: Clock) -> None:
        samples.setdefault(name, []).extend(clock.samples_ns)

    # The first round warms caches and is thrown away.
    for number in range(rounds + 1):
        if number == 1:
            samples.clear()
            rates.clear()
        keep("hop4", await _desk(_hops_desk, 500))
        keep("hop4_channels", await _hops_channels(500))
        keep("restart", await _desk(_restarts_desk, 200))
        keep("restart_nursery", await _restarts_nursery(200))
        keep("system_lane", await _desk(_kill_desk, 1))
        keep("system_lane_fifo", await _kill_fifo())
        for name, rate in (
            ("burst64", await _burst_desk(100)),
            ("burst64_channels", await _burst_channels(100)),
        ):
            rates.setdefault(name, []).append(rate)

    result: dict[str, float] = {}
    for name, other in (("hop4", "channels"), ("restart", "nursery"), ("system_lane", "fifo")):
        result[f"{name}_vs_{other}"] = _p50(samples[name]) / _p50(samples[f"{name}_{other}"])
    result["burst64_vs_channels"] = statistics.median(
        ours / theirs for ours, theirs in zip(rates["burst64"], rates["burst64_channels"], strict=True)
    )
    for name, values in samples.items():
        result[f"{name}_p50_us"] = _p50(values) / 1000
        result[f"{name}_p99_us"] = sorted(values)[int(len(values) * 0.99)] / 1000
    for name, per_s in rates.items():
        each = sorted(1e6 / rate for rate in per_s)
        result[f"{name}_p50_us"] = statistics.median(each)
        result[f"{name}_p99_us"] = each[-1]
    return {name: round(value, 6) for name, value in result.items()}


def _p50(values: list[int]) -> float:
    return statistics.median(values)


# -- the production side -------------------------------------------------------------------------------------


SINK, PRODUCER = Address("sink", bound=2 * BACKLOG), Address("producer")
RELAYS = tuple(Address(f"relay{number}") for number in range(1, HOPS))


def _tree(clock: Clock) -> Branch:
    chain = (*RELAYS, SINK)
    relays = tuple(Child(at, partial(Relay, to)) for at, to in zip(RELAYS, chain[1:], strict=True))
    sink = Child(SINK, partial(Sink, clock), backoff=AT_ONCE)
    producer = Child(PRODUCER, partial(Producer, SINK))
    return Branch("bench", Strategy.ONE_FOR_ONE, (sink, *reversed(relays), producer), budget=UNSPENT)


Scene = Callable[[Runtime, Clock, int], object]


async def _desk(scene: Callable[..., object], count: int) -> Clock:
    clock = Clock()
    guard = OverrunGuard([Path(__file__)])
    reported: list[Message] = []
    async with trio.open_nursery() as nursery:
        started = partial(run, _tree(clock), subscribers=[reported.append], overruns=guard)
        runtime: Runtime = await nursery.start(started)
        await scene(runtime, clock, count)  # type: ignore[misc]
        runtime.stop()
    return clock


async def _hops_desk(runtime: Runtime, clock: Clock, count: int) -> None:
    for number in range(count):
        clock.expect()
        tick = Tick(number=number, price=1.0)
        clock.begin()
        runtime.tell(RELAYS[0], tick)
        await clock.wait()


async def _restarts_desk(runtime: Runtime, clock: Clock, count: int) -> None:
    for number in range(count):
        clock.expect()
        runtime.tell(SINK, Poison())
        runtime.tell(SINK, Tick(number=number, price=1.0))
        await clock.wait()


async def _kill_desk(runtime: Runtime, clock: Clock, count: int) -> None:
    for _ in range(count):
        clock.expect(-1)
        for number in range(BACKLOG):
            runtime.tell(SINK, Tick(number=number, price=1.0))
        clock.begin()
        runtime.tell(SINK, Kill())
        await clock.wait()


async def _burst_desk(count: int) -> float:
    spent = 0

    async def bursts(runtime: Runtime, clock: Clock, count: int) -> None:
        nonlocal spent
        began = time.process_time_ns()
        for _ in range(count):
            clock.expect(BURST)
            runtime.tell(PRODUCER, Burst())
            await clock.wait()
        spent = time.process_time_ns() - began

    await _desk(bursts, count)
    return count * BURST * 1e9 / spent


# -- plain Trio ----------------------------------------------------------------------------------------------


async def _hops_channels(count: int) -> Clock:
    clock = Clock()

    async def relay(source: trio.MemoryReceiveChannel[Tick], to: trio.MemorySendChannel[Tick]) -> None:
        async for tick in source:
            await to.send(tick)

    async with trio.open_nursery() as nursery:
        first, source = trio.open_memory_channel[Tick](100)
        for _ in range(HOPS - 1):
            to, following = trio.open_memory_channel[Tick](100)
            nursery.start_soon(relay, source, to)
            source = following
        nursery.start_soon(_sink, source, clock)
        for number in range(count):
            clock.expect()
            tick = Tick(number=number, price=1.0)
            clock.begin()
            await first.send(tick)
            await clock.wait()
        nursery.cancel_scope.cancel()
    return clock


async def _sink(
    source: trio.MemoryReceiveChannel[Tick] | trio.MemoryReceiveChannel[Message], clock: Clock
) -> None:
    async for message in source:
        if isinstance(message, Kill):
            clock.over()
        clock.left -= 1
        if clock.left == 0:
            clock.over()


async def _restarts_nursery(count: int) -> Clock:
    clock = Clock()
    to, source = trio.open_memory_channel[Message](100)

    async def child() -> None:
        async for message in source:
            if isinstance(message, Poison):
                clock.begin()
                raise ValueError("asked for")
            clock.over()

    async def supervise() -> None:
        while True:
            try:
                async with trio.open_nursery() as own:
                    own.start_soon(child)
            except* ValueError:
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise)
        for number in range(count):
            clock.expect()
            await to.send(Poison())
            await to.send(Tick(number=number, price=1.0))
            await clock.wait()
        nursery.cancel_scope.cancel()
    return clock


async def _kill_fifo() -> Clock:
    clock = Clock()
    to, source = trio.open_memory_channel[Message](2 * BACKLOG)
    async with trio.open_nursery() as nursery:
        clock.expect(-1)
        for number in range(BACKLOG):
            to.send_nowait(Tick(number=number, price=1.0))
        nursery.start_soon(_sink, source, clock)
        clock.begin()
        to.send_nowait(Kill())
        await clock.wait()
        nursery.cancel_scope.cancel()
    return clock


async def _burst_channels(count: int) -> float:
    clock = Clock()
    to, source = trio.open_memory_channel[Tick](100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_sink, source, clock)
        began = time.process_time_ns()
        for _ in range(count):
            clock.expect(BURST)
            for number in range(BURST):
                await to.send(Tick(number=number, price=1.0))
            await clock.wait()
        spent = time.process_time_ns() - began
        nursery.cancel_scope.cancel()
    return count * BURST * 1e9 / spent
