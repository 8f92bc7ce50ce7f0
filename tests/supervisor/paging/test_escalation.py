"""Until somebody acknowledges: repeats, silences, routes and the gate of a channel, under a clock of our own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from supervisor import events
from supervisor.config import ConfigError, load
from supervisor.paging.channels import PagingConfig
from supervisor.paging.gate import Gate
from supervisor.paging.messages import Incident, Page, Severity
from supervisor.paging.pager import Pager
from supervisor.paging.routes import Route, Routes
from supervisor.paging.rules import Fold
from tests.supervisor.paging.test_pages_port import FakeChannel, running


def incident(key: str, severity: Severity = Severity.PAGE) -> Incident:
    at_ns = round(trio.current_time() * 1e9)
    return Incident(key=key, title=f"{key} broke", done="", command="", wall_ns=at_ns, severity=severity)


def pager(routes: Routes | None = None) -> Pager:
    return Pager(Fold(), wall_ns=lambda: round(trio.current_time() * 1e9), command="", routes=routes)


async def test_a_page_is_repeated_to_every_channel_until_acknowledged_and_at_most_three_times(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(100)
    loud, quiet = FakeChannel("loud"), FakeChannel("quiet")
    notices = frozenset({Severity.NOTICE})
    its_pager = pager(Routes([Route(name="quiet", severities=notices)]))
    async with running(its_pager, loud, quiet):
        its_pager(incident("a"))
        its_pager(incident("b"))
        its_pager(incident("small", Severity.NOTICE))
        await trio.sleep(30)
        assert [page.key for _, page in quiet.pages] == ["small"]
        assert await its_pager.acknowledge("b", "me") == ["b"]
        await trio.sleep(1000)
    assert [page.key for _, page in loud.pages] == ["a", "b", "small", "a", "a", "a"]
    assert [page.key for _, page in quiet.pages] == ["small", "a", "a", "a"]
    assert "not acknowledged" in loud.pages[-1][1].title


@pytest.mark.parametrize("crash_first", [True, False])
async def test_a_crash_whose_child_is_ready_again_is_paged_once_whichever_was_heard_first(
    autojump_clock: trio.testing.MockClock, crash_first: bool
) -> None:
    await trio.sleep(100)
    crash = events.ChildCrashed(
        name="x", incarnation=1, error="E", traceback_text="", message_type=None, restarts=0, wall_ns=1
    )
    heard = [crash, events.ChildReady(name="x", incarnation=2, took_s=0.0)]
    channel = FakeChannel("one")
    its_pager = pager()
    async with running(its_pager, channel):
        for event in heard if crash_first else reversed(heard):
            its_pager(event)
        await trio.sleep(500)
    assert [page.key for _, page in channel.pages] == ["crash/x"]
    assert [row.state.value for row in its_pager.outbox.incidents()] == ["resolved"]


async def test_what_is_open_together_is_repeated_in_one_page(autojump_clock: trio.testing.MockClock) -> None:
    await trio.sleep(100)
    channel = FakeChannel("one")
    its_pager = pager()
    async with running(its_pager, channel):
        for n in range(40):
            its_pager(incident(f"k{n}"))
        await trio.sleep(75)
    repeats = [page for _, page in channel.pages if page.is_repeat]
    assert len(repeats) == 1 and repeats[0].count == 40 and "and 30 more" in repeats[0].text


async def test_a_silence_holds_pages_back_and_what_is_open_at_its_end_is_paged(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(100)
    channel = FakeChannel("one")
    its_pager = pager()
    async with running(its_pager, channel):
        await its_pager.silence("venue/*", 600, "me", "maintenance")
        its_pager(incident("venue/x"))
        its_pager(incident("orders"))
        await trio.sleep(20)
        assert [page.key for _, page in channel.pages] == ["orders"]
        await its_pager.acknowledge("orders", "me")
        await trio.sleep(575)
        assert len(channel.pages) == 1
        await trio.sleep(15)
    assert [page.key for _, page in channel.pages] == ["orders", "venue/x"]


async def test_a_dead_channel_is_told_on_the_others_only(autojump_clock: trio.testing.MockClock) -> None:
    await trio.sleep(100)
    good, dead = FakeChannel("good"), FakeChannel("dead", refusals=9)
    its_pager = pager()
    async with running(its_pager, good, dead):
        its_pager(incident("a"))
        await trio.sleep(40)
        assert [page.key for _, page in good.pages] == ["a", "channel/dead"]
        its_pager(incident("b"))
        await trio.sleep(1000)
    assert "channel/dead" not in [page.key for _, page in dead.pages]
    assert "b" in [page.key for _, page in dead.pages], "what waited arrives when it lives again"
    rows = {row.key: row.state.value for row in its_pager.outbox.incidents()}
    assert rows["channel/dead"] == "resolved"


def test_a_channel_is_tried_rarely_while_it_is_dead_and_as_before_once_it_lives() -> None:
    gate = Gate(failures_max=3, cool_s=30, cool_max_s=100)
    assert [gate.failed(1.0) for _ in range(3)] == [False, False, True]
    assert gate.is_dead and gate.wait_s(1.0) == 30 and gate.wait_s(31.0) == 0
    assert gate.failed(31.0) is False and gate.wait_s(31.0) == 60
    assert gate.failed(91.0) is False and gate.wait_s(91.0) == 100
    assert gate.took(191.0) is True and gate.wait_s(191.0) == 0 and not gate.is_dead


def test_a_channel_gets_at_most_so_many_pages_a_minute() -> None:
    gate = Gate(a_minute_max=2)
    gate.took(0.0)
    gate.took(10.0)
    assert gate.wait_s(15.0) == 45.0 and gate.wait_s(60.0) == 0


def test_a_repeat_goes_to_the_tags_that_were_chosen() -> None:
    routes = Routes([Route(name="a", tags=("phone",)), Route(name="b")], escalate_to=("phone",))
    repeat = Page(page_id=0, key="k", title="", text="", count=1, is_repeat=True)
    assert routes.of(repeat, ("a", "b")) == ("a",)
    assert routes.tagged("phone", ("a", "b")) == ("a",) and routes.tagged("", ("a", "b")) == ("a", "b")


class Desk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    paging: PagingConfig = PagingConfig()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('url = "json://x"\nseverities = ["pgae"]', ":3: [paging.channels[0]] unknown severity 'pgae'"),
        ('url = "json://x"\nseverities = ["page"]', ":1: [paging] no channel takes severity 'notice'"),
        ('url = "nosuch://secret-token"', ":2: [paging.channels[0]] url: Apprise does not understand"),
        (
            'url = "json://x"\n[paging]\nescalate_to = ["fone"]',
            ":4: [paging] escalate_to: no channel has the tag",
        ),
    ],
)
def test_a_page_that_would_go_nowhere_is_refused_with_file_and_line(
    tmp_path: Path, body: str, said: str
) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(f"[[paging.channels]]\n{body}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, Desk, environ={})
    assert f"desk.toml{said}" in str(caught.value) and "secret-token" not in str(caught.value)
