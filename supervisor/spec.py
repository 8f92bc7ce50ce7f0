"""The supervision tree as data: who runs, who falls with whom, how often, and how long to wait.

Erlang/OTP's supervisor, in Python values. Children start from left to right, each once the one before it is
ready, and stop from right to left. Nothing here runs anything; `check` refuses a tree that contradicts
itself before anything starts.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from supervisor.errors import TreeError
from supervisor.mailbox import Address

if TYPE_CHECKING:
    from supervisor.actor import Actor
    from supervisor.port import Port


class Restart(enum.Enum):
    """When the end of a child is followed by a new life."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # after a crash; not after it finished by itself
    TEMPORARY = "temporary"  # never, not even when its siblings are restarted with it


class Strategy(enum.Enum):
    """Who is restarted together with a child that crashed."""

    ONE_FOR_ONE = "one_for_one"  # itself only
    ONE_FOR_ALL = "one_for_all"  # every child of the branch
    REST_FOR_ONE = "rest_for_one"  # itself and every child to its right


class GiveUp(enum.Enum):
    """What a branch does that has spent its budget, or could not start."""

    # The parent counts it as one crash of one child, and restarts the branch by its own rules and budget.
    ESCALATE = "escalate"
    # The branch stops and stays stopped; `BranchGaveUp` is published; the parent never notices. For the
    # branch of one venue or one instrument: one poison frame must not take the process down.
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many crashes a branch absorbs. One more than `crashes_max` within `within_s` seconds, and it
    gives up."""

    # The two are separate choices: the burst that is still worth riding out, and the rate that is not.
    crashes_max: int = 5
    within_s: float = 60.0

    def __post_init__(self) -> None:
        if self.crashes_max < 0 or not self.within_s > 0:
            raise TreeError(
                f"Budget(crashes_max={self.crashes_max}, within_s={self.within_s}): "
                "crashes_max must be 0 or more and within_s more than 0"
            )


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a child waits before its next life.

    The first restart waits `first_s` (at once, by default: most crashes are one bad message); the n-th
    after it waits min_s * factor**(n-1), at most max_s, give or take `jitter` (a fraction: two children
    that fell together should not hammer the same venue together). After `reset_after_s` of being ready the
    count starts again.
    """

    first_s: float = 0.0
    min_s: float = 0.05
    max_s: float = 5.0
    factor: float = 2.0
    jitter: float = 0.1
    reset_after_s: float = 60.0

    def __post_init__(self) -> None:
        sound = 0 <= self.first_s <= self.max_s and 0 <= self.min_s <= self.max_s and self.factor >= 1
        if not sound or not 0 <= self.jitter < 1 or self.reset_after_s < 0:
            raise TreeError(
                f"{self}: needs 0 <= first_s, min_s <= max_s, factor >= 1, 0 <= jitter < 1 and "
                "reset_after_s >= 0"
            )


@dataclass(frozen=True, slots=True)
class Child:
    """One actor or port.

    `start` builds a new object for each life; it must not do I/O. `ports` are the addresses whose words
    reach this child while it is STARTING; everything else of the normal lane waits until it has called
    `ready()`.
    """

    address: Address
    start: Callable[[], Actor | Port]
    restart: Restart = field(default=Restart.PERMANENT, kw_only=True)
    start_timeout_s: float = field(default=10.0, kw_only=True)
    stop_timeout_s: float = field(default=2.0, kw_only=True)
    backoff: Backoff = field(default=Backoff(), kw_only=True)
    # A handler that runs longer than this is interrupted, and crashes.
    overrun_s: float = field(default=0.2, kw_only=True)
    ports: tuple[Address, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if not (self.start_timeout_s > 0 and self.stop_timeout_s > 0 and self.overrun_s > 0):
            raise TreeError(
                f"child {self.name!r}: start_timeout_s, stop_timeout_s and overrun_s must be more than 0; "
                "a wait without a limit is a hang"
            )

    @property
    def name(self) -> str:
        return self.address.name


@dataclass(frozen=True, slots=True)
class Branch:
    """Children with one fate: a strategy, a budget, and what follows when the budget is spent."""

    name: str
    strategy: Strategy
    children: tuple[Child | Branch, ...]
    budget: Budget = field(default=Budget(), kw_only=True)
    on_give_up: GiveUp = field(default=GiveUp.ESCALATE, kw_only=True)
    # How the parent treats the end of this branch; `backoff` is how long it waits before starting it again.
    restart: Restart = field(default=Restart.PERMANENT, kw_only=True)
    backoff: Backoff = field(default=Backoff(), kw_only=True)


def walk(branch: Branch) -> Iterator[Child | Branch]:
    """The branch and everything below it, in start order, parents first."""
    yield branch
    for node in branch.children:
        if isinstance(node, Branch):
            yield from walk(node)
        else:
            yield node


def check(tree: Branch) -> None:
    """Raise TreeError, naming the culprit, unless every name and every address is used once."""
    seen: dict[str, Child | Branch] = {}
    for node in walk(tree):
        if node.name in seen:
            raise TreeError(
                f"two nodes of the tree are called {node.name!r}: a name must say which one is meant"
            )
        seen[node.name] = node
        if isinstance(node, Branch) and not node.children:
            raise TreeError(f"branch {node.name!r} has no children: leave it out")
