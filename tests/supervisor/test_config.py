"""A config that is wrong starts nothing, and says everything that is wrong: file, line, value, what to do."""

from __future__ import annotations

import enum
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from supervisor.config import ConfigError, Wrong, load
from supervisor.toml_lines import key_lines


class Regime(enum.Enum):
    QUIET = "quiet"
    VIOLENT = "violent"


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    loss_max: Decimal
    orders_max: Annotated[int, Meta(ge=1, le=50)] = 5
    warn_at: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if self.warn_at > self.loss_max:
            raise ValueError("warn_at is above loss_max: the warning would come too late; lower it")


class Instrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    symbol: str
    levels: int = 10


class Paging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for at, url in enumerate(self.urls):
            if "://" not in url:
                raise Wrong(f"urls[{at}]", "not an URL; write scheme://...")


class Venue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["binance", "bybit"] = "binance"
    recording: Path | None = None
    regime: Regime = Regime.QUIET
    depths: tuple[float, ...] = ()


class Desk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    risk: Risk
    instruments: tuple[Instrument, ...] = ()
    paging: Paging = Paging()
    venue: Venue | None = None
    strategies: dict[str, Instrument] = {}
    dry: bool = False


GOOD = """\
# A desk.
name = "demo"

[risk]
loss_max = 50.5   # in quote

[[instruments]]
symbol = "BTCUSDT"

[[instruments]]
symbol = "ETHUSDT"
levels = 5

[paging]
urls = [
    "json://localhost",  # the first
    # and
    "json://other",
]
[venue]
recording = "data/btc.raw.gz"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "desk.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **how: object) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, Desk, **({"environ": {}} | how))  # type: ignore[arg-type]
    return [line.removeprefix(f"{folder}/") for line in caught.value.problems]


def test_a_good_config_becomes_the_struct_with_paths_relative_to_its_folder(tmp_path: Path) -> None:
    desk = load(write(tmp_path, GOOD), Desk, environ={})
    assert desk.risk == Risk(loss_max=Decimal("50.5"))
    assert [one.symbol for one in desk.instruments] == ["BTCUSDT", "ETHUSDT"]
    assert desk.venue is not None and desk.venue.recording == tmp_path / "data/btc.raw.gz"


def test_all_problems_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("loss_max = 50.5", 'loss_max = "much"\norders_max = 99').replace(
        "levels = 5", "levls = 5"
    )
    found = problems(tmp_path, text)
    assert len(found) == 3
    assert found[0].startswith("desk.toml:5: `risk.loss_max` = 'much': ") and "a number" in found[0]
    assert found[1].startswith("desk.toml:6: `risk.orders_max` = 99: Expected int <= 50")
    assert found[2] == "desk.toml:13: [instruments[1]] has no key `levls`: did you mean `levels`?"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "demo"', "", "desk.toml:1: the file needs `name`: add name = ..., text in quotes"),
        ('name = "demo"', "name = 3", "desk.toml:2: `name` = 3: Expected str, got int; write text in quotes"),
        ("[venue]", "[vnue]", "desk.toml:20: the file has no key `vnue`: did you mean `venue`?"),
        (
            "[venue]",
            "[venue]\norders_max = 3",
            "desk.toml:21: [venue] has no key `orders_max`: it belongs in [risk]",
        ),
        ("[venue]", '[venue]\nkind = "binanse"', "did you mean 'binance'?"),
        ("[venue]", '[venue]\nregime = "violnt"', "one of 'quiet', 'violent' (did you mean 'violent'?)"),
        ("[venue]", "[venue]\ndepths = [1.0, nan]", "must be a finite number"),
        ('"json://other"', '"json:other"', "desk.toml:18: [paging] not an URL; write scheme://..."),
        ('symbol = "ETHUSDT"', "", "desk.toml:10: [instruments[1]] needs `symbol`"),
        ("[risk]\nloss_max = 50.5", "risk = 5", "desk.toml:4: risk must be a table: write [risk]"),
        (
            "loss_max = 50.5",
            "loss_max = 0.5",
            "desk.toml:4: [risk] warn_at is above loss_max",
        ),
        ("[risk]\nloss_max = 50.5", "", "[risk] needs `loss_max`"),
        ("name =", "name", "desk.toml:2: not valid TOML"),
        ("[paging]", "[risk]", "desk.toml:14: not valid TOML: Cannot declare"),
        (
            "[paging]\nurls = [",
            "[paging]\nurls = 'tgram://TOKEN/1'\nother = [",
            "`paging.urls` = 'tgram://****'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    assert said in "\n".join(problems(tmp_path, GOOD.replace(old, new)))


def test_a_value_is_overridden_by_the_environment_and_that_by_an_argument(tmp_path: Path) -> None:
    environ = {
        "DESK__RISK__LOSS_MAX": "70",
        "DESK__NAME": "007",
        "DESK__DRY": "true",
        "DESK__INSTRUMENTS__1__LEVELS": "20",
        "DESK__VENUE__DEPTHS": "[1.5, 2]",
        "DESKTOP": "mine",
    }
    path = write(tmp_path, GOOD)
    desk = load(
        path, Desk, environ=environ, env_prefix="DESK", overrides=["risk.loss_max=80", "paging.urls=[]"]
    )
    assert desk.risk.loss_max == 80
    assert desk.name == "007", "text needs no quotes in an override"
    assert desk.dry and desk.instruments[1].levels == 20 and desk.paging.urls == ()
    assert desk.venue is not None and desk.venue.depths == (1.5, 2.0)


def test_a_wrong_override_is_named_as_such_and_not_as_a_line_of_the_file(tmp_path: Path) -> None:
    environ = {"DESK__RISK__LOSSMAX": "70", "DESK__INSTRUMENTS__7__LEVELS": "1"}
    overrides = ["risk.orders_max=many", "nonsense"]
    found = problems(tmp_path, GOOD, environ=environ, env_prefix="DESK", overrides=overrides)
    assert sorted(found) == [
        "--set nonsense: must be section.key=value, such as --set risk.loss_max=50",
        "--set risk.orders_max: `risk.orders_max` = 'many': Expected int, got str; write a whole number, "
        "without quotes",
        "environment variable DESK__INSTRUMENTS__7__LEVELS: there is no instruments[7].levels to set",
        "environment variable DESK__RISK__LOSSMAX: [risk] has no key `lossmax`: did you mean `loss_max`?",
    ]


def test_a_path_may_name_the_environment_with_a_default(tmp_path: Path) -> None:
    text = GOOD.replace("data/btc", "${DATA:-../else}/btc")
    path = write(tmp_path, text)
    for environ, expected in (({"DATA": "/d"}, Path("/d")), ({}, tmp_path.parent / "else")):
        desk = load(path, Desk, environ=environ)
        assert desk.venue is not None and desk.venue.recording == expected / "btc.raw.gz"
    said = problems(tmp_path, GOOD.replace("data/btc", "${DATA}/btc"))[0]
    assert "the environment has no DATA: set it" in said


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"demo\.toml: no such file; there are .*desk\.toml"):
        load(tmp_path / "demo.toml", Desk)


def test_a_file_of_another_kind_is_refused_with_words(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(ConfigError, match=r"x\.toml:1: not UTF-8"):
        load(path, Desk)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="too many for a config"):
        load(path, Desk)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, Desk)


TRICKY = '''\
a = """
[not.a.table]
b = 1
"""
"quoted.key" = '# no comment [ {'
x.y.z = {p = 1, q = [1,
2]} # [no]
[t.'u v'] # c
w = [[1, 2],

 [3], # ]
  4]
[[m]]
[m.n]
o=1
[[m]]
k=1'''


def test_the_line_map_is_not_confused_by_strings_that_look_like_structure() -> None:
    lines = key_lines(TRICKY)
    assert ("not",) not in lines and ("b",) not in lines
    assert lines[("quoted.key",)] == 5
    assert lines[("x", "y", "z")] == 6
    assert lines[("t", "u v")] == 8
    assert [lines[("t", "u v", "w", at)] for at in range(3)] == [9, 11, 12]
    assert lines[("m", 0, "n", "o")] == 15
    assert lines[("m", 1)] == 16 and lines[("m", 1, "k")] == 17


KEYS = st.text("abcdef_-0123456789", min_size=1, max_size=8)


@given(st.lists(st.tuples(KEYS, st.integers(0, 3)), min_size=1, max_size=10, unique_by=lambda pair: pair[0]))
def test_each_key_is_found_on_its_line(pairs: list[tuple[str, int]]) -> None:
    text, expected, line = "", {}, 1
    for key, blanks in pairs:
        text += "\n" * blanks
        line += blanks
        text += f"{key} = 1 # {key} = 2\n"
        expected[(key,)] = line
        line += 1
    assert {keys: at for keys, at in key_lines(text).items() if keys} == expected
