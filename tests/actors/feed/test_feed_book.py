"""The order book against a plain dict, which is slow and obviously right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.feed.book import OrderBook
from actors.messages import Level

prices = st.integers(1, 60).map(float)
sizes = st.sampled_from([0.0, 0.0, 1.0, 2.5])
levels = st.lists(st.tuples(prices, sizes), max_size=12)


def best_first(side: dict[float, float], *, bids: bool) -> list[Level]:
    return sorted(side.items(), reverse=bids)


@given(levels, levels, st.lists(st.tuples(levels, levels), max_size=10), st.integers(1, 30))
def test_after_any_diffs_the_views_are_those_of_a_plain_dict(
    bids: list[Level], asks: list[Level], diffs: list[tuple[list[Level], list[Level]]], count: int
) -> None:
    book = OrderBook()
    book.load(bids, asks)
    model: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for changes in ((bids, asks), *diffs):
        for side, change in zip(model, changes, strict=True):
            for price, size in change:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        if changes is not (bids, asks):
            book.apply(*changes)
        bid_side, ask_side = best_first(model[0], bids=True), best_first(model[1], bids=False)
        assert list(book.bids(count)) == bid_side[:count]
        assert list(book.asks(count)) == ask_side[:count]
        assert book.best_bid == (bid_side[0] if bid_side else None)
        assert book.best_ask == (ask_side[0] if ask_side else None)
        crossed = bool(bid_side and ask_side) and bid_side[0][0] >= ask_side[0][0]
        assert book.is_crossed is crossed


@given(st.lists(st.tuples(levels, levels), max_size=30))
def test_a_book_that_had_to_forget_levels_vouches_only_for_views_without_them(
    diffs: list[tuple[list[Level], list[Level]]],
) -> None:
    bounded, whole = OrderBook(levels_max=10), OrderBook()
    for bids, asks in diffs:
        bounded.apply(bids, asks)
        whole.apply(bids, asks)
        assert len(bounded) <= 20
        # What it vouches for is right, whatever it had to forget.
        for count in (1, 3, 9):
            if bounded.knows(count):
                assert bounded.bids(count) == whole.bids(count)
                assert bounded.asks(count) == whole.asks(count)


def test_a_price_that_a_snapshot_names_twice_leaves_no_ghost() -> None:
    book = OrderBook()
    book.load([(10.0, 1.0), (10.0, 2.0)], [])
    assert book.bids(5) == ((10.0, 2.0),)
    book.apply([(10.0, 0.0)], [])
    assert book.bids(5) == ()


def test_levels_beyond_a_cut_snapshot_are_not_vouched_for() -> None:
    book = OrderBook()
    # The venue was asked for 3 levels and gave 3: it may have more.
    book.load([(10.0, 1.0), (9.0, 1.0), (8.0, 1.0)], [(11.0, 1.0), (12.0, 1.0), (13.0, 1.0)], levels_asked=3)
    assert book.knows(3)
    # A level further out is heard of; those between it and the snapshot's last are not known.
    book.apply([(5.0, 1.0), (10.0, 0.0)], [])
    assert book.knows(2)
    assert not book.knows(3)


def test_a_snapshot_that_is_shorter_than_asked_for_is_the_whole_book() -> None:
    book = OrderBook()
    book.load([(10.0, 1.0)], [(11.0, 1.0)], levels_asked=3)
    book.apply([(10.0, 0.0), (2.0, 1.0)], [])
    assert book.knows(3)


def test_a_view_does_not_change_when_the_book_does() -> None:
    book = OrderBook()
    book.load([(10.0, 1.0)], [(11.0, 1.0)])
    before = book.bids(5)
    book.apply([(10.0, 7.0), (9.0, 1.0)], [])
    assert before == ((10.0, 1.0),)


def test_a_book_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        OrderBook(levels_max=0)
