"""The simulated exchange as a process of its own: for a desk that starts it beside itself, or for a
person."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from actors.played import narrowed, to_stderr
from actors.settings import read
from actors.venues.simulated.main import run_venue
from supervisor.config import ConfigError
from supervisor.keeper.lifeline import Lifeline


def serve_venue(config: Path, overrides: Sequence[str]) -> int:
    """Serve the [simulated] of a desk's config until SIGTERM or Ctrl-C; returns the exit code.

    Says its port on the lifeline of whoever started it, else on standard output. Raises ConfigError.
    """
    lifeline = Lifeline.take()
    settings = narrowed(read(config, overrides), to_stderr)
    if settings.simulated is None:
        raise ConfigError(
            [f"{config}: has no table [simulated], so there is no exchange to run; see configs/demo.toml"]
        )

    def announce(port: int) -> None:
        if lifeline is not None:
            lifeline.ready(str(port))
        else:
            sys.stdout.write(f"the simulated exchange listens on http://127.0.0.1:{port}; Ctrl-C ends it\n")
            sys.stdout.flush()

    trio.run(run_venue, settings.simulated, announce)
    return 0
