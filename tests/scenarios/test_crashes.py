"""A desk trades on real sockets, and one child after another is crashed: what a crash costs is nothing."""

from __future__ import annotations

import json

import pytest

from actors.cli import main

# One of each kind: who sends, who remembers, who knows the orders, who brings the market, who pages, who decides.
CHILDREN = ("trade/binance", "journal", "orders", "market/binance", "pages", "strategy/binance/BTCUSDT")


@pytest.mark.e2e
def test_what_crashes_while_the_desk_trades_comes_back_alone_and_costs_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    only = [word for name in CHILDREN for word in ("--only", name)]
    code = main(["chaos", "live", "crashes", "--trials", str(len(CHILDREN)), *only, "--json"])
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["problems"] == [] and verdict["ok"] and code == 0
    assert verdict["held"] >= 3 and verdict["in_flight"] >= 1
    assert verdict["pages"] == len(CHILDREN) and verdict["others_restarted"] == 0
    assert (verdict["lost"], verdict["doubled"], verdict["oversold"]) == (0, 0, 0)
    assert verdict["unprotected_s"] == 0
    assert set(verdict["by_child"]) == set(CHILDREN)


@pytest.mark.e2e
def test_a_child_that_the_tree_does_not_have_is_refused_with_the_names_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["chaos", "live", "crashes", "--only", "ordres", "--json"]) != 0
    said = capsys.readouterr()
    assert said.out == "" and "no child is called 'ordres'" in said.err and "orders" in said.err
