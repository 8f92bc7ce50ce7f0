"""First start, restart, reconnect, takeover: one path; the venue is believed, and nothing is lost, doubled
or dropped."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    AuditDiffered,
    CancelOrder,
    OperatorCommand,
    OrderKind,
    OrderState,
    OrderStrayed,
    OwnersOrders,
    PlaceOrder,
    Purpose,
    QueryAccount,
    Reconciled,
    Side,
    TimeInForce,
)
from actors.orders.client_ids import parse
from supervisor.events import Halted
from supervisor.failover.messages import Leading
from tests.actors.orders.model_venue import LOT, TICK
from tests.actors.orders.orders_rig import Rig

S = 1_000_000_000


def resting(rig: Rig, lots: int = 100):  # type: ignore[no-untyped-def]
    return rig.buy(lots, kind=OrderKind.POST_ONLY, tif=TimeInForce.GTC, price_ticks=int(rig.venue.bid / TICK))


def held(rig: Rig) -> Rig:
    rig.buy(100)
    rig.run(1)
    return rig


def successor(rig: Rig, epoch: int = 2) -> Rig:
    """Another process takes over: same venue, same journal, a higher epoch."""
    rig.run(0)
    other = Rig(rig.config, store=rig.store, venue=rig.venue, epoch=epoch)
    other.sim.world.advance_to(rig.now_ns)
    return other


def reconciled(rig: Rig) -> Reconciled:
    word = [m for m in rig.at_risk if isinstance(m, Reconciled)][-1]
    assert isinstance(word, Reconciled)
    return word


# --- first start --------------------------------------------------------------------------------------------


def test_a_first_start_says_what_it_found_to_risk_and_portfolio_and_then_opens() -> None:
    rig = Rig().open()
    assert reconciled(rig).positions == {"sim/BTCUSDT": 0} and reconciled(rig).differences == ()
    assert any(isinstance(m, Reconciled) for m in rig.at_portfolio)


def test_nothing_is_opened_before_the_venue_was_read_and_agreed_with() -> None:
    rig = Rig()
    rig.sim.start()
    for _ in range(5):
        rig.book()
        assert rig.last(rig.buy(100)).reason in ("no_lease", "not_reconciled", "mode")
        rig.run(0.1)
    assert not rig.sends(PlaceOrder)
    rig.run(3)
    rig.buy(100)
    rig.run(0.5)
    assert rig.sends(PlaceOrder)


def test_a_position_found_at_the_first_start_is_put_under_a_stop_below_the_market() -> None:
    rig = Rig()
    rig.venue.total["BTC"] = Decimal("0.01")
    rig.open()
    assert rig.position_lots == 1000 and rig.venue.stopped == Decimal("0.01")
    stop = rig.venue.orders[rig.live(Purpose.PROTECT)[0]]
    assert Decimal("0.99") < stop.stop / rig.venue.bid < Decimal("0.999")
    rig.check()


def test_orders_without_our_prefix_are_reported_and_never_touched() -> None:
    rig = Rig(base=Decimal("0.5"))
    rig.venue.orders["web_1"] = rig.venue_order("web_1", Side.SELL, "0.1", "70000")
    rig.open()
    event = rig.events(OwnersOrders)[0]
    assert isinstance(event, OwnersOrders) and "0.1" in event.orders[0]
    assert rig.live() == ["web_1"] and not rig.sends(CancelOrder)


# --- restart ------------------------------------------------------------------------------------------------


def test_a_crash_of_orders_costs_neither_order_fill_nor_stop() -> None:
    rig = held(Rig().open())
    stop = rig.live(Purpose.PROTECT)
    rig.sim.crash("orders")
    rig.run(4)
    assert len(rig.actors) == 2 and rig.live(Purpose.PROTECT) == stop, "the stop was adopted, not replaced"
    assert reconciled(rig).positions == {"sim/BTCUSDT": 99} and reconciled(rig).differences == ()
    assert rig.protection.stop_client_id == stop[0]
    rig.sell(99)
    rig.run(1)
    rig.check()


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.006, 0.011, 0.015, 0.03])
def test_a_crash_at_any_moment_of_an_entry_loses_and_doubles_nothing(after_s: float) -> None:
    rig = Rig().open()
    rig.buy(100)
    rig.sim.run_for(after_s)
    rig.sim.crash("orders")
    rig.run(5)
    assert rig.position_lots == 99 and len(rig.booked) == 1
    assert len([m for m in rig.sends(PlaceOrder) if "-o1-" in m.client_id]) == 1
    assert rig.venue.bare_ns < 2 * S
    rig.check()


def test_restart_sweeps_entries_one_by_one_and_adopts_stops() -> None:
    rig = held(Rig().open())
    resting(rig), resting(rig)
    rig.run(0.5)
    rig.sim.crash("orders")
    rig.run(4)
    assert rig.live(Purpose.OPEN) == [] and len(rig.live(Purpose.PROTECT)) == 1
    cancelled = {m.client_id for m in rig.sends(CancelOrder) if isinstance(m, CancelOrder)}
    assert all((parse(c) or "??")[1] is Purpose.OPEN for c in cancelled) and len(cancelled) == 2
    rig.check()


def test_a_working_order_is_not_dropped_because_the_journal_does_not_know_it() -> None:
    rig = held(Rig().open())
    rig.store.records.clear()
    rig.store._known.clear()
    rig.sim.crash("orders")
    rig.run(4)
    assert len(rig.live(Purpose.PROTECT)) == 1
    assert [o.client_id for o in reconciled(rig).open_orders] == rig.live(Purpose.PROTECT)


def test_no_client_id_repeats_over_ten_crashes() -> None:
    rig = Rig().open()
    for _ in range(10):
        rig.buy(100)
        rig.run(0.5)
        rig.sim.crash("orders")
        rig.run(6)
    assert len(rig.venue.orders) >= 16 and not rig.venue.ids_repeated
    rig.check()


def test_fills_that_came_while_orders_was_dead_are_found_and_booked_once() -> None:
    rig = Rig().open()
    resting(rig, 200)
    rig.run(0.5)
    rig.luck.stream_lose = 1.0
    rig.sim.crash("orders")
    rig.meet(rig.live(Purpose.OPEN)[0], 80)
    rig.run(4)
    assert [f.size for f in rig.booked] == [LOT * 80] and rig.position_lots == 79
    assert reconciled(rig).differences == (), "a fill that is found explains the balance"
    rig.check()


def test_a_fill_that_is_both_read_and_heard_while_reconciling_counts_once() -> None:
    rig = Rig().open()
    resting(rig, 200)
    rig.run(0.5)
    rig.luck.delay_s = 0.2
    rig.sim.crash("orders")
    for _ in range(8):
        if live := rig.live(Purpose.OPEN):
            rig.meet(live[0], 20)
        rig.run(0.1)
    rig.run(6)
    rig.check()


def test_more_of_the_journal_than_one_summary_is_never_read_at_a_start() -> None:
    rig = held(Rig().open())
    rig.sim.crash("orders")
    rig.run(4)
    marks = [r for r in rig.store.records if r.kind == "mark"]
    rig.sim.crash("orders")
    rig.run(4)
    assert rig.actors[-1]._past.records_read <= len(rig.store.records) - marks[-1].seq + 1 + len(marks) + 10


# --- reconnect ----------------------------------------------------------------------------------------------


def test_a_lost_stream_sweeps_entries_by_the_second_way_and_reads_everything_again() -> None:
    rig = held(Rig().open())
    resting(rig)
    rig.run(0.5)
    rig.stream(False)
    rig.run(1)
    assert rig.live(Purpose.OPEN) == [], "its fills would not be heard of"
    assert rig.last(rig.buy(100)).reason == "not_reconciled"
    rig.stream(True)
    rig.run(4)
    rig.buy(100)
    rig.run(1)
    assert rig.position_lots == 198 or rig.position_lots == 199
    rig.check()


def test_a_fill_during_the_outage_is_seen_by_looking_and_protected_before_the_stream_is_back() -> None:
    rig = Rig().open()
    rig.luck.lose = 0.0
    resting(rig, 200)
    rig.run(0.5)
    client_id = rig.live(Purpose.OPEN)[0]
    rig.luck.delay_s = 0.2
    rig.stream(False)
    rig.meet(client_id, 100)
    rig.run(2.5)
    assert rig.venue.stopped == Decimal("0.00099"), "placed over REST"
    rig.stream(True)
    rig.run(6)
    rig.check()


# --- takeover -----------------------------------------------------------------------------------------------


def test_a_takeover_sweeps_the_old_holders_entries_and_adopts_its_stop() -> None:
    old = held(Rig().open())
    resting(old)
    old.run(0.5)
    new = successor(old).open(4)
    assert new.live(Purpose.OPEN) == [] and len(new.live(Purpose.PROTECT)) == 1
    assert new.position_lots == 99 and reconciled(new).epoch == 2 and reconciled(new).differences == ()
    new.sell(99)
    new.run(1)
    assert new.venue.position < LOT and not new.venue.ids_repeated


def test_an_order_of_the_old_holder_that_arrives_after_the_first_sweep_is_caught_by_the_second() -> None:
    old = Rig().open()
    new = successor(old)
    new.sim.start()
    new.book()
    while new.desk.phase.value != "window":
        new.run(0.01)
    new.luck.stream_lose = 1.0  # not even the stream tells of it
    place = PlaceOrder(
        client_id="nda-o1-zz", instrument="sim/BTCUSDT", side=Side.BUY, kind=OrderKind.LIMIT, tif=TimeInForce.GTC,
        size="0.00100", price="59000.00", window_ms=300, send_by_ns=0, opens=True,
    )  # fmt: skip
    new.venue.place(place)
    new.venue.stream.clear()
    assert new.live(Purpose.OPEN) == ["nda-o1-zz"]
    new.run(3)
    assert new.desk.phase.value == "open" and new.live(Purpose.OPEN) == []


def test_the_gate_opens_no_sooner_than_the_order_window_after_the_first_sweep() -> None:
    rig = Rig()
    rig.sim.start()
    rig.book()
    swept_ns = 0
    while rig.desk.phase.value != "open":
        rig.run(0.01)
        if not swept_ns and rig.desk.phase.value == "window":
            swept_ns = rig.now_ns
    assert rig.now_ns - swept_ns >= (0.3 + rig.config.clock_uncertainty_s) * S


def test_an_exit_under_way_at_the_end_of_the_order_window_does_not_leave_the_position_bare_while_reading() -> (
    None
):
    new = successor(held(Rig().open()))
    new.sim.start()
    new.book()
    while new.desk.phase.value != "window":
        new.run(0.01)
    new.run(2 * 0.3 + new.config.clock_uncertainty_s - 0.01)
    assert new.desk.phase.value == "window" and new.venue.stopped == Decimal("0.00099")
    # It takes the stop's place, and nobody buys at that price.
    new.luck.delay_s = 0.1
    new.sell(99, price_ticks=int(new.venue.ask / TICK) + 100_000)
    while new.desk.phase.value == "window":
        new.run(0.001)
    assert new.states(Purpose.REDUCE)[-1] is OrderState.EXPIRED
    assert new.venue.stopped == Decimal("0.00099"), "no stop can be sent until the reading is over"
    new.run(2)
    assert new.desk.phase.value == "open" and new.position_lots == 99


def test_an_exit_of_which_nothing_is_heard_delays_the_second_reading_no_longer_than_a_stop_may_take() -> None:
    new = successor(held(Rig().open()))
    new.sim.start()
    new.book()
    while new.desk.phase.value != "window":
        new.run(0.01)
    began_ns = new.now_ns
    new.luck.mute = new.luck.stream_lose = 1.0
    new.sell(99, price_ticks=int(new.venue.ask / TICK) + 100_000)
    while new.desk.phase.value == "window":
        new.run(0.01)
    window_s = 2 * 0.3 + new.config.clock_uncertainty_s
    assert (new.now_ns - began_ns) / S <= window_s + new.config.stop_deadline_s + 0.2


def test_an_older_order_that_works_after_the_gate_is_open_is_split_brain_and_kills() -> None:
    rig = Rig(epoch=5).open()
    place = PlaceOrder(
        client_id="nda-o4-1", instrument="sim/BTCUSDT", side=Side.BUY, kind=OrderKind.LIMIT, tif=TimeInForce.GTC,
        size="0.00100", price="59000.00", window_ms=300, send_by_ns=0, opens=True,
    )  # fmt: skip
    rig.venue.place(place)
    rig.pump()
    rig.run(1)
    assert rig.live() == []
    kill = rig.to_control[0]
    assert isinstance(kill, OperatorCommand) and "split brain" in kill.reason
    stray = rig.events(OrderStrayed)[0]
    assert isinstance(stray, OrderStrayed) and not stray.late


def test_a_lease_store_that_went_back_in_time_halts_before_anything_is_sent() -> None:
    old = held(Rig(epoch=7).open())
    new = successor(old, epoch=3)
    new.sim.start()
    new.run(2)
    halted = new.events(Halted)
    assert halted and "epoch 7" in halted[0].error and not new.sends(PlaceOrder)


def test_a_new_epoch_in_the_same_life_reads_everything_again_and_numbers_under_it() -> None:
    rig = held(Rig().open())
    rig.epoch = 9
    rig.sim.tell(rig.orders, Leading(store_id="test", epoch=9))
    rig.run(4)
    rig.buy(100)
    rig.run(1)
    assert any(c.startswith("nda-o9-") for c in rig.venue.orders)
    rig.check()


# --- what does not add up -----------------------------------------------------------------------------------


def test_a_position_that_nothing_explains_is_said_in_words_protected_and_kills_but_is_not_sold() -> None:
    rig = held(Rig().open())
    rig.venue.total["BTC"] += Decimal("0.005")
    rig.sim.crash("orders")
    rig.run(5)
    assert "0.00599900" in reconciled(rig).differences[0]
    assert [m.verb.value for m in rig.to_control if isinstance(m, OperatorCommand)] == ["kill"]
    assert rig.position_lots == 599 and rig.venue.stopped == Decimal("0.00599")


def test_an_audit_that_differs_twice_reconciles_anew() -> None:
    rig = held(Rig().open())
    rig.venue.owner_buys(Decimal("0.005"))
    rig.run(70)
    assert rig.events(AuditDiffered) and rig.desk.phase.value == "open"
    assert rig.position_lots == 599


def test_readings_go_on_until_two_agree() -> None:
    rig = Rig()
    rig.sim.start()
    rig.book()
    for _ in range(500):
        rig.venue.total["USDT"] += 1
        rig.run(0.004)
    assert rig.desk.phase.value != "open"
    rig.run(3)
    assert rig.desk.phase.value == "open" and len(rig.sends(QueryAccount)) >= 5


def test_while_rest_is_dead_nothing_is_opened_and_questions_stay_bounded() -> None:
    rig = Rig()
    rig.luck.rest_dead = True
    rig.sim.start()
    rig.run(60)
    assert rig.desk.phase.value != "open" and len(rig.sends(QueryAccount)) < 120
    rig.luck.rest_dead = False
    rig.run(5)
    assert rig.desk.phase.value == "open"


def test_who_asks_where_things_stand_is_answered_once_they_do() -> None:
    from actors.messages import ReconciledWanted

    rig = Rig()
    rig.sim.start()
    rig.sim.dispatcher.post(rig.orders, (ReconciledWanted(), rig.risk, 0))
    rig.run(0.2)
    assert not [m for m in rig.at_risk if isinstance(m, Reconciled)]
    rig.book()
    rig.run(3)
    before = len([m for m in rig.at_risk if isinstance(m, Reconciled)])
    rig.sim.dispatcher.post(rig.orders, (ReconciledWanted(), rig.risk, 0))
    rig.run(0.2)
    assert len([m for m in rig.at_risk if isinstance(m, Reconciled)]) == before + 1
    assert reconciled(rig).open_orders == () and rig.states() == [] and OrderState.OPEN
