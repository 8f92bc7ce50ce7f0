"""Who is crashed, and the verdict over a row of crashes: each thing that must not be is planted, and found."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors.chaos.judge import Fill, Order, Seen
from actors.chaos.rounds import Pacing, condition, victims
from actors.chaos.verdict import Trial, Verdict, verdict
from supervisor.mailbox import Address
from supervisor.spec import Branch, Budget, Child, Strategy
from tests.actors.chaos.records import ACCOUNT, TERMS, S, balances, change, fill, kept, order, stop

# --- who, and when ------------------------------------------------------------------------------------------


def child(name: str) -> Child:
    return Child(Address(name), lambda: None)  # type: ignore[arg-type, return-value]


TREE = Branch(
    "desk", Strategy.ONE_FOR_ONE,
    (
        Branch("core", Strategy.ONE_FOR_ONE, (child("lease"), child("journal"))),
        Branch("trading", Strategy.REST_FOR_ONE, (child("orders"), child("risk"), child("strategy"))),
        Branch("twins", Strategy.ONE_FOR_ALL, (child("left"), child("right"))),
    ),
)  # fmt: skip


def test_every_child_has_its_turn_and_no_branch_two_in_a_row() -> None:
    found = victims(TREE)
    assert sorted(each.name for each in found) == sorted(
        ["lease", "journal", "orders", "risk", "strategy", "left", "right"]
    )
    assert [each.branch for each in found[:6]] == ["core", "trading", "twins"] * 2


def test_who_falls_with_a_child_is_what_the_tree_says() -> None:
    falls = {each.name: set(each.falls_with) for each in victims(TREE)}
    assert falls["lease"] == set()
    assert falls["orders"] == {"risk", "strategy"} and falls["strategy"] == set()
    assert falls["left"] == {"right"} and falls["right"] == {"left"}


def test_half_of_the_trials_wait_for_a_position_and_a_fifth_for_an_order_on_its_way() -> None:
    wanted = [condition(number) for number in range(100)]
    assert wanted.count("held") >= 50 and wanted.count("in_flight") >= 20


def test_a_branch_is_never_crashed_beyond_its_budget() -> None:
    pacing, victim = Pacing(), victims(TREE)[0]
    budget = Budget()
    for at_s in range(budget.crashes_max):
        assert pacing.wait_s(victim, at_s) == 0
        pacing.crashed(victim, at_s)
    assert pacing.wait_s(victim, 10.0) > budget.within_s - 10.0
    assert pacing.wait_s(victim, budget.within_s + 2.0) == 0
    assert pacing.wait_s(victims(TREE)[1], 10.0) == 0, "another branch has its own"


# --- the verdict --------------------------------------------------------------------------------------------

BOUGHT, SOLD = fill(10 * S, fee="0"), fill(30 * S, "SELL")
GOOD_ORDERS = (
    order("nda-o1-1", 9 * S, change(10 * S, "FILLED", executed="0.001")),
    stop("nda-p1-2", 10 * S, 30 * S),
    order("nda-r1-3", 30 * S, change(30 * S, "FILLED"), side="SELL"),
    order("nda-o2-4", 40 * S, change(40 * S, "EXPIRED")),
)
INTENTS = {each.client_id: each.at_us * 1000 - 1 for each in GOOD_ORDERS}
TRIAL = Trial(
    victim="orders", wanted="held", at_us=20 * S, back_s=0.1, paged_s=0.2, pages=("orders crashed: Boom",),
    others=(), down=(),
)  # fmt: skip


def judged(
    trials: tuple[Trial, ...] = (TRIAL,),
    orders: tuple[Order, ...] = GOOD_ORDERS,
    fills: tuple[Fill, ...] = (BOUGHT, SOLD),
    booked: tuple[Fill, ...] | None = None,
    record: dict[str, Any] | None = None,
    intents: dict[str, int] | None = None,
) -> Verdict:
    return verdict(
        trials,
        Seen(orders, fills),
        kept(*(fills if booked is None else booked), intents=intents or INTENTS),
        record or balances(),
        account=ACCOUNT,
        terms=TERMS,
        entry_max=Decimal(70),
        until_us=60 * S,
    )


def trial(**changes: Any) -> tuple[Trial, ...]:
    return (msgspec.structs.replace(TRIAL, **changes),)


def test_a_row_in_which_nothing_went_wrong_is_ok() -> None:
    found = judged()
    assert found.ok and found.problems == ()
    assert (found.held, found.pages, found.fills, found.lost, found.doubled) == (1, 1, 2, 0, 0)
    assert found.by_child["orders"].crashes == 1
    assert found.traded_again_max_s == 10


def test_no_trial_at_all_is_not_ok() -> None:
    assert not judged(trials=()).ok


PLANTED = [
    ("did not come back", {"trials": trial(back_s=None)}),
    ("0 pages instead of one", {"trials": trial(pages=())}),
    ("2 pages instead of one", {"trials": trial(pages=("orders crashed: Boom", "risk crashed: Boom"))}),
    ("instead of one: ['risk crashed", {"trials": trial(pages=("risk crashed: Boom",))}),
    ("market restarted when orders crashed", {"trials": trial(others=("market",))}),
    ("market does not run", {"trials": trial(down=("market",))}),
    ("nothing was traded after", {"trials": trial(at_us=41 * S)}),
    ("a position was held in 0 of 2", {"trials": trial(at_us=1 * S) + trial(at_us=5 * S)}),
    ("an order was on its way in 0 of 5", {"trials": tuple(trial(at_us=t * S)[0] for t in range(20, 25))}),
    ("was accepted twice", {"orders": (*GOOD_ORDERS, GOOD_ORDERS[0])}),
    ("in no journal", {"intents": {"nda-o1-1": 0}}),
    ("fill ('BTCUSDT', 30000000, 1) is not in the journal", {"booked": (BOUGHT,), "record": balances("0", "0.001")}),
    ("in the journal and not at the venue", {"booked": (BOUGHT, SOLD, fill(50 * S, size="0"))}),
    ("in the journal twice", {"booked": (BOUGHT, BOUGHT, SOLD), "record": balances("0", "0.001")}),
    ("off the venue's balance", {"record": balances("0", "0.001")}),
    ("without a stop", {"orders": (GOOD_ORDERS[0], stop("nda-p1-2", 10 * S, 25 * S), *GOOD_ORDERS[2:])}),
    ("still works at the venue", {"orders": (*GOOD_ORDERS[:3], order("nda-o2-4", 40 * S))}),
    ("sold more than was held", {"fills": (BOUGHT, SOLD, fill(31 * S, "SELL")), "record": balances("0.001", "0")}),
    ("one entry is 70", {"fills": (fill(9 * S), BOUGHT, SOLD), "record": balances("0", "0.001")}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "planted"), PLANTED, ids=[words for words, _ in PLANTED])
def test_what_was_planted_is_found(words: str, planted: dict[str, Any]) -> None:
    found = judged(**planted)
    assert not found.ok
    assert [problem for problem in found.problems if words in problem], found.problems


def test_a_trial_answers_for_what_happens_until_the_next_one() -> None:
    first, second = trial(at_us=5 * S)[0], msgspec.structs.replace(TRIAL, victim="risk", at_us=25 * S)
    found = judged(trials=(first, second), booked=(BOUGHT,), record=balances("0", "0.001"))
    assert found.by_child["orders"].lost == 0 and found.by_child["risk"].lost == 1
