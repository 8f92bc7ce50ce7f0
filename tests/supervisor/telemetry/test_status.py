"""The status port answers, obeys who holds the token and nobody else, and cannot be held up."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import trio

from supervisor.errors import Halt
from supervisor.port import PortLink
from supervisor.telemetry import http, operator
from supervisor.telemetry.operator import NotRunning, OperatorFile, Refusal
from supervisor.telemetry.status import Command, CommandError, StatusConfig, StatusPort


class FakeLink:
    def __init__(self) -> None:
        self.is_ready = trio.Event()

    def ready(self) -> None:
        self.is_ready.set()


class Desk:
    """What the port is told to serve."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.complaints: list[str] = []

    async def operate(self, _link: PortLink, command: Command) -> str:
        if command.verb == "dance":
            raise CommandError("no verb 'dance'; there are pause and kill")
        self.commands.append(command)
        return f"{command.verb}: done"


@asynccontextmanager
async def serving(state_dir: Path, desk: Desk, port: int = 0) -> AsyncIterator[OperatorFile]:
    link = FakeLink()
    status = StatusPort(
        StatusConfig(port=port),
        name="demo",
        state_dir=state_dir,
        snapshot=lambda: {"position": 3},
        operate=desk.operate,
        health=lambda: desk.complaints,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(status.run, cast(PortLink, link))
        await link.is_ready.wait()
        yield operator.read(state_dir)
        nursery.cancel_scope.cancel()


async def raw(file: OperatorFile, data: bytes) -> bytes:
    """Send bytes as they are, and read until the server closes."""
    stream = await trio.open_tcp_stream(file.host, file.port)
    async with stream:
        await stream.send_all(data)
        await stream.send_eof()
        return b"".join([part async for part in stream])


async def test_status_health_and_a_command_as_the_command_line_gives_it(tmp_path: Path) -> None:
    desk = Desk()
    async with serving(tmp_path, desk) as file:
        assert await trio.to_thread.run_sync(operator.get, file, "/status") == {"position": 3}
        assert await trio.to_thread.run_sync(operator.get, file, "/healthz") == {"ok": True, "complaints": []}
        said = await trio.to_thread.run_sync(lambda: operator.command(file, "kill", reason="test"))
        assert said == {"verb": "kill", "said": "kill: done"}
        assert desk.commands == [Command(verb="kill", reason="test")]
        with pytest.raises(Refusal, match="there are pause and kill"):
            await trio.to_thread.run_sync(operator.command, file, "dance")


async def test_health_is_503_with_the_complaints(tmp_path: Path) -> None:
    desk = Desk()
    desk.complaints.append("venue/binance is down")
    async with serving(tmp_path, desk) as file:
        answer = await raw(file, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503") and b"venue/binance is down" in answer


async def test_a_command_without_the_token_does_nothing(tmp_path: Path) -> None:
    desk = Desk()
    async with serving(tmp_path, desk) as file:
        body = b'{"verb":"kill"}'
        for header in (b"", b"x-operator-token: guess\r\n", b"x-operator-token: \r\n"):
            head = b"POST /command HTTP/1.1\r\nHost: 127.0.0.1:1\r\ncontent-length: 15\r\n"
            assert (await raw(file, head + header + b"\r\n" + body)).startswith(b"HTTP/1.1 403")
    assert desk.commands == []


async def test_a_page_under_another_name_is_refused_even_with_the_token(tmp_path: Path) -> None:
    desk = Desk()
    async with serving(tmp_path, desk) as file:
        head = f"POST /command HTTP/1.1\r\nHost: evil.example:80\r\nx-operator-token: {file.token}\r\n"
        answer = await raw(file, head.encode() + b'content-length: 15\r\n\r\n{"verb":"kill"}')
        assert answer.startswith(b"HTTP/1.1 403")
    assert desk.commands == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"DELETE /status HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
        (b"GET /status HTTP/1.1\r\n\r\n", b"400"),
        (b"\x00\x01 nonsense\r\n\r\n", b"400"),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
        (
            b"POST /command HTTP/1.1\r\nHost: localhost\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70_000,
            b"413",
        ),
    ],
)
async def test_a_bad_request_is_refused_and_the_next_one_served(
    tmp_path: Path, request_: bytes, status: bytes
) -> None:
    async with serving(tmp_path, Desk()) as file:
        assert (await raw(file, request_)).startswith(b"HTTP/1.1 " + status)
        answer = await raw(file, b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.endswith(b'{"position":3}\n')


async def test_a_command_that_is_none_is_refused_with_words(tmp_path: Path) -> None:
    desk = Desk()
    async with serving(tmp_path, desk) as file:
        for body in (b'{"verb": 3}', b'{"verb":"kill","force":1}', b"{"):
            head = f"POST /command HTTP/1.1\r\nHost: localhost\r\nx-operator-token: {file.token}\r\n"
            answer = await raw(file, head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
            assert answer.startswith(b"HTTP/1.1 400") and b"not a command" in answer
    assert desk.commands == []


async def test_one_connection_serves_many_requests(tmp_path: Path) -> None:
    async with serving(tmp_path, Desk()) as file:
        stream = await trio.open_tcp_stream(file.host, file.port)
        async with stream:
            for _ in range(3):
                await stream.send_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await stream.receive_some()).endswith(b'{"position":3}\n')
            await stream.send_all(b"HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await stream.receive_some()).endswith(b"\r\n\r\n")


async def test_clients_that_say_nothing_do_not_keep_others_out_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "READ_S", 0.2)
    async with serving(tmp_path, Desk()) as file:
        silent = [await trio.open_tcp_stream(file.host, file.port) for _ in range(http.CLIENTS_MAX + 4)]
        await trio.sleep(0.4)
        answer = await raw(file, b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.endswith(b'{"position":3}\n')
        for stream in silent:
            assert await stream.receive_some() == b""
            await stream.aclose()


async def test_a_client_that_does_not_read_cannot_hold_up_the_stop(tmp_path: Path) -> None:
    with trio.fail_after(3):
        async with serving(tmp_path, Desk()) as file:
            deaf = await trio.open_tcp_stream(file.host, file.port)
            with trio.move_on_after(0.3):
                while True:
                    await deaf.send_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        await deaf.aclose()


async def test_the_operator_file_is_private_and_goes_with_the_port(tmp_path: Path) -> None:
    tmp_path = tmp_path / "var" / "demo"
    async with serving(tmp_path, Desk()) as file:
        path = tmp_path / operator.OPERATOR_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert file.token not in repr(file)
        assert operator.search(tmp_path.parent) == [tmp_path]
    assert not path.exists()
    with pytest.raises(NotRunning, match="nothing runs in"):
        operator.read(tmp_path)


def test_a_file_left_by_a_process_that_died_is_told_from_one_that_runs(tmp_path: Path) -> None:
    file = operator.write(tmp_path, name="demo", host="127.0.0.1", port=1)
    path = tmp_path / operator.OPERATOR_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": 2**22 + 1}))
    with pytest.raises(NotRunning, match="did not end in order"):
        operator.read(tmp_path)
    with pytest.raises(NotRunning, match="does not answer"):
        operator.get(file, "/status")


async def test_a_port_that_is_taken_halts_with_what_to_do(tmp_path: Path) -> None:
    async with serving(tmp_path / "one", Desk()) as file:
        with pytest.RaisesGroup(pytest.RaisesExc(Halt, match="choose another, or 0"), flatten_subgroups=True):
            async with serving(tmp_path / "two", Desk(), port=file.port):
                pass
