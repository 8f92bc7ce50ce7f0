"""The bytes of an order: framed as RFC 6455 says, and made at the last moment before the socket."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Message as WsMessage

from actors.venues.binance.wire import Wire
from actors.venues.binance.ws_frames import text_frame


@given(st.binary(max_size=300).map(lambda raw: raw.hex().encode()), st.binary(min_size=4, max_size=4))
def test_another_implementation_reads_what_was_framed(payload: bytes, mask: bytes) -> None:
    assert read(text_frame(payload, mask)) == payload.decode()


def test_frames_of_every_length_class_are_read() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536, 70_000):
        assert read(text_frame(b"x" * size, b"\x01\x02\x03\x04")) == "x" * size


def read(data: bytes) -> str:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(data)
    events = list(server.events())
    parts = [event for event in events if isinstance(event, WsMessage)]
    assert len(parts) == len(events)
    assert parts[-1].message_finished
    return "".join(str(part.data) for part in parts)


async def test_an_order_that_waited_for_its_turn_is_checked_when_the_turn_comes() -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    wire = Wire(ours)
    killed = False
    made: list[str] = []

    def make() -> bytes | None:
        made.append("refused" if killed else "sent")
        return None if killed else b"order"

    async with trio.open_nursery() as nursery:
        # Another frame is stuck in the socket: the peer does not read.
        nursery.start_soon(wire.send_all, b"stuck")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wire.send_text, make)
        await trio.testing.wait_all_tasks_blocked()
        assert made == []
        killed = True
        assert await theirs.receive_some(100) == b"stuck"
        await trio.testing.wait_all_tasks_blocked()
    assert made == ["refused"]


class Socket(trio.abc.Stream):
    """Notes at which of the chatter's steps it was written to."""

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps
        self.written_at: int | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.written_at = self.steps[0]

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


async def test_nothing_else_runs_between_the_last_check_and_the_socket() -> None:
    steps = [0]
    socket = Socket(steps)
    checked_at = -1

    def make() -> bytes:
        nonlocal checked_at
        checked_at = steps[0]
        return b"order"

    async def chatter() -> None:
        while True:
            steps[0] += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(chatter)
        while not steps[0]:
            await trio.lowlevel.checkpoint()
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            await Wire(socket).send_text(make)
            assert socket.written_at == checked_at
        nursery.cancel_scope.cancel()
