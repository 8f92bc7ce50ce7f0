"""Time, chance and identity: everything that differs between life and simulation."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from random import Random


class World:
    """What a running tree may ask of the outside. Nothing below `supervisor.runtime` reads a clock in
    another way."""

    # Nanoseconds since some fixed moment; never goes back. Held as attributes, so that life pays no extra
    # call for them.
    monotonic_ns: Callable[[], int]
    # Nanoseconds of UTC since 1970. May jump; for stamps on what leaves the process, never for measuring.
    wall_ns: Callable[[], int]
    random: Random
    # Simulation only: picks which of the runnable actors goes next. None means first in, first out.
    scheduling: Random | None = None

    def new_id(self) -> str:
        """16 hexadecimal digits, never the same twice."""
        raise NotImplementedError


class RealWorld(World):
    """The host's clocks and entropy."""

    def __init__(self) -> None:
        self.monotonic_ns = time.monotonic_ns
        self.wall_ns = time.time_ns
        self.random = Random()

    def new_id(self) -> str:
        return secrets.token_hex(8)


class SimulatedWorld(World):
    """One seed, one history: time moves only when it is told to, and every choice comes from the seed."""

    # 2024-01-01T00:00:00Z: an arbitrary day, the same in every run.
    EPOCH_WALL_NS = 1_704_067_200_000_000_000

    def __init__(self, seed: int, *, start_ns: int = 1_000_000_000) -> None:
        self.seed = seed
        self.time_ns = start_ns
        self.wall_offset_ns = self.EPOCH_WALL_NS - start_ns
        self.random = Random(f"{seed}/world")
        # A stream of its own: an actor that draws one number more must not change who runs next.
        self.scheduling = Random(f"{seed}/scheduling")
        self._ids = Random(f"{seed}/ids")
        self.monotonic_ns = self._monotonic_ns
        self.wall_ns = self._wall_ns

    def new_id(self) -> str:
        return f"{self._ids.getrandbits(64):016x}"

    def advance_to(self, time_ns: int) -> None:
        """Move the clock forward; an earlier time is refused with ValueError."""
        if time_ns < self.time_ns:
            raise ValueError(f"time cannot go back from {self.time_ns} to {time_ns}")
        self.time_ns = time_ns

    def _monotonic_ns(self) -> int:
        return self.time_ns

    def _wall_ns(self) -> int:
        return self.time_ns + self.wall_offset_ns
