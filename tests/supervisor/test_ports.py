"""Ports: what they get, what they owe, what their senders are told when they die. Virtual time throughout."""

from __future__ import annotations

from typing import Any

import trio
from cast import Alarm, Do, Fact, Note, Player, Trouble, branch, child, crash, texts
from stage import A, Order, P, echo, port, running

from supervisor.events import ChildCrashed
from supervisor.mailbox import Address
from supervisor.port import ActorDied, AskTimeout, Overloaded, PortLink
from supervisor.spec import Backoff, Restart


async def test_a_port_and_an_actor_talk_to_each_other(autojump_clock: trio.testing.MockClock) -> None:
    log: list[Any] = []
    async with running(branch(child("a", log, address=A), port(P, echo))) as scene:
        scene.runtime.tell(A, Do(what=lambda player: player.tell(P, Note(text="hello"))))
        await trio.sleep(0.1)
    assert texts(log, "a") == ["hello"]


async def test_a_port_is_starting_until_it_says_so_and_its_normal_messages_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    got: list[tuple[float, str]] = []
    began = trio.current_time()

    async def late(link: PortLink) -> None:
        for wait_s in (1, 0):
            message = await link.receive()
            got.append((round(trio.current_time() - began, 3), message.text))  # type: ignore[attr-defined]
            await trio.sleep(wait_s)
            link.ready()
        await trio.sleep_forever()

    def tell_soon(player: Player) -> None:
        player.ready()
        player.after(
            0.1,
            Do(what=lambda later: (later.tell(P, Note(text="held")), later.tell(P, Alarm(text="system")))),
        )

    async with running(branch(child("a", [], tell_soon, address=A), port(P, late))):
        await trio.sleep(3)
    assert got == [(0.1, "system"), (1.1, "held")]


async def test_an_unwritten_order_of_a_dead_port_is_not_sent_a_written_one_unknown_and_none_is_sent_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    lives: list[list[int]] = []

    async def venue(link: PortLink) -> None:
        seen: list[int] = []
        lives.append(seen)
        link.ready()
        while True:
            order = await link.receive()
            assert isinstance(order, Order)
            seen.append(order.number)
            if order.number == 1:
                link.done(order)  # settled: nobody is owed anything
            if order.number == 2:
                link.written(order)
            if order.number == 3:
                raise Trouble("the connection is lost with 3 in hand, 4 in the inbox")

    def send(player: Player) -> None:
        for number in (1, 2, 3, 4):
            player.tell(P, Order(number=number))

    async with running(branch(child("a", log, address=A), port(P, venue))) as scene:
        scene.runtime.tell(A, Do(what=send))
        await trio.sleep(1)
        assert scene.incarnation(P) == 2
    assert texts(log, "a") == ["2 unknown", "3 not sent", "4 not sent"]
    assert lives == [[1, 2, 3], []]


async def test_an_order_to_a_port_that_is_down_comes_back_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []

    async def dies(link: PortLink) -> None:
        link.ready()
        await link.receive()
        raise Trouble("gone")

    tree = branch(child("a", log, address=A), port(P, dies, backoff=Backoff(first_s=5.0)))
    async with running(tree) as scene:
        scene.runtime.tell(P, Note(text="die"))
        await trio.sleep(0.1)
        scene.runtime.tell(A, Do(what=lambda player: player.tell(P, Order(number=1))))
        await trio.sleep(0.1)
        assert texts(log, "a") == ["1 not sent"]


async def test_what_became_of_an_order_is_told_even_to_a_full_mailbox(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    small = Address("a", bound=2)

    async def dies(link: PortLink) -> None:
        link.ready()
        for _ in range(5):
            await link.receive()
        while link.tell(small, Note(text="noise")):
            pass
        raise Trouble("gone")

    def send(player: Player) -> None:
        for number in range(5):
            player.tell(P, Order(number=number))

    async with running(branch(child("a", log, address=small), port(P, dies))) as scene:
        scene.runtime.tell(small, Do(what=send))
        await trio.sleep(1)
    assert texts(log, "a") == ["noise"] * 2 + [f"{number} not sent" for number in range(5)]


async def test_an_ask_to_a_port_that_dies_with_it_is_answered_with_what_became_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []

    async def dies(link: PortLink) -> None:
        link.ready()
        link.written(await link.receive())
        raise Trouble("gone")

    async with running(branch(child("a", log, address=A), port(P, dies))) as scene:
        scene.runtime.tell(A, Do(what=lambda player: player.ask(P, Order(number=1), timeout_s=10)))
        await trio.sleep(0.1)
    assert [entry[1].message for entry in log if entry[0] == "a"] == [Fact(text="1 unknown")]


async def test_a_port_that_forgets_to_say_done_is_crashed_before_it_fills_the_memory(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def forgetful(link: PortLink) -> None:
        link.ready()
        while True:
            await link.receive()

    small = Address("p", bound=10)
    async with running(branch(port(small, forgetful))) as scene:
        for number in range(30):
            scene.runtime.tell(small, Order(number=number))
            await trio.sleep(0.001)
        await trio.sleep(1)
        assert any("link.done(message)" in event.error for event in scene.of(ChildCrashed))


async def test_deliver_waits_for_room_and_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    log: list[Any] = []
    small = Address("a", bound=3)

    async def feed(link: PortLink) -> None:
        link.ready()
        for number in range(20):
            await link.deliver(small, Fact(text=str(number)))
        await trio.sleep_forever()

    def slow_start(player: Player) -> None:
        player.after(1, Do(what=lambda later: later.ready()))

    async with running(branch(port(P, feed), child("a", log, slow_start, address=small))):
        await trio.sleep(2)
    assert texts(log, "a") == [str(number) for number in range(20)]


async def test_deliver_to_who_will_have_no_more_lives_says_so(autojump_clock: trio.testing.MockClock) -> None:
    caught: list[str] = []
    small = Address("a", bound=1)

    async def feed(link: PortLink) -> None:
        link.ready()
        await trio.sleep(0.1)
        try:
            while True:
                await link.deliver(small, Fact(text="fact"))
        except ActorDied as error:
            caught.append(str(error))
        await trio.sleep_forever()

    async def deaf(link: PortLink) -> None:
        link.ready()
        await trio.sleep(1)

    async with running(branch(port(P, feed), port(small, deaf, restart=Restart.TEMPORARY))):
        await trio.sleep(5)
    assert caught and "will have no more lives" in caught[0]


async def test_a_ports_ask_ends_in_an_answer_actor_died_overloaded_or_a_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    outcomes: list[Any] = []
    small = Address("small", bound=1)

    async def asker(link: PortLink) -> None:
        link.ready()
        await trio.sleep(0.01)
        questions = (
            (A, Do(what=lambda player: player.reply(Note(text="yes")))),
            (A, Do(what=crash)),
            (A, Note(text="ignored")),
            (small, Note(text="one too many")),
            (Address("nobody"), Note(text="hello?")),
        )
        link.tell(small, Note(text="fills it"))
        for to, question in questions:
            try:
                outcomes.append(await link.ask(to, question, timeout_s=1))
            except (ActorDied, AskTimeout, Overloaded) as error:
                outcomes.append(type(error))
        await trio.sleep_forever()

    async def deaf(link: PortLink) -> None:
        link.ready()
        await trio.sleep_forever()

    async with running(branch(child("a", log, address=A), port(small, deaf), port(P, asker))):
        await trio.sleep(5)
    assert outcomes == [Note(text="yes"), ActorDied, AskTimeout, Overloaded, ActorDied]


async def test_a_reply_that_comes_after_its_asker_was_cancelled_harms_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []

    def answer_late(player: Player) -> None:
        asker = player.asker
        player.after(1, Do(what=lambda later: later.reply(Note(text="late"), asker)))

    async def impatient(link: PortLink) -> None:
        link.ready()
        with trio.move_on_after(0.5):
            await link.ask(A, Do(what=answer_late), timeout_s=10)
        await trio.sleep_forever()

    async with running(branch(child("a", log, address=A), port(P, impatient))) as scene:
        await trio.sleep(3)
        assert scene.incarnation(P) == 1
        assert scene.runtime.dispatcher.dead.counts == {"Note/late": 1}


async def test_a_system_message_to_a_port_is_the_next_thing_it_reads(
    autojump_clock: trio.testing.MockClock,
) -> None:
    got: list[str] = []

    async def reader(link: PortLink) -> None:
        link.ready()
        await trio.sleep(1)
        while True:
            got.append((await link.receive()).text)  # type: ignore[attr-defined]

    async with running(branch(port(P, reader))) as scene:
        for number in range(3):
            scene.runtime.tell(P, Note(text=str(number)))
        scene.runtime.tell(P, Alarm(text="alarm"))
        assert scene.runtime.dispatcher.flags["alarm"]
        await trio.sleep(2)
    assert got == ["alarm", "0", "1", "2"]
