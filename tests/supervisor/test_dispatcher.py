"""The dispatcher: what is released, what is kept, how long a turn is, and that one seed has one history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cast import (
    Do,
    DoFact,
    Fact,
    Note,
    Player,
    Trouble,
    View,
    branch,
    child,
    crash,
    simulate,
    texts,
)

from supervisor.actor import Actor
from supervisor.dispatcher import SHARE_NS, TURN_MESSAGES, TURN_NS, Dispatcher
from supervisor.errors import HandlerError
from supervisor.mailbox import Address
from supervisor.message import AskFailed, Down
from supervisor.simulation import Simulation
from supervisor.spec import Child
from supervisor.world import SimulatedWorld

A, B, C = Address("a"), Address("b"), Address("c")


def pair(log: list[Any], **b: Any) -> Simulation:
    return simulate(branch(child("a", log, address=A), child("b", log, address=B, **b)))


class SlowClock:
    """A clock that a handler can move, as if it took its time."""

    def __init__(self) -> None:
        self.world = SimulatedWorld(0)
        self.world.scheduling = None

    def spend(self, ns: int) -> None:
        self.world.advance_to(self.world.time_ns + ns)


def seeded_history(seed: int) -> str:
    """A busy little tree: crashes, asks, timers, conflation and watches, by the seed."""
    log: list[Any] = []
    addresses = [Address(f"p{n}", latest={View: lambda view: view.key}) for n in range(5)]

    def chatter(player: Player) -> None:
        random = player.world.random
        player.after(random.expovariate(20), Do(what=chatter))
        to = random.choice(addresses)
        if random.random() < 0.02:
            raise Trouble("chance")
        player.tell(to, View(key=random.choice("xyz"), number=random.randrange(1000)))
        player.ask(random.choice(addresses), Fact(text=player.world.new_id()), timeout_s=0.05)

    def start(player: Player) -> None:
        player.watch(addresses[0])
        player.after(0.01, Do(what=chatter))
        player.ready()

    sim = Simulation(branch(*(child(a.name, log, start, address=a) for a in addresses)), seed)
    sim.start()
    sim.run_for(20)
    assert sim.handled > 5000
    return sim.history


def test_nothing_that_a_crashed_handler_did_is_released() -> None:
    log: list[Any] = []
    sim = pair(log)

    def act_and_crash(player: Player) -> None:
        player.tell(B, Note(text="told"))
        player.ask(B, Note(text="asked"), timeout_s=1)
        player.after(0.1, Note(text="timer"))
        player.watch(B)
        player.publish(Note(text="published"))
        crash(player)

    sim.tell(A, Do(what=act_and_crash))
    sim.run_for(5)
    assert texts(log, "b") == [] and texts(log, "a") == []
    assert Note(text="published") not in sim.events
    assert not any(isinstance(entry[1], AskFailed | Down) for entry in log)


def test_effects_are_released_in_order_when_the_handler_returns() -> None:
    log: list[Any] = []
    sim = pair(log)

    def act(player: Player) -> None:
        player.tell(B, Note(text="1"))
        player.tell(B, Note(text="2"))
        log.append("still in the handler")
        player.tell(B, Note(text="3"))

    sim.tell(A, Do(what=act))
    sim.settle()
    assert log[log.index("still in the handler") :] == [
        "still in the handler",
        *(("b", Note(text=text)) for text in "123"),
    ]


def test_the_message_in_hand_goes_to_the_dead_letters_and_the_next_life_reads_on() -> None:
    log: list[Any] = []
    sim = pair(log)
    sim.tell(A, Do(what=crash))
    sim.tell(A, Fact(text="later"))
    sim.settle()
    assert texts(log, "a") == ["later"]
    assert sim.dispatcher.dead.last[0].reason == "crashed"


def test_facts_in_the_mailbox_survive_a_restart_and_wishes_do_not() -> None:
    log: list[Any] = []
    sim = pair(log)
    for message in (Do(what=crash), Note(text="wish"), Fact(text="1"), Note(text="wish"), Fact(text="2")):
        sim.tell(A, message)
    sim.settle()
    assert texts(log, "a") == ["1", "2"]
    assert sim.dispatcher.dead.event().counts == {"Do/crashed": 1, "Note/flushed": 2}


def test_a_fact_that_ends_three_lives_in_a_row_is_quarantined_and_the_next_one_is_read() -> None:
    log: list[Any] = []
    sim = pair(log)
    sim.tell(A, DoFact(what=crash))
    sim.tell(A, Fact(text="after the poison"))
    sim.run_for(10)
    assert [entry for entry in log if entry[:2] == ("started", "a")] == [
        ("started", "a", n) for n in range(1, 5)
    ]
    assert texts(log, "a") == ["after the poison"]
    assert sim.dispatcher.dead.last[-1].reason == "poison"


def test_a_restart_races_its_backoff_and_loses_nothing() -> None:
    # Held messages must not be lost when the first one replayed crashes again.
    log: list[Any] = []
    sim = pair(log)
    for _ in range(3):
        sim.tell(A, Do(what=crash))
        sim.tell(A, Fact(text="kept"))
        sim.settle()
    sim.run_for(10)
    assert texts(log, "a") == ["kept"] * 3


def test_a_timer_fires_even_into_a_full_mailbox_and_a_cancelled_one_does_not() -> None:
    log: list[Any] = []
    small = Address("small", bound=1)
    sim = simulate(branch(child("small", log, address=small)))

    def act(player: Player) -> None:
        player.after(1, Note(text="fires"))
        player.after(1, Note(text="fires too"))
        player.cancel_timer(player.after(1, Note(text="cancelled")))

    sim.tell(small, Do(what=act))
    sim.run_for(2)
    assert texts(log, "small") == ["fires", "fires too"]


def test_a_handler_whose_annotation_cannot_be_understood_is_refused_with_file_and_line() -> None:
    class Waits(Actor):
        async def on_note(self, message: Note) -> None: ...

    class Twice(Actor):
        def on_note(self, message: Note) -> None: ...
        def on_another(self, message: Note | Fact) -> None: ...

    class Untyped(Actor):
        def on_note(self, message) -> None: ...  # type: ignore[no-untyped-def]

    for actor in (Waits, Twice, Untyped):
        with pytest.raises(HandlerError, match=r"test_dispatcher\.py:\d+: .*on_"):
            from supervisor.handlers import handlers_of

            handlers_of(actor)


def test_a_turn_ends_after_256_messages() -> None:
    log: list[Any] = []
    sim = pair(log)
    for number in range(TURN_MESSAGES + 10):
        sim.tell(A, Note(text=str(number)))
    sim.dispatcher.turn()
    assert len(texts(log, "a")) == TURN_MESSAGES and sim.dispatcher.has_work


def test_a_turn_ends_after_2_ms_and_an_actor_its_share_after_half_a_millisecond() -> None:
    log: list[Any] = []
    slow = SlowClock()
    sim = Simulation(branch(child("a", log, address=A), child("b", log, address=B)), world=slow.world)
    sim.start()
    for address, name in ((A, "a"), (B, "b")):
        for _ in range(100):
            sim.tell(address, Do(what=lambda _, name=name: (log.append(name), slow.spend(SHARE_NS // 5))))
    log.clear()
    began = slow.world.time_ns
    sim.dispatcher.turn()
    assert log == (["a"] * 5 + ["b"] * 5) * 2
    assert slow.world.time_ns - began == TURN_NS


def test_finish_ends_a_life_without_a_crash() -> None:
    log: list[Any] = []
    from supervisor.spec import Restart

    sim = pair(log, restart=Restart.TRANSIENT)
    sim.tell(B, Do(what=lambda player: (player.tell(A, Note(text="bye")), player.finish())))
    sim.run_for(10)
    assert texts(log, "a") == ["bye"]
    assert [entry for entry in log if entry[:2] == ("started", "b")] == [("started", "b", 1)]
    assert sim.tell(B, Note(text="anybody?")) is False


def test_progress_tells_a_stuck_child_from_an_idle_one() -> None:
    from supervisor.report import progress

    log: list[Any] = []
    slow = child("b", log, lambda player: None, address=B)
    sim = simulate(branch(child("a", log, address=A), slow))
    sim.tell(A, Note(text="1"))
    sim.tell(B, Note(text="held"))
    sim.run_for(3)
    a, b = progress(sim.dispatcher)
    assert (a.done, a.depth, a.waiting_s) == (1, 0, 0.0)
    assert (b.done, b.depth) == (0, 1) and b.waiting_s == pytest.approx(3)


def test_the_same_seed_gives_the_same_history_in_two_processes_and_another_seed_another() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_dispatcher as t; print(t.seeded_history(7))"
    )
    here = Path(__file__).parent
    histories = set()
    for hash_seed in ("1", "4242"):
        process = subprocess.run(
            [sys.executable, "-c", code, str(here)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(here.parents[1])},
            capture_output=True,
            text=True,
            check=True,
        )
        histories.add(process.stdout.strip())
    assert histories == {seeded_history(7)}
    assert seeded_history(8) not in histories


def test_the_pure_parts_import_neither_trio_nor_a_clock() -> None:
    assert Dispatcher.__module__ == "supervisor.dispatcher"
    code = "import sys; import supervisor.simulation; assert 'trio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_child_needs_a_bounded_wait() -> None:
    with pytest.raises(ValueError, match="a wait without a limit is a hang"):
        Child(A, lambda: Player("a", []), start_timeout_s=0)
