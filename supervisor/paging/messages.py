"""What goes to a person, and what is published about it."""

from __future__ import annotations

from supervisor.message import Message


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


class Page(Message, frozen=True):
    """One page as it is sent. `count` above 1: it stands for so many incidents."""

    page_id: int
    key: str
    title: str
    text: str
    count: int


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
