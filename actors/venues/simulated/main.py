"""The venue as a process: reads a config, says where it listens, serves until it is told to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from actors.venues.simulated.server import RunningVenue, serve
from actors.venues.simulated.server_config import ServerConfig
from supervisor.config import ConfigError, load

# Between the word that the server goes and its end: enough for the word to arrive.
FAREWELL_S = 0.2


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m actors.venues.simulated.main CONFIG`; gives the exit code (2: the config is refused)."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m actors.venues.simulated.main CONFIG.toml\n")
        return 2
    code = 0
    try:
        trio.run(run_venue, load(Path(arguments[0]), ServerConfig), announce_on_stdout)
    except* (ConfigError, ValueError, OSError) as group:
        for error in _leaves(group):
            sys.stderr.write(f"{error}\n")
        code = 2
    return code


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def announce_on_stdout(port: int) -> None:
    """One line, for people and for whoever started this process with port 0."""
    sys.stdout.write(f"venue listening on port {port}\n")
    sys.stdout.flush()


async def run_venue(config: ServerConfig, announce: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is called once with the port when the venue listens.

    Clients are told (serverShutdown) before the end. Raises what `serve` raises.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            venue: RunningVenue = await nursery.start(serve, config)
            announce(venue.port)
            async for _ in signals:
                venue.server.connections.announce_shutdown()
                await trio.sleep(FAREWELL_S)
                nursery.cancel_scope.cancel()
                return


if __name__ == "__main__":
    sys.exit(main())
