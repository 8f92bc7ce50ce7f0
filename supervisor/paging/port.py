"""The pages port: folds incidents into pages, keeps both on disk, and hands them to every channel's courier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from supervisor.paging.channels import Channel
from supervisor.paging.courier import Bell, Courier
from supervisor.paging.gate import Gate
from supervisor.paging.messages import Paged
from supervisor.paging.pager import Pager as Pager

if TYPE_CHECKING:
    from supervisor.port import PortLink


class PagesPort:
    """Sends the pager's pages. Also takes an `Incident` that it is told. `a_minute_max`: pages a channel takes."""

    def __init__(
        self,
        pager: Pager,
        channels: tuple[Channel, ...],
        *,
        timeout_s: float = 8.0,
        a_minute_max: int = 20,
    ) -> None:
        self._pager = pager
        self._channels = channels
        self._timeout_s = timeout_s
        self._a_minute_max = a_minute_max

    async def run(self, link: PortLink) -> None:
        for channel in self._channels:
            await channel.warm()
        await self._pager.begin([channel.name for channel in self._channels])
        news = Bell()
        self._pager.on_waiting(news.ring)
        couriers = {channel.name: self._courier(channel) for channel in self._channels}
        async with trio.open_nursery() as nursery:
            for courier in couriers.values():
                nursery.start_soon(courier.run, link.publish)
            nursery.start_soon(self._take_told, link)
            link.ready()
            while True:
                for page, names in await self._pager.take(trio.current_time()):
                    link.publish(Paged(page=page, channels=len(names)))
                    for name in names:
                        couriers[name].ring()
                # Looked at each second even if nothing rings: folded pages fall due, and the watch looks at
                # time passing.
                with trio.move_on_after(1.0):
                    await news.wait()

    def _courier(self, channel: Channel) -> Courier:
        queue = self._pager.queue(channel.name)
        gate = Gate(a_minute_max=self._a_minute_max)
        return Courier(channel, queue, self._pager, gate, timeout_s=self._timeout_s)

    async def _take_told(self, link: PortLink) -> None:
        while True:
            self._pager(await link.receive())
