"""The watcher: an actor that sees what is told and not published (books, rules, the lease), for the live picture."""

from __future__ import annotations

from collections.abc import Callable

from actors.messages import Book, BookLost, InstrumentRules
from supervisor.actor import Actor
from supervisor.failover.messages import Fenced, Leading
from supervisor.message import Message


class WatcherActor(Actor):
    """Hands everything on to `see`. `Book` belongs into its address's `latest`: a view needs the newest only."""

    def __init__(self, see: Callable[[Message], None]) -> None:
        self._see = see

    def on_news(self, message: Book | BookLost | InstrumentRules | Leading | Fenced) -> None:
        self._see(message)
