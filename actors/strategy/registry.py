"""Finds a strategy by its name in the config: `[strategy.imbalance]` is `Imbalance` in `imbalance.py`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from actors.strategy.protocol import Strategy, StrategyMaker


def names() -> list[str]:
    """The strategies there are, by the names to write in a config."""
    package = importlib.import_module(__package__)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if _class_in(m.name) is not None)


def strategy_class(name: str) -> type[Strategy]:
    """The class of the strategy `name`; ValueError, naming those there are, when there is none."""
    known = names()
    found = _class_in(name) if name in known else None
    if found is None:
        raise ValueError(
            f"strategy {name!r}: actors/strategy/{name}.py with a class {_class_name(name)} that has a Config "
            f"does not exist; there are: {', '.join(known)}"
        )
    return found


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _class_in(name: str) -> type[Strategy] | None:
    """The strategy in the file `name` of this folder; None where it holds something else."""
    found = getattr(importlib.import_module(f"{__package__}.{name}"), _class_name(name), None)
    return cast(type[Strategy], found) if hasattr(found, "Config") else None


def config_of(name: str) -> type[msgspec.Struct]:
    """The config struct of the strategy `name`. Raises ValueError as `strategy_class` does."""
    found: type[msgspec.Struct] = strategy_class(name).Config
    return found


def configure(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, msgspec.Struct]:
    """`[strategy.*]` tables to each strategy's own config struct.

    Raises ValueError for an unknown strategy and msgspec.ValidationError for an unknown key, a wrong type or
    values that contradict each other.
    """
    return {
        name: msgspec.convert(table, strategy_class(name).Config, strict=True)
        for name, table in tables.items()
    }


def maker(name: str, config: msgspec.Struct, instrument: str) -> StrategyMaker:
    """Makes fresh lives of one configured strategy on one instrument."""
    made = cast(Callable[[msgspec.Struct, str, Callable[[], int]], Strategy], strategy_class(name))
    return lambda new_id: made(config, instrument, new_id)
