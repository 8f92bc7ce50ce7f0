"""Plain flags for the whole process, set at the moment a system message is told.

A kill that waits in a queue, even the first queue, is late for the order that is being written now. So
telling it also raises a flag, and whoever is about to do something irreversible reads that flag last.
"""

from __future__ import annotations

from supervisor.message import Message


class Flags:
    """Names that are raised or not; a name never heard of is not raised."""

    __slots__ = ("_raised",)

    def __init__(self) -> None:
        self._raised: dict[str, bool] = {}

    def __getitem__(self, name: str) -> bool:
        return self._raised.get(name, False)

    def raised(self) -> tuple[str, ...]:
        """The names now raised, in the order in which they first were."""
        return tuple(name for name, up in self._raised.items() if up)

    def told(self, message: Message) -> None:
        """A system message was told: raise and lower what its class names."""
        if message.raises_flag is not None:
            self._raised[message.raises_flag] = True
        if message.lowers_flag is not None:
            self._raised[message.lowers_flag] = False
