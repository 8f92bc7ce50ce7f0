"""Every knob of the market-data connection, with the reason for its default."""

from __future__ import annotations

from typing import Literal

import msgspec


class MarketConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table [market] of a config. Raises ValueError where values contradict each other."""

    # Binance sends depth diffs every 100 ms or every second; a scalper wants the former.
    depth_speed: Literal["100ms", "1000ms"] = "100ms"

    connect_timeout_s: float = 10.0
    # A connection counts only once the venue has listed our streams as subscribed, and sent a first frame.
    proof_timeout_s: float = 10.0
    # Not one frame on a proven connection for so long: it is replaced. Above what feeds take for silence, so
    # that a book is declared lost before its connection is given up.
    silent_after_s: float = 15.0

    # Binance ends a connection after 24 hours; we replace it before, while the old one still runs.
    connection_max_s: float = 23 * 3600.0
    # How long two connections run side by side at most, to see each depth stream go on without a hole.
    overlap_max_s: float = 10.0

    # Between attempts to connect: doubled from min to max, with jitter; back to min after a good minute.
    reconnect_min_s: float = 0.25
    reconnect_max_s: float = 10.0
    # Binance allows an address 300 attempts in 5 minutes; other processes of this host connect too.
    attempts_per_5_minutes_max: int = 100

    # Frames refused by the codec within a minute: one is a curiosity, this many are a connection gone bad.
    frames_bad_max: int = 20

    # The longest message that is accepted: a diff of a whole book.
    frame_bytes_max: int = 1 << 20
    report_every_s: float = 5.0

    def __post_init__(self) -> None:
        for knob in (
            "connect_timeout_s",
            "proof_timeout_s",
            "silent_after_s",
            "overlap_max_s",
            "report_every_s",
        ):
            if not getattr(self, knob) > 0:
                raise ValueError(f"market: {knob} must be above 0; a wait without a limit is a hang")
        if self.connection_max_s > 24 * 3600:
            raise ValueError(
                f"market: connection_max_s {self.connection_max_s} must be at most 24 h (86400), when "
                "Binance ends a connection by itself and the stream has a hole"
            )
        if self.connection_max_s <= self.proof_timeout_s + self.overlap_max_s:
            raise ValueError(
                f"market: connection_max_s {self.connection_max_s} must exceed proof_timeout_s + "
                "overlap_max_s, or a connection would be replaced before it has replaced the one before it"
            )
        if not 0 < self.reconnect_min_s <= self.reconnect_max_s:
            raise ValueError("market: 0 < reconnect_min_s <= reconnect_max_s")
        if not 1 <= self.attempts_per_5_minutes_max <= 300:
            raise ValueError(
                "market: attempts_per_5_minutes_max must be 1 to 300, what Binance allows an address"
            )
        if self.frames_bad_max < 1 or self.frame_bytes_max < 1 << 16:
            raise ValueError("market: frames_bad_max must be at least 1, frame_bytes_max at least 65536")
