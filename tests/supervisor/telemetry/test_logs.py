"""Log lines say what happened, to a person or a machine, and never hold a secret or stop the program."""

from __future__ import annotations

import io
import json
import logging
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from supervisor import events
from supervisor.telemetry import logs
from supervisor.telemetry.lines import Line, LogEvents
from supervisor.telemetry.logs import LogConfig
from supervisor.telemetry.redaction import hide, redacted
from supervisor.telemetry.writer import RotatingFile, Writer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_sinks_left() -> Iterator[None]:
    yield
    logger.remove()


CRASH = events.ChildCrashed(
    name="strategy/x",
    incarnation=2,
    error="ZeroDivisionError: division by zero",
    traceback_text="Traceback ...\n  File x, line 3",
    message_type="Book",
    restarts=1,
    wall_ns=0,
)


def test_a_pipe_gets_one_json_object_a_line_with_an_events_own_fields() -> None:
    stream = io.StringIO()
    running = logs.start(LogConfig(), stream=stream)
    LogEvents()(CRASH)
    running.stop()
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told["level"] == "ERROR" and told["event"] == "ChildCrashed"
    assert told["message"] == (
        "strategy/x crashed with Book in hand (restarts so far: 1): ZeroDivisionError: division by zero"
    )
    assert told["data"]["name"] == "strategy/x" and "traceback_text" not in told["data"]
    assert told["traceback"].startswith("Traceback") and told["time"].endswith("+00:00")


def test_a_terminal_gets_readable_lines_with_the_traceback_below() -> None:
    stream = Terminal()
    running = logs.start(LogConfig(), stream=stream)
    LogEvents()(CRASH)
    running.stop()
    text = stream.getvalue()
    assert "ERROR    strategy/x crashed with Book in hand" in text and "\n      File x, line 3" in text
    assert "{" not in text


def test_words_for_other_events_come_from_the_program_and_silence_stays_silent() -> None:
    stream = io.StringIO()
    running = logs.start(LogConfig(format="text"), stream=stream)
    log = LogEvents(lambda event: Line("INFO", "mine") if isinstance(event, events.Message) else None)
    log(events.DeadLetters(total=1, counts={}))
    log(events.Message())
    LogEvents()(events.Message())
    running.stop()
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["INFO     mine"]


def test_a_library_is_heard_from_warning_on_only() -> None:
    stream = io.StringIO()
    running = logs.start(LogConfig(level="DEBUG", format="json"), stream=stream)
    logging.getLogger("httpx").info("GET https://x/?signature=deadbeef")
    logging.getLogger("httpx").warning("slow {} answer")
    running.stop()
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert line["message"] == "slow {} answer" and line["where"].startswith("httpx:")


def test_neither_a_variable_nor_a_known_secret_of_a_traceback_is_logged() -> None:
    hide("hunter2hunter2")
    stream = io.StringIO()
    running = logs.start(LogConfig(format="json"), stream=stream)
    try:
        api_key = "not-registered-but-only-a-variable"
        raise RuntimeError(f"the venue said no to hunter2hunter2 {len(api_key)}")
    except RuntimeError:
        logger.exception("failed with {}", "hunter2hunter2")
    running.stop()
    text = stream.getvalue()
    assert "hunter2" not in text and "not-registered" not in text
    assert "the venue said no to ****" in json.loads(text)["exception"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET https://api.example/order?symbol=X&signature=abcdef0123&x=1", "abcdef0123"),
        ("wss://user:pa55word@example/ws", "pa55word"),
        ("tgram://123456:ABCDEF/-100", "ABCDEF"),
        ("mailtos://me:pw@example", "me:pw"),
        ('{"apiKey": "vmPUZE6mv9SD5V", "signature":"x9x9x9"}', "vmPUZE6mv9SD5V"),
        ('{"params":{"signature":"x9x9x9"}}', "x9x9x9"),
        ("headers: {'X-MBX-APIKEY': 'k1k1k1'}", "k1k1k1"),
        ("Authorization: Bearer t0k3n", "t0k3n"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----", "MC4CAQAw"),
        ("-----BEGIN EC PRIVATE KEY-----\nMC4CAQAw", "MC4CAQAw"),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_the_rest_is_left(text: str, secret: str) -> None:
    assert secret not in redacted(text) and "****" in redacted(text)


def test_text_without_secrets_is_left_as_it_is() -> None:
    for text in (
        "order n1-1-o sent at https://api.example/v3/order?symbol=X",
        "6 of 7",
        "wss://h/ws/btcusdt",
    ):
        assert redacted(text) == text


def test_a_masked_json_line_is_still_json() -> None:
    stream = io.StringIO()
    running = logs.start(LogConfig(format="json"), stream=stream)
    logger.bind(data={"url": ["https://u:p@h/?token=abc"]}).info('said {"signature":"abc"}')
    running.stop()
    assert json.loads(stream.getvalue())["data"] == {"url": ["https://****@h/?token=****"]}


def test_a_reader_that_does_not_read_stops_nobody_and_the_loss_is_counted() -> None:
    may_write = threading.Event()
    written: list[str] = []

    class Stuck:
        def write(self, text: str, /) -> None:
            may_write.wait(5)
            written.append(text)

        def flush(self) -> None: ...

    writer = Writer(Stuck(), lines_max=10)
    for number in range(100):
        writer(f"line {number}\n")
    may_write.set()
    writer.stop()
    text = "".join(written)
    assert "line 9\n" in text and "line 99\n" not in text
    assert "log lines were dropped here" in text


def test_log_files_are_private_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "desk.log"
    file = RotatingFile(path, bytes_max=1000, kept=2)
    for number in range(100):
        file.write(f"{number:03}" + "x" * 97)
    file.flush()
    files = sorted(path.parent.iterdir())
    assert [one.name for one in files] == ["desk.log", "desk.log.1", "desk.log.2"]
    assert all(one.stat().st_size <= 1000 for one in files)
    assert path.read_text().startswith("090") and files[1].read_text().startswith("080")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_log_disk_is_survived() -> None:
    class Full:
        def write(self, text: str, /) -> None:
            raise OSError(28, "No space left on device")

        def flush(self) -> None: ...

    writer = Writer(Full())
    writer("lost\n")
    writer.stop()
    assert not writer._thread.is_alive()
