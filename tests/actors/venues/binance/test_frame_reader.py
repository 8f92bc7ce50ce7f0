"""The receiving half of a websocket: whatever comes, however it is cut, it reads what wsproto reads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from actors.venues.binance.frame_reader import TOO_BIG, FrameReader

MAX = 100_000


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"", reserved: int = 0) -> bytes:
    """A frame of a server; one that is masked, reserved or longer than it may be is the test's own malice."""
    size = len(payload)
    first = (0x80 if final else 0) | reserved | opcode
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65_536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    return head + mask + payload


def text(words: str) -> bytes:
    return frame(1, words.encode())


def close(code: int, reason: str = "") -> bytes:
    return frame(8, code.to_bytes(2, "big") + reason.encode())


def by_wsproto(data: bytes) -> tuple[list[bytes], list[bytes], int | None]:
    """Messages, payloads of pings, and the code it closes with, as wsproto alone sees them."""
    connection = Connection(ConnectionType.CLIENT)
    connection.receive_data(data)
    messages: list[bytes] = []
    pings: list[bytes] = []
    parts: list[bytes] = []
    for event in connection.events():
        if isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data.encode() if isinstance(event.data, str) else bytes(event.data))
            if event.message_finished:
                messages.append(b"".join(parts))
                parts.clear()
        elif isinstance(event, Ping):
            pings.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            return messages, pings, event.code
    return messages, pings, None


def by_us(pieces: list[bytes]) -> tuple[list[bytes], list[bytes], int | None]:
    reader = FrameReader(MAX)
    for piece in pieces:
        reader.feed(piece)
    server = Connection(ConnectionType.SERVER)
    server.receive_data(bytes(reader.to_send))
    pongs = [bytes(event.payload) for event in server.events() if isinstance(event, Pong)]
    return list(reader.messages), pongs, reader.closed.code if reader.closed is not None else None


words = st.text(max_size=300) | st.text(alphabet="[]{}0123456789.,", min_size=100, max_size=300)
sound = st.one_of(
    words.map(text),
    st.binary(max_size=200).map(lambda data: frame(2, data)),
    st.binary(max_size=125).map(lambda data: frame(9, data)),
    st.binary(max_size=125).map(lambda data: frame(10, data)),
    # A message in three fragments, a ping between them.
    words.map(
        lambda said: (
            frame(1, said.encode()[:5], final=False)
            + frame(9, b"in between")
            + frame(0, said.encode()[5:9], final=False)
            + frame(0, said.encode()[9:])
        )
    ),
)
UNSOUND = {
    "masked": frame(1, b"masked by a server", mask=b"abcd"),
    "reserved": frame(1, b"reserved bit", reserved=0x40),
    "opcode": frame(3, b"no such opcode"),
    "fragmented ping": frame(9, b"fragmented ping", final=False),
    "long ping": frame(9, b"x" * 126),
    "stray continuation": frame(0, b"continues nothing"),
    "begun twice": frame(1, b"begins", final=False) + text("begins again"),
    "not UTF-8, and not whole": b"\x81\x7dascii \x80",
    "not UTF-8": frame(1, b"\xff not UTF-8"),
    # Lengths in a longer form than they need.
    "five bytes in two": b"\x81\x7e\x00\x05short",
    "200 bytes in eight": b"\x81\x7f" + (200).to_bytes(8, "big") + b"y" * 200,
    "endless": b"\x81\xff" + b"\xff" * 12,
    "close": close(1000, "bye"),
    "restart": close(1012),
    "close without a code": frame(8, b""),
    "half a code": frame(8, b"\x03"),
}
unsound = st.sampled_from(list(UNSOUND.values())) | st.binary(max_size=40)
streams = st.lists(sound, max_size=6).flatmap(
    lambda good: (unsound | st.just(b"")).map(lambda bad: b"".join(good) + bad)
)


@st.composite
def cut(draw: st.DrawFn) -> list[bytes]:
    """A stream in pieces of any size."""
    # A header that is wrong and torn is judged once it is whole: so each is made whole.
    data = draw(streams) + bytes(14)
    at = sorted(draw(st.sets(st.integers(0, len(data)), max_size=12)) | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


@given(cut())
def test_it_reads_what_wsproto_reads_however_the_bytes_are_cut(pieces: list[bytes]) -> None:
    messages, pings, code = by_wsproto(b"".join(pieces))
    ours, pongs, closed = by_us(pieces)
    if closed == TOO_BIG:
        # A length above our limit is refused by its header; wsproto would wait for it.
        assert ours == messages
        return
    assert (ours, pongs, closed) == (messages, pings, code)


@pytest.mark.parametrize("name", UNSOUND)
@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_what_is_malformed_ends_the_connection_as_wsproto_would(name: str, size: int) -> None:
    stream = text("before") + UNSOUND[name] + text("after")
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert by_us(pieces) == by_wsproto(stream)
    assert by_us(pieces)[0] == [b"before"]


def test_byte_by_byte_is_enough() -> None:
    stream = text("a" * 200) + frame(9, b"ping") + frame(1, b"b", final=False) + frame(0, b"c") + text("é")
    assert by_us([bytes((each,)) for each in stream]) == ([b"a" * 200, b"bc", "é".encode()], [b"ping"], None)


def test_frames_of_every_form_of_length_arrive_whole() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536, MAX):
        assert by_us([text("x" * size)])[0] == [b"x" * size]


def test_a_message_above_the_limit_is_refused_by_its_header_and_not_kept() -> None:
    reader = FrameReader(1000)
    reader.feed(text("x" * 1001)[:4])
    assert reader.closed is not None and reader.closed.code == TOO_BIG and not reader.messages
    assert by_server(reader.to_send) == TOO_BIG


def test_fragments_that_add_up_to_more_than_the_limit_are_refused() -> None:
    reader = FrameReader(1000)
    for opcode in (1, 0, 0, 0):
        assert reader.closed is None
        reader.feed(frame(opcode, b"x" * 300, final=False))
    assert reader.closed is not None and reader.closed.code == TOO_BIG


def test_a_close_is_answered_once_and_what_follows_it_is_ignored() -> None:
    reader = FrameReader(MAX)
    reader.feed(text("last") + close(1001, "going away") + text("more"))
    assert list(reader.messages) == [b"last"]
    assert reader.closed is not None and (reader.closed.code, reader.closed.reason) == (1001, "going away")
    assert by_server(reader.to_send) == 1001
    reader.feed(text("more"))
    assert list(reader.messages) == [b"last"] and reader.closing(1000) == b""


def test_after_our_close_the_peers_is_awaited_and_not_answered() -> None:
    reader = FrameReader(MAX)
    assert by_server(reader.closing(1000)) == 1000
    reader.feed(text("still on its way") + close(1000))
    assert list(reader.messages) == [b"still on its way"]
    assert reader.closed is not None and not reader.to_send


def by_server(data: bytes | bytearray) -> int:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(bytes(data))
    (event,) = server.events()
    assert isinstance(event, CloseConnection)
    return int(event.code)
