"""The promises that the pitfalls of Trio and of mailboxes would break, each by its name. Virtual time
throughout."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import pytest
import trio
from cast import Do, Fact, Note, Player, Trouble, branch, child
from stage import A, P, Q, echo, port, running

from supervisor.actor import Halt
from supervisor.events import BranchGaveUp, ChildCrashed, ChildStopped, ChildStuck, Halted
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.port import PortLink
from supervisor.runtime import essence, run
from supervisor.spec import Backoff, Budget, GiveUp, Restart


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
