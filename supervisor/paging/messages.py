"""What goes to a person, and what is published about it."""

from __future__ import annotations

import enum

from supervisor.message import Message


class Severity(enum.Enum):
    """How much it matters: which channels a page goes to, and whether it is repeated until acknowledged."""

    PAGE = "page"
    """Somebody must look now; repeated until acknowledged."""
    NOTICE = "notice"
    """Worth knowing today; sent once."""
    LOG = "log"
    """Kept in the log and the outbox; sent nowhere."""


class Incident(Message, frozen=True):
    """Something that a person must know. Any part of the program may publish one; the pager's rules make the
    usual ones."""

    key: str
    """Incidents with the same key are one matter: the first is paged at once, the rest are counted."""
    title: str
    """One line: what happened, to what."""
    done: str
    """What the system did about it."""
    command: str
    """What to type next."""
    wall_ns: int
    """Since when (UTC)."""
    is_echo: bool = False
    """True: the same fault seen from elsewhere. Not even counted while its key is known."""
    severity: Severity = Severity.PAGE
    runbook: str = ""
    """The runbook's name, if it is not the first part of the key: "halted" means ops/runbooks/halted.md."""


class Resolved(Message, frozen=True):
    """The matter with this key is over: it is not repeated any more, and the next one is a new incident."""

    key: str
    """"mode/*" is every key that begins so."""


class Page(Message, frozen=True):
    """One page as it is sent. `count` above 1: it stands for so many incidents. `page_id` is the outbox's; 0
    before it is there, below 0 if it could not be."""

    page_id: int
    key: str
    title: str
    text: str
    count: int
    severity: Severity = Severity.PAGE
    is_repeat: bool = False
    """True: nobody has acknowledged it; it goes wider than at first."""


class Paged(Message, frozen=True):
    """Published once for each page, when it is handed to the channels; with no channel, the log and the view
    are it."""

    page: Page
    channels: int


class PageDelivered(Message, frozen=True):
    """A channel's provider took the page. That is not yet somebody who has read it."""

    page_id: int
    channel: str
    took_s: float
    attempts: int


class PageFailed(Message, frozen=True):
    """A channel could not deliver a page, after all its attempts."""

    page_id: int
    channel: str
    reason: str
