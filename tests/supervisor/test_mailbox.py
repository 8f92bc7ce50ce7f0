"""Mailboxes: bounded in every lane, and nothing in or out that is not counted."""

from __future__ import annotations

from cast import Fact, Note, View
from hypothesis import given
from hypothesis import strategies as st

from supervisor.mailbox import Address, Mailbox, Overflow, Put
from supervisor.message import Down, Dropped, Message

messages = st.one_of(
    st.builds(Note, text=st.sampled_from("ab")),
    st.builds(Fact, text=st.sampled_from("ab")),
    st.builds(View, key=st.sampled_from("xyz"), number=st.integers(0, 9)),
    st.just(Down(name="d", reason="crashed")),
)
operations = st.lists(st.one_of(messages, st.sampled_from(("take", "take held"))), max_size=60)


@given(operations, st.integers(1, 8), st.sampled_from(list(Overflow)), st.booleans())
def test_every_message_is_read_refused_dropped_replaced_or_waits_and_no_lane_outgrows_its_bound(
    sequence: list[Message | str], bound: int, overflow: Overflow, conflate: bool
) -> None:
    latest = {View: lambda view: view.key} if conflate else None
    box = Mailbox(Address("m", bound=bound, overflow=overflow, latest=latest, dropped_key=lambda _: "k"))
    put = read = notices = 0
    for step in sequence:
        if isinstance(step, str):
            envelope = box.take(held=step == "take held")
            if envelope is not None and isinstance(envelope[0], Dropped):
                notices += envelope[0].count
            elif envelope is not None:
                read += 1
        else:
            put += 1
            outcome, old = box.put((step, None, 0))
            assert (old is not None) == (outcome in (Put.DROPPED, Put.REPLACED))
        exempt = sum(isinstance(envelope[0], Down) for envelope in box.queue)
        assert len(box.queue) - exempt <= bound
    waiting = len(box.clear())
    assert put == read + box.refused + box.dropped + box.conflated + waiting
    assert notices <= box.dropped
    assert len(box) == 0


@given(st.lists(messages, max_size=40))
def test_normal_messages_are_read_in_the_order_in_which_they_came(sequence: list[Message]) -> None:
    box = Mailbox(Address("m"))
    for message in sequence:
        box.put((message, None, 0))
    out = []
    while (envelope := box.take()) is not None:
        out.append(envelope[0])
    assert out == sequence


def test_the_high_water_mark_remembers_the_fullest_moment() -> None:
    box = Mailbox(Address("m"))
    for _ in range(5):
        box.put((Note(text=""), None, 0))
    while box.take() is not None:
        pass
    assert box.high_water == 5 and len(box) == 0


def test_the_runtimes_own_words_are_neither_refused_nor_dropped() -> None:
    box = Mailbox(Address("m", bound=2, overflow=Overflow.DROP_OLDEST))
    down = Down(name="d", reason="crashed")
    for message in (down, Note(text="1"), down, Note(text="2")):
        box.put((message, None, 0))
    read = []
    while (envelope := box.take()) is not None:
        read.append(envelope[0])
    assert read == [Dropped(message_type="Note", key=None, count=1), down, down, Note(text="2")]
