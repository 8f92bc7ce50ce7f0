"""Interrupts a handler that runs too long, by a timer signal: one runaway loop crashes one actor, not the
desk.

Every 50 ms a signal looks at what runs. It counts ticks within one call of one handler, not time: a process
that was paused and continued finds one tick waiting, however long it slept, and crashes nobody. It raises
only while the innermost frame is in code that allows it, and everything between that and the dispatcher is
too: never inside the runtime, a lock's or a library's code, or an import, whose broken halves would outlive
the crash. A handler that swallows the interruption and overruns again in the same life ends the process.
What never comes back to Python (a C call that holds the interpreter) is the keeper's.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from supervisor.errors import Overran
from supervisor.lastresort import LastResort

if TYPE_CHECKING:
    from supervisor.dispatcher import Dispatcher
    from supervisor.mailbox import Envelope

TICK_S = 0.05
# After so many ticks that found nobody running, the timer stops until the next turn: an idle process sleeps.
IDLE_TICKS = 4


class OverrunGuard:
    """`roots`: the directories (or single files) whose code may be interrupted anywhere. `on_running` gets the
    name of whoever runs when a tick looks; it is called in the signal handler."""

    def __init__(
        self,
        roots: Sequence[Path | str],
        *,
        tick_s: float = TICK_S,
        on_running: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._roots = tuple(str(Path(root).resolve()) for root in roots)
        self._tick_s = tick_s
        self._on_running = on_running
        self._dispatcher: Dispatcher | None = None
        self._last_resort: LastResort | None = None
        self._armed = False
        self._hand: Envelope | None = None
        self._ticks = 0
        self._idle = 0
        # The life that was interrupted last: (name, incarnation).
        self._interrupted: tuple[str, int] | None = None

    @staticmethod
    @contextlib.contextmanager
    def watching(
        guard: OverrunGuard | None, dispatcher: Dispatcher, last_resort: LastResort
    ) -> Iterator[None]:
        """Watch this dispatcher; the timer and the signal's old handler are put back at the end, since a
        timer that outlives its handler kills the process. Only in the main thread, where signals go, and
        only if nobody else uses SIGALRM."""
        main = threading.current_thread() is threading.main_thread()
        if (
            guard is None
            or not main
            or signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN)
        ):
            yield
            return
        guard._dispatcher, guard._last_resort = dispatcher, last_resort
        before = signal.signal(signal.SIGALRM, guard._on_signal)
        try:
            yield
        finally:
            guard._disarm()
            signal.signal(signal.SIGALRM, before)
            guard._dispatcher = None

    def arm(self) -> None:
        """A turn is about to begin."""
        if not self._armed and self._dispatcher is not None:
            self._armed = True
            self._idle = 0
            signal.setitimer(signal.ITIMER_REAL, self._tick_s, self._tick_s)

    def _disarm(self) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_signal(self, _: int, frame: FrameType | None) -> None:
        if self._dispatcher is None:
            return
        ran_s = self.tick()
        if ran_s is not None and self.allows(frame):
            self.interrupt(ran_s)

    def tick(self) -> float | None:
        """One tick has passed; how long the present call has run, if that is longer than it may."""
        dispatcher = self._dispatcher
        assert dispatcher is not None
        cell = dispatcher.running
        if cell is None:
            self._hand = None
            self._idle += 1
            if self._idle >= IDLE_TICKS:
                self._disarm()
            return None
        self._idle = 0
        if dispatcher.hand is not self._hand:
            self._hand = dispatcher.hand
            self._on_running(cell.name)
            self._ticks = 0
            return None
        self._ticks += 1
        ran_s = self._ticks * self._tick_s
        return ran_s if ran_s >= cell.spec.overrun_s - 1e-9 else None

    def allows(self, frame: FrameType | None) -> bool:
        """Whether everything between this frame and the dispatcher's call of the handler may be
        interrupted."""
        from supervisor.dispatcher import Dispatcher

        callers = (Dispatcher._handle.__code__, Dispatcher.guard.__code__)
        innermost = True
        while frame is not None:
            code = frame.f_code
            if code in callers:
                return not innermost
            file = code.co_filename
            ours = any(file == root or file.startswith(root + "/") for root in self._roots)
            # A library's frame further out is let pass: it called back into our code.
            if (innermost and not ours) or _is_runtime(file) or file.startswith("<frozen importlib"):
                return False
            innermost = False
            frame = frame.f_back
        return False

    def interrupt(self, ran_s: float) -> None:
        """Raise in the handler; if this life was interrupted before, end the process."""
        assert self._dispatcher is not None and self._last_resort is not None
        cell = self._dispatcher.running
        assert cell is not None
        life = (cell.name, cell.incarnation)
        self._ticks = 0
        if self._interrupted == life:
            self._last_resort(f"actor {cell.name!r} swallowed one interruption and overran again")
        self._interrupted = life
        raise Overran(ran_s)


_RUNTIME = str(Path(__file__).resolve().parent)


def _is_runtime(file: str) -> bool:
    # This folder itself; packages below it (paging, journal ...) are programs on top of the runtime.
    return str(Path(file).parent) == _RUNTIME
