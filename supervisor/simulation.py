"""Runs a tree of actors in simulated time: the production dispatcher and supervision, one seed, no Trio.

A tree that has ports in life is given actors in their place here (their sessions driven by a simulated
network). The same seed gives the same history to the last message, in every process; another seed another.
"""

from __future__ import annotations

import hashlib

from supervisor.dispatcher import Dispatcher
from supervisor.errors import TreeError
from supervisor.mailbox import Address
from supervisor.message import Message
from supervisor.node import Cell
from supervisor.port import Port
from supervisor.spec import Branch
from supervisor.timers import NEVER_NS
from supervisor.world import SimulatedWorld


class Simulation:
    """One tree under one clock. Call `start`, then `run_for`; look at `events`, `dispatcher` and
    `history`."""

    def __init__(self, tree: Branch, seed: int = 0, *, world: SimulatedWorld | None = None) -> None:
        self.world = world or SimulatedWorld(seed)
        self.dispatcher = Dispatcher(tree, self.world, self)
        self.events: list[Message] = []
        self.handled = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self.dispatcher.trace = self._trace

    @property
    def now_s(self) -> float:
        return self.world.time_ns / 1e9

    @property
    def history(self) -> str:
        """A hash over every message that was handled so far: when, by whom, what."""
        return self._hash.hexdigest()

    def start(self) -> None:
        """Start the tree, and let it run until nothing more happens by itself at this time."""
        self.dispatcher.supervision.start()
        self.settle()

    def stop(self) -> None:
        self.dispatcher.supervision.stop()
        self.settle()

    def tell(self, to: Address, message: Message) -> bool:
        """From outside the tree. Nobody handles it before `settle` or `run_for`."""
        return self.dispatcher.post(to, (message, None, 0))

    def crash(self, name: str) -> None:
        cell = next(cell for cell in self.dispatcher.cells.values() if cell.name == name)
        self.dispatcher.lives.chaos(cell)

    def settle(self, turns_max: int = 100_000) -> None:
        """Turn until nothing is left to do now. Raises RuntimeError if there is no end to it."""
        dispatcher = self.dispatcher
        for _ in range(turns_max):
            dispatcher.turn()
            self._collect()
            if not dispatcher.has_work and dispatcher.next_ns > self.world.time_ns:
                return
        raise RuntimeError(f"no end after {turns_max} turns at {self.now_s:.6f} s: messages breed messages")

    def run_for(self, seconds: float) -> None:
        """Let so much simulated time pass."""
        until_ns = self.world.time_ns + int(seconds * 1e9)
        self.settle()
        while (next_ns := self.dispatcher.next_ns) <= until_ns and next_ns != NEVER_NS:
            self.world.advance_to(max(next_ns, self.world.time_ns))
            self.settle()
        self.world.advance_to(until_ns)
        self.dispatcher.touch()

    def _trace(self, at_ns: int, name: str, message: Message) -> None:
        self.handled += 1
        self._hash.update(f"{at_ns} {name} {message!r}\n".encode())

    def _collect(self) -> None:
        while self.dispatcher.crashes:
            self.dispatcher.publish(self.dispatcher.crashes.format_next())
        self.events.extend(self.dispatcher.events)
        self.dispatcher.events.clear()

    # -- there are no ports here -------------------------------------------------------------------------

    def begin(self, cell: Cell, port: Port) -> None:
        raise TreeError(
            f"{cell.name!r} is a Port ({type(port).__name__}): a simulation has no pumps; give an Actor"
        )

    def cancel(self, cell: Cell) -> None:
        raise NotImplementedError

    def stuck(self, cell: Cell) -> None:
        raise NotImplementedError
