"""The measurements behind the promises of speed. The exact bounds are held by `nightdesk bench runtime`; a
shared machine gets twice that here, which still tells a design from a slip."""

from __future__ import annotations

from actors.bench.runtime import measure


def test_the_dispatcher_keeps_its_promises_of_speed_against_plain_trio() -> None:
    figures = measure(3)
    assert figures["hop4_vs_channels"] <= 0.8
    assert figures["restart_vs_nursery"] <= 0.6
    assert figures["system_lane_vs_fifo"] <= 0.02
    assert figures["burst64_vs_channels"] >= 5
    for name in ("hop4", "restart", "system_lane", "burst64"):
        assert 0 < figures[f"{name}_p50_us"] <= figures[f"{name}_p99_us"]
