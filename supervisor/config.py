"""A TOML file becomes one frozen struct, or a list of everything that is wrong with it, each with its line
and what to do.

The structs say what is allowed: unknown keys are refused, types are strict, `msgspec.Meta` bounds values, and
`__post_init__` checks how values relate (raise ValueError, or `Wrong` to point at one key). A struct with
`NAMED_TABLES = {"plugin": struct_of}` has each [plugin.NAME] checked as the struct `struct_of(NAME)`. Values come, the
later over the earlier, from the file, from environment variables (`PREFIX__SECTION__KEY`) and from overrides
(`section.key=value`). A `Path` is relative to the config's folder (from an override: to the current one), and
may hold `~`, `${NAME}` and `${NAME:-default}`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from supervisor.config_build import Builder, Problem, Source, shown
from supervisor.config_build import Wrong as Wrong
from supervisor.toml_lines import KeyPath, key_lines

T = TypeVar("T", bound=msgspec.Struct)

# A config is a page or two; a file of another size is another file.
BYTES_MAX = 1_000_000


class ConfigError(Exception):
    """Nothing was started. `problems` are lines of text, each with its file and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load(
    path: Path,
    kind: type[T],
    *,
    environ: Mapping[str, str] | None = None,
    env_prefix: str = "",
    overrides: Sequence[str] = (),
) -> T:
    """Read `path` as a `kind`. Raises ConfigError with all problems that can be known at once.

    `env_prefix` "DESK" makes `DESK__RISK__LOSS_MAX=12.5` set `loss_max` of `[risk]`; "" ignores the
    environment. `overrides` are "risk.loss_max=12.5"; both are written as in TOML, where quotes may be left
    out.
    """
    text = _read(path)
    data = _parse(path, text)
    lines = key_lines(text)
    sources: dict[KeyPath, Source] = {}
    problems: list[str] = []
    environ = os.environ if environ is None else environ
    for name, keys, value in _all_overrides(environ, env_prefix, overrides, problems):
        words = _put(data, keys, value)
        if words:
            problems.append(f"{name}: {words}")
        sources[keys] = Source(name, value)
    builder = Builder(path.resolve().parent, sources, environ)
    settings = builder.build(kind, data, ())
    problems += [_placed(path, problem, lines, sources) for problem in builder.problems]
    if problems or settings is None:
        raise ConfigError(problems)
    assert isinstance(settings, kind)
    return settings


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        near = sorted(str(other) for other in path.parent.glob("*.toml"))
        there = f"; there are {', '.join(near[:8])}" if near else ""
        raise ConfigError([f"{path}: no such file{there}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); name a TOML file"]) from error
    if len(content) > BYTES_MAX:
        raise ConfigError([f"{path}: {len(content)} bytes are too many for a config; is it the right file?"])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: not UTF-8 text; is it the right file?"]) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigError([f"{path}:{line}: not valid TOML: {error}"]) from None


def _all_overrides(
    environ: Mapping[str, str], prefix: str, overrides: Sequence[str], problems: list[str]
) -> list[tuple[str, KeyPath, str]]:
    """(what it is called, where it goes, its text) of each override, in the order in which they apply."""
    found: list[tuple[str, KeyPath, str]] = []
    if prefix:
        for name in sorted(environ):
            if name.startswith(f"{prefix}__"):
                keys = name.removeprefix(f"{prefix}__").lower().split("__")
                found.append((f"environment variable {name}", _key_path(keys), environ[name]))
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals or not all(name.strip().split(".")):
            problems.append(f"--set {text}: must be section.key=value, such as --set risk.loss_max=50")
            continue
        found.append((f"--set {name.strip()}", _key_path(name.strip().split(".")), value.strip()))
    return found


def _key_path(keys: Sequence[str]) -> KeyPath:
    return tuple(int(key) if key.isdigit() else key for key in keys)


def _put(data: dict[str, Any], keys: KeyPath, text: str) -> str:
    """Set the value at `keys`; returns what is wrong, in words, or an empty string."""
    at: Any = data
    for key in keys[:-1]:
        if not _fits(at, key):
            return f"there is no {shown(keys)} to set"
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    if not _fits(at, keys[-1]):
        return f"there is no {shown(keys)} to set"
    at[keys[-1]] = _value(text)
    return ""


def _fits(at: Any, key: str | int) -> bool:
    """A name fits a table, even if it is new there; a number fits a list that is long enough."""
    return isinstance(key, str) if isinstance(at, dict) else isinstance(at, list) and key in range(len(at))


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _placed(
    path: Path, problem: Problem, lines: Mapping[KeyPath, int], sources: Mapping[KeyPath, Source]
) -> str:
    """The problem with the place it came from: an override by its name, anything else by file and line."""
    for keys, source in sources.items():
        if problem.keys[: len(keys)] == keys:
            return f"{source.name}: {problem.words}"
    at = problem.keys
    while at not in lines:
        at = at[:-1]
    return f"{path}:{lines[at]}: {problem.words}"
