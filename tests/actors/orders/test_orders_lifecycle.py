"""The table of an order's life, the numbers it is known by, and when "no such order" is believed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import OrderState, Purpose
from actors.orders.client_ids import Block, Sequences, base36, parse
from actors.orders.lifecycle import TERMINAL, TRANSITIONS, Event, LifecycleError, advance
from actors.orders.reconcile import TRANSITIONS as RECONCILE
from actors.orders.reconcile import Input, Phase
from actors.orders.reconcile import advance as advance_phase
from actors.orders.unknown import Doubt, QueryPolicy

S = 1_000_000_000
POLICY = QueryPolicy(margin_ns=S // 2, first_ns=S // 10, wait_max_ns=5 * S, lost_ns=3 * S)
AT_VENUE = (OrderState.SENT, OrderState.OPEN, OrderState.CANCELLING, OrderState.UNKNOWN)


def test_silence_and_lost_connections_never_end_an_order_that_may_have_reached_the_venue() -> None:
    for event in (Event.OUTCOME_UNKNOWN, Event.CANCEL_UNKNOWN, Event.CANCEL_REFUSED):
        for state in AT_VENUE:
            after = TRANSITIONS.get((state, event), OrderState.UNKNOWN)
            assert after not in TERMINAL, (state, event)


def test_no_such_order_ends_only_an_order_in_doubt() -> None:
    enders = [
        state for (state, event), after in TRANSITIONS.items() if event is Event.ABSENT and after in TERMINAL
    ]
    assert enders == [OrderState.UNKNOWN]


@given(
    st.lists(
        st.sampled_from(
            [
                e
                for e in Event
                if e.value
                in {
                    "accepted",
                    "partly_filled",
                    "filled",
                    "canceled",
                    "expired",
                    "rejected",
                    "outcome_unknown",
                }
            ]
        ),
        max_size=12,
    )
)
def test_any_order_of_the_venues_words_ends_where_its_last_facts_say(words: list[Event]) -> None:
    state = OrderState.SENT
    for word in words:
        state = advance("x", state, word)
    ends = [w for w in words if w in (Event.FILLED, Event.CANCELED, Event.EXPIRED)]
    if Event.FILLED in ends:
        assert state is OrderState.FILLED
    elif ends and Event.REJECTED not in words:
        assert state in (OrderState.CANCELED, OrderState.EXPIRED)


def test_a_fill_may_overtake_the_acceptance_and_win_against_a_cancel() -> None:
    assert advance("x", OrderState.SENT, Event.FILLED) is OrderState.FILLED
    assert advance("x", OrderState.FILLED, Event.ACCEPTED) is OrderState.FILLED
    assert advance("x", OrderState.CANCELLING, Event.FILLED) is OrderState.FILLED


def test_what_is_not_in_the_table_is_an_error_that_says_what_was_told_to_whom() -> None:
    with pytest.raises(LifecycleError, match=r"nda-o1-1 is filled and was told 'sent'"):
        advance("nda-o1-1", OrderState.FILLED, Event.SENT)


def test_an_order_is_never_sent_before_it_is_journalled_unless_it_is_an_exit_while_the_disk_is_full() -> None:
    senders = {state for (state, event), after in TRANSITIONS.items() if event is Event.SENT}
    assert senders == {OrderState.JOURNALLED}
    assert TRANSITIONS[OrderState.PLANNED, Event.SENT_UNJOURNALLED] is OrderState.SENT


# --- client ids ---------------------------------------------------------------------------------------------


@given(st.integers(0, 36**9 - 1))
def test_base_36_is_read_back_as_the_same_number(number: int) -> None:
    assert int(base36(number), 36) == number


def test_a_client_id_says_instance_purpose_epoch_and_number_and_fits_every_venue() -> None:
    sequences = Sequences("a7", 46_655, 10**9, block=100, reserve=10)
    sequences.granted(sequences.wanted() or Block(0, 0))
    client_id = sequences.take(Purpose.PROTECT)
    assert client_id is not None
    assert re.fullmatch(r"[.A-Z:/a-z0-9_-]{1,36}", client_id)
    assert parse(client_id) == ("a7", Purpose.PROTECT, 46_655, 10**9)
    assert len(client_id.replace("-", "")) <= 32


@pytest.mark.parametrize(
    "text", ["", "web_123", "nda-x1-1", "nd-o1-1", "nda-o1-1-1", "NDA-o1-1", "x-nda-o1-1"]
)
def test_an_id_that_is_not_exactly_ours_is_the_owners(text: str) -> None:
    assert parse(text) is None


def test_no_number_leaves_before_its_block_is_journalled() -> None:
    sequences = Sequences("a", 1, 1, block=100, reserve=10)
    assert sequences.take(Purpose.PROTECT) is None
    block = sequences.wanted()
    assert block == Block(1, 101) and sequences.take(Purpose.PROTECT) is None
    sequences.failed(block)
    assert sequences.take(Purpose.PROTECT) is None and sequences.wanted() == block
    sequences.granted(block)
    assert sequences.take(Purpose.PROTECT) == "nda-p1-1"


def test_a_full_disk_that_grants_no_block_leaves_numbers_for_stops() -> None:
    sequences = Sequences("a", 1, 1, block=100, reserve=10)
    sequences.granted(sequences.wanted() or Block(0, 0))
    while sequences.take(Purpose.OPEN):
        pass
    assert sequences.left == 10
    assert sequences.take(Purpose.PROTECT) is not None


@given(st.lists(st.sampled_from(["take", "grant", "fail", "crash"]), max_size=60))
def test_no_client_id_ever_repeats_over_crashes_at_any_moment(steps: list[str]) -> None:
    journalled = 1
    sequences = Sequences("a", 1, journalled, block=4, reserve=1)
    asked: Block | None = None
    seen: set[str] = set()
    for step in steps:
        asked = sequences.wanted() or asked
        if step == "take":
            got = sequences.take(Purpose.REDUCE)
            assert got not in seen
            if got:
                seen.add(got)
        elif step == "grant" and asked:
            journalled = max(journalled, asked.end)
            sequences.granted(asked)
            asked = None
        elif step == "fail" and asked:
            # It may be on disk all the same: nobody was told.
            journalled = max(journalled, asked.end)
            sequences.failed(asked)
            asked = None
        elif step == "crash":
            sequences, asked = Sequences("a", 1, journalled, block=4, reserve=1), None


# --- "no such order" ----------------------------------------------------------------------------------------


def answered(doubt: Doubt, at_ns: int) -> None:
    doubt.asked(at_ns, at_ns)
    doubt.said_absent(at_ns, at_ns, POLICY)


def test_no_such_order_is_not_believed_at_once() -> None:
    doubt = Doubt(deadline_ns=10 * S)
    doubt.trades_clear = True
    answered(doubt, 11 * S)
    assert not doubt.is_absent()
    answered(doubt, 12 * S)
    assert doubt.is_absent()


def test_no_such_order_said_before_the_deadline_and_margin_counts_for_nothing() -> None:
    doubt = Doubt(deadline_ns=10 * S)
    doubt.trades_clear = True
    for at_ns in (9 * S, 10 * S, 10 * S + S // 4):
        answered(doubt, at_ns)
    assert doubt.absent == 0
    assert not doubt.is_due(10 * S + S // 4, POLICY)


def test_no_such_order_is_not_believed_while_the_trades_were_not_read() -> None:
    doubt = Doubt(deadline_ns=10 * S)
    for at_ns in (11 * S, 12 * S, 13 * S):
        answered(doubt, at_ns)
    assert doubt.absent == 3 and not doubt.is_absent()


def test_a_late_answer_to_an_earlier_question_counts_for_nothing() -> None:
    doubt = Doubt(deadline_ns=10 * S)
    doubt.asked(11 * S, 11 * S)
    doubt.said_absent(11 * S, 5 * S, POLICY)
    assert doubt.absent == 0


def test_questions_about_one_order_come_ever_more_slowly_and_one_at_a_time() -> None:
    doubt = Doubt(deadline_ns=0)
    now_ns, waits = 100 * S, []
    for _ in range(12):
        assert doubt.is_due(now_ns, POLICY)
        doubt.asked(now_ns, now_ns)
        assert not doubt.is_due(now_ns + S, POLICY), "a second question while one is out"
        doubt.unanswered(now_ns, POLICY)
        waits.append(doubt.next_ns - now_ns)
        now_ns = doubt.next_ns
    assert waits == sorted(waits) and waits[-1] == POLICY.wait_max_ns


# --- the way to agreement -----------------------------------------------------------------------------------


def test_the_gate_opens_only_after_two_sweeps_the_window_two_agreements_and_protection() -> None:
    phase, walked = Phase.JOURNAL, []
    for event in (
        Input.JOURNAL_READ, Input.RULES_KNOWN, Input.STREAM_UP, Input.READ, Input.SWEPT, Input.AGREED,
        Input.WINDOW_OVER, Input.READ, Input.SWEPT, Input.AGREED, Input.PROTECTED,
    ):  # fmt: skip
        phase = advance_phase(phase, event)
        walked.append(phase)
    assert walked[-1] is Phase.OPEN_GATE
    # There is no other way in: each of these is the only phase that leads to the next.
    for here, there in ((Phase.PROTECT, Phase.OPEN_GATE), (Phase.AGREE_SECOND, Phase.PROTECT),
                        (Phase.WINDOW, Phase.READ_SECOND), (Phase.AGREE_FIRST, Phase.WINDOW)):  # fmt: skip
        assert {phase for (phase, _), to in RECONCILE.items() if to is there and phase is not there} == {here}


def test_every_phase_falls_back_when_the_lease_or_the_stream_is_lost() -> None:
    for phase in Phase:
        assert advance_phase(phase, Input.FENCED) is Phase.NO_LEASE
        fallen = advance_phase(phase, Input.STREAM_DOWN)
        assert fallen in (Phase.NO_LEASE, Phase.JOURNAL, Phase.RULES, Phase.STREAM)
    with pytest.raises(LifecycleError, match="reconcile is in 'stream'"):
        advance_phase(Phase.STREAM, Input.AGREED)
