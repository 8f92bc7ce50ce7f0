"""Which method of an Actor takes which message: read once per class from the annotations of its `on_...`
methods."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor.errors import HandlerError
from supervisor.message import Message

if TYPE_CHECKING:
    from supervisor.actor import Actor

Handler = Callable[[Any, Any], None]

_tables: dict[type[Any], HandlerTable] = {}


class HandlerTable(dict[type[Message], Handler | None]):
    """Message class -> function. A class that is not listed is looked up once by its bases; None: nobody
    takes it."""

    def __missing__(self, kind: type[Message]) -> Handler | None:
        found = next((self[base] for base in kind.__mro__[1:] if base in self), None)
        self[kind] = found
        return found


def handlers_of(actor: type[Actor]) -> HandlerTable:
    """Raises HandlerError, naming the method and where it stands, unless every handler can be understood."""
    table = _tables.get(actor)
    if table is None:
        table = _tables[actor] = HandlerTable()
        owners: dict[type[Message], str] = {}
        for name in dir(actor):
            function = getattr(actor, name)
            if not name.startswith("on_") or not inspect.isfunction(function):
                continue
            for kind in _kinds(function):
                if kind in owners:
                    del _tables[actor]
                    raise HandlerError(
                        f"{_where(function)}: {kind.__name__} already goes to {owners[kind]}; "
                        "one message, one handler"
                    )
                owners[kind] = name
                table[kind] = function
    return table


def _kinds(function: Callable[..., Any]) -> list[type[Message]]:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise HandlerError(
            f"{_where(function)}: a handler never waits; write `def`, and let a Port do what must wait"
        )
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise HandlerError(
            f"{_where(function)}: a handler takes (self, message), not {tuple(parameters)}; "
            "a method that is no handler must not be called on_..."
        )
    try:
        annotation = typing.get_type_hints(function).get(parameters[1])
    except NameError as error:
        raise HandlerError(
            f"{_where(function)}: cannot read its annotation ({error}); import the message's class for real, "
            "not under TYPE_CHECKING"
        ) from error
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    kinds = typing.get_args(annotation) if union else (annotation,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise HandlerError(
                f"{_where(function)}: `{parameters[1]}` must be annotated with a Message class, not {kind!r}"
            )
    return list(kinds)


def _where(function: Callable[..., Any]) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}: {function.__qualname__}"
