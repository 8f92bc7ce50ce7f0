"""What follows when a child ends: tables and arithmetic, nothing else.

The rules are Erlang/OTP's (stdlib `supervisor`), with a backoff added: one budget for each branch, in
monotonic time; a failed first start aborts the start of its branch, a failed restart is tried again and
counts; who spends the budget stops its children from right to left and counts as one crash of its parent.
"""

from __future__ import annotations

import enum
from collections import deque

from supervisor.spec import Backoff, Budget, Restart, Strategy


class Phase(enum.Enum):
    """What a branch is busy with."""

    STARTING = "starting"  # its children have not all been ready yet, since it was started itself
    RUNNING = "running"
    RESTARTING = "restarting"  # several children together: stopping them, waiting, starting them
    STOPPING = "stopping"

    # By identity: an Enum's own hash is a function in Python, and this one is asked for at each crash.
    __hash__ = object.__hash__


class End(enum.Enum):
    """How a child ended."""

    STOPPED = "stopped"  # as it was asked to
    FINISHED = "finished"  # by itself
    CRASHED = "crashed"  # a branch that spent its budget counts as one of these
    UNREADY = "unready"  # crashed, or ran out of time, before it was ready
    HALTED = "halted"

    __hash__ = object.__hash__


class Verdict(enum.Enum):
    GO_ON = "go on"  # with what the branch was busy with
    RESTART = "restart"  # whoever falls with it, if the budget allows
    ABORT = "abort"  # stop those that were started; the branch could not start
    HALT = "halt"  # stop the branch for good


# What is not in this table cannot happen, and is an error.
VERDICTS: dict[tuple[Phase, End], Verdict] = {
    (Phase.STARTING, End.UNREADY): Verdict.ABORT,
    # It was ready once, and the branch is still starting others: an ordinary crash. Those not started yet
    # start after it.
    (Phase.STARTING, End.CRASHED): Verdict.RESTART,
    (Phase.STARTING, End.FINISHED): Verdict.RESTART,
    (Phase.STARTING, End.HALTED): Verdict.ABORT,
    # A restart that took the start back: what was started is being stopped, to be started once more.
    (Phase.STARTING, End.STOPPED): Verdict.GO_ON,
    (Phase.RUNNING, End.UNREADY): Verdict.RESTART,
    (Phase.RUNNING, End.CRASHED): Verdict.RESTART,
    (Phase.RUNNING, End.FINISHED): Verdict.RESTART,
    (Phase.RUNNING, End.HALTED): Verdict.HALT,
    # Only an interrupt (Ctrl-C) ends a life that nobody asked to stop; the whole tree is about to.
    (Phase.RUNNING, End.STOPPED): Verdict.GO_ON,
    # Another child dies while some are being restarted together: it counts, and the restart takes in
    # whoever falls with it. One that was about to be stopped anyway has only saved us the trouble; it ends
    # as STOPPED.
    (Phase.RESTARTING, End.UNREADY): Verdict.RESTART,
    (Phase.RESTARTING, End.CRASHED): Verdict.RESTART,
    (Phase.RESTARTING, End.FINISHED): Verdict.RESTART,
    (Phase.RESTARTING, End.HALTED): Verdict.HALT,
    (Phase.RESTARTING, End.STOPPED): Verdict.GO_ON,
    # Nothing that dies while its branch stops is restarted, whatever it died of.
    (Phase.STOPPING, End.UNREADY): Verdict.GO_ON,
    (Phase.STOPPING, End.CRASHED): Verdict.GO_ON,
    (Phase.STOPPING, End.FINISHED): Verdict.GO_ON,
    (Phase.STOPPING, End.HALTED): Verdict.GO_ON,
    (Phase.STOPPING, End.STOPPED): Verdict.GO_ON,
}


def comes_back(restart: Restart, end: End) -> bool:
    """Whether a child of this kind has another life after this end."""
    if restart is Restart.TEMPORARY:
        return False
    return restart is Restart.PERMANENT or end is not End.FINISHED


def first_to_fall(strategy: Strategy, index: int) -> int | None:
    """When child `index` crashes, this child and all to its right are restarted together; None: it alone."""
    if strategy is Strategy.ONE_FOR_ONE:
        return None
    return 0 if strategy is Strategy.ONE_FOR_ALL else index


class Spending:
    """The crashes of one branch against its budget: O(1) in time, `crashes_max` numbers in memory."""

    __slots__ = ("_budget", "_times_ns", "_within_ns")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._within_ns = int(budget.within_s * 1e9)
        self._times_ns: deque[int] = deque(maxlen=budget.crashes_max)

    def crash(self, now_ns: int) -> bool:
        """Count one; False when it is one more than the budget allows."""
        times = self._times_ns
        # If the oldest of the last `crashes_max` is within the window, then all are, and this one is too
        # much.
        if len(times) == self._budget.crashes_max and (not times or now_ns - times[0] <= self._within_ns):
            return False
        times.append(now_ns)
        return True


def delay_s(backoff: Backoff, streak: int, draw: float) -> float:
    """How long to wait before the restart number `streak` (0: the first) in a row; `draw` is uniform in [0,
    1)."""
    if streak == 0:
        return backoff.first_s
    # The exponent is capped, so that a streak of thousands does not overflow on its way to max_s.
    wanted = min(backoff.max_s, backoff.min_s * backoff.factor ** min(streak - 1, 64))
    return wanted * (1 + backoff.jitter * (2 * draw - 1))
