"""An HTTP server that answers each request with the bytes it is told to, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio


class ScriptedHttp:
    """`answer` maps a request line ("GET /api/v3/time HTTP/1.1") to raw bytes; None says nothing, b"" hangs
    up."""

    def __init__(self, answer: Callable[[str], bytes | None]) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.url = ""

    def seen(self, word: str) -> list[str]:
        return [line for line in self.requests if word in line]

    async def handle(self, stream: trio.SocketStream) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = await stream.receive_some()
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            line = head.split(b"\r\n")[0].decode()
            self.requests.append(line)
            answer = self.answer(line)
            if answer is None:
                continue
            if answer == b"":
                await stream.aclose()
                return
            await stream.send_all(answer)


def http(status: int, body: bytes, headers: str = "", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@asynccontextmanager
async def scripted(answer: Callable[[str], bytes | None]) -> AsyncIterator[ScriptedHttp]:
    server = ScriptedHttp(answer)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, server.handle, 0)
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()
