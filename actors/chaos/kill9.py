"""kill -9, again and again, while the desk trades: is every order known, every fill booked, every position covered?

The exchange lives through all of it. The desk is started, trades, and is killed at a random moment, sometimes while
it still reconciles; now and then its journal's log is also cut at a random byte, as a disk may that lost power. Then
it is judged: by the exchange's record, and by what the journal holds.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any

import msgspec
import trio

from actors.chaos import cover, evidence, judge
from actors.chaos.stage import LogTail, Stage, folder, staged
from supervisor.journal.store import JournalRefused
from supervisor.keeper.processes import ProcessDied

RECONCILE_S = 20.0
TRADED_S = (0.3, 3.0)
# One kill of so many comes at a random moment of the start, before it has reconciled or soon after.
EARLY_EVERY = 8
EARLY_S = (0.0, 0.7)
# In one trial of so many orders take their time to the venue, so that the kill finds some on their way; still within
# the window after which the venue would refuse them.
SLOW_EVERY = 3
SLOW_S = (0.05, 0.2)
# One kill of so many also cuts the journal's log.
TORN_EVERY = 10
# Three pairs, so that there is nearly always one to buy, and
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
# a round trip a second or so in each, so that most kills meet an order or a position.
BUSY = (
    "strategy.imbalance.ratio=1.2",
    "strategy.imbalance.exit_ratio=0.9",
    "strategy.imbalance.max_hold_s=0.7",
    "strategy.imbalance.cooldown_s=0.05",
    "strategy.imbalance.warmup_s=0.0",
    # The first wish of a start is refused, since nothing is reconciled yet; wait no longer than it takes.
    "strategy.imbalance.refused_pause_s=0.1",
)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `chaos live kill9` says. Counts; `ok` when every one that must be 0 is 0 and every start reconciled."""

    ok: bool
    trials: int
    orders: int
    fills: int
    holding: int
    """Kills while a position was held."""
    in_flight: int
    """Kills while an order was on its way to the venue, which then accepted it."""
    torn: int
    """Kills after which the journal's log was cut too."""
    torn_lost: int
    """Of those: how many lost a commit that had been acknowledged. Only a disk that lies can do that."""
    early: int
    """Kills before the start had reconciled."""
    unjournalled: int
    doubled: int
    oversold: int
    reconciled: int
    """Starts that reconciled; every start that was not killed before must."""
    not_reconciled: int
    damaged: int
    """Journals that did not open, whole, after a kill; or that were no prefix of what they had been before."""
    epochs_broken: int
    fills_missing: int
    fills_double: int
    fills_invented: int
    position_off: dict[str, str]
    """What the journal's fills come to at the end, less the venue's balance, in each coin where they differ."""
    left_working: int
    unprotected_s: float
    """Of positions, beyond the 3 s allowed for placing the first stop. Not judged of it: times without a desk, and
    the moment that an exit takes which finds nobody."""
    dead_bare_max_s: float
    """The longest that a position had no stop because its desk was killed between entry and stop: from the kill to
    the next running tree, so as long as a restart takes."""
    stop_first_max_s: float
    stop_gap_max_s: float
    start_p50_s: float
    """From exec to reconciled."""
    start_max_s: float
    tree_p50_s: float
    """From exec to a running tree."""
    trial_mean_s: float
    problems: tuple[str, ...]


class Tally:
    """What was seen, trial by trial."""

    def __init__(self) -> None:
        self.kills_us: list[int] = []
        self.dead_us: list[tuple[int, int]] = []
        """From each kill to the next tree that ran."""
        self.starts_s: list[float] = []
        self.trees_s: list[float] = []
        self.epochs: list[int] = []
        self.intents: dict[str, int] = {}
        self.early = self.torn = self.torn_lost = self.damaged = self.not_reconciled = 0
        self.problems: list[str] = []

    def runs(self, began_s: float) -> None:
        """A tree runs that was started at `began_s`."""
        self.trees_s.append(perf_counter() - began_s)
        if self.kills_us:
            self.dead_us.append((self.kills_us[-1], time_ns() // 1000))


def measure(
    trials: int,
    *,
    seed: int = 1,
    overrides: Sequence[str] = (),
    keep: Path | None = None,
    say: Callable[[str], object] = sys.stderr.write,
) -> Verdict:
    """Kill the desk `trials` times. Raises ConfigError or ProcessDied if there is nothing to kill."""
    with folder(keep) as place:
        return trio.run(_play, place, trials, random.Random(seed), [*BUSY, *overrides], say)


async def _play(
    place: Path, trials: int, rng: random.Random, overrides: Sequence[str], say: Callable[[str], object]
) -> Verdict:
    async with staged(place, overrides, SYMBOLS) as stage:
        tally = Tally()
        began_s = perf_counter()
        for number in range(1, trials + 1):
            await _kill_one(stage, tally, rng, number)
            if number % 10 == 0:
                say(f"{number} of {trials} kills\n")
        took_s = perf_counter() - began_s
        await _last_start(stage, tally)
        return _judged(await stage.record(), stage, tally, trials, took_s / max(1, trials))


async def _kill_one(stage: Stage, tally: Tally, rng: random.Random, number: int) -> None:
    """One start, one kill, and what the journal looks like afterwards."""
    is_early = number % EARLY_EVERY == 0
    wait_s = rng.uniform(*(EARLY_S if is_early else TRADED_S))
    await stage.heal()
    if number % SLOW_EVERY == 0:
        await stage.fault(kind="latency", match="order.*", min_s=SLOW_S[0], max_s=SLOW_S[1])
    log = LogTail(stage.engine_log)
    began_s = perf_counter()
    try:
        async with stage.engine() as process:
            tally.runs(began_s)
            if not is_early:
                await _reconciled(tally, log, began_s, number)
            await trio.sleep(wait_s)
            os.kill(process.pid, signal.SIGKILL)
            tally.kills_us.append(time_ns() // 1000)
            await process.stop()
    except ProcessDied as died:
        tally.problems.append(f"start {number}: {died}")
        tally.not_reconciled += 1
        return
    if is_early:
        tally.early += not any(each.get("event") == "Reconciled" for each in log.events())
    tally.epochs.append(evidence.epoch(stage.state_dir))
    await trio.to_thread.run_sync(_inspect, stage, tally, rng, number)


async def _reconciled(tally: Tally, log: LogTail, began_s: float, number: int) -> None:
    event = await log.until("Reconciled", RECONCILE_S)
    if event is None:
        tally.not_reconciled += 1
        tally.problems.append(f"start {number} did not reconcile within {RECONCILE_S:g} s")
        return
    tally.starts_s.append(perf_counter() - began_s)


def _inspect(stage: Stage, tally: Tally, rng: random.Random, number: int) -> None:
    """Open a copy of the journal; now and then cut the log of the original, and see what that cost."""
    try:
        whole = stage.journal()
        tally.intents |= whole.intents
        size = evidence.log_bytes(stage.state_dir)
        if number % TORN_EVERY or not size:
            return
        tally.torn += evidence.tear(stage.state_dir, rng.randrange(size))
        torn = stage.journal()
    except JournalRefused as refused:
        tally.damaged += 1
        tally.problems.append(f"after kill {number}: {refused}")
        return
    tally.torn_lost += len(torn.keys) < len(whole.keys)
    if torn.keys != whole.keys[: len(torn.keys)]:
        tally.damaged += 1
        tally.problems.append(f"after kill {number}: a cut log left a journal that is no prefix of it")


async def _last_start(stage: Stage, tally: Tally) -> None:
    """Once more without a kill: it reconciles, sells what it holds, and ends in order."""
    await stage.heal()
    log = LogTail(stage.engine_log)
    began_s = perf_counter()
    async with stage.engine() as process:
        tally.runs(began_s)
        await _reconciled(tally, log, began_s, len(tally.kills_us) + 1)
        await trio.sleep(TRADED_S[1])
        await stage.end(process)


def _judged(record: dict[str, Any], stage: Stage, tally: Tally, trials: int, trial_mean_s: float) -> Verdict:
    seen = stage.ours(record)
    kept = stage.journal()
    intents = tally.intents | kept.intents
    books = judge.reconcile(seen.fills, kept.fills)
    unknown = judge.unjournalled(seen.orders, intents)
    gaps = cover.gaps(seen.orders, seen.fills, stage.terms, time_ns() // 1000)
    off = judge.position_off(kept.fills, record, stage.settings.venue.account, stage.terms)
    counts = {
        "unjournalled": len(unknown),
        "doubled": len(judge.doubled(seen.orders)),
        "oversold": len(judge.oversold(seen.fills, stage.terms)),
        "not_reconciled": tally.not_reconciled,
        "damaged": tally.damaged,
        "epochs_broken": len(judge.broken_epochs(tally.epochs)),
        "fills_missing": len(books.missing),
        "fills_double": len(books.doubled),
        "fills_invented": len(books.invented),
        "left_working": len(judge.left_working(seen.orders)),
    }
    wrong = [gap for gap in gaps if cover.wrong_s(gap, tally.dead_us)]
    return Verdict(
        ok=not any(counts.values()) and not off and not wrong and bool(seen.fills),
        trials=trials,
        orders=len(seen.orders),
        fills=len(seen.fills),
        holding=sum(judge.is_held(seen.fills, stage.terms, at_us) for at_us in tally.kills_us),
        in_flight=sum(bool(judge.in_flight(seen.orders, intents, at_us)) for at_us in tally.kills_us),
        torn=tally.torn,
        torn_lost=tally.torn_lost,
        early=tally.early,
        reconciled=len(tally.starts_s),
        position_off={coin: f"{amount:f}" for coin, amount in off.items()},
        unprotected_s=cover.unprotected_s(gaps),
        dead_bare_max_s=max((cover.bare_s(gap, tally.dead_us) for gap in gaps), default=0.0),
        stop_first_max_s=cover.longest_s(gaps, first=True),
        stop_gap_max_s=cover.longest_s(gaps, first=False),
        start_p50_s=statistics.median(tally.starts_s or [0.0]),
        start_max_s=max(tally.starts_s, default=0.0),
        tree_p50_s=statistics.median(tally.trees_s or [0.0]),
        trial_mean_s=trial_mean_s,
        problems=tuple(
            [
                *tally.problems,
                *(f"{name} at the venue, and in no journal" for name in unknown),
                *(f"fill {key} is not in the journal" for key in books.missing),
                *(f"without a stop for {gap.lasted_s:.3f} s: {gap}" for gap in wrong),
            ][:50]
        ),
        **counts,
    )
