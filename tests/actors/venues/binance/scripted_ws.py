"""A websocket API that greets properly and then answers each request as it is told to, over ws:// or
wss://."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

Answer = Callable[[dict[str, Any]], str | None]


class ScriptedWs:
    """`answer` maps a request to the frame that answers it; None says nothing."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.connections: list[WebSocketConnection] = []
        self.url = ""
        self.silent = False

    async def handle(self, request: WebSocketRequest) -> None:
        socket = await request.accept()
        self.connections.append(socket)
        try:
            while True:
                asked = json.loads(await socket.get_message())
                self.requests.append(asked)
                frame = greeting(asked) if asked["method"] in GREETINGS else self.answer(asked)
                if frame is not None and not self.silent:
                    await socket.send_message(frame)
        except ConnectionClosed:
            return


GREETINGS = ("time", "session.logon", "userDataStream.subscribe", "userDataStream.subscribe.signature")


def greeting(asked: dict[str, Any]) -> str:
    result = {"serverTime": time.time_ns() // 10**6} if asked["method"] == "time" else {"subscriptionId": 0}
    return json.dumps({"id": asked["id"], "status": 200, "result": result})


@asynccontextmanager
async def scripted_ws(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedWs]:
    server = ScriptedWs(answer)
    async with trio.open_nursery() as nursery:
        running = await nursery.start(serve_websocket, server.handle, "127.0.0.1", 0, tls)
        server.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{running.port}/ws-api/v3"
        yield server
        nursery.cancel_scope.cancel()
