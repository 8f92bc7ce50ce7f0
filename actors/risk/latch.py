"""The desk's mode as a table: three verbs that only restrict, and `resume`, which only a person may say.

    pause     opens nothing; positions are managed
    kill      cancels OPEN, keeps the stops, sells nothing by itself
    flatten   kill, then reduces until flat

Pure. The latched mode is in the journal; a mode that cannot be read is PAUSED (failed closed).
"""

from __future__ import annotations

import enum

from actors.messages import DeskMode, Verb


class Event(enum.Enum):
    """What may move the latch: the verbs, and the end of flattening."""

    PAUSE = "pause"
    KILL = "kill"
    FLATTEN = "flatten"
    RESUME = "resume"
    FLAT = "flat"


EVENTS = {
    Verb.PAUSE: Event.PAUSE,
    Verb.KILL: Event.KILL,
    Verb.FLATTEN: Event.FLATTEN,
    Verb.RESUME: Event.RESUME,
}

TRANSITIONS: dict[tuple[DeskMode, Event], DeskMode] = {
    (DeskMode.RUNNING, Event.PAUSE): DeskMode.PAUSED,
    (DeskMode.RUNNING, Event.KILL): DeskMode.KILLED,
    (DeskMode.RUNNING, Event.FLATTEN): DeskMode.FLATTENING,
    (DeskMode.RUNNING, Event.RESUME): DeskMode.RUNNING,
    (DeskMode.RUNNING, Event.FLAT): DeskMode.RUNNING,
    (DeskMode.PAUSED, Event.PAUSE): DeskMode.PAUSED,
    (DeskMode.PAUSED, Event.KILL): DeskMode.KILLED,
    (DeskMode.PAUSED, Event.FLATTEN): DeskMode.FLATTENING,
    (DeskMode.PAUSED, Event.RESUME): DeskMode.RUNNING,
    (DeskMode.PAUSED, Event.FLAT): DeskMode.PAUSED,
    # A pause asks for less than a kill has done already.
    (DeskMode.KILLED, Event.PAUSE): DeskMode.KILLED,
    (DeskMode.KILLED, Event.KILL): DeskMode.KILLED,
    (DeskMode.KILLED, Event.FLATTEN): DeskMode.FLATTENING,
    (DeskMode.KILLED, Event.RESUME): DeskMode.RUNNING,
    (DeskMode.KILLED, Event.FLAT): DeskMode.KILLED,
    (DeskMode.FLATTENING, Event.PAUSE): DeskMode.FLATTENING,
    # The only way to stop a flattening that sells what should be kept, without opening anything meanwhile.
    (DeskMode.FLATTENING, Event.KILL): DeskMode.KILLED,
    (DeskMode.FLATTENING, Event.FLATTEN): DeskMode.FLATTENING,
    (DeskMode.FLATTENING, Event.RESUME): DeskMode.RUNNING,
    # Flat is not free: the kill that came with it stays.
    (DeskMode.FLATTENING, Event.FLAT): DeskMode.KILLED,
}

PERSON = "operator"


def is_person(by: str) -> bool:
    """Whether a command's `by` is a person: "operator", or "operator:name"."""
    return by == PERSON or by.startswith(f"{PERSON}:")


def refusal(event: Event, by: str) -> str:
    """Why this command may not be given by `by`; "" when it may."""
    if event is Event.RESUME and not is_person(by):
        return f"only a person resumes, and {by!r} is none: send it as by={PERSON!r}"
    return ""


# Which of two restrictions stands when both are meant: what was typed while the journal was still being
# read, and what the journal then says.
STRICTNESS = {DeskMode.RUNNING: 0, DeskMode.PAUSED: 1, DeskMode.KILLED: 2, DeskMode.FLATTENING: 3}


def stricter(one: DeskMode, other: DeskMode) -> DeskMode:
    return one if STRICTNESS[one] >= STRICTNESS[other] else other
