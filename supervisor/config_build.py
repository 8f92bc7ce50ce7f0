"""Builds a struct from plain data and collects every problem on the way, instead of stopping at the first.

Pure but for the environment and folder it is given. `config.py` turns a problem's keys into file and line.
"""

from __future__ import annotations

import difflib
import enum
import math
import os
import re
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from supervisor.toml_lines import KeyPath

_BAD = object()
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_WHAT_TO_WRITE: dict[type, str] = {
    bool: "true or false, without quotes",
    int: "a whole number, without quotes",
    float: "a number, without quotes",
    Decimal: "a number",
    str: 'text in quotes, "like this"',
    Path: 'a path in quotes, "like/this"',
    list: "a list, [like, this]",
    tuple: "a list, [like, this]",
    dict: "a table",
}


class Wrong(ValueError):
    """For `__post_init__`: the value of `field` ("urls", or "urls[1]") is wrong, and `words` say why and what
    to do."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


# The struct of a table from its name; ValueError, in words, for a name that there is not.
StructOf = Callable[[str], type[msgspec.Struct]]


class Problem(NamedTuple):
    keys: KeyPath
    words: str


class Source(NamedTuple):
    """Where an overridden value comes from, and its text as written there."""

    name: str
    text: str


class Builder:
    """Fills structs; `problems` grows. `folder` is where relative paths start, `sources` which keys were
    overridden."""

    def __init__(self, folder: Path, sources: Mapping[KeyPath, Source], environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._folder = folder
        self._sources = sources
        self._environ = environ
        self._root: type | None = None

    def build(self, kind: type[Any], data: Any, keys: KeyPath) -> Any:
        """The struct, or None after problems."""
        self._root = kind
        built = self._any(kind, data, keys)
        return None if built is _BAD else built

    def _any(self, kind: Any, data: Any, keys: KeyPath) -> Any:
        struct = _struct_in(kind)
        if struct is not None:
            return self._struct(struct, data, keys)
        element = _element_struct(kind)
        if element is not None and isinstance(data, list):
            items = [self._struct(element, item, (*keys, at)) for at, item in enumerate(data)]
            return _BAD if _BAD in items else (tuple(items) if _container(kind) is tuple else items)
        if element is not None and isinstance(data, dict) and _container(kind) is dict:
            table = {name: self._struct(element, item, (*keys, name)) for name, item in data.items()}
            return _BAD if _BAD in table.values() else table
        return self._leaf(kind, data, keys)

    def _struct(self, kind: type[msgspec.Struct], data: Any, keys: KeyPath) -> Any:
        if not isinstance(data, dict):
            return self._no(
                keys, f"{shown(keys)} must be a table: write [{shown(keys)}] and its keys below it"
            )
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        good = True
        for name in [name for name in data if name not in fields]:
            self._no((*keys, name), self._unknown(name, keys, fields))
            good = False
        values: dict[str, Any] = {}
        named: Mapping[str, StructOf] = getattr(kind, "NAMED_TABLES", {})
        for name, field in fields.items():
            if name in data and name in named:
                values[field.name] = self._named(named[name], data[name], (*keys, name))
            elif name in data:
                values[field.name] = self._any(hints[field.name], data[name], (*keys, name))
            elif field.required:
                values[field.name] = self._missing(hints[field.name], keys, name)
        if not good or _BAD in values.values():
            return _BAD
        try:
            return kind(**values)
        except ValueError as error:
            at = (*keys, *_field_keys(error.field)) if isinstance(error, Wrong) else keys
            return self._no(at, f"{f'[{shown(keys)}] ' if keys else ''}{error}")

    def _named(self, struct_of: StructOf, data: Any, keys: KeyPath) -> Any:
        """Tables whose struct depends on their name: checked as that struct, and handed on as plain tables."""
        if not isinstance(data, dict):
            return self._no(keys, f"{shown(keys)} must hold tables: write [{shown(keys)}.NAME]")
        tables: dict[str, Any] = {}
        for name, table in data.items():
            try:
                built = self._struct(struct_of(name), table, (*keys, name))
            except ValueError as error:
                built = self._no((*keys, name), str(error))
            tables[name] = _BAD if built is _BAD else msgspec.to_builtins(built)
        return _BAD if _BAD in tables.values() else tables

    def _missing(self, kind: Any, keys: KeyPath, name: str) -> Any:
        struct = _struct_in(kind)
        if struct is not None:
            # A table that is not there is an empty one; it says itself what it cannot do without.
            return self._struct(struct, {}, (*keys, name))
        table = f"[{shown(keys)}]" if keys else "the file"
        return self._no(keys, f"{table} needs `{name}`: add {name} = ..., {_to_write(kind)}")

    def _leaf(self, kind: Any, data: Any, keys: KeyPath) -> Any:
        source = self._sources.get(keys)
        if not _is_finite(data):
            return self._no(keys, f"`{shown(keys)}` = {data!r}: must be a finite number")
        try:
            built = self._convert(data, kind, source)
            # A decimal is written as text, and "nan" is one.
            return (
                built if _is_finite(built) else self._no(keys, f"`{shown(keys)}` = {data!r}: must be finite")
            )
        except (msgspec.ValidationError, ValueError) as error:
            words = f"`{shown(keys)}` = {_masked(data)}: {str(error).replace('`', '')}"
            return self._no(keys, f"{words}; write {_to_write(kind, data)}")

    def _convert(self, data: Any, kind: Any, source: Source | None) -> Any:
        folder = Path.cwd() if source is not None else self._folder

        def path(wanted: type, value: Any) -> Any:
            if wanted is Path and isinstance(value, str):
                return Path(os.path.normpath(folder / Path(self._expand(value)).expanduser()))
            raise ValueError(f"Expected {wanted.__name__}, got {type(value).__name__}")

        try:
            return msgspec.convert(data, kind, dec_hook=path)
        except msgspec.ValidationError:
            if source is None:
                raise
            # Quotes may be left out in an override, so 5 may have meant "5", and "5" 5.
            return msgspec.convert(source.text, kind, dec_hook=path, strict=False)

    def _expand(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = self._environ.get(match[1], match[2])
            if found is None:
                raise ValueError(f"the environment has no {match[1]}: set it")
            return found

        return _VARIABLE.sub(value, text)

    def _unknown(self, name: str, keys: KeyPath, fields: Mapping[str, Any]) -> str:
        table = f"[{shown(keys)}]" if keys else "the file"
        near = difflib.get_close_matches(name, fields, n=1)
        if near:
            return f"{table} has no key `{name}`: did you mean `{near[0]}`?"
        homes = [f"[{home}]" for home in _homes(self._root, name)] if self._root is not None else []
        if homes:
            return f"{table} has no key `{name}`: it belongs in {' or '.join(homes)}"
        return f"{table} has no key `{name}`: it knows {', '.join(fields)}"

    def _no(self, keys: KeyPath, words: str) -> Any:
        self.problems.append(Problem(keys, words))
        return _BAD


def shown(keys: KeyPath) -> str:
    """Keys as a person writes them: instruments[0].symbol"""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def _field_keys(field: str) -> KeyPath:
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^\[\].]+", field))


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The one struct class of `kind`, if it is one, or one or None."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return _struct_in(inner[0]) if len(inner) == 1 else None
    return None


def _container(kind: Any) -> Any:
    return typing.get_origin(_bare(kind))


def _bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _element_struct(kind: Any) -> type[msgspec.Struct] | None:
    """What a list, a tuple[X, ...] or a dict[str, X] holds, if that is a struct."""
    if _container(kind) not in (list, tuple, dict):
        return None
    arguments = [part for part in typing.get_args(_bare(kind)) if part is not Ellipsis]
    return _struct_in(arguments[-1]) if arguments else None


def _homes(kind: Any, name: str, at: str = "") -> list[str]:
    """The tables that know a key `name`."""
    found: list[str] = []
    hints = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        inner = _struct_in(hints[field.name]) or _element_struct(hints[field.name])
        if field.encode_name == name and at:
            found.append(at)
        if inner is not None:
            found += _homes(inner, name, f"{at}.{field.encode_name}" if at else field.encode_name)
    return found


def _to_write(kind: Any, data: Any = None) -> str:
    """What to write for a value of this type, in words."""
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _choice([str(member.value) for member in kind], data)
    if typing.get_origin(kind) is typing.Literal:
        return _choice([str(choice) for choice in typing.get_args(kind)], data)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        return " or ".join(_to_write(part, data) for part in parts)
    return _WHAT_TO_WRITE.get(typing.get_origin(kind) or kind, "a value of that type")


def _choice(choices: list[str], data: Any) -> str:
    near = difflib.get_close_matches(str(data), choices, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"one of {', '.join(repr(choice) for choice in choices)}{meant}"


def _is_finite(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return all(_is_finite(item) for item in data)
    if isinstance(data, dict):
        return all(_is_finite(item) for item in data.values())
    return not isinstance(data, float | Decimal) or math.isfinite(data)


def _masked(data: Any) -> str:
    """The value as it may be shown: short, and without what an URL may hold of passwords and tokens."""
    text = re.sub(r"://[^\s'\"]*", "://****", repr(data))
    return text if len(text) <= 80 else f"{text[:77]}..."
