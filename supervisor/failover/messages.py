"""What a lease says: that this process leads, under which number, or that it does not."""

from __future__ import annotations

from supervisor.message import Message


class Leading(Message, frozen=True):
    """This process holds the lease. `epoch` is higher than that of every holder before it in the store
    `store_id`."""

    store_id: str
    epoch: int


class Fenced(Message, frozen=True):
    """This process does not hold the lease and must send nothing; `reason` says who does, or what was
    lost."""

    reason: str


class WhoLeads(Message, frozen=True):
    """Asked or told to the lease: answered by `Leading` or `Fenced`, as things stand."""
