"""Which message is read when, and what becomes of one that is not."""

from __future__ import annotations

from typing import Any

from cast import (
    Alarm,
    AllClear,
    Do,
    Fact,
    Note,
    Player,
    View,
    branch,
    child,
    crash,
    simulate,
    texts,
)

from supervisor.deadletters import KINDS_MAX
from supervisor.events import DeadLetters
from supervisor.mailbox import Address, Overflow
from supervisor.message import Answer, Dropped, Message, Refused
from supervisor.simulation import Simulation
from supervisor.spec import Backoff

A, B, C = Address("a"), Address("b"), Address("c")


def pair(log: list[Any], **b: Any) -> Simulation:
    return simulate(branch(child("a", log, address=A), child("b", log, address=B, **b)))


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
