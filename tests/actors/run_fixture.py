"""`nightdesk run` for tests: on configs in a folder of their own, in this process or as one of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from actors import cli

ROOT = Path(__file__).parents[2]
DEMO = (ROOT / "configs" / "demo.toml").read_text()
REPLAY = (ROOT / "configs" / "replay.toml").read_text()

Captured = pytest.CaptureFixture[str]


def config(folder: Path, text: str = DEMO) -> Path:
    """A config in a folder of its own; whatever it makes is made there."""
    path = folder / "configs" / "desk.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def refused(path: Path, capsys: Captured, *more: str) -> str:
    """What is said of this config, which nothing may come of."""
    before = sorted(path.parent.parent.rglob("*"))
    assert cli.main(["run", str(path), "--no-view", *more]) == cli.CONFIG_WRONG
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.endswith("nothing was started\n")
    assert sorted(path.parent.parent.rglob("*")) == before, "something was left behind"
    return captured.err


class Desk:
    """`nightdesk run` as a process."""

    def __init__(self, folder: Path, text: str, *more: str) -> None:
        self.state = folder / "var" / re.search(r'state_dir = "\.\./var/(\w+)"', text)[1]  # type: ignore[index]
        command = [sys.executable, "-m", "actors", "run", str(config(folder, text)), "--no-view", *more]
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)

    def status(self, within_s: float = 20.0) -> dict[str, Any]:
        """As soon as the desk trades."""
        command = [sys.executable, "-m", "actors", "status", "--state", str(self.state), "--json"]
        until = time.monotonic() + within_s
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
            if done.returncode == 0 and json.loads(done.stdout)["view"]["books"]:
                assert done.stdout.count("\n") == 1
                status: dict[str, Any] = json.loads(done.stdout)
                return status
            assert time.monotonic() < until, done.stderr + self._err.read_text()
            time.sleep(0.2)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self, within_s: float = 40.0) -> tuple[int, str, str]:
        """Wait for it to end; exit code, standard output, standard error."""
        try:
            code = self._process.wait(within_s)
        finally:
            self.stop()
        return code, self._out.read_text(), self._err.read_text()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
