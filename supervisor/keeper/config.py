"""The table [keeper]: when a process counts as broken."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from supervisor.keeper.decide import Limits


class KeeperConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[keeper]"""

    # From its start until the engine trades: it reads the venue's rules first, and a venue may be slow.
    grace_s: Annotated[float, Meta(ge=5, le=600)] = 60.0
    # A loop that does not turn cannot cancel. Time in which the machine gave it no processor does not count.
    stall_s: Annotated[float, Meta(ge=0.5, le=60)] = 1.0
    # An actor or port that has work and does none. Longer than a disk's worst pause.
    progress_s: Annotated[float, Meta(ge=2, le=60)] = 6.0
    # An engine uses 60-150 MB. Where systemd has a MemoryMax, keep this below it: the keeper lets the engine
    # cancel its entries first, the kernel does not.
    memory_mb_max: Annotated[int, Meta(ge=100)] = 800

    def limits(self, *, stop_s: float) -> Limits:
        """For a child that beats, and may take `stop_s` to end in order."""
        return Limits(
            grace_s=self.grace_s,
            stall_s=self.stall_s,
            progress_s=self.progress_s,
            rss_bytes_max=self.memory_mb_max * 1_000_000,
            stop_s=stop_s,
        )
