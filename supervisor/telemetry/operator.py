"""How an operator's command finds the running program: a file in its state folder, readable by its owner
only.

The file names the port and holds a token; who can read the file may command. No trio: the command line uses
it as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
from pathlib import Path
from typing import Any

import msgspec

OPERATOR_FILE = "operator.json"
TOKEN_HEADER = "x-operator-token"
TIMEOUT_S = 10.0


class NotRunning(Exception):
    """There is nothing to talk to; says where it was looked for, and what to do."""


class Refusal(Exception):
    """The running program said no; in its own words."""


class OperatorFile(msgspec.Struct, frozen=True):
    """Where a running program listens, and the token that its commands need."""

    name: str
    host: str
    port: int
    token: str
    pid: int

    def __repr__(self) -> str:
        return f"OperatorFile({self.name!r}, {self.host}:{self.port}, pid {self.pid}, token ****)"


def write(state_dir: Path, *, name: str, host: str, port: int) -> OperatorFile:
    """Put the file into place, whole, with a new token."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = OperatorFile(name=name, host=host, port=port, token=secrets.token_urlsafe(32), pid=os.getpid())
    draft = state_dir / f".{OPERATOR_FILE}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(msgspec.json.encode(file))
    draft.replace(state_dir / OPERATOR_FILE)
    return file


def remove(state_dir: Path, file: OperatorFile) -> None:
    """Take the file away, if it is still this one."""
    with contextlib.suppress(NotRunning):
        if read(state_dir) == file:
            (state_dir / OPERATOR_FILE).unlink(missing_ok=True)


def read(state_dir: Path) -> OperatorFile:
    """Raises NotRunning if the folder has none, or a process that is gone left it."""
    path = state_dir / OPERATOR_FILE
    try:
        file = msgspec.json.decode(path.read_bytes(), type=OperatorFile)
    except FileNotFoundError:
        raise NotRunning(f"nothing runs in {state_dir} (it has no {OPERATOR_FILE})") from None
    except PermissionError:
        raise NotRunning(
            f"{path} belongs to another user: run this command as the user that runs it"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise NotRunning(f"{path} cannot be read ({error}); stop the program and start it again") from None
    if not Path(f"/proc/{file.pid}").exists() and Path("/proc/self").exists():
        raise NotRunning(
            f"{file.name} (pid {file.pid}) in {state_dir} is no longer running; it did not end in order"
        )
    return file


def search(root: Path) -> list[Path]:
    """The state folders below `root` that have an operator file, two folders deep."""
    patterns = (OPERATOR_FILE, f"*/{OPERATOR_FILE}", f"*/*/{OPERATOR_FILE}")
    found = {path.resolve().parent for pattern in patterns for path in root.glob(pattern)}
    return sorted(found)


def get(file: OperatorFile, path: str) -> Any:
    """The JSON answer to GET `path`. Raises NotRunning or Refusal."""
    return _exchange(file, "GET", path, None)


def command(file: OperatorFile, verb: str, **arguments: str | float) -> Any:
    """Give a command; returns the JSON answer. Raises NotRunning or Refusal."""
    return _exchange(file, "POST", "/command", msgspec.json.encode({"verb": verb, **arguments}))


def _exchange(file: OperatorFile, method: str, path: str, body: bytes | None) -> Any:
    connection = http.client.HTTPConnection(file.host, file.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, {TOKEN_HEADER: file.token, "Content-Type": "application/json"})
        response = connection.getresponse()
        answer = msgspec.json.decode(response.read())
    except TimeoutError as error:
        raise NotRunning(
            f"{file.name} (pid {file.pid}) does not answer within {TIMEOUT_S:.0f} s: it is stuck or stopped. "
            f"To end it: kill {file.pid}; its stops stand at the venue"
        ) from error
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise NotRunning(
            f"{file.name} (pid {file.pid}) at {file.host}:{file.port} does not answer: {error}"
        ) from error
    finally:
        connection.close()
    if response.status >= 400:
        raise Refusal(str(answer.get("error", answer)))
    return answer
