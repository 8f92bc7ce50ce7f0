"""What a page says of the position: only what was verified at the venue."""

from __future__ import annotations

from actors.messages import ProtectionChanged
from actors.notices import Situation


def _protection(position_lots: int, stop: str | None) -> ProtectionChanged:
    return ProtectionChanged(
        instrument="binance/BTCUSDT",
        position_lots=position_lots,
        stop_client_id=stop,
        stop_ticks=100 if stop else None,
        protected_lots=position_lots if stop else 0,
        verified_ns=1,
        unprotected_ns=0,
    )


def test_a_page_never_says_flat_before_the_venue_has_been_read() -> None:
    situation = Situation()
    assert "not known yet" in situation.lines() and "flat" not in situation.lines()
    situation(_protection(0, None))
    assert situation.lines().startswith("position: flat")


def test_a_page_states_the_position_and_its_stop() -> None:
    situation = Situation()
    situation(_protection(165, "nda-p1-2"))
    assert "165 lots, stop nda-p1-2 at tick 100 for 165 lots" in situation.lines()
    situation(_protection(165, None))
    assert "165 lots, no stop at this moment" in situation.lines()
