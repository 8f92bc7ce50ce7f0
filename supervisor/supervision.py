"""Carries out what `policy` says: who is stopped, who is started, in which order, when.

Nothing here calls back into itself: a life that ends or gets ready only leaves a note in `pending`, and
`settle` works them off one by one. A branch that stops several children does one a turn (`step`), so that
the last words of each are read by those that stop after it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from supervisor.events import BranchGaveUp, Halted
from supervisor.node import DOWN, OUT, BranchNode, Cell, Node, State
from supervisor.policy import VERDICTS, End, Phase, Spending, Verdict, comes_back, delay_s, first_to_fall
from supervisor.reports import one_line
from supervisor.spec import GiveUp, Restart, Strategy

if TYPE_CHECKING:
    from supervisor.dispatcher import Dispatcher

Child = Cell | BranchNode


class Supervision:
    """The running tree. `finished` says how the root ended; None while it has not."""

    def __init__(self, dispatcher: Dispatcher, root: BranchNode) -> None:
        self._dispatcher = dispatcher
        self._root = root
        self.pending: deque[tuple[Child, End | None, BaseException | None]] = deque()
        self._later: deque[BranchNode] = deque()
        self.finished: tuple[End, BaseException | None] | None = None
        self.interrupted: BaseException | None = None

    @property
    def busy(self) -> bool:
        return bool(self.pending or self._later)

    def start(self) -> None:
        """Start the root. It is ready when its state is RUNNING."""
        self._begin(self._root)

    def stop(self) -> None:
        """Stop the root, in order; `finished` is set when that is done."""
        if self._root.incarnation == 0:
            self._finish(End.STOPPED, None)
        elif self._root.state is not State.ENDED:
            self._wind_down(self._root, End.STOPPED, None)

    def interrupt(self, error: BaseException) -> None:
        """Stop everything, and let whoever runs the tree raise `error` afterwards."""
        self.interrupted = self.interrupted or error
        self.stop()

    def ended(self, node: Child, end: End, error: BaseException | None) -> None:
        self.pending.append((node, end, error))

    def became_ready(self, node: Child) -> None:
        # A branch that is RUNNING waits for nobody.
        if node.parent is not None and node.parent.phase is not Phase.RUNNING:
            self.pending.append((node, None, None))

    def settle(self) -> None:
        """Work off everything that has happened."""
        pending = self.pending
        while pending:
            node, end, error = pending.popleft()
            if end is not None:
                self._ended(node, end, error)
            elif node.parent is not None:
                self._advance(node.parent)

    def step(self) -> None:
        """Once a turn: settle, and let each branch that stops children stop its next one."""
        if self.pending:
            self.settle()
        for _ in range(len(self._later)):
            self._advance(self._later.popleft())
        if self.pending:
            self.settle()

    # -- what follows when a child ends ------------------------------------------------------------------

    def _ended(self, node: Child, end: End, error: BaseException | None) -> None:
        branch = node.parent
        now_ns = self._dispatcher.now_ns
        node.enter(State.STOPPED, now_ns)
        if branch is None:
            self._finish(end, error)
            return
        if node.index in branch.to_stop:
            end = End.STOPPED
        verdict = VERDICTS[branch.phase, end]
        if verdict is Verdict.RESTART and not comes_back(node.spec.restart, end):
            self._out(node, State.FINISHED)
            self._advance(branch)
        elif verdict is Verdict.RESTART and branch.spending.crash(now_ns):
            self._restart(branch, node)
        elif verdict is Verdict.RESTART:
            self._wind_down(branch, End.UNREADY if branch.ready_ns is None else End.CRASHED, error)
        elif verdict is Verdict.ABORT:
            self._wind_down(branch, End.UNREADY, error)
        elif verdict is Verdict.HALT:
            event = Halted(branch=branch.name, child=node.name, error=one_line(error) if error else "")
            self._dispatcher.publish(event)
            self._wind_down(branch, End.HALTED, error)
        elif branch.to_stop:
            self._later.append(branch)
        else:
            self._advance(branch)

    def _restart(self, branch: BranchNode, node: Child) -> None:
        now_ns = self._dispatcher.now_ns
        wait_ns = self._next_wait_ns(node, now_ns)
        node.restarts += 1
        first = first_to_fall(branch.spec.strategy, node.index)
        if first is None:
            if wait_ns <= 0:
                self._begin(node)
            else:
                node.enter(State.BACKOFF, now_ns)
                node.timer = self._dispatcher.timers.set(now_ns + wait_ns, self._backoff_over, node)
            return
        # A restart that is under way already only ever grows to the left: whoever is to its right is down.
        fallen = range(first, len(branch.children))
        branch.to_stop = [i for i in fallen if branch.children[i].state not in OUT]
        branch.to_start = [i for i in fallen if self._starts_again(branch.children[i])]
        for i in branch.to_start:
            if branch.children[i].state is State.FINISHED:
                branch.children[i].enter(State.STOPPED, now_ns)
        branch.resume_ns = max(branch.resume_ns, now_ns + wait_ns)
        if branch.phase is Phase.RUNNING:
            branch.phase = Phase.RESTARTING
            branch.enter(State.RESTARTING, now_ns)
        self._advance(branch)

    def _starts_again(self, child: Child) -> bool:
        """Whether it is started when the branch restarts several. As in OTP, a TEMPORARY child is not, and
        a TRANSIENT one that had finished is."""
        if child.spec.restart is Restart.TEMPORARY:
            # One that has not had its first start yet is still owed that.
            return child.incarnation == 0
        return child.state not in (State.GAVE_UP, State.HALTED)

    def _next_wait_ns(self, node: Child, now_ns: int) -> int:
        backoff = node.spec.backoff
        healthy = node.ready_ns is not None and now_ns - node.ready_ns >= backoff.reset_after_s * 1e9
        if healthy:
            node.streak = 0
        wait_s = delay_s(backoff, node.streak, self._dispatcher.world.random.random() if node.streak else 0.5)
        node.streak += 1
        return int(wait_s * 1e9)

    def _backoff_over(self, node: Child) -> None:
        node.timer = None
        self._begin(node)
        self.settle()

    # -- beginning and stopping --------------------------------------------------------------------------

    def _begin(self, node: Child) -> None:
        if isinstance(node, Cell):
            self._dispatcher.lives.begin(node)
            return
        now_ns = self._now_ns
        node.incarnation += 1
        node.ready_ns = None
        node.started_ns = now_ns
        node.phase = Phase.STARTING
        node.spending = Spending(node.spec.budget)
        node.resume_ns = 0
        node.to_stop = []
        node.to_start = list(range(len(node.children)))
        # Whoever had given up below starts anew with the branch.
        for child in node.children:
            child.enter(State.STOPPED, now_ns)
        node.enter(State.STARTING, now_ns)
        self._advance(node)

    def _wind_down(self, branch: BranchNode, end: End, error: BaseException | None) -> None:
        """Stop all children, right to left; the branch then ends like this."""
        if branch.phase is Phase.STOPPING or branch.state in DOWN:
            return
        branch.phase = Phase.STOPPING
        branch.enter(State.STOPPING, self._now_ns)
        branch.outcome = (end, error)
        branch.to_start = []
        branch.to_stop = list(range(len(branch.children)))
        self._advance(branch)

    def _advance(self, branch: BranchNode) -> None:
        """Do what the branch can do next; called again whenever something that it waits for has happened."""
        if branch.to_stop and not self._stop_next(branch):
            return
        if branch.phase is Phase.STOPPING:
            if branch.state is State.STOPPING:
                self._stopped(branch)
            return
        if branch.to_start:
            if self._now_ns < branch.resume_ns:
                if branch.timer is None:
                    at_ns = branch.resume_ns
                    branch.timer = self._dispatcher.timers.set(at_ns, self._resume, branch)
                return
            if not self._start_next(branch):
                return
        if branch.phase is not Phase.RUNNING:
            branch.phase = Phase.RUNNING
            branch.enter(State.RUNNING, self._now_ns)
            if branch.ready_ns is None:
                branch.ready_ns = self._now_ns
                self.became_ready(branch)

    def _resume(self, branch: BranchNode) -> None:
        branch.timer = None
        self._advance(branch)
        self.settle()

    def _stop_next(self, branch: BranchNode) -> bool:
        """True when everything that was to be stopped is down."""
        for index in branch.to_stop:
            self._cancel_backoff(branch.children[index])
        self._cancel_backoff(branch)
        while branch.to_stop:
            node = branch.children[branch.to_stop[-1]]
            if node.state in DOWN:
                branch.to_stop.pop()
                if (
                    node.spec.restart is Restart.TEMPORARY
                    and branch.phase is not Phase.STOPPING
                    and node.incarnation
                ):
                    self._out(node, State.FINISHED)
                continue
            if node.state in (State.STARTING, State.RUNNING, State.RESTARTING):
                if isinstance(node, Cell):
                    self._dispatcher.lives.stop(node)
                else:
                    self._wind_down(node, End.STOPPED, None)
            return False
        return True

    def _start_next(self, branch: BranchNode) -> bool:
        """True when everything that was to be started is ready."""
        while branch.to_start:
            node = branch.children[branch.to_start[0]]
            if node.state is State.STOPPED:
                self._begin(node)
            if node.state in (State.STOPPED, State.STARTING, State.ENDED, State.STOPPING):
                return False
            branch.to_start.pop(0)
        return True

    def _stopped(self, branch: BranchNode) -> None:
        """All children of a branch that was winding down have stopped."""
        end, error = branch.outcome
        gave_up = end in (End.CRASHED, End.UNREADY)
        alone = branch.spec.on_give_up is GiveUp.ALONE
        parent = branch.parent
        if gave_up:
            cause = one_line(error) if error is not None else "a child ended"
            self._dispatcher.publish(BranchGaveUp(name=branch.name, alone=alone, cause=cause))
            if error is not None:
                branch.last_error = one_line(error)
        if end is End.HALTED and parent is not None and parent.phase is not Phase.STARTING:
            # Siblings that do not fall with it go on without it; only a person can bring it back.
            alone = alone or parent.spec.strategy is Strategy.ONE_FOR_ONE
        if parent is not None and alone and end is not End.STOPPED:
            self._out(branch, State.HALTED if end is End.HALTED else State.GAVE_UP)
            self.became_ready(branch)
            return
        branch.enter(State.ENDED, self._now_ns)
        self.ended(branch, end, error)

    def _finish(self, end: End, error: BaseException | None) -> None:
        self._out(self._root, self._root.state)
        self.finished = (end, error)

    def _out(self, node: Child, state: State) -> None:
        """It has had its last life, unless a branch above is started anew."""
        node.enter(state, self._now_ns)
        for cell in node.cells() if isinstance(node, BranchNode) else [node]:
            self._dispatcher.lives.close(cell)

    def _cancel_backoff(self, node: Node) -> None:
        if node.timer is not None and (isinstance(node, BranchNode) or node.state is State.BACKOFF):
            self._dispatcher.timers.cancel(node.timer)
            node.timer = None
            if node.state is State.BACKOFF:
                node.enter(State.STOPPED, self._now_ns)

    @property
    def _now_ns(self) -> int:
        return self._dispatcher.now_ns
