"""The status port: what runs, as JSON, and the operator's commands, over HTTP on loopback.

    GET  /healthz   200 while everything that should run does, else 503 with the complaints
    GET  /status    the program's own snapshot
    POST /command   {"verb": ..., ...} with the token of the operator file in a header of its own

A web page that the operator happens to have open can reach loopback too. It cannot read the token, cannot set
the header without being asked about it first, and fails on the Host check if it comes under another name.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import trio
from msgspec import Meta

from supervisor.errors import Halt
from supervisor.telemetry import operator
from supervisor.telemetry.http import HttpServer, Request, Response, json_response

if TYPE_CHECKING:
    from supervisor.port import PortLink

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class StatusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[status]"""

    # Loopback only: there is no encryption here. From elsewhere, come through an SSH tunnel.
    host: Literal["127.0.0.1", "localhost", "::1"] = "127.0.0.1"
    # 0: any free one; the commands find it by the file in the state folder.
    port: Annotated[int, Meta(ge=0, le=65535)] = 0


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator wants. `name` is for verbs that need one, `for_s` for those that end by themselves."""

    verb: str
    by: str = "operator"
    reason: str = ""
    name: str = ""
    for_s: float = 0.0


class CommandError(Exception):
    """The command was not carried out; says why and what to do."""


Operate = Callable[["PortLink", Command], Awaitable[str]]
"""Carries out a command and says what became of it. Raises CommandError."""


class StatusPort:
    """Serves `snapshot` and takes commands for `operate`. `health` returns complaints; none means healthy.

    While it listens there is an operator file in `state_dir`. Halts if the port is taken.
    """

    def __init__(
        self,
        config: StatusConfig,
        *,
        name: str,
        state_dir: Path,
        snapshot: Callable[[], object],
        operate: Operate,
        health: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._config = config
        self._name = name
        self._state_dir = state_dir
        self._snapshot = snapshot
        self._operate = operate
        self._health = health

    async def run(self, link: PortLink) -> None:
        try:
            listeners = await trio.open_tcp_listeners(self._config.port, host=self._config.host)
        except OSError as error:
            raise Halt(
                f"[status] port {self._config.port} on {self._config.host} cannot be had ({error.strerror}); "
                "another program has it: choose another, or 0 for any free one"
            ) from error
        address = listeners[0].socket.getsockname()
        file = operator.write(self._state_dir, name=self._name, host=address[0], port=address[1])
        try:
            link.ready()
            await HttpServer(lambda request: self._answer(link, file, request)).serve(listeners)
        finally:
            operator.remove(self._state_dir, file)

    async def _answer(self, link: PortLink, file: operator.OperatorFile, request: Request) -> Response:
        host = request.headers.get("host", "").rpartition(":")
        if (host[0] or host[2]) not in _LOOPBACK:
            return json_response(403, {"error": "ask for 127.0.0.1 or localhost, by that name"})
        match request.method, request.path:
            case "GET" | "HEAD", "/healthz":
                complaints = list(self._health())
                return json_response(
                    503 if complaints else 200, {"ok": not complaints, "complaints": complaints}
                )
            case "GET" | "HEAD", "/status":
                return json_response(200, self._snapshot())
            case "POST", "/command":
                return await self._command(link, file, request)
            case _, "/healthz" | "/status" | "/command":
                return json_response(405, {"error": f"{request.path} does not take {request.method}"})
        return json_response(404, {"error": "there are GET /healthz, GET /status and POST /command"})

    async def _command(self, link: PortLink, file: operator.OperatorFile, request: Request) -> Response:
        token = request.headers.get(operator.TOKEN_HEADER, "")
        if not hmac.compare_digest(token.encode(), file.token.encode()):
            where = self._state_dir / operator.OPERATOR_FILE
            return json_response(403, {"error": f"{operator.TOKEN_HEADER} must be the token in {where}"})
        try:
            command = msgspec.json.decode(request.body, type=Command)
            words = await self._operate(link, command)
        except msgspec.DecodeError as error:
            return json_response(400, {"error": f"not a command: {error}"})
        except CommandError as error:
            return json_response(409, {"error": str(error)})
        return json_response(200, {"verb": command.verb, "said": words})


def as_plain(report: Any) -> Any:
    """A struct, such as the runtime's `tree()`, as plain values for a snapshot."""
    return msgspec.to_builtins(report, enc_hook=str)
