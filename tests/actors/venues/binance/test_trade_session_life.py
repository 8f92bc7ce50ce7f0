"""How a connection to the websocket API stays up, and how it ends."""

from __future__ import annotations

import pytest

from actors.messages import (
    OrderReport,
    UserStreamDown,
)
from actors.venues.binance.trade_session import (
    Answered,
    Hang,
    State,
    Told,
)
from tests.actors.venues.binance.order_samples import order_answer, place
from tests.actors.venues.binance.session_script import Script, answered, not_sent_reason, sent

# -- staying up
# -----------------------------------------------------------------------------------------------


def test_a_heartbeat_measures_the_clock_and_its_silence_ends_the_connection() -> None:
    script = Script().up()
    assert script.beat(4.0) == []
    deeds = script.beat(1.1)
    script.answer_time(deeds)
    assert sent(script.beat(4.9)) == []
    assert sent(script.beat(0.2))[0]["method"] == "time"
    assert script.beat(2.9) == []
    assert isinstance(script.beat(0.2)[0], Hang)


def test_a_socket_left_unread_is_not_taken_for_a_silent_venue() -> None:
    script = Script().up()
    assert sent(script.beat(5.1))
    assert script.beat(60, reading=False) == []


@pytest.mark.parametrize("word", ["serverShutdown", "eventStreamTerminated"])
def test_a_venue_that_will_end_the_connection_is_left_once_open_requests_are_answered(word: str) -> None:
    script = Script().up()
    request = script.send(place())
    deeds = script.event({"e": word, "E": 1})
    assert not any(isinstance(deed, Hang) for deed in deeds)
    assert "retiring" in not_sent_reason(script.request(place("nd-o-9")))
    last = script.say(id=request["id"], status=200, result=order_answer())
    assert isinstance(answered(last)[0], OrderReport)
    assert isinstance(last[-1], Hang)


def test_an_ended_stream_is_told_at_once_and_once() -> None:
    script = Script().up()
    script.send(place())
    [down] = script.event({"e": "eventStreamTerminated", "E": 1})
    assert down == Told(UserStreamDown(account="binance/main", reason="eventStreamTerminated"))
    assert not any(isinstance(deed, Told) for deed in script.session.lost("renewed"))


def test_a_shutdown_notice_without_the_envelope_is_understood_too() -> None:
    [hang] = Script().up().say(e="serverShutdown", E=1)
    assert isinstance(hang, Hang)


def test_a_connection_is_renewed_before_the_venue_ends_it() -> None:
    script = Script(connection_max_s=3600.0).up()
    script.send(place())
    deeds = script.beat(3601)
    assert [type(deed) for deed in deeds] == [Answered, Hang]
    assert script.session.state is State.RETIRING


def test_the_next_connection_starts_anew_and_old_answers_mean_nothing() -> None:
    script = Script().up()
    old = script.send(place())
    script.session.lost("reset")
    script.up()
    assert script.say(id=old["id"], status=200, result=order_answer()) == []
