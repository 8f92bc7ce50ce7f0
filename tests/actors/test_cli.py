"""The command teaches: help with an example, a word about what was typed wrong, and what to do next."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import trio

from actors import cli
from actors.guard import WrongPackage, check_packages
from actors.picture import Picture
from supervisor.errors import StartFailed
from supervisor.port import PortLink
from supervisor.telemetry import operator
from supervisor.telemetry.status import Command, CommandError, StatusConfig, StatusPort, as_plain

COMMANDS = [
    ["run"], ["venue"], ["replay"], ["bench", "runtime"], ["bench", "path"], ["status"],
    ["pause"], ["kill"], ["flatten"], ["resume"], ["chaos", "crash"],
    ["page", "test"], ["page", "list"], ["page", "ack"], ["page", "silence"],
]  # fmt: skip

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str], capsys: Captured) -> None:
    assert cli.main([*command, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Example: nightdesk {' '.join(command)}" in said


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time\n"
        "from actors.cli import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = {'ccxt', 'apprise', 'trio', 'httpx', 'apsw', 'loguru'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert time.process_time() < 0.5, time.process_time()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["rnu", "x.toml"], 'Did you mean "run"?'),
        (["bench", "path", "--jsn"], "Did you mean --json?"),
        (["run"], "requires an argument"),
        (["run", "x.toml", "--for", "soon"], "soon"),
        (["run", "x.toml", "--for", "-5"], "--for: must be more than 0 seconds"),
        (["run", "x.toml", "--summary", "no/such/folder/s.json"], "name a file in a folder that exists"),
        (["replay", "x.gz"], "nightdesk replay x.gz --check"),
    ],
)
def test_what_was_typed_wrong_ends_with_2_and_a_word_about_it_on_standard_error(
    typed: list[str], said: str, capsys: Captured
) -> None:
    assert cli.main(typed) == 2
    captured = capsys.readouterr()
    assert said in " ".join(captured.err.split()) and captured.out == ""


def test_a_wrong_config_ends_with_78_naming_file_and_line_and_starts_nothing(
    tmp_path: Path, capsys: Captured
) -> None:
    config = tmp_path / "desk.toml"
    config.write_text('[desk]\nstate_dir = "state"\n\n[riks]\n')
    for command in ("run", "venue"):
        assert cli.main([command, str(config)]) == 78
        captured = capsys.readouterr()
        assert "desk.toml:4: the file has no key `riks`: did you mean `risk`?" in captured.err
        assert captured.err.endswith("nothing was started\n") and captured.out == ""
    assert not (tmp_path / "state").exists()


def test_a_start_that_fails_ends_with_1_and_its_words_and_a_bug_shows_itself(capsys: Captured) -> None:
    def fails() -> int:
        raise ExceptionGroup("", [ExceptionGroup("", [StartFailed("the disk is full")])])

    assert cli._configured(fails) == 1
    assert capsys.readouterr().err == "the disk is full\n"

    def breaks() -> int:
        raise ExceptionGroup("", [StartFailed("x"), KeyError("a bug")])

    with pytest.raises(ExceptionGroup):
        cli._configured(breaks)


# --- replay
# ---------------------------------------------------------------------------------------------------


def test_replay_prints_one_json_object_and_fails_for_a_file_that_is_no_recording(
    tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "x.raw.gz"
    path.write_bytes(gzip.compress(b"a shopping list\n"))
    assert cli.main(["replay", str(path), "--check", "--json"]) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["unusable_lines"] == 1 and captured.out.count("\n") == 1
    assert "x.raw.gz" in captured.err


def test_replay_of_a_file_that_is_not_there_says_so(tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["replay", str(tmp_path / "no.gz"), "--check"]) == 1
    assert "no.gz: cannot be read (No such file" in capsys.readouterr().err


def test_results_for_a_person_are_a_line_each(capsys: Captured) -> None:
    cli._print_result({"hop4_vs_channels": 0.21987, "messages": 12}, False)
    assert capsys.readouterr().out.splitlines() == [
        "hop4_vs_channels             0.2199",
        "messages                     12",
    ]


# --- A desk that runs already
# --------------------------------------------------------------------------------


class Running:
    """A status port in a thread of its own, as another process would be."""

    def __init__(self, state_dir: Path, name: str) -> None:
        self.commands: list[Command] = []
        self.view = Picture(name, "somewhere", "").view(None, up_s=1, wall_ns=0)
        self._started = threading.Event()
        self._state_dir = state_dir
        self._name = name
        self._thread = threading.Thread(target=trio.run, args=(self._main,))
        self._thread.start()
        self._started.wait(10)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._scope = trio.CancelScope()
        port = StatusPort(
            StatusConfig(),
            name=self._name,
            state_dir=self._state_dir,
            snapshot=lambda: {"view": as_plain(self.view)},
            operate=self._operate,
        )
        with self._scope:
            await port.run(cast(PortLink, self))

    def ready(self) -> None:
        self._started.set()

    async def _operate(self, _link: PortLink, command: Command) -> str:
        self.commands.append(command)
        if command.name == "nobody":
            raise CommandError("no child is called 'nobody'; there are: orders, risk")
        return f"{command.verb} done"

    def stop(self) -> None:
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTDESK_STATE_DIR", raising=False)
    running = Running(tmp_path / "var" / "demo", "demo")
    yield running
    running.stop()


@pytest.mark.parametrize("verb", ["pause", "kill", "flatten", "resume"])
def test_a_verb_reaches_the_desk_that_runs_below_here(desk: Running, verb: str, capsys: Captured) -> None:
    assert cli.main([verb, "looks odd"]) == 0
    assert capsys.readouterr().out == f"demo: {verb} done\n"
    (command,) = desk.commands
    assert (command.verb, command.reason) == (verb, "looks odd") and command.by.startswith("operator:")


def test_chaos_crash_names_the_child_and_a_refusal_ends_with_1(desk: Running, capsys: Captured) -> None:
    assert cli.main(["chaos", "crash", "strategy/binance/BTCUSDT"]) == 0
    assert (desk.commands[0].verb, desk.commands[0].name) == ("crash", "strategy/binance/BTCUSDT")
    assert cli.main(["chaos", "crash", "nobody"]) == 1
    assert "there are: orders, risk" in capsys.readouterr().err


def test_status_prints_one_json_object(desk: Running, capsys: Captured) -> None:
    assert cli.main(["status", "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["view"]["name"] == "demo" and printed.count("\n") == 1


def test_status_draws_the_desk_for_a_person_even_of_another_version(desk: Running, capsys: Captured) -> None:
    assert cli.main(["status"]) == 0
    drawn = capsys.readouterr().out
    assert "nightdesk demo" in drawn and "position" in drawn and "{" not in drawn
    desk.view = "what a later version says"  # type: ignore[assignment]
    assert cli.main(["status"]) == 0
    assert "what a later version says" in capsys.readouterr().out


def test_of_two_desks_one_must_be_named(desk: Running, tmp_path: Path, capsys: Captured) -> None:
    other = Running(tmp_path / "var" / "other", "other")
    try:
        assert cli.main(["kill"]) == 1
        said = capsys.readouterr().err
        assert "more than one desk" in said and "var/demo" in said and "var/other" in said
        assert cli.main(["kill", "--state", str(tmp_path / "var" / "other")]) == 0
        assert [command.verb for command in other.commands] == ["kill"] and desk.commands == []
    finally:
        other.stop()


def test_where_nothing_runs_every_command_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTDESK_STATE_DIR", raising=False)
    for typed in (["status"], ["kill"], ["chaos", "crash", "orders"]):
        assert cli.main(typed) == 1
        said = capsys.readouterr().err
        assert "no desk runs below" in said and "nightdesk run configs/demo.toml" in said
    assert cli.main(["status", "--state", "elsewhere"]) == 1
    assert "nothing runs in elsewhere" in capsys.readouterr().err


def test_a_desk_that_died_is_told_from_one_that_never_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    operator.write(tmp_path / "var" / "demo", name="demo", host="127.0.0.1", port=1)
    path = tmp_path / "var" / "demo" / operator.OPERATOR_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": 2**22 + 1}))
    assert cli.main(["status"]) == 1
    assert "did not end in order" in capsys.readouterr().err


# --- The name that is not ours alone
# -------------------------------------------------------------------------


def test_another_package_called_supervisor_is_found_out_before_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    check_packages()
    overwritten = tmp_path / "supervisor"
    overwritten.mkdir()
    (overwritten / "spec.py").touch()
    check_packages(overwritten, overwritten)
    (overwritten / "supervisord.py").touch()
    with pytest.raises(WrongPackage, match="overwritten"):
        check_packages(overwritten, overwritten)
    with pytest.raises(WrongPackage, match="comes from"):
        check_packages(overwritten, tmp_path)
    monkeypatch.setattr(cli, "check_packages", lambda: check_packages(overwritten, overwritten))
    assert cli.main(["status"]) == 1
    assert "virtual environment of its own" in capsys.readouterr().err
