"""The exchange of our own beside a desk: what a run says when it is gone."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from actors.exchange import record_of
from actors.settings import read
from actors.summary import summarise, words
from actors.tally import Tally

DEMO = Path(__file__).parents[2] / "configs" / "demo.toml"


async def test_a_run_whose_exchange_died_still_has_its_summary_and_does_not_claim_to_agree() -> None:
    settings = read(DEMO)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        venue = msgspec.structs.replace(settings.venue, rest_url=url)
        recorded = await record_of(msgspec.structs.replace(settings, venue=venue))
    assert recorded.record is None and "cannot be had" in recorded.missing
    summary = summarise(
        Tally(),
        None,
        pages=0,
        account="main",
        prefix="nd",
        record=None,
        counts=None,
        missing=recorded.missing,
    )
    assert summary.agrees == [recorded.missing]
    assert "DISAGREES" in words(summary, None)


async def test_a_run_on_an_exchange_of_others_has_nothing_to_compare_with() -> None:
    recorded = await record_of(msgspec.structs.replace(read(DEMO), simulated=None))
    assert recorded == (None, None, "")
