"""The outbox's rows as records: what is known of an incident, of a page's way to a channel, of a silence."""

from __future__ import annotations

import enum

import msgspec

from supervisor.paging.messages import Severity


class State(enum.Enum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class DeliveryState(enum.Enum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    """By the provider, which is not "read"."""
    FAILED = "failed"


class IncidentRow(msgspec.Struct, frozen=True):
    """One matter, from its first report. Times are wall clock in ns."""

    key: str
    severity: Severity
    state: State
    since_ns: int
    last_ns: int
    count: int
    title: str
    done: str
    command: str
    acked_by: str
    acked_ns: int
    paged_ns: int
    """When it was last handed to a channel; 0: never."""
    repeats: int


class DeliveryRow(msgspec.Struct, frozen=True):
    page_id: int
    channel: str
    state: DeliveryState
    attempts: int
    at_ns: int


class SilenceRow(msgspec.Struct, frozen=True):
    """Until `until_ns` nothing is sent for keys like `pattern` (`*` and `?` as in a shell)."""

    pattern: str
    until_ns: int
    by: str
    reason: str


class Listing(msgspec.Struct, frozen=True):
    """What `page list` shows; each the newest first."""

    incidents: list[IncidentRow]
    silences: list[SilenceRow]
    deliveries: list[DeliveryRow]
