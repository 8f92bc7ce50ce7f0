"""Incidents on disk, for whoever pages: the keeper writes them, the pager takes them.

One file each, put into place whole, so that a reader sees all of it or nothing and a crash of either side
loses none. Not synced to disk: that could hold the keeper up, and a power cut tells of itself. Bounded: when
FILES_MAX wait, newer ones are refused and counted; the first of a storm say most.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from supervisor.paging.messages import Incident

FOLDER = "incidents"
FILES_MAX = 1000


class Incidents:
    """A folder of incidents that nobody has taken yet, oldest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused = 0
        self._number = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, incident: Incident) -> bool:
        """False if it was refused: the folder is full, or the disk is."""
        if len(self._names()) >= FILES_MAX:
            self.refused += 1
            return False
        self._number += 1
        # The pid: two writers never meet. The number: two in one nanosecond neither.
        name = f"{incident.wall_ns:020d}-{os.getpid()}-{self._number:06d}.json"
        draft = self.folder / f".{name}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(incident))
            draft.replace(self.folder / name)
        except OSError:
            draft.unlink(missing_ok=True)
            self.refused += 1
            return False
        return True

    def waiting(self) -> list[tuple[Path, Incident]]:
        """What nobody has taken; a file that cannot be read is set aside as `.broken`, and passed over."""
        found = []
        for name in self._names():
            path = self.folder / name
            try:
                found.append((path, msgspec.json.decode(path.read_bytes(), type=Incident)))
            except FileNotFoundError:
                continue
            except (OSError, msgspec.DecodeError):
                path.replace(path.with_suffix(".broken"))
        return found

    @staticmethod
    def taken(path: Path) -> None:
        """It is in safe hands now."""
        path.unlink(missing_ok=True)

    def _names(self) -> list[str]:
        return sorted(
            path.name for path in self.folder.iterdir() if path.suffix == ".json" and path.name[0] != "."
        )
