"""What is looked at before anything is started: config, recording, keys, and a folder to keep state in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.played import narrowed, to_stderr
from actors.settings import Settings, read
from supervisor.config import ConfigError
from supervisor.secret import Secret


def looked_at(config: Path, overrides: Sequence[str] = (), recording: Path | None = None) -> Settings:
    """The settings, with a state_dir that is there. `recording` plays in place of the config's.

    Raises ConfigError or SecretError, and has then made nothing.
    """
    settings = narrowed(read(config, asked(overrides, recording)), to_stderr)
    if settings.simulated is None:
        # Our own exchange makes its keys itself; any other's must be readable, and by us alone.
        for source in (settings.venue.api_key, settings.venue.api_secret):
            Secret.load(source)
    state = settings.desk.state_dir
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            [f"{state}: cannot be the folder for the state ({error.strerror}); give [desk] another state_dir"]
        ) from error
    return settings


def asked(overrides: Sequence[str], recording: Path | None) -> list[str]:
    """The overrides, that of the recording among them, as other processes of this desk must be given them."""
    return [*overrides, *([f"simulated.recording={recording.resolve()}"] if recording is not None else [])]
