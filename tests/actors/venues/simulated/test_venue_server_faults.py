"""The fault board: who is struck, how often, for how long, in virtual time."""

from __future__ import annotations

import random

import msgspec
import pytest

from actors.venues.simulated.clock import VenueClock
from actors.venues.simulated.faults import (
    FAULTS_MAX,
    AnyFault,
    Ban,
    Drop,
    FaultBoard,
    Latency,
    Maintenance,
    NoAnswer,
    ServerError,
    Unreachable,
)

SECOND_US = 1_000_000


def _board() -> FaultBoard:
    return FaultBoard(random.Random(1))


def test_a_quiet_board_changes_nothing() -> None:
    verdict = _board().verdict("order.place", "desk", 0)
    assert (verdict.before_us, verdict.after_us, verdict.end, verdict.execute) == (0, 0, "answer", True)


def test_a_fault_strikes_by_glob_and_account_only() -> None:
    board = _board()
    board.add(Drop(match="order.*", account="desk"), 0)
    assert board.verdict("order.place", "desk", 0).end == "drop"
    assert board.verdict("order.place", "other", 0).end == "answer"
    assert board.verdict("openOrders.status", "desk", 0).end == "answer"


def test_a_count_runs_out_and_a_time_ends() -> None:
    board = _board()
    board.add(ServerError(count=2, code=-1007, status=504), 0)
    endings = [board.verdict("order.place", "desk", 0).end for _ in range(3)]
    assert endings == ["error", "error", "answer"]
    board.add(NoAnswer(for_s=2), 0)
    assert board.verdict("order.place", "desk", 2 * SECOND_US - 1).end == "hold"
    assert board.verdict("order.place", "desk", 2 * SECOND_US).end == "answer"
    assert board.listing(2 * SECOND_US) == []


def test_latency_adds_up_and_joins_an_ending() -> None:
    board = _board()
    board.add(Latency(min_s=0.1, max_s=0.2), 0)
    board.add(Latency(min_s=1.0, when="after"), 0)
    board.add(Drop(execute=True), 0)
    verdict = board.verdict("order.place", "desk", 0)
    assert 100_000 <= verdict.before_us <= 200_000
    assert verdict.after_us == SECOND_US
    assert (verdict.end, verdict.execute) == ("drop", True)


def test_streams_are_struck_only_by_a_glob_that_names_them() -> None:
    board = _board()
    board.add(Latency(min_s=1), 0)
    assert board.stream_delay_us("btcusdt@trade", 0) == 0
    board.add(Latency(match="stream:btcusdt@*", min_s=0.5), 0)
    assert board.stream_delay_us("btcusdt@trade", 0) == SECOND_US // 2
    assert board.stream_delay_us("ethusdt@trade", 0) == 0


def test_states_of_the_whole_venue_are_seen_while_they_last() -> None:
    board = _board()
    board.add(Ban(for_s=3), 0)
    board.add(Maintenance(for_s=3), 0)
    number = board.add(Unreachable(for_s=3), 0)
    assert board.banning_until_us(0) == 3 * SECOND_US
    assert board.in_maintenance(0)
    assert board.unreachable(0)
    assert board.remove(number) is not None
    assert not board.unreachable(0)
    assert board.banning_until_us(3 * SECOND_US) is None
    assert not board.in_maintenance(3 * SECOND_US)


def test_the_board_is_bounded() -> None:
    board = _board()
    for _ in range(FAULTS_MAX):
        board.add(Drop(), 0)
    with pytest.raises(ValueError, match="delete some"):
        board.add(Drop(), 0)


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"latncy","min_s":1}',
        '{"kind":"latency"}',
        '{"kind":"latency","min_s":1,"matches":"*"}',
        '{"kind":"server_error","code":-2010}',
        '{"kind":"server_error","status":404}',
        '{"kind":"drop","for_s":-1}',
        '{"kind":"drop","count":0}',
        '{"kind":"latency","min_s":2,"max_s":1}',
        '{"kind":"latency","min_s":-1}',
        '{"kind":"late_fills","delay_s":0}',
    ],
)
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=AnyFault)


def test_the_engines_time_never_goes_back_whatever_clients_are_told() -> None:
    monotonic_ns = 0
    clock = VenueClock(lambda: monotonic_ns, start_us=1000)
    clock.set_offset(-5_000_000, until_us=2000)
    assert (clock.now_us(), clock.told_us()) == (1000, 1000 - 5_000_000)
    monotonic_ns = 1_000_000
    assert (clock.now_us(), clock.told_us()) == (2000, 2000)
