"""The exceptions that the runtime raises or understands."""

from __future__ import annotations


class Halt(Exception):
    """Raise it when a restart cannot help (a bad key, a broken invariant): the branch stops, and a person
    is paged."""


class HandlerError(TypeError):
    """An Actor class whose handlers cannot be understood; says which method, where, and what to write
    instead."""


class TreeError(ValueError):
    """A tree whose specs contradict each other; nothing was started."""


class StartFailed(Exception):
    """The first start of the tree failed; what had been started was stopped again."""


class TreeGaveUp(Exception):
    """The root branch spent its restart budget, or halted; the tree has stopped."""


class Overran(Exception):
    """Raised by the timer signal inside a handler that ran past its limit, after `ran_s` seconds."""

    def __init__(self, ran_s: float) -> None:
        super().__init__(f"interrupted after {ran_s:.2f} s")
        self.ran_s = ran_s


class StartTimedOut(Exception):
    """A child did not call `ready()` within its `start_timeout_s`."""


class ChaosCrash(Exception):
    """A crash that was asked for."""


class AskError(Exception):
    """A port's `ask` ended without an answer."""


class ActorDied(AskError):
    """The life that was asked has ended, or the address has none and will have none."""


class Overloaded(AskError):
    """The mailbox was full."""


class AskTimeout(AskError):
    """No answer came in time."""
