"""Who is crashed next, under which condition, and how soon its branch can bear it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from typing import Literal, NamedTuple

from supervisor.spec import Branch, Budget, Child, Strategy

Condition = Literal["held", "in_flight", "any"]

# More of each than is asked for (half and a fifth), since what is caught may be gone a moment later. Nine shares no
# factor with the fourteen children of a desk with one pair, so every child meets another condition in each round.
CONDITIONS: tuple[Condition, ...] = (
    "held", "in_flight", "held", "any", "held", "in_flight", "held", "held", "in_flight",
)  # fmt: skip
# A branch may crash again this long after its window is over: its clock is not ours.
MARGIN_S = 1.0


class Victim(NamedTuple):
    """One child of the tree."""

    name: str
    branch: str
    budget: Budget
    falls_with: frozenset[str]
    """Who is restarted with it, by the tree."""


def victims(tree: Branch) -> tuple[Victim, ...]:
    """Every actor and port, a branch's after each other's turn about, so that no branch has to bear its crashes in a
    row."""
    rows = [list(_of_branch(branch)) for branch in _branches(tree)]
    return tuple(each for column in zip_longest(*rows) for each in column if each is not None)


def condition(trial: int) -> Condition:
    """What trial number `trial` (from 0) waits for."""
    return CONDITIONS[trial % len(CONDITIONS)]


class Pacing:
    """Keeps crashes within the budgets of their branches: a branch that gives up is another experiment."""

    def __init__(self) -> None:
        self._crashes_s: dict[str, deque[float]] = {}

    def wait_s(self, victim: Victim, now_s: float) -> float:
        """How long until the branch can bear one crash more."""
        crashes = self._crashes_s.get(victim.branch)
        if crashes is None or len(crashes) < victim.budget.crashes_max:
            return 0.0
        return max(0.0, crashes[0] + victim.budget.within_s + MARGIN_S - now_s)

    def crashed(self, victim: Victim, now_s: float) -> None:
        kept = deque[float](maxlen=max(1, victim.budget.crashes_max))
        self._crashes_s.setdefault(victim.branch, kept).append(now_s)


def _branches(tree: Branch) -> Iterator[Branch]:
    yield tree
    for node in tree.children:
        if isinstance(node, Branch):
            yield from _branches(node)


def _of_branch(branch: Branch) -> Iterator[Victim]:
    for at, node in enumerate(branch.children):
        if isinstance(node, Child):
            others = _fallen(branch, at)
            yield Victim(node.name, branch.name, branch.budget, frozenset(others) - {node.name})


def _fallen(branch: Branch, at: int) -> list[str]:
    match branch.strategy:
        case Strategy.ONE_FOR_ONE:
            fallen = branch.children[at : at + 1]
        case Strategy.REST_FOR_ONE:
            fallen = branch.children[at:]
        case Strategy.ONE_FOR_ALL:
            fallen = branch.children
    return [name for node in fallen for name in _names(node)]


def _names(node: Child | Branch) -> list[str]:
    if isinstance(node, Child):
        return [node.name]
    return [name for child in node.children for name in _names(child)]
