"""What happens between two messages: each test stops the world at the one moment at which a belief could go
wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from actors.messages import (
    ApprovedOrder,
    Fill,
    OrderIntent,
    OrderKind,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    OrderState,
    PlaceOrder,
    Purpose,
    QueryAccount,
    QueryOrder,
    ReplaceOrder,
    TimeInForce,
)
from supervisor.journal.messages import Append
from supervisor.message import Message
from tests.actors.orders.model_roads import Arrives
from tests.actors.orders.model_venue import RULES, TICK
from tests.actors.orders.orders_rig import Rig

S = 1_000_000_000


def when(rig: Rig, name: str, test: Callable[[Message], bool], then: Callable[[], None]) -> list[int]:
    """The first time that `name` is about to handle such a message, do `then` before it does."""
    done: list[int] = []
    before = rig.sim.dispatcher.trace

    def trace(at_ns: int, who: str, message: Message) -> None:
        if before is not None:
            before(at_ns, who, message)
        if who == name and not done and test(message):
            done.append(at_ns)
            then()

    rig.sim.dispatcher.trace = trace
    return done


def appends(letter: str) -> Callable[[Message], bool]:
    return lambda m: (
        isinstance(m, Append) and any(r.kind == "intent" and f"-{letter}" in r.key for r in m.records)
    )


def held(rig: Rig, lots: int = 100) -> Rig:
    rig.buy(lots)
    rig.run(1)
    return rig


def test_a_kill_while_the_journal_commits_withholds_the_entry() -> None:
    rig = Rig().open()
    raised = rig.sim.dispatcher.flags._raised
    done = when(rig, "journal", appends("o"), lambda: raised.update(kill=True))
    rig.buy(100)
    rig.run(1)
    assert done and rig.states() == [OrderState.NOT_SENT]
    assert not rig.sends(PlaceOrder), "it did not even reach the port, which would have looked once more"


def test_a_stop_that_fills_while_the_exit_is_journalled_leaves_nothing_for_the_exit_to_sell() -> None:
    rig = held(Rig(base=Decimal("0.5")).open())

    def trigger() -> None:
        rig.venue.move(Decimal("59600.00"))
        words, rig.venue.stream = rig.venue.stream, []
        for word in words:
            rig.sim.tell(rig.orders, word)

    done = when(rig, "journal", appends("r"), trigger)
    intent = rig.sell(99)
    rig.run(1)
    assert done and rig.last(intent).reason == "position_changed" and not rig.sends(ReplaceOrder)
    rig.check()


def test_beside_the_owners_coins_a_stop_is_covered_anew_only_when_the_venue_says_it_is_gone() -> None:
    rig = held(Rig(base=Decimal("0.5")).open(), 500)
    placed = len(rig.sends(PlaceOrder))
    rig.luck.lose = 1.0
    rig.sell(200)  # the replace is lost on its way
    rig.luck.lose = 0.0
    rig.run(0.25)
    assert len(rig.sends(ReplaceOrder)) == 1 and len(rig.sends(PlaceOrder)) == placed
    assert rig.venue.stopped <= rig.venue.position
    rig.run(5)
    rig.check()


def test_when_nobody_knows_what_became_of_a_replace_the_stop_is_asked_about_too_at_once() -> None:
    rig = held(Rig().open())
    stop = rig.live(Purpose.PROTECT)[0]
    rig.luck.lose, rig.luck.answer_s = 1.0, 100.0
    rig.sell(99)
    replace = rig.sends(ReplaceOrder)[0]
    assert isinstance(replace, ReplaceOrder)
    word = replace.undelivered(written=True)  # all that a dead port can say
    assert isinstance(word, OrderOutcomeUnknown)
    rig.sim.tell(rig.orders, word)
    rig.run(0.3)
    assert stop in {m.client_id for m in rig.sends(QueryOrder) if isinstance(m, QueryOrder)}


def test_a_fill_that_falls_between_the_last_reading_and_its_answer_is_not_lost() -> None:
    rig = held(Rig().open())
    rig.luck.delay_s = 0.2
    rig.sim.crash("orders")
    readings: list[int] = []

    def reads(message: Message) -> bool:
        if isinstance(message, Arrives) and isinstance(message.request, QueryAccount):
            readings.append(rig.desk.phase.value == "agree_second")
        return False

    when(rig, "rest", reads, lambda: None)
    while sum(readings) < 2:
        rig.run(0.005)
    # Read twice alike at the venue, and not heard yet: now the stop goes, and only the execution is heard of.
    rig.venue.move(Decimal("59600.00"))
    for word in rig.venue.stream:
        if isinstance(word, Fill):
            rig.sim.tell(rig.orders, word)
    rig.venue.stream.clear()
    rig.run(0.5)
    assert rig.desk.phase.value == "open" and rig.position_lots == 0
    rig.check()


def test_a_working_order_that_a_reading_does_not_list_is_asked_about_and_not_dropped() -> None:
    rig = held(Rig().open())
    stop = rig.live(Purpose.PROTECT)[0]
    rig.venue.hides.add(stop)
    rig.run(65)
    assert stop in {m.client_id for m in rig.sends(QueryOrder) if isinstance(m, QueryOrder)}
    assert rig.desk.known.live[stop].state is OrderState.OPEN and rig.live(Purpose.PROTECT) == [stop]


def test_an_exit_that_can_never_be_sent_is_tried_ever_more_slowly() -> None:
    rig = Rig()

    def too_late(intent: OrderIntent, position: int, working: int) -> ApprovedOrder:
        return ApprovedOrder(intent=intent, reservation_id=0, send_by_ns=0)

    rig.exit_check = too_late
    rig.open()
    rig.buy(100)
    rig.run(2)
    assert 2 < len([r for r in rig.store.records if r.kind == "intent"]) < 20


def test_an_order_that_the_venue_calls_a_duplicate_is_there_and_is_asked_about() -> None:
    rig = Rig().open()
    rig.luck.mute = rig.luck.stream_lose = 1.0
    intent = rig.buy(
        100, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK)
    )
    rig.sim.run_for(0.02)
    rig.luck.mute = 0.0
    client_id = rig.live(Purpose.OPEN)[0]
    rig.sim.tell(
        rig.orders, OrderRefusedByVenue(client_id=client_id, code=-2010, words="Duplicate order sent.")
    )
    rig.run(1)
    assert rig.last(intent).state is OrderState.OPEN


def test_the_gate_stays_shut_until_what_was_found_unprotected_has_its_stop() -> None:
    rig = Rig()
    rig.venue.refuses[OrderKind.STOP_MARKET] = rig.venue.refuses[OrderKind.STOP_LIMIT] = (-1015, "Too many")
    rig.sim.start()
    rig.book()
    while rig.desk.phase.value != "window":
        rig.run(0.01)
    # Late, and without a word: the second reading finds it.
    rig.venue.total["BTC"] = Decimal("0.01")
    rig.run(2)
    assert rig.desk.phase.value == "protect"
    rig.venue.refuses.clear()
    rig.run(1)
    assert rig.desk.phase.value == "open" and rig.venue.stopped == Decimal("0.01")


def test_a_reading_that_began_before_the_stream_was_up_proves_nothing() -> None:
    rig = held(Rig().open())
    rig.luck.delay_s = 0.2
    rig.stream(False)
    rig.run(0.7)  # while it is down the account is read all the time; one reading is out now
    asked = len(rig.sends(QueryAccount))
    rig.stream(True)
    assert len(rig.sends(QueryAccount)) == asked + 1
    while rig.desk.phase.value in ("stream", "read_first"):
        rig.run(0.005)
    assert rig.now_ns - rig.stream_up_ns >= 0.4 * S


def test_a_fill_older_than_every_fill_that_we_have_is_found() -> None:
    rig = Rig().open()
    rig.luck.stream_lose = 1.0
    rig.buy(100)
    rig.sim.run_for(0.006)
    rig.luck.stream_lose = 0.0
    rig.buy(100)
    rig.run(3)
    assert len(rig.booked) == 2 and rig.position_lots == 199
    rig.check()


def test_an_audit_that_differs_sweeps_resting_entries_as_any_start_does() -> None:
    rig = held(Rig().open())
    rig.run(55)
    rig.buy(100, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK))
    rig.venue.total["BTC"] += Decimal("0.002")
    rig.run(9)
    assert rig.desk.phase.value == "open" and rig.live(Purpose.OPEN) == []
    assert rig.position_lots == 299


def test_rules_that_would_make_one_balance_two_positions_are_refused() -> None:
    rig = Rig().open()
    rig.desk.lines["sim/ETHBTC"] = type(rig.line)("sim/ETHBTC")
    with pytest.raises(ValueError, match="share a coin"):
        rig.desk.rules(msgspec.structs.replace(RULES, instrument="sim/ETHBTC", base="ETH", quote="BTC"))
