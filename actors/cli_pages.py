"""`nightdesk page test|list|ack|silence`, and the options that commands for a running desk share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

page = App(name="page", help="Pages and incidents: `nightdesk page list`")

State = Annotated[
    Path | None,
    Parameter(name="--state", help="The state_dir of its config. Without it: the desk that runs below here."),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object and nothing else.")]


@page.command(name="test")
def page_test(*, tag: str = "", state: State = None) -> int:
    """Send a test page through the channels of the running desk.

    Example: nightdesk page test --tag phone

    Parameters
    ----------
    tag
        Only to channels with this tag, or of this name.
    """
    from actors import pages

    return pages.test(state, tag)


@page.command(name="list")
def page_list(*, state: State = None, json: Json = False) -> int:
    """Show incidents, silences, and which channel took which page.

    Example: nightdesk page list
    """
    from actors import pages

    return pages.show(state, as_json=json)


@page.command(name="ack")
def page_ack(key: str, *, state: State = None) -> int:
    """Say that you have taken over: an open incident is not paged again until it happens anew.

    Example: nightdesk page ack crash/orders

    Parameters
    ----------
    key
        As `nightdesk page list` shows it; "crash/*" is all that begin so, "*" is all.
    """
    from actors import pages

    return pages.acknowledge(state, key)


@page.command(name="silence")
def page_silence(
    key: str, *, minutes: Annotated[float, Parameter(name="--for")], reason: str = "", state: State = None
) -> int:
    """Send nothing about some incidents for so many minutes; what is open then is paged.

    Example: nightdesk page silence "venue/*" --for 90 --reason "maintenance"

    Parameters
    ----------
    key
        As `nightdesk page list` shows it; "venue/*" is all that begin so, "*" is all.
    minutes
        Until the silence ends; at most seven days.
    reason
        For whoever wonders about it.
    """
    from actors import pages

    return pages.silence(state, key, minutes, reason)
