"""The systemd units are hardened, are understood by systemd in every word, and start what there is to start."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).resolve().parents[2] / "ops" / "systemd").glob("*.service"))
EXPOSURE_MAX = 2.0

analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="needs systemd-analyze (Debian package systemd)")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert analyze is not None
    # No pager, no colours: the words are read by a program.
    command = [analyze, "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def checked(unit: Path, folder: Path, text: str | None = None) -> Path:
    """A copy that starts a program which is there: the one in the unit is only on the server."""
    copy = folder / unit.name.replace("@.", "@main.")
    text = unit.read_text() if text is None else text
    copy.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    return copy


def test_there_are_units() -> None:
    assert [unit.name for unit in UNITS] == ["nightdesk@.service"]


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_hardened(unit: Path) -> None:
    done = run("security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert done.returncode == 0 and float(found[1]) <= EXPOSURE_MAX


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    done = run("verify", "--man=no", str(checked(unit, tmp_path)))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@needs_systemd
def test_the_check_would_notice_a_key_that_systemd_does_not_know(tmp_path: Path) -> None:
    (unit,) = UNITS
    wrong = unit.read_text().replace("[Service]", "[Service]\nWatchdogSecs=10")
    assert "WatchdogSecs" in run("verify", "--man=no", str(checked(unit, tmp_path, wrong))).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_watched_ends_its_children_through_the_keeper_and_does_not_retry_a_wrong_config(
    unit: Path,
) -> None:
    lines = unit.read_text().splitlines()
    for line in ("Type=notify", "KillMode=mixed", "Restart=on-failure", "RestartPreventExitStatus=78"):
        assert line in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_what_a_unit_starts_is_a_command_that_there_is(unit: Path, tmp_path: Path) -> None:
    from actors import cli

    (line,) = (line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    program, *arguments = line.removeprefix("ExecStart=").split()
    assert program.endswith("/bin/nightdesk")
    missing = str(tmp_path / "missing.toml")
    given = [missing if argument.endswith(".toml") else argument for argument in arguments]
    # Understood as typed, and refused for its config only.
    assert cli.main(given) == 78
