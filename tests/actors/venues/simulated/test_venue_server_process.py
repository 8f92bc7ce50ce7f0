"""The venue as a process of its own and in a thread: start, announcement, end, stops, bad configs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trio
from trio_websocket import open_websocket_url

from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread, as_json, now_ms, signed_query

ROOT = Path(__file__).parents[4]
CONFIG = """
market = "generated"
keys_dir = "keys"
create_keys = true
record_file = "seen.jsonl"

[[keys]]
name = "desk"
account = "desk"
kind = "HMAC"

[[venue.accounts]]
name = "desk"
balances = { USDT = "1000" }

[venue.generated]
warmup_minutes = 5
"""


@contextmanager
def _process(folder: Path, text: str = CONFIG) -> Iterator[tuple[subprocess.Popen[str], str]]:
    (folder / "venue.toml").write_text(text)
    command = [sys.executable, "-m", "actors.venues.simulated.main", str(folder / "venue.toml")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line
    finally:
        process.kill()
        process.communicate()


def _port(line: str) -> int:
    assert line.startswith("venue listening on port "), line
    return int(line.split()[-1])


@pytest.mark.e2e
async def test_the_process_says_its_port_serves_says_goodbye_and_leaves_its_record(tmp_path: Path) -> None:
    with _process(tmp_path) as (process, line):
        port = _port(line)
        async with open_websocket_url(f"ws://127.0.0.1:{port}/ws") as socket:
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"http://127.0.0.1:{port}/api/v3/ping")).json() == {}
            process.send_signal(signal.SIGTERM)
            with trio.fail_after(5):
                assert as_json(await socket.get_message())["e"] == "serverShutdown"
        assert await trio.to_thread.run_sync(process.wait, 5) == 0
    rows = [json.loads(row) for row in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert [row["method"] for row in rows if row["what"] == "request"] == ["ping"]
    assert (tmp_path / "keys" / "desk.secret").stat().st_mode & 0o077 == 0


@pytest.mark.e2e
def test_a_process_that_was_stopped_goes_on_at_the_right_time(tmp_path: Path) -> None:
    with _process(tmp_path) as (process, line):
        url = f"http://127.0.0.1:{_port(line)}"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/api/v3/time", timeout=0.2)
        os.kill(process.pid, signal.SIGCONT)
        served = httpx.get(f"{url}/api/v3/time", timeout=5).json()["serverTime"]
        assert abs(served - now_ms()) < 1000


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 80\n", "prot"),
        ('host = "0.0.0.0"\n', "not loopback"),
        ('[[keys]]\nname = "a"\naccount = "nobody"\n', "keys_dir"),
        ('market = "recording"\n', "recording"),
        ('market = "recording"\nrecording = "missing.gz"\n', "missing.gz"),
    ],
)
def test_a_bad_config_says_what_is_wrong_and_starts_nothing(tmp_path: Path, text: str, words: str) -> None:
    with _process(tmp_path, text) as (process, line):
        assert line == ""
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 2
        assert words in errors
        assert "Traceback" not in errors


def test_a_venue_in_a_thread_serves_a_synchronous_client(venue_thread: LocalVenue) -> None:
    query = signed_query(venue_thread.hmac)
    headers = {"X-MBX-APIKEY": venue_thread.hmac.api_key}
    answer = httpx.get(f"{venue_thread.url}/api/v3/account?{query}", headers=headers)
    assert answer.json()["canTrade"] is True


def test_two_venues_in_threads_do_not_know_each_other() -> None:
    with VenueThread() as one, VenueThread() as two:
        assert one.port != two.port
        headers = {"X-MBX-APIKEY": one.hmac.api_key}
        answer = httpx.get(f"{two.url}/api/v3/account?{signed_query(one.hmac)}", headers=headers)
        assert answer.json()["code"] == -2015
