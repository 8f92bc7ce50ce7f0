"""Ports and the Trio shell, and the promises that Trio's pitfalls would break. Virtual time throughout."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from cast import Alarm, Do, Fact, Note, Player, Trouble, branch, child, crash, texts

from supervisor.actor import Halt
from supervisor.errors import StartFailed, TreeGaveUp
from supervisor.events import BranchGaveUp, ChildCrashed, ChildStopped, ChildStuck, Halted
from supervisor.mailbox import Address
from supervisor.message import Down, Message
from supervisor.port import ActorDied, AskTimeout, Overloaded, PortLink
from supervisor.runtime import Runtime, essence, run
from supervisor.spec import Backoff, Branch, Budget, Child, GiveUp, Restart

A, P, Q = Address("a"), Address("p"), Address("q")

Body = Callable[[PortLink], Awaitable[None]]


class Order(Message, frozen=True):
    """What a port may die with."""

    number: int

    def undelivered(self, written: bool) -> Message:
        return Fact(text=f"{self.number} {'unknown' if written else 'not sent'}")


class Bodied:
    """A port that does what a function says."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def run(self, link: PortLink) -> None:
        await self._body(link)


def port(address: Address, body: Body, **spec: Any) -> Child:
    return Child(address, lambda: Bodied(body), **spec)


async def echo(link: PortLink) -> None:
    link.ready()
    while True:
        message = await link.receive()
        link.reply(message)


class Scene:
    """A running tree, and everything it said."""

    def __init__(self) -> None:
        self.runtime: Runtime
        self.events: list[Message] = []
        self.last_words: list[str] = []
        self.result: BaseException | None = None

    def of(self, kind: type[Message]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def incarnation(self, address: Address) -> int:
        return self.runtime.dispatcher.cells[address].incarnation


@asynccontextmanager
async def running(tree: Branch) -> AsyncIterator[Scene]:
    scene = Scene()
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[Runtime]) -> None:
            try:
                await run(
                    tree,
                    subscribers=[scene.events.append],
                    last_resort=scene.last_words.append,
                    task_status=task_status,
                )
            except (TreeGaveUp, KeyboardInterrupt) as error:
                scene.result = error

        scene.runtime = await nursery.start(serve)
        yield scene
        scene.runtime.stop()


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


async def test_an_outsider_can_ask_and_a_thread_can_tell(autojump_clock: trio.testing.MockClock) -> None:
    log: list[Any] = []
    async with running(branch(child("a", log, address=A))) as scene:
        answer = await scene.runtime.ask(
            A, Do(what=lambda player: player.reply(Note(text="yes"))), timeout_s=1
        )
        await trio.to_thread.run_sync(scene.runtime.tell_from_thread, A, Note(text="from a thread"))
        await trio.sleep(0.1)
    assert answer == Note(text="yes") and texts(log, "a") == ["from a thread"]


# -- the promises that Trio's pitfalls would break -----------------------------------------------------------


async def test_a_crash_inside_a_ports_nursery_is_reported_as_the_exception_itself(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def nested(link: PortLink) -> None:
        link.ready()
        await link.receive()
        async with trio.open_nursery() as outer, trio.open_nursery() as inner:
            outer.start_soon(trio.sleep_forever)
            inner.start_soon(fail)

    async def fail() -> None:
        raise Trouble("deep inside")

    async with running(branch(port(P, nested))) as scene:
        scene.runtime.tell(P, Note(text="go"))
        await trio.sleep(1)
        assert [event.error for event in scene.of(ChildCrashed)] == ["Trouble: deep inside"]
        assert scene.incarnation(P) == 2


async def test_a_halt_inside_a_ports_nursery_halts_its_branch_even_among_other_errors(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def nested(link: PortLink) -> None:
        link.ready()
        await link.receive()
        raise ExceptionGroup("both", [Trouble("other"), ExceptionGroup("inner", [Halt("bad key")])])

    inner = branch(port(P, nested), name="venue", on_give_up=GiveUp.ALONE)
    async with running(branch(child("a", [], address=A), inner)) as scene:
        scene.runtime.tell(P, Note(text="go"))
        await trio.sleep(10)
        assert scene.of(Halted) == [Halted(branch="venue", child="p", error="Halt: bad key")]
        assert scene.incarnation(P) == 1


async def test_a_port_that_crashes_while_it_is_being_cancelled_is_reported_and_never_restarted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def crashes_in_cleanup(link: PortLink) -> None:
        link.ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise Trouble("in the clean-up")

    async with running(branch(child("a", [], address=A), port(P, crashes_in_cleanup))) as scene:
        await trio.sleep(1)
    assert [event.error for event in scene.of(ChildCrashed)] == ["Trouble: in the clean-up"]
    assert scene.incarnation(P) == 1 and scene.result is None


async def test_a_cancellation_that_is_not_the_ports_own_is_never_swallowed() -> None:
    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            caught.append(cancelled)
            raise
    trouble, cancelled = Trouble("too"), caught[0]
    assert essence(cancelled) == (None, cancelled)
    error, goes_on = essence(BaseExceptionGroup("both", [trouble, BaseExceptionGroup("inner", [cancelled])]))
    assert error is trouble
    assert isinstance(goes_on, BaseExceptionGroup) and goes_on.split(trio.Cancelled)[1] is None


async def test_a_stopped_port_is_not_taken_for_one_that_finished(
    autojump_clock: trio.testing.MockClock,
) -> None:
    # Its own cancellation is caught by its own scope, so it returns as if by itself.
    async with running(branch(port(P, echo, restart=Restart.TRANSIENT))) as scene:
        await trio.sleep(1)
    assert [event.reason for event in scene.of(ChildStopped)] == ["stopped"]


async def test_clean_up_in_a_bounded_shield_runs_when_a_port_is_stopped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    cleaned: list[str] = []

    async def tidy(link: PortLink) -> None:
        link.ready()
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(0.5)
                cleaned.append("orders cancelled")

    async with running(branch(port(P, tidy))) as scene:
        await trio.sleep(0.1)
    assert cleaned == ["orders cancelled"] and scene.last_words == []


async def test_a_port_that_cannot_be_stopped_ends_the_process_after_its_stop_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    release = trio.Event()

    async def unbounded(link: PortLink) -> None:
        link.ready()
        with trio.CancelScope(shield=True):
            await release.wait()

    async with running(branch(port(P, unbounded, stop_timeout_s=2))) as scene:
        began = trio.current_time()
        scene.runtime.stop()
        await trio.sleep(1.9)
        assert scene.last_words == [] and trio.current_time() - began < 2
        await trio.sleep(0.2)
        assert scene.of(ChildStuck) == [ChildStuck(name="p", waited_s=2)]
        release.set()
    assert "did not end within stop_timeout_s = 2 s" in scene.last_words[0]


async def test_a_crash_of_one_port_leaves_the_others_alone(autojump_clock: trio.testing.MockClock) -> None:
    async def dies(link: PortLink) -> None:
        link.ready()
        await link.receive()
        raise Trouble("mine alone")

    async with running(branch(port(P, echo), port(Q, dies))) as scene:
        scene.runtime.tell(Q, Note(text="go"))
        await trio.sleep(1)
        assert (scene.incarnation(P), scene.incarnation(Q)) == (1, 2)


async def test_cancelling_the_tree_stops_it_in_order_and_lets_the_cancellation_through(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    order: list[str] = []

    async def tidy(link: PortLink) -> None:
        link.ready()
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(0.5)
                order.append("port")

    tree = branch(child("a", log, address=A), port(P, tidy))
    with trio.move_on_after(3) as scope:
        await run(tree)
    assert scope.cancelled_caught and order == ["port"] and log[-1] == ("stopping", "a", 1)


async def test_a_start_that_is_cancelled_is_not_reported_as_failed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def never_ready(link: PortLink) -> None:
        await trio.sleep_forever()

    events: list[Message] = []
    with trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run, branch(port(P, never_ready)), subscribers=[events.append]))
    assert scope.cancelled_caught
    assert not any(isinstance(event, ChildCrashed | BranchGaveUp) for event in events)


async def test_a_first_start_that_fails_raises_start_failed_with_its_cause(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def fails(link: PortLink) -> None:
        raise Trouble("no route to host")

    log: list[Any] = []
    with pytest.raises(StartFailed, match="Trouble: no route to host") as caught:
        await run(branch(child("a", log, address=A), port(P, fails)))
    assert isinstance(caught.value.__cause__, Trouble)
    assert log[-1] == ("stopping", "a", 1)


async def test_a_port_that_is_not_ready_in_time_is_cancelled_and_has_failed_to_start(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def never_ready(link: PortLink) -> None:
        await trio.sleep_forever()

    began = trio.current_time()
    with pytest.raises(StartFailed, match="start_timeout_s = 3 s"):
        await run(branch(port(P, never_ready, start_timeout_s=3)))
    assert trio.current_time() - began == pytest.approx(3, abs=0.01)


async def test_a_root_that_gives_up_raises_tree_gave_up(autojump_clock: trio.testing.MockClock) -> None:
    async with running(branch(child("a", [], address=A), budget=Budget(0))) as scene:
        scene.runtime.tell(A, Do(what=crash))
        await trio.sleep(1)
    assert isinstance(scene.result, TreeGaveUp) and "Trouble: asked for" in str(scene.result)


@pytest.mark.parametrize("where", ["actor", "port"])
async def test_a_keyboard_interrupt_stops_the_tree_in_order_and_restarts_nothing(
    where: str, autojump_clock: trio.testing.MockClock
) -> None:
    log: list[Any] = []

    def interrupt(player: Player) -> None:
        raise KeyboardInterrupt

    async def interrupted(link: PortLink) -> None:
        link.ready()
        await link.receive()
        raise KeyboardInterrupt

    async with running(branch(child("x", log), child("a", log, address=A), port(P, interrupted))) as scene:
        scene.runtime.tell(*((A, Do(what=interrupt)) if where == "actor" else (P, Note(text="go"))))
        await trio.sleep(10)
    assert isinstance(scene.result, KeyboardInterrupt)
    assert [entry[2] for entry in log if entry[0] == "started"] == [1, 1]
    assert log[-1] == ("stopping", "x", 1)


async def test_two_actors_that_flood_each_other_do_not_deadlock(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    a, b = Address("a", bound=4), Address("b", bound=4)

    def flood(to: Address) -> Any:
        def act(player: Player) -> None:
            for _ in range(50):
                player.tell(to, Note(text="flood"))

        return act

    async with running(branch(child("a", log, address=a), child("b", log, address=b))) as scene:
        for _ in range(3):
            scene.runtime.tell(a, Do(what=flood(b)))
            scene.runtime.tell(b, Do(what=flood(a)))
            await trio.sleep(0.1)
        answer = await scene.runtime.ask(a, Do(what=lambda p: p.reply(Note(text="alive"))), timeout_s=1)
    assert answer == Note(text="alive")


async def test_a_port_floods_an_actor_and_the_loop_is_still_given_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[Any] = []
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await trio.lowlevel.checkpoint()

    async def flood(link: PortLink) -> None:
        link.ready()
        for number in range(5_000):
            await link.deliver(A, Fact(text=str(number)))
        await trio.sleep_forever()

    async with running(branch(child("a", log, address=A), port(P, flood))), trio.open_nursery() as nursery:
        nursery.start_soon(beat)
        with trio.fail_after(60):
            while len(log) < 5_001:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert beats > 100


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


async def test_chaos_crashes_a_port_as_if_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    log: list[Any] = []
    async with running(branch(child("a", log, address=A), port(P, echo))) as scene:
        scene.runtime.tell(A, Do(what=lambda player: player.watch(P)))
        await trio.sleep(0.1)
        scene.runtime.crash("p")
        await trio.sleep(1)
        assert scene.incarnation(P) == 2
        assert [event.error for event in scene.of(ChildCrashed)] == ["ChaosCrash: p was asked to crash"]
        assert ("a", Down(name="p", reason="crashed")) in log
        with pytest.raises(KeyError, match="no child is called 'typo'; there are: a, p"):
            scene.runtime.crash("typo")


async def test_a_crash_is_reported_within_100_ms_and_not_in_the_turn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(branch(child("a", [], address=A))) as scene:
        scene.runtime.tell(A, Do(what=crash))
        await trio.testing.wait_all_tasks_blocked()
        assert scene.incarnation(A) == 2 and scene.of(ChildCrashed) == []
        await trio.sleep(0.1)
        assert len(scene.of(ChildCrashed)) == 1


async def test_a_subscriber_that_raises_is_dropped_counted_and_reported(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def broken(event: Message) -> None:
        raise Trouble("disk full")

    seen: list[Message] = []
    async with trio.open_nursery() as nursery:
        started = partial(run, branch(child("a", [], address=A)), subscribers=[broken, seen.append])
        runtime: Runtime = await nursery.start(started)
        await trio.sleep(1)
        assert runtime.subscribers_failed == 1
        assert any("disk full" in event.error for event in seen if isinstance(event, ChildCrashed))
        runtime.stop()


async def test_2000_crashes_leave_no_frames_behind(autojump_clock: trio.testing.MockClock) -> None:
    class Ballast:
        alive = 0

        def __init__(self) -> None:
            Ballast.alive += 1

        def __del__(self) -> None:
            Ballast.alive -= 1

    def crash_with_ballast(player: Player) -> None:
        ballast = Ballast()
        try:
            raise Trouble("cause")
        except Trouble as cause:
            kept = Trouble(f"asked for {ballast is None}")
            # The exception holds this frame, and this frame holds the exception.
            raise kept from cause

    log: list[Any] = []
    spec = child("a", log, address=A, backoff=Backoff(min_s=0.0))
    gc.collect()
    gc.disable()
    async with running(branch(spec, budget=Budget(10_000))) as scene:
        for _ in range(200):
            for _ in range(10):
                scene.runtime.tell(A, Do(what=crash_with_ballast))
                await trio.testing.wait_all_tasks_blocked(0.0)
            await trio.sleep(0.03)
        await trio.sleep(1)
        assert scene.incarnation(A) == 2001
        assert len(scene.of(ChildCrashed)) == 2000
        alive = Ballast.alive
    gc.enable()
    # At once, not when the collector comes by: a storm of crashes is when memory is short.
    assert alive == 0


async def test_a_tree_in_real_time_uses_the_hosts_clock_and_wakes_for_its_timers() -> None:
    log: list[Any] = []
    async with running(branch(child("a", log, address=A))) as scene:
        scene.runtime.tell(A, Do(what=lambda player: player.after(0.02, Note(text="fired"))))
        await trio.sleep(0.2)
    assert texts(log, "a") == ["fired"]


async def test_an_idle_tree_sleeps(autojump_clock: trio.testing.MockClock) -> None:
    async with running(branch(child("a", [], address=A), port(P, echo))) as scene:
        await trio.sleep(1)
        turns = 0
        turn = scene.runtime.dispatcher.turn

        def counted() -> None:
            nonlocal turns
            turns += 1
            turn()

        scene.runtime.dispatcher.turn = counted  # type: ignore[method-assign]
        await trio.sleep(3600)
        # One: for a deadline that has been met long ago.
        assert turns <= 1
