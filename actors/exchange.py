"""Our own exchange beside a desk: its record, where it is, and what of an earlier one must not be believed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from actors.settings import Settings
from actors.tree import JOURNAL_FILE
from supervisor.config import ConfigError
from supervisor.failover.local import EPOCH_FILE, LOCK_FILE, holder_words, take

RECORD_TIMEOUT_S = 20.0
VENUE_LOG_FILE = "venue.log"


class Recorded(NamedTuple):
    """What our own exchange kept. All None where the exchange is not ours."""

    record: dict[str, Any] | None = None
    counts: dict[str, Any] | None = None
    """The exchange's summary of our account."""
    missing: str = ""
    """Why there is no record although the exchange is ours."""


async def record_of(settings: Settings) -> Recorded:
    """Ask our own exchange, if the config has one. One that died has no record: the run is then unproven, and not
    lost."""
    # Not at the top: the keeper wants the rest of this file without it.
    import httpx

    if settings.simulated is None:
        return Recorded()
    try:
        async with httpx.AsyncClient(base_url=settings.venue.rest_url, timeout=RECORD_TIMEOUT_S) as client:
            record = (await client.get("/control/record")).raise_for_status().json()
            summary = (await client.get("/control/summary")).raise_for_status().json()
    except httpx.HTTPError as error:
        where = settings.desk.state_dir / VENUE_LOG_FILE
        return Recorded(
            missing=f"the exchange's record cannot be had ({error}); if it died, {where} says of what"
        )
    return Recorded(record, summary["accounts"][settings.venue.account])


def set_aside(state_dir: Path) -> None:
    """Move journal and lease of the run before into `previous/`.

    Our own exchange lives as long as the run, and forgets; to keep the journal of the one before would be to believe
    in fills that never were there. Raises ConfigError if a desk still runs on that folder.
    """
    lock = state_dir / LOCK_FILE
    with lock.open("a+") as file:
        if not take(file.fileno()):
            raise ConfigError([holder_words(lock)])
        previous = state_dir / "previous"
        shutil.rmtree(previous, ignore_errors=True)
        previous.mkdir(mode=0o700)
        for name in (JOURNAL_FILE, EPOCH_FILE):
            for each in state_dir.glob(f"{name}*"):
                each.rename(previous / each.name)


def at_venue(settings: Settings, port: int) -> Settings:
    """The settings with [venue] pointed at our own exchange on a loopback port, with the keys that it made."""
    assert settings.simulated is not None
    keys = settings.simulated.keys_dir
    assert keys is not None
    key = settings.simulated.keys[0].name
    venue = msgspec.structs.replace(
        settings.venue,
        rest_url=f"http://127.0.0.1:{port}",
        stream_url=f"ws://127.0.0.1:{port}",
        ws_api_url=f"ws://127.0.0.1:{port}/ws-api/v3",
        api_key=f"file:{keys / f'{key}.api_key'}",
        api_secret=f"file:{keys / f'{key}.private.pem'}",
    )
    return msgspec.structs.replace(settings, venue=venue)
