"""Whoever is woken finds what to do: every kind of incident has its runbook, and every runbook its incident."""

from __future__ import annotations

import re
from pathlib import Path

from actors import messages as m
from actors import notices
from supervisor import events
from supervisor.paging import rules
from supervisor.paging.messages import Incident

ROOT = Path(__file__).resolve().parents[2]
BOOKS = {path.stem for path in (ROOT / "ops" / "runbooks").glob("*.md")}


def kinds() -> set[str]:
    """The runbook names that the sources can give: by `runbook=`, else by the first part of `key=`."""
    found = {"overrun", *re.findall(r'"(\w+)"', m.VenueTrouble.__doc__ or "")}
    found = {name if name == "overrun" else f"venue-{name}" for name in found}
    found |= {f"mode-{mode}" for mode in ("killed", "flattening")}
    for package in ("actors", "supervisor"):
        for path in (ROOT / package).rglob("*.py"):
            for block in re.findall(r"\bIncident\(\n(.*?)\n\s*\)", path.read_text(), re.DOTALL):
                runbook = re.search(r'runbook=(f?)"([\w{.}-]+)"', block)
                key = re.search(r'key=f?"([\w-]+)', block)
                if runbook is not None and not runbook[1]:
                    found.add(runbook[2])
                elif runbook is None and key is not None:
                    found.add(key[1])
    return found | {"storm", "channel", "crash"}


def test_every_kind_of_incident_has_a_runbook_and_every_runbook_a_kind() -> None:
    assert len(kinds()) > 15
    assert kinds() == BOOKS


def test_every_runbook_says_what_happened_what_was_done_what_to_look_at_and_what_to_type() -> None:
    for name in BOOKS:
        text = (ROOT / "ops" / "runbooks" / f"{name}.md").read_text()
        for part in ("What happened.", "What the system has done.", "What to look at.", "What to type."):
            assert f"**{part}**" in text, (name, part)


def test_a_page_names_a_runbook_that_is_there() -> None:
    crash = events.ChildCrashed(
        name="x", incarnation=1, error="Overran: interrupted after 0.5 s", traceback_text="",
        message_type=None, restarts=0, wall_ns=1,
    )  # fmt: skip
    trouble = m.VenueTrouble(venue="binance", kind="banned", words="418", until_wall_ns=0)
    killed = m.ModeChanged(mode=m.DeskMode.KILLED, by="me", reason="", wall_ns=1)
    audit = m.AuditDiffered(account="main", difference="1 USDT")
    found = [rules.incident_of(crash, 1, "x"), *(notices.paged_of(e, 1) for e in (trouble, killed, audit))]
    names = []
    for each in found:
        assert isinstance(each, Incident)
        page = rules.Fold().offer(each, 0)
        assert page is not None
        (line,) = [line for line in page.text.splitlines() if line.startswith("runbook: ")]
        names.append(line.removeprefix("runbook: "))
    assert names == [
        f"ops/runbooks/{name}.md" for name in ("overrun", "venue-banned", "mode-killed", "audit")
    ]
    assert all((ROOT / name).is_file() for name in names)
