"""What an error of Binance means for an order, and for everybody on this address."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venues.binance.errors import RULINGS, Outcome, Trouble, rule, until_ms

DATA = Path(os.environ.get("NIGHTDESK_DATA", Path(__file__).parents[5] / "shared" / "data"))
NOW_MS = 1_660_090_000_000


@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007, -9999, 0, 7])
def test_whatever_is_not_certain_is_unknown(code: int) -> None:
    assert rule(400, code, "").outcome is Outcome.UNKNOWN


@given(st.integers(500, 599), st.one_of(st.none(), st.sampled_from([*RULINGS, -1100])), st.text(max_size=20))
def test_no_5xx_is_ever_taken_for_a_no(status: int, code: int | None, words: str) -> None:
    assert rule(status, code, words).outcome is Outcome.UNKNOWN or code == -1003


@pytest.mark.parametrize("code", [-1013, -1021, -1022, -1102, -1121, -2010, -2011, -2015])
def test_a_refusal_before_or_in_the_matching_engine_is_certain(code: int) -> None:
    assert rule(400, code, "") == (Outcome.REJECTED, None)


def test_a_duplicate_is_not_a_refusal_because_the_first_one_is_open() -> None:
    assert rule(400, -2010, "Duplicate order sent.").outcome is Outcome.UNKNOWN


def test_a_body_without_a_code_is_certain_only_from_the_firewall_and_the_limits() -> None:
    assert rule(403, None, "<html>").outcome is Outcome.REJECTED
    assert rule(429, None, "<html>") == (Outcome.REJECTED, Trouble.RATE_LIMITED)
    for status in (200, 302, 400, 404, 408, 502, 504):
        assert rule(status, None, "<html>").outcome is Outcome.UNKNOWN


def test_limits_of_the_address_and_of_the_account_are_told_apart() -> None:
    assert rule(429, -1003, "").trouble is Trouble.RATE_LIMITED
    assert rule(429, -1015, "").trouble is Trouble.ORDERS_LIMITED
    assert rule(418, -1003, "").trouble is Trouble.BANNED
    assert rule(429, -1003, "IP banned until 1660090423228.").trouble is Trouble.BANNED


def test_a_ban_ends_when_the_venue_says_so_on_either_road() -> None:
    words = "Way too much request weight used; IP banned until 1660090423228."
    assert until_ms(Trouble.BANNED, words, NOW_MS) == 1_660_090_423_228
    assert until_ms(Trouble.BANNED, "", NOW_MS, retry_after_s="300") == NOW_MS + 300_000
    assert until_ms(Trouble.BANNED, "", NOW_MS, retry_at_ms=NOW_MS + 7) == NOW_MS + 7
    # Two sources that differ: the later one.
    assert until_ms(Trouble.BANNED, words, NOW_MS, retry_after_s="3600") == NOW_MS + 3_600_000


@given(st.sampled_from(list(Trouble)), st.text(max_size=30), st.one_of(st.none(), st.integers()))
def test_an_end_is_always_ahead_and_within_the_longest_ban(
    trouble: Trouble, text: str, at_ms: int | None
) -> None:
    until = until_ms(trouble, text, NOW_MS, retry_after_s=text, retry_at_ms=at_ms)
    assert NOW_MS < until <= NOW_MS + 4 * 86_400_000


def test_errors_seen_live_rule_as_their_threads_tell() -> None:
    path = DATA / "reference_rest" / "errors_from_public_issues.jsonl"
    if not path.exists():
        pytest.skip(f"recorded data are absent: {path.parent} (set NIGHTDESK_DATA)")
    expected = {
        (418, -1003): (Outcome.REJECTED, Trouble.BANNED),
        (429, -1003): (Outcome.REJECTED, Trouble.RATE_LIMITED),
        (400, -1021): (Outcome.REJECTED, None),
        (400, -2013): (Outcome.NO_SUCH_ORDER, None),
        (400, -1013): (Outcome.REJECTED, None),
        (400, -2010): (Outcome.REJECTED, None),
        (400, -2011): (Outcome.REJECTED, None),
        (400, -1104): (Outcome.REJECTED, None),
        (400, -1007): (Outcome.UNKNOWN, None),
        (500, -1000): (Outcome.UNKNOWN, None),
    }
    seen = 0
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if not entry["venue"].startswith("binance"):
            continue
        body = json.loads(entry["body"])
        status = entry["http_status"] or 400
        assert rule(status, body["code"], body["msg"]) == expected[status, body["code"]], entry
        seen += 1
    assert seen == 11
