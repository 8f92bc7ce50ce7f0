"""A receiver of pages on loopback, for Apprise's json:// service: what a person would have been told, and when."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
import trio

from supervisor.telemetry.http import HttpServer, Request, Response, json_response


class Received(NamedTuple):
    """One page as it arrived; `at_s` is Trio's clock."""

    at_s: float
    title: str
    text: str


class _Body(msgspec.Struct, frozen=True):
    title: str
    message: str


class Webhook:
    """Made by `receiving`. Oldest page first."""

    def __init__(self, port: int) -> None:
        self.url = f"json://127.0.0.1:{port}/page"
        self.pages: list[Received] = []
        self._news = trio.Event()

    def since(self, at_s: float) -> list[Received]:
        return [page for page in self.pages if page.at_s >= at_s]

    async def wait(self, at_s: float, within_s: float) -> bool:
        """Until a page has come since `at_s`; False if none does."""
        with trio.move_on_after(within_s):
            while not self.since(at_s):
                await self._news.wait()
            return True
        return False

    async def take(self, request: Request) -> Response:
        try:
            body = msgspec.json.decode(request.body, type=_Body)
        except msgspec.DecodeError as error:
            return json_response(400, {"error": str(error)})
        self.pages.append(Received(trio.current_time(), body.title, body.message))
        self._news.set()
        self._news = trio.Event()
        return json_response(200, {})


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Webhook]:
    """A receiver for the length of a block."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    webhook = Webhook(listeners[0].socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(HttpServer(webhook.take).serve, listeners)
        yield webhook
        nursery.cancel_scope.cancel()
