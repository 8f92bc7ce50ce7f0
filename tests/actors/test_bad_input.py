"""Bad input is refused whole, in words that say where it stands and what to do, and nothing is started."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from actors import cli
from tests.actors.run_fixture import DEMO, REPLAY, Captured, config, refused


def changed(line: str, to: str) -> tuple[str, int]:
    """The demo with one line changed, and that line's number."""
    lines = DEMO.splitlines()
    at = lines.index(line)
    lines[at] = to
    return "\n".join(lines) + "\n", at + 1


# --- Configs -------------------------------------------------------------------------------------------------

TABLES = [
    "desk", "venue", "market", "feed", "strategy.imbalance", "risk", "orders", "portfolio", "paging", "status",
    "log", "keeper", "simulated", "simulated.venue", "simulated.http", "simulated.sockets", "simulated.ban",
]  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_an_unknown_key_in_any_table_is_refused_at_its_line(
    table: str, tmp_path: Path, capsys: Captured
) -> None:
    head = f"[{table}]"
    text = DEMO.replace(head, f"{head}\nnonsense = 1") if head in DEMO else f"{DEMO}\n{head}\nnonsense = 1\n"
    line = text.splitlines().index("nonsense = 1") + 1
    path = config(tmp_path, text)
    assert f"{path}:{line}: [{table}] has no key `nonsense`: " in refused(path, capsys)


def test_an_unknown_table_is_refused_and_the_meant_one_named(tmp_path: Path, capsys: Captured) -> None:
    text, line = changed("[risk]", "[rsik]")
    path = config(tmp_path, text)
    assert f"{path}:{line}: the file has no key `rsik`: did you mean `risk`?" in refused(path, capsys)


@pytest.mark.parametrize(
    ("line", "to", "words"),
    [
        ('name = "demo"', "name = 5", "write text in quotes"),
        ('on_stop = "flatten"', 'on_stop = "flaten"', "did you mean 'flatten'?"),
        ("levels = 10", "levels = 10.5", "write a whole number, without quotes"),
        ("max_hold_s = 12.0", 'max_hold_s = "soon"', "write a number, without quotes"),
        ("ratio = 2.5", "ratio = inf", "must be a finite number"),
        ('daily_loss_max = "100"', 'daily_loss_max = "nan"', "must be finite"),
        ('daily_loss_max = "100"', 'daily_loss_max = "lots"', "write a number"),
        ("seed = 7", 'seed = "seven"', "write a whole number, without quotes"),
        ("create_keys = true", 'create_keys = "yes"', "write true or false, without quotes"),
        ('market = "generated"', 'market = "real"', "write one of 'generated', 'recording', 'live'"),
        ('balances = { USDT = "10000", BNB = "1" }', 'balances = { USDT = "inf" }', "must be finite"),
    ],
)
def test_a_wrong_type_is_refused_at_its_line_with_what_to_write(
    line: str, to: str, words: str, tmp_path: Path, capsys: Captured
) -> None:
    text, number = changed(line, to)
    path = config(tmp_path, text)
    said = refused(path, capsys)
    assert f"{path}:{number}: " in said and words in said


CONTRADICTIONS = [
    ('symbol = "BTCUSDT"', 'symbol = "DOGEUSDT"', "DOGEUSDT is not traded by the simulated venue; choose one of"),
    ("notional = 100.0", "notional = 1000.0", "above risk.order_notional_max = 200: every entry would be refused"),
    ("levels = 10", "levels = 0", "levels = 0"),
    ("ratio = 2.5", "ratio = 0.5", "must be above 1, or both sides are heavy at once"),
    ('market = "generated"', 'market = "recording"', "needs `recording`, the file to play"),
    ('market = "generated"', 'market = "generated"\nrecording = "x.gz"', "plays no recording, but one is given"),
    ('daily_loss_max = "100"', 'daily_loss_max = "-100"', "daily_loss_max = -100: must be above 0"),
    ('position_notional_max = "400"', 'position_notional_max = "100"', "no order of that size could ever be"),
    ('desk_notional_max = "1000"', 'desk_notional_max = "300"', "the desk's limit would bind first"),
    ('[venue]', '[venue]\norder_window_s = 9.0', "at most recv_window_ms"),
    ('[risk]', '[market]\nconnection_max_s = 90000.0\n[risk]', "must be at most 24 h"),
    ('[risk]', '[feed]\nview_levels = 9000\n[risk]', "view_levels 9000 must be 1 to levels_max"),
    ('[risk]', '[orders]\nslippage_cap = 0.5\n[risk]', "it is a fraction, 0.002 is 20 bp"),
    ('[risk]', '[portfolio]\nfills_known_max = 5\n[risk]', "would have them booked twice"),
    ('[risk]', '[keeper]\nstall_s = 0.0\n[risk]', "stall_s"),
    ('[risk]', '[status]\nhost = "0.0.0.0"\n[risk]', "write one of '127.0.0.1'"),
    ('[risk]', '[paging]\nurls = ["nothing-known://x"]\n[risk]', "urls[0]"),
    ('[risk]', '[strategy.other]\n[risk]', "there are: imbalance"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "to", "words"), CONTRADICTIONS)
def test_values_that_contradict_each_other_are_refused_with_what_would_go_wrong(
    line: str, to: str, words: str, tmp_path: Path, capsys: Captured
) -> None:
    text, at = changed(line, to)
    path = config(tmp_path, text)
    said = refused(path, capsys)
    assert words in said
    found = re.search(rf"{re.escape(str(path))}:(\d+): ", said)
    # The line of the value, or of the table whose values do not go together.
    heads = [
        number for number, each in enumerate(text.splitlines(), 1) if each.startswith("[") and number <= at
    ]
    assert found is not None and int(found[1]) in (at, at + 1, heads[-1])


def test_instruments_of_two_quote_coins_are_refused_before_anything_is_added_up(
    tmp_path: Path, capsys: Captured
) -> None:
    text = DEMO.replace("[strategy.imbalance]", '[[instruments]]\nsymbol = "ETHBTC"\n\n[strategy.imbalance]')
    path = config(tmp_path, text)
    line = text.splitlines().index('symbol = "ETHBTC"') + 1
    said = refused(path, capsys)
    assert f"{path}:{line}: " in said and "run a desk for each quote coin" in said


def test_all_that_is_wrong_with_a_config_is_said_at_once(tmp_path: Path, capsys: Captured) -> None:
    text = DEMO.replace("seed = 7", 'seed = "x"').replace("levels = 10", "levles = 10")
    said = refused(config(tmp_path, text), capsys)
    assert "did you mean `levels`?" in said and "`simulated.seed`" in said


def test_a_state_dir_that_cannot_be_one_is_refused_in_words(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "taken").write_text("a file")
    said = refused(config(tmp_path), capsys, "--set", f"desk.state_dir={tmp_path / 'taken'}")
    assert "taken: cannot be the folder for the state (File exists)" in said


# --- Recordings ----------------------------------------------------------------------------------------------


def recording(folder: Path, content: bytes, name: str = "recording.raw") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def frames(count: int, pair: str = "btcusdt") -> bytes:
    """A small recording of one pair, in order and whole."""
    shot = {"lastUpdateId": 1, "bids": [["100.00", "1"]], "asks": [["101.00", "1"]]}
    lines = [f"{10**18} {json.dumps(shot)}"]
    for at in range(2, count + 1):
        data = {
            "e": "depthUpdate",
            "E": 1,
            "s": pair.upper(),
            "U": at,
            "u": at,
            "b": [["100.00", str(at)]],
            "a": [],
        }
        lines.append(f"{10**18 + at} {json.dumps({'stream': f'{pair}@depth@100ms', 'data': data})}")
    return ("\n".join(lines) + "\n").encode()


def replayed(folder: Path, capsys: Captured, *more: str) -> str:
    return refused(config(folder, REPLAY), capsys, *more)


def test_a_missing_recording_or_data_folder_says_what_to_do(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTDESK_DATA", str(tmp_path / "nowhere"))
    said = replayed(tmp_path, capsys)
    assert "No such file or directory" in said
    assert "--recording FILE" in said and "environment variable NIGHTDESK_DATA" in said
    assert f"{tmp_path}/gone.gz: cannot be read" in replayed(
        tmp_path, capsys, "--recording", f"{tmp_path}/gone.gz"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# A page\nof text\n", "line 1: starts with b'# A page"),
        (b"", "its first 0 lines name no pair"),
        (b"1617666422000000000 {}\n" * 600, "its first 500 lines name no pair"),
        (os.urandom(2000), "line 1: "),
        (gzip.compress(os.urandom(500))[:300], "line 1: "),
        (frames(3, "btcusdt") + frames(3, "ethusdt"), "holds BTCUSDT, ETHUSDT; only a recording of one pair"),
        (frames(3, "dogeusdt"), "holds DOGEUSDT, which the simulated venue does not list"),
    ],
    ids=["text", "empty", "no pair", "noise", "torn noise", "two pairs", "unlisted"],
)
def test_a_foreign_recording_is_refused_with_its_line_before_anything_starts(
    content: bytes, words: str, tmp_path: Path, capsys: Captured
) -> None:
    path = recording(tmp_path, content)
    said = replayed(tmp_path, capsys, "--recording", str(path))
    assert str(path) in said and words in said


TORN = [
    (gzip.compress(frames(2000))[:-40], 1, "the compressed file is torn or damaged"),
    (frames(40)[:-30], 1, "truncated"),
    (frames(20) + b"half a line\n" + frames(1), 1, "starts with b'half a line"),
]


@pytest.mark.parametrize(("content", "unusable", "words"), TORN, ids=["gzip", "plain", "middle"])
def test_check_counts_what_is_torn_and_names_its_line_and_how_much_was_usable(
    content: bytes, unusable: int, words: str, tmp_path: Path, capsys: Captured
) -> None:
    path = recording(tmp_path, content)
    assert cli.main(["replay", str(path), "--check", "--json"]) == cli.FAILED
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.out.count("\n") == 1 and report["unusable_lines"] == unusable
    found = re.fullmatch(
        rf"{re.escape(str(path))}, line (\d+): (.*) \((\d+) usable lines before it\)\n", captured.err
    )
    assert found is not None and words in found[2]
    assert int(found[1]) == int(found[3]) + 1 <= report["messages"] + 1


def test_a_recording_that_is_not_there_is_an_error_and_no_json(tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["replay", str(tmp_path / "none.gz"), "--check", "--json"]) == cli.FAILED
    captured = capsys.readouterr()
    assert captured.out == "" and "none.gz: cannot be read (No such file or directory)" in captured.err
