"""The dispatcher: what is released, what is kept, what overtakes, what is never lost in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cast import (
    Alarm,
    AllClear,
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
from supervisor.deadletters import KINDS_MAX
from supervisor.dispatcher import SHARE_NS, TURN_MESSAGES, TURN_NS, Dispatcher
from supervisor.errors import HandlerError
from supervisor.events import DeadLetters
from supervisor.mailbox import Address, Overflow
from supervisor.message import Answer, AskFailed, Down, Dropped, Message, Refused
from supervisor.simulation import Simulation
from supervisor.spec import Backoff, Child
from supervisor.world import SimulatedWorld

A, B, C = Address("a"), Address("b"), Address("c")


def pair(log: list[Any], **b: Any) -> Simulation:
    return simulate(branch(child("a", log, address=A), child("b", log, address=B, **b)))


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


def test_a_system_message_behind_20000_others_is_handled_before_the_next_of_them() -> None:
    log: list[Any] = []
    address = Address("a", bound=30_000)
    sim = simulate(branch(child("a", log, address=address)))
    alarm_after = 5

    def tell_alarm(player: Player) -> None:
        player.tell(address, Alarm(text="alarm"))

    for number in range(20_000):
        sim.tell(address, Do(what=tell_alarm) if number == alarm_after else Note(text=str(number)))
    sim.settle()
    read = texts(log, "a")
    assert read.index("alarm") == alarm_after


def test_telling_a_system_message_sets_its_flag_before_anybody_has_run() -> None:
    log: list[Any] = []
    sim = pair(log)
    flags = sim.dispatcher.flags
    assert not flags["alarm"]
    sim.tell(A, Alarm())
    assert flags["alarm"] and flags.raised() == ("alarm",) and texts(log, "a") == []
    sim.tell(A, AllClear())
    assert not flags["alarm"]


def test_a_flag_is_set_even_if_nobody_is_there_to_read_the_message() -> None:
    sim = pair([])
    sim.tell(Address("nobody"), Alarm())
    assert sim.dispatcher.flags["alarm"]


def test_a_system_message_to_a_restarting_actor_is_the_first_thing_its_next_life_reads() -> None:
    log: list[Any] = []
    sim = pair(log, backoff=Backoff(first_s=1.0))
    sim.tell(B, Do(what=crash))
    sim.settle()
    sim.tell(B, Fact(text="fact"))
    sim.tell(B, Alarm(text="alarm"))
    sim.run_for(2)
    assert texts(log, "b") == ["alarm", "fact"]


def test_a_full_mailbox_that_refuses_tells_the_sender_and_takes_nothing() -> None:
    log: list[Any] = []
    small = Address("small", bound=2)
    sim = simulate(branch(child("a", log, address=A), child("small", log, address=small)))

    def flood(player: Player) -> None:
        for number in range(4):
            player.tell(small, Note(text=str(number)))

    sim.tell(A, Do(what=flood))
    sim.settle()
    assert texts(log, "small") == ["0", "1"]
    assert [entry[1] for entry in log if entry[0] == "a"] == [Refused(to="small", message_type="Note")] * 2
    assert sim.dispatcher.cells[small].box.refused == 2


def test_drop_oldest_keeps_the_newest_and_tells_the_owner_once_for_each_key() -> None:
    log: list[Any] = []
    small = Address("small", bound=2, overflow=Overflow.DROP_OLDEST, dropped_key=lambda note: note.text[0])
    sim = simulate(branch(child("small", log, address=small)))
    for text in ("x1", "x2", "y1", "y2", "y3"):
        sim.tell(small, Note(text=text))
    sim.settle()
    seen = [entry[1] for entry in log if entry[0] == "small"]
    assert seen == [
        Dropped(message_type="Note", key="x", count=2),
        Dropped(message_type="Note", key="y", count=1),
        Note(text="y2"),
        Note(text="y3"),
    ]


def test_latest_wins_by_key_and_a_quiet_key_keeps_its_place() -> None:
    log: list[Any] = []
    address = Address("a", latest={View: lambda view: view.key})
    sim = simulate(branch(child("a", log, address=address)))
    for key, number in (("x", 1), ("y", 1), ("x", 2), ("x", 3)):
        sim.tell(address, View(key=key, number=number))
    sim.settle()
    assert [entry[1] for entry in log if entry[0] == "a"] == [
        View(key="x", number=3),
        View(key="y", number=1),
    ]
    assert sim.dispatcher.cells[address].box.conflated == 2


def test_latest_is_served_within_64_normal_messages_however_many_wait() -> None:
    log: list[Any] = []
    address = Address("a", latest={View: lambda view: view.key})
    sim = simulate(branch(child("a", log, address=address)))
    sim.tell(address, View(key="x", number=1))
    for number in range(500):
        sim.tell(address, Note(text=str(number)))
    sim.settle()
    kinds = [type(entry[1]) for entry in log if entry[0] == "a"]
    assert kinds.index(View) == 64


def test_a_key_function_that_raises_harms_neither_sender_nor_receiver() -> None:
    log: list[Any] = []
    address = Address("b", latest={View: lambda view: 1 / 0})
    sim = simulate(branch(child("a", log, address=A), child("b", log, address=address)))

    def act(player: Player) -> None:
        player.tell(address, View(key="x", number=1))
        player.tell(address, Note(text="after"))

    sim.tell(A, Do(what=act))
    sim.settle()
    assert texts(log, "b") == ["after"]
    assert sim.dispatcher.dead.event().counts == {"View/unhandled": 1}


def test_while_starting_only_replies_own_words_own_ports_and_system_messages_are_read() -> None:
    log: list[Any] = []
    own_port = Address("port")

    def start(player: Player) -> None:
        player.ask(C, Do(what=lambda other: other.reply(Note(text="reply"))), timeout_s=1)
        player.after(0.5, Note(text="timer"))

    slow = child("b", log, start, address=B, ports=(own_port,))
    sim = simulate(
        branch(
            child("port", log, address=own_port), child("c", log, address=C), slow, child("a", log, address=A)
        )
    )
    assert ("started", "a", 1) not in log  # started only once b is ready
    sim.tell(B, Note(text="held"))
    sim.tell(own_port, Do(what=lambda player: player.tell(B, Note(text="from its port"))))
    sim.tell(B, Alarm(text="alarm"))
    sim.run_for(1)
    seen = [entry[1] for entry in log if entry[0] == "b"]
    assert seen[0] == Alarm(text="alarm") or isinstance(seen[0], Answer)
    assert texts(log, "b") == ["alarm", "from its port", "timer"]
    assert sum(isinstance(message, Answer) for message in seen) == 1
    sim.tell(own_port, Do(what=lambda player: player.tell(B, Do(what=lambda other: other.ready()))))
    sim.settle()
    assert texts(log, "b") == ["alarm", "from its port", "timer", "held"]
    assert ("started", "a", 1) in log


def asking(answers: list[Any]) -> Any:
    def act(player: Player) -> None:
        answers.append(player.ask(B, answers[0], timeout_s=1.0))

    return Do(what=act)


def outcome(sim: Simulation, log: list[Any], question: Message, seconds: float = 3) -> list[Any]:
    """What A gets to hear after it asked B this."""
    sim.tell(A, asking([question]))
    sim.run_for(seconds)
    return [entry[1] for entry in log if entry[0] == "a"]


def test_an_ask_is_answered_once() -> None:
    log: list[Any] = []
    heard = outcome(pair(log), log, Do(what=lambda player: player.reply(Note(text="yes"))))
    assert heard == [Answer(ask_id=1, message=Note(text="yes"))]


def test_an_ask_can_be_answered_after_the_handler_returned() -> None:
    log: list[Any] = []
    sim = pair(log)

    def keep(player: Player) -> None:
        asker = player.asker
        player.after(0.5, Do(what=lambda later: later.reply(Note(text="late but good"), asker)))

    assert outcome(sim, log, Do(what=keep)) == [Answer(ask_id=1, message=Note(text="late but good"))]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Do(what=crash), "actor_died"),  # crashes with the question in hand
        (Note(text="ignored"), "timeout"),
        (
            Do(what=lambda player: player.tell(B, Do(what=crash))),
            "actor_died",
        ),  # crashes later, without an answer
        (Do(what=lambda player: player.finish()), "actor_died"),
    ],
)
def test_an_ask_never_ends_in_silence(question: Message, reason: str) -> None:
    log: list[Any] = []
    heard = outcome(pair(log), log, question)
    assert heard == [AskFailed(ask_id=1, to="b", reason=reason)]  # type: ignore[arg-type]


def test_an_ask_to_a_full_mailbox_is_overloaded_and_to_nobody_fails_at_once() -> None:
    log: list[Any] = []
    small = Address("small", bound=1)
    sim = simulate(branch(child("a", log, address=A), child("small", log, address=small)))

    def act(player: Player) -> None:
        player.tell(small, Note(text="fills it"))
        player.ask(small, Note(text="too much"), timeout_s=1)
        player.ask(Address("nobody"), Note(text="hello?"), timeout_s=1)

    sim.tell(A, Do(what=act))
    sim.settle()
    assert [entry[1] for entry in log if entry[0] == "a"] == [
        AskFailed(ask_id=1, to="small", reason="overloaded"),
        AskFailed(ask_id=2, to="nobody", reason="actor_died"),
    ]


def test_a_late_reply_is_a_dead_letter_and_harms_nobody() -> None:
    log: list[Any] = []
    sim = pair(log)

    def keep(player: Player) -> None:
        asker = player.asker
        player.after(2, Do(what=lambda later: later.reply(Note(text="too late"), asker)))

    assert outcome(sim, log, Do(what=keep)) == [AskFailed(ask_id=1, to="b", reason="timeout")]
    assert sim.dispatcher.dead.event().counts == {"Note/late": 1}


def test_an_ask_and_a_timer_die_with_the_life_that_made_them() -> None:
    log: list[Any] = []
    sim = pair(log)

    def act(player: Player) -> None:
        player.after(0.5, Note(text="timer of the first life"))
        player.ask(B, Do(what=answer_late), timeout_s=5)

    def answer_late(player: Player) -> None:
        asker = player.asker
        player.after(0.5, Do(what=lambda later: later.reply(Note(text="for the first life"), asker)))

    sim.tell(A, Do(what=act))
    sim.settle()
    sim.tell(A, Do(what=crash))
    sim.run_for(10)
    assert [entry for entry in log if entry[0] == "a"] == []
    assert len(sim.dispatcher.asks) == 0 and len(sim.dispatcher.timers) == 0


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


def test_down_follows_the_last_words_of_the_child_and_no_full_mailbox_keeps_it_out() -> None:
    log: list[Any] = []
    small = Address("small", bound=2)
    watcher = child("small", log, address=small)
    sim = simulate(branch(watcher, child("b", log, address=B)))
    sim.tell(small, Do(what=lambda player: player.watch(B)))
    sim.settle()

    def last_words(player: Player) -> None:
        player.tell(small, Note(text="1"))
        player.tell(small, Note(text="2"))
        player.tell(B, Do(what=crash))

    for _ in range(2):
        sim.tell(B, Do(what=last_words))
        sim.run_for(1)
    down = Down(name="b", reason="crashed")
    seen = [entry[1] for entry in log if entry[0] == "small"]
    assert seen == [Note(text="1"), Note(text="2"), down] * 2  # and it goes on watching


def test_watching_who_is_down_already_says_so_at_once() -> None:
    log: list[Any] = []
    sim = pair(log, backoff=Backoff(first_s=1.0))
    sim.tell(B, Do(what=crash))
    sim.settle()
    sim.tell(A, Do(what=lambda player: player.watch(B)))
    sim.settle()
    assert ("a", Down(name="b", reason="not_running")) in log


def test_a_watch_ends_with_the_life_that_watched() -> None:
    log: list[Any] = []
    sim = pair(log)
    sim.tell(A, Do(what=lambda player: player.watch(B)))
    sim.tell(A, Do(what=crash))
    sim.settle()
    sim.tell(B, Do(what=crash))
    sim.settle()
    assert not any(isinstance(entry[1], Down) for entry in log)


def test_what_no_handler_takes_is_a_counted_dead_letter_reported_once_a_second() -> None:
    class Unknown(Message, frozen=True):
        pass

    log: list[Any] = []
    sim = pair(log)
    for _ in range(5):
        sim.tell(A, Unknown())
    sim.run_for(2)
    assert [event for event in sim.events if isinstance(event, DeadLetters)] == [
        DeadLetters(total=5, counts={"Unknown/unhandled": 5})
    ]
    sim.run_for(5)
    assert sum(isinstance(event, DeadLetters) for event in sim.events) == 1


def test_dead_letters_are_bounded_in_memory_and_exact_in_number() -> None:
    sim = pair([])
    kinds = [type(f"Kind{number}", (Message,), {}, frozen=True) for number in range(KINDS_MAX + 50)]
    for kind in kinds:
        sim.tell(A, kind())
    sim.settle()
    dead = sim.dispatcher.dead
    assert dead.total == KINDS_MAX + 50 and len(dead.counts) <= KINDS_MAX + 1 and len(dead.last) == 256


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


class SlowClock:
    """A clock that a handler can move, as if it took its time."""

    def __init__(self) -> None:
        self.world = SimulatedWorld(0)
        self.world.scheduling = None

    def spend(self, ns: int) -> None:
        self.world.advance_to(self.world.time_ns + ns)


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


# -- one seed, one history -----------------------------------------------------------------------------------


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
