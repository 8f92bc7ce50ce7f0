"""Any tree, any order of crashes, stops and waits: what OTP promises holds throughout."""

from __future__ import annotations

from typing import Any

from cast import Do, Player, Trouble, child, crash
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.events import ChildCrashed, ChildStarted, ChildStopped
from supervisor.message import Message
from supervisor.node import ALIVE, BranchNode, Cell, State
from supervisor.policy import End
from supervisor.simulation import Simulation
from supervisor.spec import Backoff, Branch, Budget, Child, GiveUp, Restart, Strategy, walk
from supervisor.world import SimulatedWorld

EXAMPLES = 300


@st.composite
def trees(draw: st.DrawFn) -> Branch:
    """Up to three levels; children that start at once, late, or fail every now and then."""
    names = iter(range(1000))

    def leaf() -> Child:
        kind = draw(st.sampled_from(("ready", "ready", "ready", "slow", "flaky")))

        def start(player: Player) -> None:
            if kind == "flaky" and player.incarnation > 1 and player.world.random.random() < 0.5:
                raise Trouble("flaky")
            if kind == "slow":
                player.after(0.3, Do(what=lambda later: later.ready()))
            else:
                player.ready()

        return child(
            f"c{next(names)}",
            [],
            start,
            restart=draw(st.sampled_from((Restart.PERMANENT, Restart.PERMANENT, *Restart))),
            backoff=Backoff(first_s=draw(st.sampled_from((0.0, 0.2)))),
        )

    def branch(depth: int) -> Branch:
        children: list[Branch | Child] = []
        for _ in range(draw(st.integers(1, 3))):
            deeper = depth < 2 and draw(st.booleans())
            children.append(branch(depth + 1) if deeper else leaf())
        return Branch(
            f"b{next(names)}",
            draw(st.sampled_from(list(Strategy))),
            tuple(children),
            budget=Budget(draw(st.integers(0, 4)), 30.0),
            on_give_up=draw(st.sampled_from(list(GiveUp))),
        )

    return branch(0)


steps = st.lists(
    st.tuples(st.sampled_from(("crash", "finish", "wait")), st.integers(0, 30), st.floats(0, 1.0)),
    max_size=25,
)


class Judge:
    """Looks at every message that is handled, at every event, and at the tree after every step."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.seen = 0
        self.begun: dict[str, int] = {}
        self.over: set[tuple[str, int]] = set()
        sim.dispatcher.trace = self.message

    def message(self, at_ns: int, name: str, message: Message) -> None:
        cell = next(cell for cell in self.sim.dispatcher.cells.values() if cell.name == name)
        assert cell.actor is not None and cell.actor.incarnation == cell.incarnation

    def look(self) -> None:
        for event in self.sim.events[self.seen :]:
            match event:
                case ChildStarted(name=name, incarnation=incarnation):
                    assert incarnation == self.begun.get(name, 0) + 1
                    self.begun[name] = incarnation
                case ChildStopped(name=name, incarnation=incarnation):
                    self.end(name, incarnation)
                case ChildCrashed(name=name, incarnation=incarnation):
                    self.end(name, incarnation)
        self.seen = len(self.sim.events)
        for name, incarnation in self.begun.items():
            ended = sum((name, number) in self.over for number in range(1, incarnation + 1))
            assert ended >= incarnation - 1, f"{name}: two lives at once"
        self._branch(self.sim.dispatcher.root)
        for cell in self.sim.dispatcher.cells.values():
            assert cell.closed is False or cell.state not in ALIVE

    def end(self, name: str, incarnation: int) -> None:
        assert (name, incarnation) not in self.over, f"life {incarnation} of {name} ended twice"
        self.over.add((name, incarnation))

    def _branch(self, node: BranchNode) -> None:
        if node.state is State.RUNNING:
            for under in node.children:
                # Nothing hangs between two lives without a reason: each is up, waits, or is out.
                assert under.state not in (State.STOPPED, State.STOPPING, State.ENDED), (
                    under.name,
                    under.state,
                )
                assert under.state is not State.BACKOFF or under.timer is not None
        if node.state in (State.GAVE_UP, State.HALTED, State.FINISHED):
            assert not any(cell.state in ALIVE for cell in node.cells())
        for under in node.children:
            if isinstance(under, BranchNode):
                self._branch(under)


@settings(max_examples=EXAMPLES, deadline=None)
@given(trees(), steps, st.integers(0, 2**16))
def test_any_tree_keeps_its_promises_through_any_sequence_of_crashes(
    tree: Branch, sequence: list[tuple[str, int, float]], seed: int
) -> None:
    world = SimulatedWorld(seed)
    sim = Simulation(tree, world=world)
    order = start_order(sim)
    sim.start()
    judge = Judge(sim)
    judge.look()
    leaves = [cell.spec for cell in sim.dispatcher.cells.values()]
    for what, which, seconds in sequence:
        to = leaves[which % len(leaves)].address
        if what == "crash":
            sim.tell(to, Do(what=crash))
        elif what == "finish":
            sim.tell(to, Do(what=lambda player: player.finish()))
        sim.run_for(seconds)
        judge.look()
    sim.run_for(60)
    judge.look()
    before = len(sim.events)
    sim.stop()
    judge.look()
    assert sim.dispatcher.supervision.finished is not None
    assert not any(cell.state in ALIVE for cell in sim.dispatcher.cells.values())
    stopped = [e.name for e in sim.events[before:] if isinstance(e, ChildStopped)]
    assert stopped == sorted(stopped, key=order.index, reverse=True), "stopped right to left"


def start_order(sim: Simulation) -> list[str]:
    return [node.name for node in walk(sim.dispatcher.root.spec) if isinstance(node, Child)]


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 2**16))
def test_a_tree_starts_left_to_right_and_is_up_or_has_stopped_everything(tree: Branch, seed: int) -> None:
    sim = Simulation(tree, seed)
    order = start_order(sim)
    sim.start()
    sim.run_for(30)
    started = [e.name for e in sim.events if isinstance(e, ChildStarted) and e.incarnation == 1]
    assert started == [name for name in order if name in started]
    finished = sim.dispatcher.supervision.finished
    if finished is None:
        assert sim.dispatcher.root.state is State.RUNNING and started == order
    else:
        assert finished[0] is not End.STOPPED


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.lists(st.floats(0.0, 8.0), min_size=1, max_size=30))
def test_a_branch_never_absorbs_more_crashes_than_its_budget(crashes_max: int, gaps: list[float]) -> None:
    log: list[Any] = []
    within_s = 10.0
    spec = Branch(
        "root",
        Strategy.ONE_FOR_ONE,
        (child("a", log, backoff=Backoff(min_s=0.0)),),
        budget=Budget(crashes_max, within_s),
    )
    sim = Simulation(spec, 1)
    sim.start()
    cell: Cell = next(iter(sim.dispatcher.cells.values()))
    times: list[float] = []
    for gap in gaps:
        sim.run_for(gap)
        times.append(sim.now_s)
        sim.tell(cell.address, Do(what=crash))
        sim.settle()
        recent = [time for time in times if sim.now_s - time <= within_s]
        gave_up = sim.dispatcher.supervision.finished is not None
        assert gave_up == (len(recent) > crashes_max)
        if gave_up:
            return
