"""Secret: a value that cannot be printed, logged, formatted, pickled or encoded by accident.

Where it may come from is written as one string:

    credential:NAME   the file NAME in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=)
    file:PATH         a file that only its owner can read (mode 0600 or 0400)
    env:NAME          an environment variable
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

MASK = "****"
# A key is some hundred bytes; whatever is larger than this is the wrong file.
BYTES_MAX = 65_536


class SecretError(ValueError):
    """A secret that cannot be had; says which source, why, and what to do. Never contains the secret."""


class Secret:
    """Holds a string; only `reveal()` gives it back. Equal to another Secret with the same value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value:
            raise SecretError("a secret must not be empty")
        self._value = value

    @classmethod
    def load(cls, source: str, *, environ: Mapping[str, str] | None = None) -> Secret:
        """Read `source`, one of the three forms above; surrounding white space is removed.

        Raises SecretError.
        """
        environ = os.environ if environ is None else environ
        kind, _, name = source.partition(":")
        if kind == "env" and name:
            value = environ.get(name)
            if value is None:
                raise SecretError(
                    f"{source}: the environment has no variable {name}; set it, or name another source"
                )
        elif kind == "file" and name:
            value = _read(Path(name).expanduser(), source, private=True)
        elif kind == "credential" and name:
            value = _read(_credential(name, source, environ), source, private=False)
        else:
            # The text itself is not repeated: somebody may have put the secret where its source belongs.
            raise SecretError(
                "a secret's source must be credential:NAME, file:PATH or env:NAME;"
                " never write the secret itself into a config"
            )
        value = value.strip()
        if not value:
            raise SecretError(f"{source}: it is empty")
        return cls(value)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    # A hash would be a fingerprint that could be printed.
    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret must not be copied or pickled; hand over the source instead")


def _credential(name: str, source: str, environ: Mapping[str, str]) -> Path:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise SecretError(
            f"{source}: $CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential={name}:PATH"
        )
    if "/" in name or name in (".", ".."):
        raise SecretError(f"{source}: a credential is a file name, not a path")
    return Path(directory) / name


def _read(path: Path, source: str, *, private: bool) -> str:
    """`private`: refuse a file that others could read; what systemd puts into its directory is its own
    affair."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretError(f"{source}: cannot be opened: {error.strerror}") from error
    try:
        # Of the file that was opened, not of whatever bears its name a moment later.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{source}: it is not a regular file")
        mode = stat.S_IMODE(status.st_mode)
        if private and mode & 0o077:
            raise SecretError(
                f"{source}: mode {mode:04o} lets others read it; chmod 600 {path}, and consider the key known"
            )
        if private and status.st_uid not in (os.geteuid(), 0):
            raise SecretError(
                f"{source}: it belongs to user id {status.st_uid}, not to us; chown it to who runs this"
            )
        data = os.read(descriptor, BYTES_MAX + 1)
    finally:
        os.close(descriptor)
    if len(data) > BYTES_MAX:
        raise SecretError(f"{source}: more than {BYTES_MAX} bytes; this is not a key")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SecretError(f"{source}: it is not text (byte {error.start})") from None
