"""Bad input that only a desk in its own process can meet: poisoned frames, folders, keys and journals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from actors import cli
from supervisor.journal.store import APPLICATION_ID
from tests.actors.run_fixture import DEMO, REPLAY, ROOT, Captured, Desk, config, refused
from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread

DATA = Path(os.environ.get("NIGHTDESK_DATA", ROOT / "../shared/data"))
RECORDING = DATA / "binance_spot_20240808" / "btcusdt.raw.gz"
needs_data = pytest.mark.skipif(not RECORDING.exists(), reason="needs NIGHTDESK_DATA, the recorded data")

BAD_NUMBERS = ["nan", "inf", "-inf", "-1", "1e300", "", "abc"]


def poisons() -> Iterator[tuple[str, str]]:
    """Frames that no venue should send, each on its stream."""
    for bad in BAD_NUMBERS:
        level = [[bad, "1"]]
        depth = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2, "b": level, "a": []}
        yield "depthUpdate", json.dumps(depth)
        trade = {
            "e": "trade",
            "E": 1,
            "s": "BTCUSDT",
            "t": 1,
            "p": bad,
            "q": "1",
            "T": 1,
            "m": True,
            "M": True,
        }
        yield "trade", json.dumps(trade)
    yield "bookTicker", '{"u":1,"s":"BTCUSDT","b":"1","B":"nan","a":"2","A":"1"}'
    yield "bookTicker", "no json at all"


@pytest.mark.e2e
def test_poisoned_frames_are_refused_and_counted_and_the_desk_goes_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, DEMO.replace("[risk]", "[market]\nreport_every_s = 1.0\n\n[risk]"), "--for", "9")
    try:
        before = desk.status()
        assert before["tree"]["dead_letters"] == {}, "somebody is told what he does not handle"
        all_of_them = list(poisons())
        with httpx.Client(base_url=before["view"]["venue"]) as venue:
            for stream, raw in all_of_them:
                fault = {"kind": "poison", "symbol": "BTCUSDT", "stream": stream, "raw": raw}
                venue.post("/control/faults", json=fault).raise_for_status()
        time.sleep(2.5)
        after = desk.status()
        assert desk.is_alive and after["view"]["books"][0]["lost"] is None
        assert float(after["view"]["books"][0]["bid"]) > 1000
        code, out, err = desk.end()
    finally:
        desk.stop()
    assert code == 0, out + err
    assert "crashes 0, restarts 0, pages 0" in out and "the venue's own record agrees" in out
    assert f"({len(all_of_them)} in all), the last: " in err


@pytest.mark.e2e
def test_a_state_folder_in_use_is_refused_with_the_pid_and_the_desk_on_it_is_not_disturbed(
    tmp_path: Path, capsys: Captured
) -> None:
    desk = Desk(tmp_path, DEMO, "--for", "4")
    try:
        desk.status()
        assert cli.main(["run", str(config(tmp_path)), "--no-view"]) == cli.CONFIG_WRONG
        said = capsys.readouterr().err
        assert re.search(r"another process \(pid \d+\) already runs on this state folder", said)
        code, out, err = desk.end()
    finally:
        desk.stop()
    assert code == 0 and "the venue's own record agrees" in out, out + err


@needs_data
@pytest.mark.e2e
def test_a_torn_recording_is_played_as_far_as_it_goes_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "torn.gz"
    path.write_bytes(RECORDING.read_bytes()[:100_000])
    desk = Desk(tmp_path, REPLAY, "--recording", str(path), "--for", "3")
    code, out, err = desk.end()
    assert code == 0, out + err
    found = re.search(
        r"torn\.gz, line (\d+): the compressed file is torn or damaged.*\((\d+) usable lines", err
    )
    assert found is not None and int(found[1]) == int(found[2]) + 1 > 500
    assert "the venue's own record agrees" in out


# --- Keys and journals, at a venue that is not ours ----------------------------------------------------------


@pytest.fixture
def venue() -> Iterator[LocalVenue]:
    with VenueThread() as local:
        yield local


def keys_of(local: LocalVenue, folder: Path) -> dict[str, Path]:
    words = {"api_key": local.ed25519.api_key, "api_secret": local.ed25519.client_secret}
    for name, secret in words.items():
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    return {name: folder / name for name in words}


def away(local: LocalVenue, keys: dict[str, Path]) -> str:
    """The demo without its own exchange: at `local`."""
    urls = (
        f'rest_url = "{local.url}"\nstream_url = "{local.ws_url}"\nws_api_url = "{local.ws_url}/ws-api/v3"\n'
    )
    secrets = "".join(f'{name} = "file:{path}"\n' for name, path in keys.items())
    text = DEMO.partition("[simulated]")[0]
    return text.replace("[venue]\n", f"[venue]\n{urls}{secrets}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.chmod(0o644), "mode 0644 lets others read it; chmod 600"),
        (lambda path: path.write_text(""), "it is empty"),
        (lambda path: path.unlink(), "No such file or directory"),
    ],
    ids=["mode", "empty", "missing"],
)
@pytest.mark.parametrize("which", ["api_key", "api_secret"])
def test_a_key_that_others_can_read_or_nobody_is_refused_before_anything_is_made(
    spoil: Any, words: str, which: str, venue: LocalVenue, tmp_path: Path, capsys: Captured
) -> None:
    keys = keys_of(venue, tmp_path)
    spoil(keys[which])
    said = refused(config(tmp_path, away(venue, keys)), capsys)
    assert str(keys[which]) in said and words in said
    assert venue.ed25519.client_secret.splitlines()[1] not in said


@pytest.mark.e2e
def test_a_journal_of_a_newer_version_or_of_another_program_is_refused_and_left_as_it_was(
    venue: LocalVenue, tmp_path: Path
) -> None:
    text = away(venue, keys_of(venue, tmp_path))
    state = tmp_path / "var" / "demo"
    state.mkdir(parents=True, mode=0o700)
    journal = state / "journal.sqlite"
    connection = apsw.Connection(str(journal))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=99")
    connection.close()
    for content, words in ((journal.read_bytes(), "journal version 99, and this program knows up to"),
                           (b"not a journal" * 100, "this is not a journal")):  # fmt: skip
        journal.write_bytes(content)
        code, out, err = Desk(tmp_path, text, "--for", "20").end()
        assert code == cli.FAILED and words in err.splitlines()[-1], out + err
        assert journal.read_bytes() == content
        assert venue.record()["orders"] == []


# --- Machines read it ----------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_bench_json_is_one_object_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "actors", "bench", "runtime", "--json"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    keys = {"hop4_vs_channels", "restart_vs_nursery", "system_lane_vs_fifo", "burst64_vs_channels"}
    assert keys <= json.loads(done.stdout).keys()
