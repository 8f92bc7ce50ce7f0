"""The tree of a desk: who falls with whom when one of them cannot be helped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actors.settings import read
from actors.tree import STRATEGY_BUDGET, Desk, Outside, desk_tree
from supervisor.actor import Actor
from supervisor.events import BranchGaveUp, ChildStarted
from supervisor.journal.memory import MemoryJournal, MemoryStore
from supervisor.simulation import Simulation

CONFIG = """
[desk]
state_dir = "state"

[venue]
account = "main"
api_key = "env:UNUSED"
api_secret = "env:UNUSED"

[[instruments]]
symbol = "BTCUSDT"

[[instruments]]
symbol = "ETHUSDT"
"""


class Silent(Actor):
    """A port that is there and says nothing."""


def test_a_strategy_that_keeps_crashing_stops_alone(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(CONFIG)
    desk = Desk(read(config))

    def silent(_: Desk) -> type[Silent]:
        return Silent

    def journal(_: Desk) -> Callable[[], Actor]:
        return lambda: MemoryJournal(MemoryStore())

    run = Simulation(desk_tree(desk, Outside(silent, silent, silent, journal, silent)))
    run.start()
    for _ in range(STRATEGY_BUDGET.crashes_max + 1):
        run.crash("strategy/binance/BTCUSDT")
        # Longer than any backoff, shorter than what would empty the budget's window.
        run.run_for(5.3)
    gave_up = [event for event in run.events if isinstance(event, BranchGaveUp)]
    assert [(event.name, event.alone) for event in gave_up] == [("trades/binance/BTCUSDT", True)]
    again = {event.name for event in run.events if isinstance(event, ChildStarted) and event.incarnation > 1}
    assert again == {"strategy/binance/BTCUSDT"}
