"""Delivery: a page arrives though other channels hang, though the port crashes, and never twice without
need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import trio
import trio.testing

from supervisor.message import Message
from supervisor.paging.channels import Channel, ChannelError
from supervisor.paging.messages import Incident, Page, Paged, PageDelivered, PageFailed
from supervisor.paging.port import Pager, PagesPort
from supervisor.paging.rules import Fold
from supervisor.port import PortLink


class FakeLink:
    """The part of a link that this port uses."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.is_ready = trio.Event()
        self.send, self._receive = trio.open_memory_channel[Message](10)

    def ready(self) -> None:
        self.is_ready.set()

    def publish(self, event: Message) -> None:
        self.published.append(event)

    async def receive(self) -> Message:
        return await self._receive.receive()


class FakeChannel:
    """Takes pages after `wait_s`; refuses the first `refusals` of them."""

    def __init__(self, name: str, *, wait_s: float = 0.0, refusals: int = 0) -> None:
        self.name = name
        self.pages: list[tuple[float, Page]] = []
        self._wait_s = wait_s
        self._refusals = refusals

    async def warm(self) -> None: ...

    async def send(self, page: Page) -> None:
        await trio.sleep(self._wait_s)
        if self._refusals:
            self._refusals -= 1
            raise ChannelError("no")
        self.pages.append((trio.current_time(), page))


def incident(key: str) -> Incident:
    return Incident(key=key, title=f"{key} broke", done="", command="", wall_ns=0)


def pager(**how: object) -> Pager:
    return Pager(Fold(), wall_ns=lambda: 0, command="desk status", **how)  # type: ignore[arg-type]


@asynccontextmanager
async def running(its_pager: Pager, *channels: Channel) -> AsyncIterator[FakeLink]:
    link = FakeLink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(PagesPort(its_pager, channels).run, cast(PortLink, link))
        await link.is_ready.wait()
        yield link
        nursery.cancel_scope.cancel()


async def test_a_page_arrives_within_30_s_though_two_channels_hang(
    autojump_clock: trio.testing.MockClock,
) -> None:
    good = FakeChannel("good")
    hanging = [FakeChannel(f"hanging{n}", wait_s=1e9) for n in range(2)]
    its_pager = pager()
    async with running(its_pager, hanging[0], good, hanging[1]) as link:
        began_s = trio.current_time()
        for n in range(10):
            its_pager(incident(f"k{n}"))
        await trio.sleep(120)
    first = [(at_s, page) for at_s, page in good.pages if page.title.endswith("broke")]
    assert [page.title for _, page in first] == [f"k{n} broke" for n in range(10)]
    assert all(at_s - began_s < 1 for at_s, _ in first)
    failed = [event for event in link.published if isinstance(event, PageFailed)]
    assert {event.channel for event in failed} == {"hanging0", "hanging1"}
    assert "no answer within 8 s" in failed[0].reason


async def test_a_channel_that_refuses_is_tried_again_and_the_page_arrives_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    channel = FakeChannel("moody", refusals=2)
    its_pager = pager()
    async with running(its_pager, channel) as link:
        its_pager(incident("a"))
        await trio.sleep(60)
    assert len(channel.pages) == 1
    (delivered,) = [event for event in link.published if isinstance(event, PageDelivered)]
    assert delivered.attempts == 3


async def test_one_crash_is_one_page_and_a_storm_is_folded(autojump_clock: trio.testing.MockClock) -> None:
    channel = FakeChannel("one")
    its_pager = pager()
    async with running(its_pager, channel) as link:
        for _ in range(40):
            its_pager(incident("a"))
        await trio.sleep(125)
    assert [page.count for _, page in channel.pages] == [1, 39]
    assert its_pager.pages == 2
    assert len([event for event in link.published if isinstance(event, Paged)]) == 2


async def test_no_page_is_lost_when_the_port_crashes_in_the_middle_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    its_pager = pager()
    async with running(its_pager, FakeChannel("one", wait_s=5)):
        its_pager(incident("a"))
        its_pager(incident("b"))
        await trio.sleep(1)
    its_pager(incident("c"))
    again = FakeChannel("one")
    async with running(its_pager, again):
        await trio.sleep(5)
    assert [page.key for _, page in again.pages] == ["a", "b", "c"]


async def test_without_a_channel_a_page_is_still_published(autojump_clock: trio.testing.MockClock) -> None:
    its_pager = pager()
    async with running(its_pager) as link:
        its_pager(incident("a"))
        await trio.sleep(2)
    (paged,) = link.published
    assert isinstance(paged, Paged) and paged.channels == 0 and paged.page.title == "a broke"


async def test_an_incident_that_was_told_and_one_that_was_watched_for_are_paged(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watched: list[Incident] = []
    its_pager = pager(watch=lambda _wall_ns: watched, rules=[lambda event, _wall_ns: None])
    async with running(its_pager) as link:
        await link.send.send(incident("told"))
        await trio.sleep(3)
        watched.append(incident("watched"))
        await trio.sleep(1.5)
        watched.clear()
    assert [event.page.key for event in link.published if isinstance(event, Paged)] == ["told", "watched"]


async def test_a_channel_that_is_dead_for_long_keeps_the_newest_pages_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    its_pager = Pager(Fold(at_once_max=10**6), wall_ns=lambda: 0, command="")
    async with running(its_pager, FakeChannel("dead", wait_s=1e9)):
        for n in range(500):
            its_pager(incident(f"k{n}"))
        await trio.sleep(1)
    queue = its_pager.queue("dead")
    assert len(queue) == 100 and queue[-1].key == "k499"
