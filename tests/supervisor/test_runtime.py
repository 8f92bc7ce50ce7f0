"""The Trio shell as the rest of the process sees it: starting, failing, reporting, sleeping."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from cast import Do, Note, Trouble, branch, child, crash, texts
from stage import A, P, echo, port, running

from supervisor.errors import StartFailed, TreeGaveUp
from supervisor.events import ChildCrashed
from supervisor.message import Down, Message
from supervisor.port import PortLink
from supervisor.runtime import Runtime, run
from supervisor.spec import Budget


async def test_an_outsider_can_ask_and_a_thread_can_tell(autojump_clock: trio.testing.MockClock) -> None:
    log: list[Any] = []
    async with running(branch(child("a", log, address=A))) as scene:
        answer = await scene.runtime.ask(
            A, Do(what=lambda player: player.reply(Note(text="yes"))), timeout_s=1
        )
        await trio.to_thread.run_sync(scene.runtime.tell_from_thread, A, Note(text="from a thread"))
        await trio.sleep(0.1)
    assert answer == Note(text="yes") and texts(log, "a") == ["from a thread"]


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
