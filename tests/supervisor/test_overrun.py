"""A handler that runs too long crashes its actor and nobody else; what must not be interrupted is not.

The signal itself is tried in a process of its own, since pytest's time-out uses the same one.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cast import Do, Note, Player, View, branch, child, simulate

from supervisor.errors import Overran
from supervisor.mailbox import Address
from supervisor.overrun import IDLE_TICKS, OverrunGuard

A = Address("a")
HERE = Path(__file__)

SCENARIO = """
import json, os, re, signal, sys, time, threading
from functools import partial
import trio
from cast import Do, Note, branch, child, texts
from supervisor.mailbox import Address
from supervisor.overrun import OverrunGuard
from supervisor.runtime import run

A, B = Address("a"), Address("b")
EXPENSIVE = re.compile("(a+)+$")

def spin(player):
    while True:
        pass

def backtrack(player):
    EXPENSIVE.match("a" * 40 + "b")

def swallow(player):
    for _ in range(2):
        try:
            while True:
                pass
        except Exception:
            pass
    player.tell(B, Note(text="came back"))

def paused(player):
    # Works until it notices that the process was stopped for longer than its limit.
    pid = os.getpid()
    if os.fork() == 0:
        time.sleep(0.05); os.kill(pid, signal.SIGSTOP); time.sleep(1.5); os.kill(pid, signal.SIGCONT); os._exit(0)
    now = before = time.monotonic()
    while now - before < 1.2:
        before, now = now, time.monotonic()
    player.tell(B, Note(text="came back"))

def events_of(kind, events):
    return [event for event in events if type(event).__name__ == kind]

async def main(what):
    log, events, last = [], [], []
    async with trio.open_nursery() as nursery:
        start = partial(run, branch(
                            child("a", log, address=A, overrun_s=1.0 if what == "paused" else 0.2),
                            child("b", log, address=B)),
                        subscribers=[events.append], overruns=OverrunGuard([sys.argv[1]]), last_resort=last.append)
        runtime = await nursery.start(start)
        runtime.tell(A, Do(what=globals()[what]))
        runtime.tell(B, Note(text="b is served"))
        with trio.fail_after(20):
            while len(texts(log, "b")) + len(events_of("ChildCrashed", events)) < 2:
                await trio.sleep(0.02)
        children = runtime.tree().root.children
        runtime.stop()
        nursery.cancel_scope.cancel()
    print(json.dumps({
        "incarnations": [c.incarnation for c in children],
        "b": texts(log, "b"),
        "errors": [e.error for e in events_of("ChildCrashed", events)],
        "overran": [e.ran_s for e in events_of("ActorOverran", events)],
        "last": last,
        "timer": signal.getitimer(signal.ITIMER_REAL)[0],
        "restored": signal.getsignal(signal.SIGALRM) == signal.SIG_DFL,
    }))

trio.run(main, sys.argv[2])
"""


def play(what: str, tmp_path: Path) -> dict[str, Any]:
    # In a file of its own: its code is what may be interrupted.
    script = tmp_path / "scenario.py"
    script.write_text(SCENARIO)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), what],
        env={"PYTHONPATH": f"{HERE.parent}:{HERE.parents[2]}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("what", ["spin", "backtrack"])
def test_a_runaway_handler_is_interrupted_and_only_its_actor_crashes(what: str, tmp_path: Path) -> None:
    seen = play(what, tmp_path)
    assert seen["incarnations"] == [2, 1] and seen["b"] == ["b is served"]
    assert seen["errors"][0].startswith("Overran: interrupted after 0.2")
    assert seen["overran"] == [pytest.approx(0.2, abs=0.06)]
    assert seen["last"] == []
    # A timer that outlived its handler would kill the process.
    assert seen["timer"] == 0 and seen["restored"]


def test_a_handler_that_swallows_the_interruption_and_overruns_again_ends_the_process(tmp_path: Path) -> None:
    seen = play("swallow", tmp_path)
    assert "actor 'a' swallowed one interruption" in seen["last"][0]


def test_a_process_that_was_paused_and_continued_crashes_nobody(tmp_path: Path) -> None:
    seen = play("paused", tmp_path)
    assert seen["incarnations"] == [1, 1] and seen["errors"] == []
    assert "came back" in seen["b"]  # which it does only after a pause


def frame_of(look: Any) -> FrameType:
    frame: FrameType = look()
    return frame


def allowed_in(act: Any) -> bool:
    """Whether `act`, called in a handler, was at a place that may be interrupted; it appends its frame."""
    frames: list[FrameType] = []
    verdicts: list[bool] = []
    guard = OverrunGuard([HERE])

    def handler(player: Player) -> None:
        act(player, lambda frame: (frames.append(frame), verdicts.append(guard.allows(frame))))

    sim = simulate(branch(child("a", [], address=A)))
    sim.tell(A, Do(what=handler))
    sim.settle()
    return verdicts[-1]


def test_code_of_ours_may_be_interrupted() -> None:
    assert allowed_in(lambda player, look: look(sys._getframe()))


def test_a_librarys_code_may_not_be_interrupted_but_ours_that_it_calls_may() -> None:
    namespace: dict[str, Any] = {}
    source = "import sys\ndef inside(look): look(sys._getframe())\ndef calling(ours): ours()\n"
    exec(compile(source, "/usr/lib/python3/threading.py", "exec"), namespace)
    assert not allowed_in(lambda player, look: namespace["inside"](look))
    assert allowed_in(lambda player, look: namespace["calling"](lambda: look(sys._getframe())))


def test_an_import_may_not_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "half_imported.py").write_text(
        "import sys, test_overrun\ntest_overrun.look_from_import(sys)\n"
    )

    def act(player: Player, look: Any) -> None:
        global look_from_import
        look_from_import = lambda _: look(sys._getframe())  # noqa: E731
        monkeypatch.setitem(sys.modules, "test_overrun", sys.modules[__name__])
        importlib.import_module("half_imported")

    assert not allowed_in(act)


look_from_import: Any = None


def test_our_code_called_by_the_runtime_itself_may_not_be_interrupted() -> None:
    verdicts: list[bool] = []
    guard = OverrunGuard([HERE])

    def key(view: View) -> str:
        verdicts.append(guard.allows(sys._getframe()))
        return view.key

    address = Address("b", latest={View: key})
    sim = simulate(branch(child("a", [], address=A), child("b", [], address=address)))
    sim.tell(A, Do(what=lambda player: player.tell(address, View(key="x", number=1))))
    sim.settle()
    assert verdicts == [False]


def test_ticks_count_within_one_call_only() -> None:
    sim = simulate(branch(child("a", [], address=A)))
    guard = OverrunGuard([HERE])
    guard._dispatcher = sim.dispatcher
    over: list[float | None] = []

    def handler(player: Player) -> None:
        over.extend(guard.tick() for _ in range(4))

    for _ in range(3):
        sim.tell(A, Do(what=handler))
    sim.settle()
    assert over == [None] * 12  # the first tick of a call says only that it began before

    def long_handler(player: Player) -> None:
        over.extend(guard.tick() for _ in range(5))

    sim.tell(A, Do(what=long_handler))
    sim.settle()
    assert over[-1] == pytest.approx(0.2)


def test_the_second_interruption_of_one_life_calls_the_last_resort() -> None:
    last: list[str] = []
    sim = simulate(branch(child("a", [], address=A)))
    guard = OverrunGuard([HERE])
    guard._dispatcher, guard._last_resort = sim.dispatcher, last.append

    def handler(player: Player) -> None:
        for _ in range(2):
            with pytest.raises(Overran):
                guard.interrupt(0.2)

    sim.tell(A, Do(what=handler))
    sim.tell(A, Note(text="next"))
    sim.settle()
    assert len(last) == 1


def test_an_idle_process_has_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []
    monkeypatch.setattr("signal.setitimer", lambda which, first, every=0.0: timers.append(first))
    guard = OverrunGuard([HERE])
    guard._dispatcher = simulate(branch(child("a", [], address=A))).dispatcher
    guard.arm()
    guard.arm()
    for _ in range(IDLE_TICKS):
        guard.tick()
    assert timers == [0.05, 0]
