"""`nightdesk page ...`: asks the running desk, or, where none runs, looks into its outbox itself."""

from __future__ import annotations

import getpass
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from actors import remote
from supervisor.paging.operate import acknowledged, silence_length_s
from supervisor.paging.outbox import FILE, Outbox, OutboxFailed
from supervisor.paging.rows import Listing
from supervisor.telemetry import operator
from supervisor.telemetry.operator import NotRunning, Refusal
from supervisor.telemetry.status import CommandError


def test(state: Path | None, tag: str) -> int:
    """Needs a running desk: its channels are what is tested. Returns the exit code."""
    return remote.give("page-test", state, name=tag)


def acknowledge(state: Path | None, pattern: str) -> int:
    """Returns the exit code."""
    try:
        try:
            said = _asked(state, "page-ack", name=pattern)
        except NotRunning as error:
            outbox = _outbox(state, error)
            said = acknowledged(outbox.acknowledge(pattern, _by(), time.time_ns()), pattern)
            outbox.close()
    except (NotRunning, Refusal, CommandError, OutboxFailed) as error:
        return _failed(error)
    sys.stdout.write(f"{said}\n")
    return 0


def silence(state: Path | None, pattern: str, minutes: float, reason: str) -> int:
    """Needs a running desk: it is what would page. Returns the exit code."""
    try:
        length_s = silence_length_s(minutes * 60)
        said = _asked(state, "page-silence", name=pattern, for_s=length_s, reason=reason)
    except (NotRunning, Refusal, CommandError) as error:
        return _failed(error)
    sys.stdout.write(f"{said}\n")
    return 0


def show(state: Path | None, *, as_json: bool) -> int:
    """Incidents, silences, and what became of the last pages. Returns the exit code."""
    try:
        try:
            listing = msgspec.json.decode(_asked(state, "page-list"), type=Listing)
        except NotRunning as error:
            outbox = _outbox(state, error)
            listing = outbox.listing(time.time_ns())
            outbox.close()
    except (NotRunning, Refusal, OutboxFailed) as error:
        return _failed(error)
    sys.stdout.write(msgspec.json.encode(listing).decode() + "\n" if as_json else words(listing))
    return 0


def words(listing: Listing) -> str:
    """The listing for a person."""
    lines = [
        f"{row.state.value:<12} {row.severity.value:<6} {_utc(row.since_ns)}  {row.key}  x{row.count}  {row.title}"
        + (f"  (by {row.acked_by})" if row.acked_by else "")
        for row in listing.incidents
    ]
    lines += [f"silent until {_utc(row.until_ns)}  {row.pattern}  {row.reason}" for row in listing.silences]
    lines += [
        f"page {row.page_id:<6} {row.channel:<14} {row.state.value:<9} {_utc(row.at_ns)}"
        for row in listing.deliveries[:20]
    ]
    return "\n".join(lines or ["no incident, no silence, no page"]) + "\n"


def _asked(state: Path | None, verb: str, **arguments: str | float) -> str:
    """What the running desk says. Raises NotRunning or Refusal."""
    answer = operator.command(remote.find(state), verb, by=_by(), **arguments)
    return str(answer["said"])


def _outbox(state: Path | None, why: NotRunning) -> Outbox:
    """The outbox of a desk that does not run. Raises NotRunning if it is not clear which, or there is none."""
    named = state if state is not None else os.environ.get(remote.VARIABLE)
    paths = {Path(named) / FILE} if named is not None else _below(Path())
    found = [path for path in paths if path.is_file()]
    if len(found) != 1:
        many = (
            f"; outboxes are in {', '.join(str(each.parent) for each in found)}: --state DIR" if found else ""
        )
        raise NotRunning(f"{why}{many}")
    outbox = Outbox(found[0])
    outbox.look()
    return outbox


def _below(root: Path) -> set[Path]:
    return {path for depth in ("", "*/", "*/*/") for path in root.glob(f"{depth}{FILE}")}


def _by() -> str:
    return f"operator:{getpass.getuser()}"


def _utc(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}"


def _failed(error: Exception) -> int:
    sys.stderr.write(f"{error}\n")
    return 1
