"""A desk trades on real sockets and is killed by SIGKILL, again and again: what it promised before, holds after."""

from __future__ import annotations

import json

import pytest

from actors.cli import main

KILLS = 6


@pytest.mark.e2e
def test_every_order_is_known_and_every_fill_booked_once_however_often_the_desk_is_killed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["chaos", "live", "kill9", "--trials", str(KILLS), "--json"])
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["problems"] == [] and verdict["ok"] and code == 0
    assert verdict["fills"] > 0 and verdict["orders"] >= verdict["fills"] // 2
    # The last start, which is not killed, reconciles too.
    assert verdict["reconciled"] == KILLS + 1 and verdict["not_reconciled"] == 0
    for count in ("unjournalled", "doubled", "oversold", "fills_missing", "fills_double", "fills_invented"):
        assert verdict[count] == 0, count
    assert verdict["position_off"] == {} and verdict["left_working"] == 0
    assert verdict["damaged"] == 0 and verdict["epochs_broken"] == 0
