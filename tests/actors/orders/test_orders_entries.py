"""Entries: numbered, journalled, sent once; silence is not a failure; a kill stops them at the last
moment."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    ApprovedOrder,
    DeskMode,
    JournalTrouble,
    OrderChanged,
    OrderKind,
    OrderState,
    PlaceOrder,
    Purpose,
    QueryOrder,
    ReplaceOrder,
    Side,
    TimeInForce,
)
from actors.orders.client_ids import parse
from supervisor.failover.messages import Fenced
from supervisor.journal.memory import MemoryStore
from tests.actors.orders.model_venue import TICK
from tests.actors.orders.orders_rig import Rig

OPEN, UNKNOWN = OrderState.OPEN, OrderState.UNKNOWN


def resting(rig: Rig, lots: int = 100, **more: object):  # type: ignore[no-untyped-def]
    return rig.buy(
        lots,
        kind=OrderKind.POST_ONLY,
        tif=TimeInForce.GTC,
        price_ticks=int(rig.venue.bid / TICK),
        **more,
    )


def placed(rig: Rig, purpose: Purpose = Purpose.OPEN) -> list[PlaceOrder]:
    wishes = [m.place if isinstance(m, ReplaceOrder) else m for m in rig.sent]
    return [w for w in wishes if isinstance(w, PlaceOrder) and (parse(w.client_id) or "??")[1] is purpose]


def test_an_entry_is_sent_filled_and_told_to_risk_strategy_and_portfolio_each_once() -> None:
    rig = Rig().open()
    intent = rig.buy(100)
    rig.run(1)
    states = [OrderState.SENT, OrderState.OPEN, OrderState.FILLED]
    assert rig.states() == states
    assert [c.state for c in rig.at_strategy if isinstance(c, OrderChanged)] == states
    assert rig.last(intent).reservation_id == intent.intent_id and rig.last(intent).is_terminal
    assert len(rig.booked) == 1 and rig.position_lots == 99
    rig.check()


def test_every_order_at_the_venue_has_its_intent_in_the_journal_before_it_is_sent() -> None:
    rig = Rig().open()
    journalled: list[set[str]] = []
    rig.sim.dispatcher.trace = lambda at, name, message: (
        journalled.append({r.key for r in rig.store.records if r.kind == "intent"} - {""})
        if name == "trade" and isinstance(message, (PlaceOrder, ReplaceOrder))
        else None
    )
    rig.buy(100)
    rig.run(1)
    rig.sell(rig.position_lots)
    rig.run(1)
    wishes = [w for purpose in Purpose for w in placed(rig, purpose)]
    assert len(wishes) == len(journalled) >= 3
    for wish in sorted(wishes, key=lambda w: int(w.client_id.split("-")[-1], 36)):
        assert any(wish.client_id in keys for keys in journalled)
    for wish, keys in zip(
        [w for w in rig.sent if isinstance(w, (PlaceOrder, ReplaceOrder))], journalled, strict=True
    ):
        place = wish.place if isinstance(wish, ReplaceOrder) else wish
        assert place.client_id in keys


def test_an_entry_whose_journal_record_fails_is_never_sent_and_releases_its_reservation() -> None:
    rig = Rig(store=MemoryStore()).open()
    rig.store.room = 0
    intent = rig.buy(100)
    rig.run(1)
    assert rig.last(intent).state is OrderState.NOT_SENT and "disk is full" in rig.last(intent).reason
    assert not placed(rig) and rig.events(JournalTrouble)
    assert rig.buy(100) and rig.at_risk[-1].reason == "journal"  # type: ignore[union-attr]
    rig.store.room = None
    rig.run(2)
    rig.buy(100)
    rig.run(1)
    assert len(placed(rig)) == 1


def test_a_stop_is_placed_even_while_the_journal_is_full() -> None:
    rig = Rig().open()
    rig.buy(100)
    rig.sim.run_for(0.002)  # sent, not arrived
    rig.store.room = 0
    rig.run(2)
    assert rig.position_lots == 99 and rig.venue.stopped == Decimal("0.00099")
    assert len(rig.booked) == 1, "portfolio hears of a fill that the journal cannot keep"
    rig.store.room = None
    rig.run(2)
    assert [r.kind for r in rig.store.records].count("fill") == 1, "and the journal gets it when it can"


# --- the gate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [DeskMode.PAUSED, DeskMode.KILLED, DeskMode.FLATTENING])
def test_in_no_mode_but_running_is_anything_opened(mode: DeskMode) -> None:
    rig = Rig().open()
    rig.set_mode(mode)
    intent = rig.buy(100)
    rig.run(1)
    assert rig.last(intent).reason == "mode" and not placed(rig)


def test_before_control_has_said_the_mode_nothing_is_opened() -> None:
    rig = Rig().open()
    rig.desk.mode = None
    assert rig.last(rig.buy(100)).reason == "mode"


def test_a_kill_between_journal_and_send_withholds_the_entry() -> None:
    rig = Rig().open()
    rig.sim.tell(
        rig.orders, ApprovedOrder(intent=rig.intent(), reservation_id=1, send_by_ns=rig.now_ns + 10**9)
    )
    rig.sim.dispatcher.flags._raised["no_open"] = True
    rig.sim.settle()
    rig.run(1)
    assert rig.states() == [OrderState.NOT_SENT] and not placed(rig)


def test_a_kill_cancels_entries_one_by_one_and_leaves_the_stop_standing() -> None:
    rig = Rig().open()
    rig.buy(100)
    rig.run(1)
    resting(rig)
    resting(rig)
    rig.run(1)
    assert len(rig.live(Purpose.OPEN)) == 2
    rig.set_mode(DeskMode.KILLED)
    rig.run(1)
    assert rig.live(Purpose.OPEN) == [] and len(rig.live(Purpose.PROTECT)) == 1
    rig.check()


def test_nothing_is_opened_without_the_lease_and_an_order_that_was_waiting_dies_with_it() -> None:
    rig = Rig().open()
    rig.buy(100)
    rig.run(1)
    sent = len(rig.sent)
    rig.leads = False
    rig.sim.tell(rig.orders, Fenced(reason="lost"))
    rig.sim.settle()
    assert rig.last(rig.buy(100)).reason == "no_lease"
    rig.run(5)
    # Fenced: it sends nothing at all; what stands at the venue stands.
    assert len(rig.sent) == sent and len(rig.live(Purpose.PROTECT)) == 1


def test_an_approval_that_is_too_old_when_the_journal_answers_is_not_sent() -> None:
    rig = Rig().open()
    rig.sim.tell(rig.orders, ApprovedOrder(intent=rig.intent(), reservation_id=1, send_by_ns=rig.now_ns - 1))
    rig.run(1)
    assert rig.states() == [OrderState.NOT_SENT] and not placed(rig)


def test_an_approval_in_the_mailbox_does_not_survive_a_restart_of_orders() -> None:
    assert not ApprovedOrder.survives_restart
    rig = Rig().open()
    rig.sim.crash("orders")
    rig.sim.tell(
        rig.orders, ApprovedOrder(intent=rig.intent(), reservation_id=1, send_by_ns=rig.now_ns + 10**9)
    )
    rig.run(5)
    assert not placed(rig)


def test_more_orders_than_the_limit_are_refused_and_none_is_forgotten() -> None:
    rig = Rig().open()
    limit = rig.config.live_max
    intents = [resting(rig, 10) for _ in range(limit + 3)]
    rig.run(1)
    assert len(rig.live(Purpose.OPEN)) == limit
    assert {rig.last(i).reason for i in intents[limit:]} == {"too_many_orders"}


def test_a_resting_entry_is_cancelled_when_its_strategy_says_so_or_its_time_is_over() -> None:
    rig = Rig().open()
    first, second = resting(rig), resting(rig)
    rig.run(0.5)
    rig.cancel(first)
    rig.run(0.5)
    assert rig.last(first).state is OrderState.CANCELED and len(rig.live()) == 1
    rig.run(rig.config.entry_rest_s)
    assert rig.last(second).state is OrderState.CANCELED and not rig.live()


# --- silence is not a failure -------------------------------------------------------------------------------


def test_a_time_out_is_asked_about_by_client_id_and_never_sent_again() -> None:
    rig = Rig().open()
    rig.luck.mute = 1.0
    rig.luck.stream_lose = 1.0
    intent = rig.buy(100)
    rig.run(0.6)
    rig.luck.mute = 0.0
    assert rig.last(intent).state is UNKNOWN and not rig.last(intent).is_terminal
    rig.run(3)
    assert rig.last(intent).state is OrderState.FILLED
    assert len(placed(rig)) == 1 and len(rig.sends(QueryOrder)) >= 1
    rig.check()


def test_an_outage_of_all_roads_drops_no_order_however_long_it_lasts() -> None:
    rig = Rig().open()
    intent = resting(rig)
    rig.run(0.5)
    rig.luck.lose = rig.luck.stream_lose = 1.0
    rig.run(120)
    assert not rig.last(intent).is_terminal
    rig.luck.lose = rig.luck.stream_lose = 0.0
    rig.run(30)
    assert rig.last(intent).state is OrderState.CANCELED and not rig.live()
    rig.check()


def test_no_such_order_is_not_believed_while_the_query_servers_lag() -> None:
    rig = Rig().open()
    rig.luck.query_lag_s = 0.9
    rig.luck.mute = rig.luck.stream_lose = 1.0
    intent = resting(rig)
    rig.run(0.55)
    rig.luck.mute = 0.0
    rig.run(0.4)
    assert rig.last(intent).state is UNKNOWN, (
        "the venue said that it does not know it, and that was too early"
    )
    rig.run(3)
    assert rig.last(intent).state in (OPEN, OrderState.CANCELED)
    rig.run(20)
    assert not rig.live()


def test_an_order_that_never_arrived_is_closed_when_the_venue_has_said_so_twice_after_its_deadline() -> None:
    rig = Rig().open()
    rig.luck.lose = 1.0
    began_ns = rig.now_ns
    intent = rig.buy(100)
    rig.sim.run_for(0.01)
    rig.luck.lose = 0.0
    while not rig.last(intent).is_terminal:
        rig.run(0.05)
        assert rig.now_ns - began_ns < 10 * 10**9
    assert rig.last(intent).state is OrderState.NOT_SENT
    asked = [m for m in rig.sent if isinstance(m, QueryOrder)]
    deadline_s = 0.3 + 0.3 + rig.config.clock_uncertainty_s + rig.config.query_margin_s
    assert len(asked) >= 2 and rig.now_ns - began_ns >= deadline_s * 10**9


def test_an_order_that_was_closed_as_unknown_to_the_venue_and_works_after_all_is_cancelled() -> None:
    rig = Rig().open()
    rig.luck.lose = 1.0
    intent = resting(rig)
    rig.sim.run_for(0.01)
    rig.luck.lose = 0.0
    rig.run(5)
    assert rig.last(intent).state is OrderState.NOT_SENT
    # It turns up all the same.
    rig.sim.tell(rig.trade, rig.sent_first(PlaceOrder))
    rig.venue.place(rig.sent_first(PlaceOrder))
    rig.pump()
    rig.run(12)
    assert rig.live() == [] and rig.last(intent).is_terminal


def test_a_lost_cancel_is_asked_about_and_sent_again_until_the_order_is_gone() -> None:
    rig = Rig().open()
    intent = resting(rig)
    rig.run(0.5)
    rig.luck.lose = 1.0
    rig.cancel(intent)
    rig.run(2)
    assert rig.live() and not rig.last(intent).is_terminal
    rig.luck.lose = 0.0
    rig.run(12)
    assert not rig.live() and rig.last(intent).state is OrderState.CANCELED


def test_a_fill_that_wins_against_the_cancel_is_booked_and_protected() -> None:
    rig = Rig().open()
    intent = resting(rig)
    rig.run(0.5)
    rig.cancel(intent)
    rig.sim.settle()
    rig.meet(rig.live(Purpose.OPEN)[0], 100)
    rig.run(2)
    assert rig.last(intent).state is OrderState.FILLED and rig.position_lots == 99
    rig.check()


# --- each fill once -----------------------------------------------------------------------------------------


def test_a_fill_that_comes_twice_counts_once() -> None:
    rig = Rig().open()
    rig.luck.twice = 1.0
    rig.buy(100)
    rig.run(2)
    assert len(rig.booked) == 1 and rig.position_lots == 99
    assert rig.desk.known.fills_repeated >= 1
    rig.check()


def test_an_order_ends_for_risk_only_when_every_fill_that_the_venue_counts_is_booked() -> None:
    rig = Rig().open()
    rig.luck.stream_lose = 1.0
    intent = rig.buy(100)
    rig.sim.run_for(0.05)
    # The answer says FILLED; the fill itself was lost on the stream.
    assert rig.last(intent).state is OPEN and not rig.last(intent).is_terminal and not rig.booked
    rig.run(2)
    assert rig.last(intent).state is OrderState.FILLED and rig.last(intent).filled_lots == 100
    assert rig.booked[0].client_id == rig.last(intent).client_id, (
        "the list of trades names no client id; we do"
    )
    rig.check()


def test_a_word_after_the_end_changes_nothing() -> None:
    rig = Rig().open()
    intent = rig.buy(100)
    rig.run(1)
    order = rig.venue.orders[rig.last(intent).client_id]
    told = len(rig.at_risk)
    rig.sim.tell(rig.orders, rig.venue.report(order, "stream"))
    rig.run(0.2)
    assert len(rig.at_risk) == told


def test_the_owners_orders_and_trades_are_none_of_our_business() -> None:
    rig = Rig(base=Decimal("0.5")).open()
    rig.venue.orders["web_1"] = rig.venue_order("web_1", Side.SELL, "0.1", "70000")
    rig.sim.tell(rig.orders, rig.venue.report(rig.venue.orders["web_1"], "stream"))
    rig.run(70)
    rig.set_mode(DeskMode.KILLED)
    rig.run(5)
    assert rig.live() == ["web_1"] and not rig.to_control
