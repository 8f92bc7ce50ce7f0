"""Apprise as it is: pages reach a real local service, one that hangs holds no other, bad URLs are refused at
the start."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trio

from supervisor.config import ConfigError, load
from supervisor.paging.channels import THREADS, ChannelError, PagingConfig, channels
from supervisor.paging.messages import Page
from supervisor.telemetry.redaction import redacted

PAGE = Page(page_id=1, key="a", title="orders crashed", text="since: today\ntype: desk status", count=1)


class Webhook(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[dict[str, str]] = []
        self.release = threading.Event()
        self.url = f"json://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hang":
            self.server.release.wait(20)
        self.server.received.append(json.loads(body))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_page_reaches_a_real_service_with_its_title_and_text(webhook: Webhook) -> None:
    (channel,) = channels(PagingConfig(urls=(webhook.url,)))
    await channel.warm()
    await channel.send(PAGE)
    (received,) = webhook.received
    assert received["title"] == "orders crashed" and "type: desk status" in received["message"]
    assert channel.name == "1:json"


async def test_pages_one_after_the_other_are_not_throttled(webhook: Webhook) -> None:
    (channel,) = channels(PagingConfig(urls=(webhook.url,)))
    await channel.warm()
    began_s = time.monotonic()
    for _ in range(5):
        await channel.send(PAGE)
    assert len(webhook.received) == 5 and time.monotonic() - began_s < 5


async def test_services_that_hang_hold_no_other(webhook: Webhook) -> None:
    *hanging, good = channels(PagingConfig(urls=(*[f"{webhook.url}/hang"] * 6, webhook.url)))
    await good.warm()
    # More calls that hang than Apprise's own pool has threads, on any machine that this runs on.
    for channel in hanging:
        for _ in range(THREADS + 2):
            with trio.move_on_after(0.03):
                await channel.send(PAGE)
    with trio.fail_after(3):
        await good.send(PAGE)
    assert len(webhook.received) == 1


async def test_a_service_that_says_no_is_an_error_without_the_url(webhook: Webhook) -> None:
    (channel,) = channels(PagingConfig(urls=(f"{webhook.url}/broken",)))
    with pytest.raises(ChannelError, match="FAILURE") as caught:
        await channel.send(PAGE)
    assert "127.0.0.1" not in str(caught.value)


class Desk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    paging: PagingConfig = PagingConfig()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "nosuch://token123456/x",
            ":4: [paging] urls[1]: Apprise does not understand this nosuch://",
        ),
        ("hello", "desk.toml:4: [paging] urls[1]: not an URL"),
        (
            "env:NO_SUCH_VARIABLE",
            ":4: [paging] urls[1]: env:NO_SUCH_VARIABLE: the environment has no",
        ),
    ],
)
def test_a_bad_url_is_refused_at_the_start_with_its_line_and_is_not_shown(
    tmp_path: Path, url: str, said: str
) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(f'[paging]\nurls = [\n  "json://localhost",\n  "{url}",\n]\n')
    with pytest.raises(ConfigError) as caught:
        load(path, Desk, environ={})
    assert said in str(caught.value) and "token123456" not in str(caught.value)


def test_an_url_is_read_from_the_environment_and_masked_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_URL", "json://localhost:9/token-abc-123")
    channels(PagingConfig(urls=("env:PAGE_URL",)))
    assert "abc-123" not in redacted("sent to json://localhost:9/token-abc-123 just now")
