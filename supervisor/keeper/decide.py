"""What the keeper does about one child process: a state machine over what it sees, without looking by itself.

Given: looks (beat, memory, how long the kernel let the child wait), ends (from waitpid), and time. Taken:
acts. A child that is silent, stuck, too large or never ready goes down a *ladder*, one act after the other,
until waitpid says that it is gone; only then is there a next life. The rules of silence:

- Only time in which the keeper itself was on time counts: who sleeps through a pause must not blame others.
- Time that a runnable child waited for a processor does not count: a busy machine is not a stall.
- Both are bounded: LOOKS_MAX looks without a beat are a stall, whatever the clock says.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from supervisor.policy import Spending, delay_s
from supervisor.spec import Backoff, Budget

# A look that comes later than this after the one before says nothing about the child.
LATE_S = 0.2
LOOKS_MAX = 200
# Killed, and still there: it hangs in the kernel, on a dead disk for example.
UNKILLABLE_S = 10.0
# What restarting cannot mend: the program says so with this exit code (EX_CONFIG of sysexits.h).
EXIT_CONFIG = 78


class Phase(enum.Enum):
    """Where one child is in its lives."""

    WAITING = "waiting"  # for the moment of its next life
    STARTING = "starting"  # it runs, and has not been ready and beaten yet
    RUNNING = "running"
    ENDING = "ending"  # on a ladder
    ENDED = "ended"  # for good


class Event(enum.Enum):
    """What can happen to it."""

    START = "start"
    READY = "ready"
    FAULT = "fault"
    STOP = "stop"  # somebody wants it to end
    GONE_RESTART = "gone, to come back"
    GONE_FOR_GOOD = "gone for good"


# What is not in this table cannot happen, and is an error.
TRANSITIONS: dict[tuple[Phase, Event], Phase] = {
    (Phase.WAITING, Event.START): Phase.STARTING,
    (Phase.WAITING, Event.STOP): Phase.ENDED,
    # It could not even be started: that counts as a life.
    (Phase.STARTING, Event.GONE_RESTART): Phase.WAITING,
    (Phase.STARTING, Event.GONE_FOR_GOOD): Phase.ENDED,
    (Phase.STARTING, Event.READY): Phase.RUNNING,
    (Phase.STARTING, Event.FAULT): Phase.ENDING,
    (Phase.STARTING, Event.STOP): Phase.ENDING,
    (Phase.RUNNING, Event.FAULT): Phase.ENDING,
    (Phase.RUNNING, Event.STOP): Phase.ENDING,
    (Phase.RUNNING, Event.GONE_RESTART): Phase.WAITING,
    (Phase.RUNNING, Event.GONE_FOR_GOOD): Phase.ENDED,
    # It is on its way out already; that nobody wants it back is noted beside the phase.
    (Phase.ENDING, Event.STOP): Phase.ENDING,
    (Phase.ENDING, Event.GONE_RESTART): Phase.WAITING,
    (Phase.ENDING, Event.GONE_FOR_GOOD): Phase.ENDED,
    (Phase.ENDED, Event.STOP): Phase.ENDED,
}


class Fault(enum.Enum):
    """What was found, as the middle of an incident's key."""

    UNREADY = "unready"
    SILENT = "silent"
    STUCK = "stuck"
    MEMORY = "memory"
    DIED = "died"
    UNKILLABLE = "unkillable"
    GAVE_UP = "gave-up"


class Do(enum.Enum):
    """What the shell can do."""

    START = "start"
    ASK_TASKS = "ask for its tasks' stacks"
    LEAVE = "cut its lifeline: keep the stops and end"
    TERM = "SIGTERM"
    ABORT = "SIGABRT"
    KILL = "SIGKILL"
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do; `fault` and `words` are there with TELL."""

    do: Do
    fault: Fault | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a child counts as broken, and what that may cost. Seconds and bytes."""

    # From its start to ready and the first beat: imports, keys, the venue's rules.
    grace_s: float = 30.0
    # A trading loop that does not turn for a second does not cancel either. None: this child gives no beats.
    stall_s: float | None = 1.0
    # Longer than any answer that a port may wait for while others queue behind it.
    progress_s: float = 6.0
    rss_bytes_max: int | None = None
    # SIGABRT writes the stacks in some milliseconds; one that is frozen writes none.
    abort_s: float = 0.3
    # After its lifeline was cut: cancel entries, keep stops. The lifeline itself allows 1.5 s.
    leave_s: float = 2.0
    # After SIGTERM, in an orderly stop.
    stop_s: float = 5.0
    # False: there is no second life (the demo's exchange would not know its past).
    comes_back: bool = True
    budget: Budget = field(default_factory=lambda: Budget(crashes_max=5, within_s=60.0))
    backoff: Backoff = field(default_factory=lambda: Backoff(min_s=0.25, max_s=10.0))

    def __post_init__(self) -> None:
        waits = (self.grace_s, self.progress_s, self.abort_s, self.leave_s, self.stop_s)
        if any(not wait > 0 for wait in waits):
            raise ValueError(f"{self}: every wait must be more than 0; a wait without a limit is a hang")
        if self.stall_s is not None and not self.stall_s > LATE_S:
            raise ValueError(
                f"stall_s {self.stall_s:g} must be more than {LATE_S:g}: the keeper looks no closer than that"
            )


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look shows. `sequence` is that of its last beat (None: none yet, or torn in writing)."""

    is_ready: bool = False
    sequence: int | None = None
    # The child of its tree that has waited longest with work in its mailbox, and what it had handled by then.
    stuck: str = ""
    stuck_done: int = 0
    rss_bytes: int = 0
    # How long the kernel had it wait for a processor, since its start.
    starved_ns: int = 0
    # Of itself: why it gives no beat, and which actor was running when last seen.
    complaint: str = ""
    running: str = ""


class Ward:
    """One child of the keeper, over all its lives. Every method returns what is to be done, in order."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.phase = Phase.WAITING
        self.life = 0
        self.fault: Fault | None = None
        """What the present life is being ended for."""
        self.exit_code: int | None = None
        self.gave_up = False
        self._wanted = True
        self._stopping = False
        self._due_ns: int | None = None
        self._spending = Spending(limits.budget)
        self._streak = 0
        self._begin_life(0)

    def _begin_life(self, now_ns: int) -> None:
        self._began_ns = self._looked_ns = now_ns
        self._ready_ns: int | None = None
        self._ladder: list[tuple[Do, float]] = []
        self._step_ns: int | None = None
        self._sequence: int | None = None
        self._silent_ns = self._silent_looks = 0
        self._stuck: tuple[str, int] = ("", 0)
        self._stuck_ns = 0
        self._starved_ns = 0
        self.fault = None

    @property
    def is_alive(self) -> bool:
        """There is a process of it."""
        return self.phase in (Phase.STARTING, Phase.RUNNING, Phase.ENDING)

    # -- what happens ---------------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[Act]:
        """Its first life, at once."""
        self._due_ns = now_ns
        return self.look(now_ns, Sight())

    def look(self, now_ns: int, sight: Sight) -> list[Act]:
        """One look. To be called every 50 ms or so, whatever the phase."""
        if self.phase is Phase.WAITING:
            if self._due_ns is None or now_ns < self._due_ns:
                return []
            self._due_ns = None
            self._to(Event.START)
            self.life += 1
            self._begin_life(now_ns)
            return [Act(Do.START)]
        if self.phase is Phase.ENDING:
            return self._climb(now_ns)
        if self.phase is Phase.ENDED:
            return []
        found = self._examine(now_ns, sight)
        if found is None:
            return []
        self.fault, words = found
        self._to(Event.FAULT)
        return [Act(Do.TELL, self.fault, words), *self._descend(now_ns, self._steps(self.fault))]

    def ended(self, now_ns: int, code: int) -> list[Act]:
        """Waitpid has it, with this exit code (below 0: that signal), or it could not be started (127)."""
        self.exit_code = code
        # On a ladder, it was told when the ladder began, or nobody need be told.
        told = [] if self.phase is Phase.ENDING else [Act(Do.TELL, Fault.DIED, "")]
        if not self._wanted:
            self._to(Event.GONE_FOR_GOOD)
            return told
        why = self._why_not_again(now_ns, code)
        if why:
            self.gave_up = True
            self._to(Event.GONE_FOR_GOOD)
            return [*told, Act(Do.TELL, Fault.GAVE_UP, why)]
        healthy_ns = int(self.limits.backoff.reset_after_s * 1e9)
        if self._ready_ns is not None and now_ns - self._ready_ns >= healthy_ns:
            self._streak = 0
        # No jitter: one keeper, few children, nobody to run into.
        self._due_ns = now_ns + int(delay_s(self.limits.backoff, self._streak, 0.5) * 1e9)
        self._streak += 1
        self._to(Event.GONE_RESTART)
        return told

    def let_go(self) -> None:
        """A stop is coming: from now on nothing brings it back, whatever it dies of."""
        self._wanted = False
        if self.phase is Phase.WAITING:
            self._to(Event.STOP)

    def stop(self, now_ns: int) -> list[Act]:
        """End it, in order if it lets us."""
        self.let_go()
        if self._stopping:
            return []
        self._stopping = True
        had_process, was_ending = self.is_alive, self.phase is Phase.ENDING
        self._to(Event.STOP)
        if not had_process or was_ending:
            return []
        limits = self.limits
        steps = [(Do.TERM, limits.stop_s), (Do.ABORT, limits.abort_s), (Do.KILL, UNKILLABLE_S)]
        return self._descend(now_ns, steps)

    # -- ladders --------------------------------------------------------------------------------------------

    def _steps(self, fault: Fault) -> list[tuple[Do, float]]:
        limits = self.limits
        down = [(Do.ABORT, limits.abort_s), (Do.KILL, UNKILLABLE_S)]
        match fault:
            case Fault.STUCK:
                # Its loop turns, so it can say itself where each of its tasks waits.
                return [(Do.ASK_TASKS, limits.abort_s), *down]
            case Fault.MEMORY:
                # It works: let it cancel its entries first. Stacks would say nothing.
                return [(Do.LEAVE, limits.leave_s), (Do.KILL, UNKILLABLE_S)]
            case _:
                return down

    def _descend(self, now_ns: int, steps: list[tuple[Do, float]]) -> list[Act]:
        self._ladder = steps
        self._step_ns = now_ns
        return self._climb(now_ns)

    def _climb(self, now_ns: int) -> list[Act]:
        """The next act of the ladder, if it is time; after the last one, say so once."""
        if self._step_ns is None or now_ns < self._step_ns:
            return []
        if not self._ladder:
            self._step_ns = None
            words = f"it was sent SIGKILL {UNKILLABLE_S:g} s ago and is still there: it hangs in the kernel"
            return [Act(Do.TELL, Fault.UNKILLABLE, words)]
        do, wait_s = self._ladder.pop(0)
        self._step_ns = now_ns + int(wait_s * 1e9)
        return [Act(do)]

    # -- what a look shows ----------------------------------------------------------------------------------

    def _examine(self, now_ns: int, sight: Sight) -> tuple[Fault, str] | None:
        gap_ns = now_ns - self._looked_ns
        self._looked_ns = now_ns
        starved_ns = max(0, sight.starved_ns - self._starved_ns)
        self._starved_ns = sight.starved_ns
        on_time = gap_ns <= LATE_S * 1e9
        counts_ns = max(0, gap_ns - starved_ns) if on_time else 0
        limits = self.limits
        beats = limits.stall_s is not None
        has_beaten = sight.sequence is not None and sight.sequence != self._sequence
        if self.phase is Phase.STARTING:
            if sight.is_ready and (has_beaten or not beats):
                self._to(Event.READY)
                self._ready_ns = now_ns
            elif now_ns - self._began_ns > limits.grace_s * 1e9:
                return Fault.UNREADY, f"not ready {limits.grace_s:g} s after its start{_of_itself(sight)}"
        if limits.rss_bytes_max is not None and sight.rss_bytes > limits.rss_bytes_max:
            used, limit = sight.rss_bytes / 1e6, limits.rss_bytes_max / 1e6
            return Fault.MEMORY, f"it uses {used:.0f} MB of memory; {limit:.0f} MB is its limit"
        if not beats or self.phase is not Phase.RUNNING:
            return None
        if has_beaten:
            self._sequence = sight.sequence
            self._silent_ns = self._silent_looks = 0
            return self._examine_progress(sight, counts_ns)
        return self._examine_silence(sight, counts_ns)

    def _examine_silence(self, sight: Sight, counts_ns: int) -> tuple[Fault, str] | None:
        assert self.limits.stall_s is not None
        self._silent_ns += counts_ns
        self._silent_looks += 1
        if self._silent_ns < self.limits.stall_s * 1e9 and self._silent_looks < LOOKS_MAX:
            return None
        return Fault.SILENT, f"no sign of life for {self.limits.stall_s:g} s{_of_itself(sight)}"

    def _examine_progress(self, sight: Sight, counts_ns: int) -> tuple[Fault, str] | None:
        """Counted from beat to beat, by the keeper's clock: a child that was paused had no chance to work."""
        stuck = (sight.stuck, sight.stuck_done)
        self._stuck_ns = self._stuck_ns + counts_ns if sight.stuck and stuck == self._stuck else 0
        self._stuck = stuck
        if self._stuck_ns < self.limits.progress_s * 1e9:
            return None
        return Fault.STUCK, (
            f"{sight.stuck} has work and has not moved for {self.limits.progress_s:g} s, while the loop turns"
        )

    def _why_not_again(self, now_ns: int, code: int) -> str:
        if code == EXIT_CONFIG:
            return f"it ended with exit code {EXIT_CONFIG}: a config or a key is wrong"
        if not self.limits.comes_back:
            return "it is not started a second time: a new one would not know what the old one did"
        if not self._spending.crash(now_ns):
            budget = self.limits.budget
            return f"it ended more than {budget.crashes_max} times within {budget.within_s:g} s"
        return ""

    def _to(self, event: Event) -> None:
        self.phase = TRANSITIONS[self.phase, event]


def _of_itself(sight: Sight) -> str:
    said = f"; it says: {sight.complaint}" if sight.complaint else ""
    return f"; last seen running: {sight.running}{said}" if sight.running else said
