"""Every actor and port of a trading desk crashed in turn: is it back, did the others go on, and what did it cost?

Crashed by the operator's own command, while a position is held, while an order is on its way, or at any moment. What
happened at the venue is judged by the venue's record; who restarted, by the desk's tree; pages, by who receives them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any

import msgspec
import trio

from actors.chaos.rounds import Condition, Pacing, Victim, condition, victims
from actors.chaos.stage import Stage, folder, staged
from actors.chaos.verdict import Trial, Verdict, verdict
from actors.chaos.webhook import Webhook, receiving
from actors.engine import Engine
from actors.view import ViewModel
from supervisor.config import ConfigError
from supervisor.keeper.processes import ProcessDied
from supervisor.report import NodeReport, TreeReport
from supervisor.telemetry import operator
from supervisor.telemetry.operator import NotRunning, OperatorFile, Refusal

# How long a crashed child may take to be back, and its page to arrive.
BACK_S = 10.0
PAGE_S = 15.0
# Afterwards: whoever else restarts, and whatever else is paged, does so within this.
SETTLE_S = 0.8
# A condition that does not come in this time is given up; the trial then counts as one without it.
CONDITION_S = 40.0
POLL_S = 0.01
# An order takes this long to the venue while one is to be caught on its way; the venue's own window is 0.3 s.
FLIGHT_S = 0.15
STATUS = "status"
# Pages about one matter are folded within this; the same child is never crashed again so soon.
FOLD_S = 3.0
# Before the first trial and after the last one, the desk trades undisturbed for a moment.
WARM_S = 2.0
# An entry is rounded to lots and filled at a price that has moved; two entries are far above this.
ENTRY_MARGIN = Decimal("1.2")


class State(msgspec.Struct, frozen=True):
    """What the desk says of itself."""

    view: ViewModel
    tree: TreeReport

    def children(self) -> dict[str, NodeReport]:
        return {node.name: node for node in _leaves(self.tree.root)}


def measure(
    trials: int | None,
    *,
    only: Sequence[str] = (),
    seed: int = 1,
    overrides: Sequence[str] = (),
    keep: Path | None = None,
    say: Callable[[str], object] = sys.stderr.write,
) -> Verdict:
    """Crash `trials` times (None: every child twice), each child in turn or just those in `only`.

    Raises ConfigError, also for a name that the tree does not have, and ProcessDied if the desk is no more.
    """
    with folder(keep) as place:
        return trio.run(_play, place, trials, only, random.Random(seed), overrides, say)


async def _play(
    place: Path,
    trials: int | None,
    only: Sequence[str],
    rng: random.Random,
    overrides: Sequence[str],
    say: Callable[[str], object],
) -> Verdict:
    async with receiving() as webhook:
        paging = [f'paging.urls=["{webhook.url}"]', f"paging.every_s={FOLD_S}"]
        async with staged(place, [*paging, *overrides]) as stage:
            turns = _turns(stage, only)
            count = 2 * len(turns) if trials is None else trials
            async with stage.engine() as process:
                desk = Desk(stage, webhook, rng)
                await trio.sleep(WARM_S)
                done: list[Trial] = []
                for number in range(count):
                    done.append(await desk.trial(turns[number % len(turns)], condition(number)))
                    say(f"{number + 1} of {count}: {done[-1].words}\n")
                await desk.traded(CONDITION_S)
                await stage.end(process)
            return await _judged(stage, done)


async def _judged(stage: Stage, trials: Sequence[Trial]) -> Verdict:
    record = await stage.record()
    return verdict(
        trials,
        stage.ours(record),
        stage.journal(),
        record,
        account=stage.settings.venue.account,
        terms=stage.terms,
        entry_max=stage.entry * ENTRY_MARGIN,
        until_us=time_ns() // 1000,
    )


def _turns(stage: Stage, only: Sequence[str]) -> tuple[Victim, ...]:
    found = victims(Engine(stage.settings).tree())
    names = [each.name for each in found]
    for name in only:
        if name not in names:
            raise ConfigError([f"--only: no child is called {name!r}; there are: {', '.join(names)}"])
    return tuple(each for each in found if not only or each.name in only)


class Desk:
    """The running desk, as an operator has it in hand."""

    def __init__(self, stage: Stage, webhook: Webhook, rng: random.Random) -> None:
        self._stage = stage
        self._webhook = webhook
        self._rng = rng
        self._pacing = Pacing()

    async def trial(self, victim: Victim, wanted: Condition) -> Trial:
        """Wait for the condition, crash the victim, and see what follows."""
        await trio.sleep(self._pacing.wait_s(victim, trio.current_time()))
        if wanted == "in_flight":
            await self._stage.fault(kind="latency", match="order.*", min_s=FLIGHT_S)
        before = (await self._until(partial(_meets, wanted), CONDITION_S)).children()
        if wanted == "any":
            await trio.sleep(self._rng.uniform(0.0, 1.0))
        began_s, at_us = trio.current_time(), time_ns() // 1000
        await self._crash(victim.name)
        self._pacing.crashed(victim, began_s)
        back_s = await self._back(victim.name, before, began_s)
        paged = await self._webhook.wait(began_s, PAGE_S)
        paged_s = trio.current_time() - began_s
        if wanted == "in_flight":
            await self._stage.heal()
        await trio.sleep(SETTLE_S)
        after = (await self._state()).children()
        changed = {name for name, node in after.items() if node.incarnation != before[name].incarnation}
        return Trial(
            victim=victim.name,
            wanted=wanted,
            at_us=at_us,
            back_s=back_s,
            paged_s=paged_s if paged else None,
            pages=tuple(page.title for page in self._webhook.since(began_s)),
            others=tuple(sorted(changed - victim.falls_with - {victim.name})),
            down=tuple(sorted(name for name, node in after.items() if node.state != "running")),
        )

    async def traded(self, within_s: float) -> None:
        """Until one more order has been seen, so that the last crash too is followed by trade."""
        await trio.sleep(WARM_S)
        await self._until(lambda state: bool(state.view.positions), within_s)

    async def _back(self, name: str, before: dict[str, NodeReport], began_s: float) -> float | None:
        """Seconds until the child runs again and has handled something; None if it never does."""

        def is_back(state: State) -> bool:
            node = state.children()[name]
            return node.restarts > before[name].restarts and node.state == "running"

        def has_handled(done: int, state: State) -> bool:
            node = state.children()[name]
            return node.kind == "port" or node.done > done

        state = await self._until(is_back, BACK_S)
        if not is_back(state):
            return None
        # Its last life's message may be counted in; one more is of this life for certain.
        handled = partial(has_handled, before[name].done + 1)
        state = await self._until(handled, BACK_S)
        return trio.current_time() - began_s if handled(state) else None

    async def _until(self, holds: Callable[[State], bool], within_s: float) -> State:
        """The first state that fits, or the last one seen."""
        state = await self._state()
        with trio.move_on_after(within_s):
            while not holds(state):
                await trio.sleep(POLL_S)
                state = await self._state()
        return state

    async def _state(self) -> State:
        """Raises ProcessDied if it does not answer for BACK_S: who answers is one of the children, too."""
        deadline_s = trio.current_time() + BACK_S
        while True:
            try:
                answer = await trio.to_thread.run_sync(self._ask)
                return msgspec.convert(answer, State)
            except (NotRunning, msgspec.ValidationError) as error:
                if trio.current_time() > deadline_s:
                    raise ProcessDied(f"the desk does not answer: {error}") from error
            await trio.sleep(POLL_S)

    async def _crash(self, name: str) -> None:
        try:
            await trio.to_thread.run_sync(self._command, name)
        except NotRunning:
            # The one that takes commands cannot answer the command that crashes it.
            if name != STATUS:
                raise

    def _file(self) -> OperatorFile:
        return operator.read(self._stage.state_dir)

    def _ask(self) -> Any:
        try:
            return operator.get(self._file(), "/status")
        except Refusal as refusal:
            # The file of the life before: its token is void.
            raise NotRunning(str(refusal)) from refusal

    def _command(self, name: str) -> None:
        operator.command(self._file(), "crash", by="operator:chaos", reason="a trial", name=name)


def _meets(wanted: Condition, state: State) -> bool:
    match wanted:
        case "held":
            return bool(state.view.positions)
        case "in_flight":
            return any(order.state == "sent" for order in state.view.orders)
        case "any":
            return True


def _leaves(node: NodeReport) -> list[NodeReport]:
    if node.kind != "branch":
        return [node]
    return [leaf for child in node.children for leaf in _leaves(child)]
