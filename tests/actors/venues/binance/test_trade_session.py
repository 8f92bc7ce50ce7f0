"""One connection to the websocket API, as a script of frames: no socket, no clock, no mailbox."""

from __future__ import annotations

import pytest

from actors.messages import (
    CancelOutcomeUnknown,
    EntriesForbidden,
    Fill,
    KillLatched,
    OrderOutcomeUnknown,
    OrderRefusedByVenue,
    OrderReport,
    UserStreamDown,
    UserStreamUp,
    VenueTrouble,
)
from actors.venues.binance.clock import VenueClock
from actors.venues.binance.errors import Trouble
from actors.venues.binance.signing import HmacSigner, sorted_payload
from actors.venues.binance.trade_session import (
    Answered,
    Hang,
    KeyRefused,
    State,
    Told,
)
from actors.venues.binance.weights import Use
from supervisor.message import Message
from supervisor.secret import Secret
from tests.actors.venues.binance.order_samples import cancel, order_answer, place, query, replace, trade_event
from tests.actors.venues.binance.session_script import SECOND, Script, answered, not_sent_reason, sent

# -- coming up
# ------------------------------------------------------------------------------------------------


def test_an_ed25519_session_measures_the_clock_logs_on_and_subscribes_before_it_is_up() -> None:
    script = Script()
    [logon] = sent(script.open())
    assert logon["method"] == "session.logon"
    params = logon["params"]
    # Signed for the venue's time, not ours.
    assert abs(params["timestamp"] - (script.wall_ns // 10**6 + 25)) <= 1
    signed = sorted_payload([(name, params[name]) for name in sorted(params) if name != "signature"])
    assert script.signer.sign(signed) == params["signature"]
    [subscribe] = sent(script.say(id=logon["id"], status=200, result={"apiKey": "x"}))
    assert subscribe["method"] == "userDataStream.subscribe"
    assert script.session.state is State.SUBSCRIBING
    assert not script.session.stream_up
    up = script.say(id=subscribe["id"], status=200, result={"subscriptionId": 0})
    assert up == [Told(UserStreamUp(account="binance/main"))]


def test_an_hmac_session_subscribes_by_signature_and_signs_every_order() -> None:
    script = Script(HmacSigner(Secret("hmac-secret")))
    [subscribe] = sent(script.open())
    assert subscribe["method"] == "userDataStream.subscribe.signature"
    script.say(id=subscribe["id"], status=200, result={"subscriptionId": 0})
    params = script.send(place())["params"]
    assert params["apiKey"] == "the-api-key"
    payload = sorted_payload([(name, params[name]) for name in sorted(params) if name != "signature"])
    assert script.signer.sign(payload) == params["signature"]


def test_after_the_log_on_orders_carry_no_key_and_no_signature() -> None:
    params = Script().up().send(place())["params"]
    assert not {"apiKey", "signature"} & set(params)


def test_nothing_may_leave_before_the_user_stream_is_acknowledged() -> None:
    script = Script()
    assert "closed" in not_sent_reason(script.request(place()))
    deeds = script.open()
    assert "logging on" in not_sent_reason(script.request(place()))
    script.say(id=sent(deeds)[0]["id"], status=200, result={})
    assert "subscribing" in not_sent_reason(script.request(place()))


@pytest.mark.parametrize("code", [-2014, -2015, -1022])
def test_a_refused_key_needs_a_person(code: int) -> None:
    script = Script()
    deeds = script.open()
    refusal = script.say(id=sent(deeds)[0]["id"], status=401, error={"code": code, "msg": "Invalid API-key"})
    assert isinstance(refusal[-1], KeyRefused)
    assert "Invalid API-key" in refusal[-1].words


def test_a_log_on_refused_for_the_time_is_tried_again_on_a_new_connection() -> None:
    script = Script()
    deeds = script.open()
    refusal = script.say(id=sent(deeds)[0]["id"], status=400, error={"code": -1021, "msg": "Timestamp"})
    assert isinstance(refusal[-1], Hang)


def test_a_venue_that_does_not_answer_the_log_on_is_left() -> None:
    script = Script()
    script.open()
    assert script.beat(2.9) == []
    assert isinstance(script.beat(0.2)[0], Hang)


# -- the last moment
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latch", "reason"), [(KillLatched(), "killed"), (EntriesForbidden(), "not running")]
)
def test_a_flag_stops_orders_that_open_and_only_those(latch: Message, reason: str) -> None:
    script = Script().up()
    script.flags.told(latch)
    taken = len(script.budget.taken)
    assert reason in not_sent_reason(script.request(place()))
    assert reason in not_sent_reason(script.request(replace()))
    assert len(script.budget.taken) == taken
    assert isinstance(script.request(place(opens=False)), bytes)
    assert isinstance(script.request(cancel()), bytes)


def test_an_order_that_is_late_does_not_leave_whatever_its_purpose() -> None:
    script = Script().up()
    for opens in (True, False):
        late = place(send_by_ns=script.now_ns - 1, opens=opens)
        assert "too late" in not_sent_reason(script.request(late))
    assert isinstance(script.request(place(send_by_ns=script.now_ns)), bytes)


def test_an_unmeasured_clock_opens_nothing() -> None:
    script = Script().up()
    script.session._clock = VenueClock()
    assert "clock" in not_sent_reason(script.request(place()))
    assert isinstance(script.request(place(opens=False)), bytes)


def test_a_spent_budget_or_a_ban_sends_nothing() -> None:
    script = Script().up()
    script.budget.refuse = "banned until 5"
    assert not_sent_reason(script.request(place())) == "banned until 5"
    outcome = script.request(cancel())
    assert isinstance(outcome, Answered)
    [message] = outcome.messages
    assert isinstance(message, CancelOutcomeUnknown)
    assert "not sent: banned" in message.reason
    # Not even the heartbeat.
    assert script.beat(6) == []


def test_orders_that_open_draw_from_their_own_share_and_exits_from_all() -> None:
    script = Script().up()
    script.budget.taken.clear()
    for request in (place(), place(opens=False), cancel(), query(), replace(opens=False)):
        script.request(request)
    assert script.budget.taken == [
        (Use.OPEN, 1, 1),
        (Use.SAFETY, 1, 1),
        (Use.SAFETY, 1, 0),
        (Use.SAFETY, 4, 0),
        (Use.SAFETY, 1, 1),
    ]


def test_the_deadline_is_signed_at_this_moment_in_venue_time_and_capped() -> None:
    script = Script().up()
    script.now_ns += 7 * SECOND
    params = script.send(place(window_ms=300))["params"]
    assert params["recvWindow"] == 300
    assert abs(params["timestamp"] - (script.wall_ns // 10**6 + 25)) <= 1
    assert script.send(place(window_ms=60_000))["params"]["recvWindow"] == 1_000


def test_a_wish_that_cannot_be_written_is_answered_and_not_sent() -> None:
    assert "malformed" in not_sent_reason(Script().up().request(place(price=None)))


# -- answers
# --------------------------------------------------------------------------------------------------


def test_answers_find_their_orders_in_any_order() -> None:
    script = Script().up()
    first, second = script.send(place("nd-o-1")), script.send(place("nd-o-2"))
    for sent_, client_id in ((second, "nd-o-2"), (first, "nd-o-1")):
        [report] = answered(script.say(id=sent_["id"], status=200, result=order_answer(client_id)))
        assert isinstance(report, OrderReport)
        assert report.client_id == client_id
    # Answered once: the same frame again belongs to nobody.
    assert script.say(id=first["id"], status=200, result=order_answer()) == []


def test_no_answer_in_time_is_unknown_and_the_late_answer_is_still_told() -> None:
    script = Script().up()
    request = script.send(place())
    assert answered(script.beat(1.4)) == []
    [unknown] = answered(script.beat(0.2))
    assert isinstance(unknown, OrderOutcomeUnknown)
    [late] = answered(script.say(id=request["id"], status=400, error={"code": -2010, "msg": "No."}))
    assert late == OrderRefusedByVenue(client_id="nd-o-1", code=-2010, words="No.")


def test_a_lost_connection_leaves_what_was_sent_unknown_and_the_stream_down() -> None:
    script = Script().up()
    script.send(place("nd-o-1"))
    script.send(replace("nd-o-3", "nd-o-4"))
    deeds = script.session.lost("reset")
    kinds = [(type(m), m.client_id) for m in answered(deeds) if not isinstance(m, UserStreamDown)]  # type: ignore[attr-defined]
    assert kinds == [
        (OrderOutcomeUnknown, "nd-o-1"),
        (CancelOutcomeUnknown, "nd-o-3"),
        (OrderOutcomeUnknown, "nd-o-4"),
    ]
    assert deeds[-1] == Told(UserStreamDown(account="binance/main", reason="reset"))
    # Said once.
    assert script.session.lost("again") == []


def test_a_frame_that_is_not_understood_ends_the_connection() -> None:
    script = Script().up()
    for frame in ("<html>", "[]", '{"id":{}}', "{"):
        [hang] = script.session.received(frame, script.now_ns, script.wall_ns)
        assert isinstance(hang, Hang)
    assert isinstance(script.say(id=None, status=400, error={"code": -1135, "msg": "Invalid JSON"})[0], Hang)


def test_a_fill_comes_before_the_report_that_it_completes_the_order() -> None:
    fill, report = Script().up().event(trade_event(X="FILLED"))
    assert isinstance(fill, Told)
    assert isinstance(fill.message, Fill)
    assert isinstance(report, Told)
    assert isinstance(report.message, OrderReport)


def test_a_fill_that_is_not_understood_ends_the_connection_so_that_orders_reads_it_again() -> None:
    [hang] = Script().up().event(trade_event(l="NaN"))
    assert isinstance(hang, Hang)


def test_the_venues_own_counts_are_taken_in() -> None:
    script = Script().up()
    request = script.send(place())
    limits = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 12},
        {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": 6000,
            "count": 321,
        },
    ]
    script.say(id=request["id"], status=200, result=order_answer(), rateLimits=limits)
    assert script.budget.orders == [(10_000, 12)]
    assert script.budget.weights == [321]


def test_a_ban_latches_until_the_venue_says_and_is_told() -> None:
    script = Script().up()
    request = script.send(place())
    until_ms = script.wall_ns // 10**6 + 25 + 120_000
    deeds = script.say(
        id=request["id"],
        status=418,
        error={"code": -1003, "msg": "Way too much", "data": {"serverTime": 1, "retryAfter": until_ms}},
    )
    assert script.budget.latches == [(Trouble.BANNED, until_ms)]
    [trouble] = [d.message for d in deeds if isinstance(d, Told)]
    assert isinstance(trouble, VenueTrouble)
    assert trouble.kind == "banned"
    assert abs(trouble.until_wall_ns - (script.wall_ns + 120 * SECOND)) < 2_000_000
    assert isinstance(answered(deeds)[0], OrderRefusedByVenue)


def test_too_many_orders_latches_orders_and_the_order_is_refused() -> None:
    script = Script().up()
    request = script.send(place())
    deeds = script.say(id=request["id"], status=429, error={"code": -1015, "msg": "Too many new orders."})
    assert [trouble for trouble, _ in script.budget.latches] == [Trouble.ORDERS_LIMITED]
    assert isinstance(answered(deeds)[0], OrderRefusedByVenue)
