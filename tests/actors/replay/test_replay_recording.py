"""Recordings: both formats, every packing, and what is said of a torn or foreign one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from actors.replay.recording import Kind, Recorded, RecordingError, records

F1 = b'1723161253937085768 {"a":1}\n1723161253937085769 {"b":2}\n'
F2 = b"""configuration: {"trades":["BTC-USD"]}
wss://ws.example.com <-> 1617666422.653664
wss://ws.example.com <- 1617666423.123373: {"event":"subscribe"}
https://example.com/book -> 1617666423.2: {"asks":[]}
1617666423.1245198: {"connectionID":1}
"""


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_recording_reads_the_same_however_it_is_packed_and_named(tmp_path: Path, pack: object) -> None:
    path = write(tmp_path / "any.name", pack(F1))  # type: ignore[operator]
    assert list(records(path)) == [
        Recorded(1, 1723161253937085768, Kind.FRAME, b'{"a":1}'),
        Recorded(2, 1723161253937085769, Kind.FRAME, b'{"b":2}'),
    ]


def test_the_notes_of_the_second_format_are_told_apart_from_its_frames(tmp_path: Path) -> None:
    read = list(records(write(tmp_path / "ws.raw", F2)))
    assert [each.kind for each in read] == [
        Kind.CONFIGURATION,
        Kind.CONNECTED,
        Kind.SENT,
        Kind.RESPONSE,
        Kind.FRAME,
    ]
    # A float would round the nanoseconds.
    assert read[4].receive_ns == 1617666423124519800
    assert read[3].raw == b'{"asks":[]}'


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_torn_file_names_the_line_and_how_much_was_usable(tmp_path: Path, pack: object) -> None:
    whole = b"".join(b'%d {"n":%d,"x":"%x"}\n' % (10**18 + n, n, hash((n, "x"))) for n in range(50_000))
    packed: bytes = pack(whole)  # type: ignore[operator]
    path = write(tmp_path / "torn.raw.gz", packed[: len(packed) // 2])
    usable = 0
    with pytest.raises(RecordingError) as caught:
        for _ in records(path):
            usable += 1
    assert 0 < usable < 50_000
    assert caught.value.usable == usable
    assert f"line {usable + 1}" in str(caught.value) and "torn" in str(caught.value)
    assert str(path) in str(caught.value)
    # With somewhere to put the error, everything before it is read all the same.
    errors: list[RecordingError] = []
    assert len(list(records(path, unusable=errors.append))) == usable
    assert len(errors) == 1


def test_a_damaged_file_is_an_error_not_a_shorter_recording(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(F1 * 1000))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(RecordingError, match="damaged"):
        list(records(write(tmp_path / "bad.gz", bytes(packed))))


def test_recordings_that_were_joined_end_to_end_read_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "two.gz", gzip.compress(F1) + gzip.compress(F1))
    assert [each.line for each in records(path)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"%PDF-1.7 binary\x00\x01\n", "not text"),
        (b"time,price\n1,2\n", "a time of receipt and a frame were expected"),
        (b"17231612539370857681723161 {}\n", "26 digits"),
        (b"1723161253937085768\n", "a time of receipt and a frame were expected"),
    ],
)
def test_a_foreign_file_is_refused_with_what_was_expected(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(RecordingError, match=says) as caught:
        list(records(write(tmp_path / "foreign", data)))
    assert (caught.value.line, caught.value.usable) == (1, 0)


def test_a_bad_line_in_the_middle_does_not_hide_what_follows(tmp_path: Path) -> None:
    lines = F1.splitlines(keepends=True)
    path = write(tmp_path / "mixed", lines[0] + b"garbage\n" + b"\n" + lines[1])
    errors: list[RecordingError] = []
    assert [each.line for each in records(path, unusable=errors.append)] == [1, 4]
    assert [error.line for error in errors] == [2]
    with pytest.raises(RecordingError, match=r"line 2: .*1 usable lines before"):
        list(records(path))


def test_a_line_without_end_is_refused_without_being_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.replay.recording.LINE_MAX", 1000)
    path = write(tmp_path / "endless", b"1 " + b"x" * 5000)
    with pytest.raises(RecordingError, match="longer than 1000 bytes"):
        list(records(path))


def test_an_absent_file_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(records(tmp_path / "none"))
