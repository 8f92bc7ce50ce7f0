"""Finds a strategy by its name in the config: `[strategy.imbalance]` is `Imbalance` in `imbalance.py`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from actors.strategy.protocol import Strategy, StrategyMaker

# The files of this folder that are no strategy.
_HOUSE = frozenset({"actor", "config", "protocol", "registry", "trip"})


def names() -> list[str]:
    """The strategies there are, by the names to write in a config."""
    package = importlib.import_module(__package__)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _HOUSE)


def strategy_class(name: str) -> type[Strategy]:
    """The class of the strategy `name`; ValueError, naming those there are, when there is none."""
    if name not in names():
        raise ValueError(
            f"strategy {name!r}: no such file in actors/strategy/; there are: {', '.join(names())}"
        )
    module = importlib.import_module(f"{__package__}.{name}")
    class_name = "".join(word.capitalize() for word in name.split("_"))
    found = getattr(module, class_name, None)
    if found is None:
        raise ValueError(f"strategy {name!r}: actors/strategy/{name}.py has no class {class_name}")
    return cast(type[Strategy], found)


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
