"""A desk in processes: its engine may die in the middle and the run still agrees with the venue; without its keeper it
cancels its entries, keeps its stops, and is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.chaos.stage import Stage, staged
from supervisor.keeper.leftovers import FILE as CHILDREN_FILE

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
WORKING = ("NEW", "PARTIALLY_FILLED")


@contextmanager
def desk(config: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "actors", "run", str(config), "--keeper", "--no-view", *more]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def until(true: Callable[[], Any]) -> Any:
    while not (found := true()):  # noqa: ASYNC110 - what other processes do, nobody here is told
        await trio.sleep(0.02)
    return found


def pid_of(state: Path, name: str) -> int | None:
    try:
        children = json.loads((state / CHILDREN_FILE).read_text())
    except OSError:
        return None
    return next((child["pid"] for child in children if child["name"] == name), None)


def incidents(state: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((state / "incidents").glob("*.json"))]


def demo(folder: Path) -> Path:
    text = (ROOT / "configs" / "demo.toml").read_text().replace("../var/demo", str(folder / "state"))
    config = folder / "demo.toml"
    config.write_text(text)
    return config


def has_traded(journal: Path) -> bool:
    return journal.with_name(f"{journal.name}-wal").exists() and b"nda-o" in b"".join(
        path.read_bytes() for path in journal.parent.glob(f"{journal.name}*")
    )


async def test_an_engine_that_is_killed_while_it_trades_comes_back_and_the_whole_run_agrees_with_the_venue(
    tmp_path: Path,
) -> None:
    state, summary = tmp_path / "state", tmp_path / "summary.json"
    with trio.fail_after(60), desk(demo(tmp_path), "--summary", str(summary)) as process:
        await until(lambda: has_traded(state / "journal.sqlite"))
        first = pid_of(state, "engine")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(state, "engine") not in (None, first))
        await trio.sleep(4)
        process.send_signal(signal.SIGINT)
        said, _ = await trio.to_thread.run_sync(process.communicate)
    assert process.returncode == 0, said
    assert "the venue's own record agrees" in said and "the engine had 2 lives" in said
    done = json.loads(summary.read_text())
    assert done["agrees"] is True and done["orders"]
    (incident,) = incidents(state)
    assert incident["key"] == "process/engine/died" and "SIGKILL" in incident["title"]


def test_a_key_that_cannot_be_read_ends_it_with_78_before_anything_is_started(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(
        f'[desk]\nstate_dir = "{tmp_path / "state"}"\n[[instruments]]\nsymbol = "BTCUSDT"\n[venue]\n'
        f'account = "main"\napi_key = "file:{tmp_path / "nowhere"}"\napi_secret = "file:{tmp_path / "nowhere"}"\n'
    )
    command = [sys.executable, "-m", "actors", "run", str(config), "--keeper", "--no-view"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 78
    assert "nowhere" in done.stderr
    assert not (tmp_path / "state").exists()


@asynccontextmanager
async def trading(folder: Path) -> AsyncIterator[tuple[Stage, subprocess.Popen[str]]]:
    """A kept desk that holds a position under its stop, at an exchange that is not its child."""
    async with staged(folder) as stage:
        with desk(stage.config, *stage.sets()) as process:
            while not _stops(await stage.record()):  # noqa: ASYNC110
                await trio.sleep(0.1)
            yield stage, process


def _working(record: dict[str, Any], purpose: str) -> list[str]:
    prefix = f"nda-{purpose}"
    return [
        order["client_id"]
        for order in record["orders"]
        if order["client_id"].startswith(prefix) and order["status"] in WORKING
    ]


def _stops(record: dict[str, Any]) -> list[str]:
    return _working(record, "p")


async def test_when_the_keeper_is_killed_the_engine_cancels_entries_keeps_the_stop_and_is_gone_within_2_s(
    tmp_path: Path,
) -> None:
    with trio.fail_after(60):
        async with trading(tmp_path) as (stage, process):
            engine = pid_of(stage.state_dir, "engine")
            assert engine is not None
            began_s = trio.current_time()
            process.kill()
            await until(lambda: not Path(f"/proc/{engine}").exists())
            assert trio.current_time() - began_s < 2.0
            record = await stage.record()
            assert _working(record, "o") == []
            # Sold by its stop or standing under it, and nothing in between.
            bought = sum(float(fill["quantity"]) for fill in record["fills"] if fill["side"] == "BUY")
            sold = sum(float(fill["quantity"]) for fill in record["fills"] if fill["side"] == "SELL")
            assert _stops(record) or bought - sold < 0.0001
