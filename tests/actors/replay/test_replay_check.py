"""`replay --check` on real recordings: it finds what was found independently, and every damage."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from actors.feed.config import FeedConfig
from actors.feed.sync import BookSync, Step
from actors.messages import BookTicker, DepthDiff, DepthSnapshot
from actors.replay.check import Checker, CheckReport, check, examine
from actors.replay.recording import Kind, Recorded, records
from actors.venues.binance.market_codec import MarketCodec

DATA = Path(os.environ.get("NIGHTDESK_DATA", Path(__file__).parents[4] / "shared" / "data"))
SPOT = DATA / "binance_spot_20240808"
needs_data = pytest.mark.skipif(not SPOT.exists(), reason=f"no recordings at {DATA}; set NIGHTDESK_DATA")

Damage = Callable[[list[Recorded]], list[Recorded]]


def report(**counts: int) -> CheckReport:
    nothing = dict.fromkeys(CheckReport.__struct_fields__, 0)
    return CheckReport(**{**nothing, **counts})


@needs_data
@pytest.mark.parametrize(
    ("file", "messages", "tickers"),
    [
        ("binance_spot_20240808/btcusdt.raw.gz", 3451 + 28040 + 9757 + 1, 564),
        ("binance_spot_20240808/ethusdt.raw.gz", 3434 + 24077 + 6106 + 1, 577),
        ("binance_usdm_20240808/btcusdt.raw.gz", 6551 + 66089 + 21313 + 1, 503),
    ],
)
def test_every_recorded_book_is_right_to_the_last_ticker(file: str, messages: int, tickers: int) -> None:
    expected = report(messages=messages, bookticker_compared=tickers, bookticker_equal=tickers)
    assert check(DATA / file) == expected


def test_the_report_has_exactly_the_documented_keys_in_their_order() -> None:
    assert msgspec.json.encode(report()) == (
        b'{"messages":0,"gaps":0,"crossed":0,"resyncs":0,"bookticker_compared":0,"bookticker_equal":0,'
        b'"checksum_ok":0,"checksum_bad":0,"unusable_lines":0}'
    )


# -- the same recording, damaged in memory -------------------------------------------------------------------


@pytest.fixture(scope="module")
def minute() -> list[Recorded]:
    """The first minute of the spot recording; read, never written."""
    if not SPOT.exists():
        pytest.skip(f"no recordings at {DATA}; set NIGHTDESK_DATA")
    lines: list[Recorded] = []
    for record in records(SPOT / "btcusdt.raw.gz"):
        if lines and record.receive_ns > lines[0].receive_ns + 60 * 10**9:
            break
        lines.append(record)
    return lines


def snapshot_at(lines: list[Recorded], index: int) -> Recorded:
    """What the venue would have answered at that line: the book of the undamaged recording."""
    sync, codec = BookSync(FeedConfig(deepen_below=0)), MarketCodec()
    for line in lines[:index]:
        if line.raw.startswith(b'{"lastUpdateId"'):
            wire = msgspec.json.decode(line.raw)
            levels = [[(float(p), float(q)) for p, q in wire[side]] for side in ("bids", "asks")]
            sync.on_snapshot(DepthSnapshot("", wire["lastUpdateId"], levels[0], levels[1], 0))
        elif isinstance(message := codec.decode(line.raw, 0), DepthDiff):
            sync.on_diff(message)
    body = {
        "lastUpdateId": sync.update_id,
        "bids": [(str(price), str(size)) for price, size in sync.book.bids(5000)],
        "asks": [(str(price), str(size)) for price, size in sync.book.asks(5000)],
    }
    return lines[index]._replace(raw=msgspec.json.encode(body))


def judged(lines: list[Recorded]) -> CheckReport:
    checker = Checker(Path("memory"))
    for line in lines:
        checker.on_record(line)
    return checker.report()


def depth_lines(lines: list[Recorded]) -> list[int]:
    return [index for index, line in enumerate(lines) if b"@depth" in line.raw[:40]]


def test_a_dropped_depth_frame_is_one_gap_and_the_next_snapshot_ends_it(minute: list[Recorded]) -> None:
    whole = judged(minute)
    depths = depth_lines(minute)
    at, later = depths[200], depths[300]
    damaged = [*minute[:at], *minute[at + 1 : later], snapshot_at(minute, later), *minute[later:]]
    found = judged(damaged)
    assert (found.gaps, found.resyncs, found.crossed, found.unusable_lines) == (1, 1, 0, 0)
    assert whole.gaps == whole.resyncs == 0
    assert found.bookticker_compared == found.bookticker_equal > whole.bookticker_compared // 2


def test_a_dropped_depth_frame_without_another_snapshot_leaves_nothing_compared_after_it(
    minute: list[Recorded],
) -> None:
    at = depth_lines(minute)[200]
    found = judged([*minute[:at], *minute[at + 1 :]])
    assert (found.gaps, found.resyncs) == (1, 0)
    assert found.bookticker_compared == judged(minute[:at]).bookticker_compared


def test_a_repeated_depth_frame_changes_nothing(minute: list[Recorded]) -> None:
    at = depth_lines(minute)[200]
    found = judged([*minute[: at + 1], minute[at], *minute[at + 1 :]])
    assert found == msgspec.structs.replace(judged(minute), messages=len(minute) + 1)


def test_two_swapped_depth_frames_are_noticed_and_the_next_snapshot_ends_it(minute: list[Recorded]) -> None:
    depths = depth_lines(minute)
    one, two, later = depths[200], depths[201], depths[300]
    swapped = list(minute)
    swapped[one], swapped[two] = swapped[two], swapped[one]
    found = judged([*swapped[:later], snapshot_at(minute, later), *swapped[later:]])
    # The early frame is a gap. The late one then lies before what is buffered; the next follows the early one.
    assert found.gaps == 1 and found.resyncs == 1
    assert found.bookticker_compared == found.bookticker_equal


def test_a_changed_size_is_found_by_the_book_tickers(minute: list[Recorded]) -> None:
    """One more digit in the best bid of one book ticker that meets the book."""
    lines, codec = list(minute), MarketCodec()
    messages = [codec.decode(line.raw, 0) for line in lines[2000:]]
    reached = {message.last_id for message in messages if isinstance(message, DepthDiff)}
    index = next(
        index
        for index, message in enumerate(messages, 2000)
        if isinstance(message, BookTicker) and message.update_id in reached
    )
    lines[index] = lines[index]._replace(raw=lines[index].raw.replace(b'"B":"', b'"B":"1', 1))
    found = judged(lines)
    assert found.bookticker_equal == found.bookticker_compared - 1 == judged(minute).bookticker_equal - 1


def test_a_live_feed_would_resynchronise_on_the_same_damage(minute: list[Recorded]) -> None:
    """The same drop, with a venue that answers: the book is whole again within ten frames."""
    codec, config = MarketCodec(), FeedConfig()
    sync = BookSync(config)
    depths = depth_lines(minute)
    dropped, gap_at, joined_at = depths[200], 0, 0
    for number, index in enumerate(depths[:260]):
        message = codec.decode(minute[index].raw, 0)
        assert isinstance(message, DepthDiff)
        if index != dropped and sync.on_diff(message) is Step.GAP:
            gap_at = number
        if sync.wants_snapshot and number % 5 == 4:
            later = snapshot_at(minute, index + 1).raw
            wire = msgspec.json.decode(later)
            levels = [[(float(p), float(q)) for p, q in wire[side]] for side in ("bids", "asks")]
            if (
                sync.on_snapshot(DepthSnapshot("", wire["lastUpdateId"], *levels, 0)) is Step.JOINED
                and gap_at
            ):
                joined_at = joined_at or number
    assert gap_at == 201 and gap_at < joined_at <= gap_at + 10
    assert sync.is_live


def test_garbage_between_the_lines_is_counted_and_named_and_harms_nothing(
    tmp_path: Path, minute: list[Recorded]
) -> None:
    lines = [b"%d %s\n" % (line.receive_ns, line.raw) for line in minute[:2000]]
    lines[1000:1000] = [b"garbage\n", b'1 {"stream":"btcusdt@trade","data":{"p":"nan"}}\n', b"1 <html>\n"]
    path = tmp_path / "copy.raw.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    found, first = examine(path)
    assert found == msgspec.structs.replace(judged(minute[:2000]), unusable_lines=3)
    assert first is not None and first.line == 1001 and first.usable == 1000


def test_a_torn_copy_is_read_as_far_as_it_goes(tmp_path: Path, minute: list[Recorded]) -> None:
    packed = gzip.compress(b"".join(b"%d %s\n" % (line.receive_ns, line.raw) for line in minute))
    path = tmp_path / "torn.raw.gz"
    path.write_bytes(packed[: len(packed) // 2])
    found, first = examine(path)
    assert found.unusable_lines == 1 and 0 < found.messages < len(minute)
    assert first is not None and first.usable == found.messages
    assert found.gaps == 0 and found.bookticker_compared == found.bookticker_equal


@needs_data
def test_a_recording_of_a_venue_without_a_codec_is_counted_line_by_line() -> None:
    found, first = examine(DATA / "kraken_20210405" / "ticker.raw.gz")
    assert found.unusable_lines > 0 and found.gaps == found.crossed == 0
    assert first is not None and "not" in first.what


def test_a_foreign_file_is_all_unusable(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("time,price\n1,2\n3,4\n")
    found, first = examine(path)
    assert found == report(unusable_lines=3)
    assert first is not None and "line 1" in str(first) and "0 usable" in str(first)


# -- several instruments in one recording --------------------------------------------------------------------


def line(raw: bytes) -> Recorded:
    return Recorded(1, 1, Kind.FRAME, raw)


def depth(symbol: str, first: int, last: int) -> Recorded:
    data = b'"e":"depthUpdate","E":1,"s":"%s","U":%d,"u":%d,"b":[["9","2"]],"a":[]' % (
        symbol.encode(),
        first,
        last,
    )
    return line(b'{"stream":"%s@depth@100ms","data":{%s}}' % (symbol.lower().encode(), data))


def snapshot(last: int) -> Recorded:
    return line(b'{"lastUpdateId":%d,"bids":[["9","1"]],"asks":[["10","1"]]}' % last)


def test_a_snapshot_joins_the_instrument_whose_ids_it_fits() -> None:
    lines = [depth("AAA", 100, 110), depth("BBB", 9000, 9010), snapshot(9005), snapshot(105)]
    lines += [depth("AAA", 111, 112), depth("BBB", 9011, 9012), depth("BBB", 9014, 9015)]
    found = judged(lines)
    assert (found.messages, found.gaps, found.unusable_lines) == (7, 1, 0)


def test_a_snapshot_recorded_before_the_first_diff_is_not_lost() -> None:
    ticker = line(b'{"stream":"aaa@bookTicker","data":{"u":112,"s":"AAA","b":"9","B":"2","a":"10","A":"1"}}')
    found = judged([snapshot(105), depth("AAA", 100, 110), ticker, depth("AAA", 111, 112)])
    assert (found.bookticker_compared, found.bookticker_equal) == (1, 1)
