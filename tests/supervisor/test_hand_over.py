"""What a port hands over is handled in its own task where nothing else is going on, with every promise kept."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from cast import Alarm, Do, Note, Player, branch, child, crash, texts
from stage import A, P, Q, Scene, port, running

from supervisor.events import ChildCrashed
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import PortLink

B = Address("b")


async def test_what_is_handed_over_is_handled_before_it_returns(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    seen: list[list[str]] = []

    async def feed(link: PortLink) -> None:
        link.ready()
        await trio.sleep(0.1)
        relay = Do(what=lambda player: player.tell(B, Note(text="of a")))
        link.hand_over([(A, Note(text="one")), (A, relay), (B, Note(text="two"))])
        seen.append(texts(log, "a") + texts(log, "b"))
        await trio.sleep_forever()

    async with running(branch(child("a", log, address=A), child("b", log, address=B), port(P, feed))):
        await trio.sleep(1)
    assert seen == [["one", "two", "of a"]]


async def test_a_crash_of_what_is_handed_over_is_its_actors_and_not_the_ports(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    lives = 0

    async def feed(link: PortLink) -> None:
        nonlocal lives
        lives += 1
        link.ready()
        await trio.sleep(0.1)
        link.hand_over([(A, Do(what=crash)), (B, Note(text="served"))])
        await trio.sleep_forever()

    tree = branch(child("a", log, address=A), child("b", log, address=B), port(P, feed))
    async with running(tree) as scene:
        await trio.sleep(5)
        assert scene.incarnation(A) == 2 and lives == 1
    assert [event.name for event in scene.of(ChildCrashed)] == ["a"]
    assert texts(log, "b") == ["served"]


async def test_a_kill_overtakes_what_was_handed_over_before_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []

    async def feed(link: PortLink) -> None:
        link.ready()
        await trio.sleep(0.1)
        link.hand_over([*((A, Note(text=str(n))) for n in range(100)), (A, Alarm(text="kill"))])
        assert link.flags["alarm"]
        await trio.sleep_forever()

    async with running(branch(child("a", log, address=A), port(P, feed))):
        await trio.sleep(1)
    assert texts(log, "a")[0] == "kill" and len(texts(log, "a")) == 101


async def test_more_than_one_turn_is_left_to_the_loop_and_nothing_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    at_once = 0

    async def feed(link: PortLink) -> None:
        nonlocal at_once
        link.ready()
        await trio.sleep(0.1)
        link.hand_over([(A, Note(text=str(number))) for number in range(1000)])
        at_once = len(texts(log, "a"))
        await trio.sleep_forever()

    async with running(branch(child("a", log, address=A), port(P, feed))):
        await trio.sleep(1)
    assert 0 < at_once <= 256
    assert texts(log, "a") == [str(number) for number in range(1000)]


async def test_a_timer_set_by_what_was_handed_over_fires_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fired: list[float] = []

    def set_timer(player: Player) -> None:
        player.after(0.5, Do(what=lambda _: fired.append(trio.current_time())))

    async def feed(link: PortLink) -> None:
        link.ready()
        await trio.sleep(1)
        link.hand_over([(A, Do(what=set_timer))])
        await trio.sleep_forever()

    began = trio.current_time()
    async with running(branch(child("a", [], address=A), port(P, feed))):
        await trio.sleep(5)
    assert fired == [pytest.approx(began + 1.5, abs=0.01)]


@pytest.mark.parametrize("handed", [True, False])
async def test_an_order_leaves_before_what_is_published_of_it_is_logged(
    handed: bool, autojump_clock: trio.testing.MockClock
) -> None:
    happened: list[str] = []

    def order(player: Player) -> None:
        player.publish(Note(text="logged"))
        player.tell(Q, Note(text="order"))
        player.publish(Note(text="logged"))

    async def trade(link: PortLink) -> None:
        link.ready()
        while True:
            await link.receive()
            happened.append("sent")

    async def feed(link: PortLink) -> None:
        link.ready()
        for _ in range(20):
            await trio.sleep(0.1)
            if handed:
                link.hand_over([(A, Do(what=order))])
            else:
                link.tell(A, Do(what=order))
        await trio.sleep_forever()

    def subscribe(scene: Scene) -> None:
        def log(event: Message) -> None:
            if isinstance(event, Note):
                happened.append(event.text)

        scene.runtime._subscribers.append(log)

    async with running(branch(child("a", [], address=A), port(Q, trade), port(P, feed))) as scene:
        subscribe(scene)
        await trio.sleep(5)
    # Twenty times, since Trio runs the tasks of one pass in any order.
    assert happened == ["sent", "logged", "logged"] * 20


async def test_what_breaks_the_dispatcher_in_a_ports_task_ends_the_tree_and_not_just_the_port(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Exception):
        pass

    went_on = False

    async def feed(link: PortLink) -> None:
        nonlocal went_on
        link.ready()
        await trio.sleep(0.1)

        def broken() -> None:
            raise Broken

        monkeypatch.setattr(link._runtime.dispatcher, "turn", broken)  # type: ignore[attr-defined]
        link.hand_over([(A, Note(text="x"))])
        went_on = True
        monkeypatch.undo()
        await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with running(branch(child("a", [], address=A), port(P, feed))):
            await trio.sleep(5)
    assert went_on and caught.group_contains(Broken)
