"""What a person's `page` command does to a running pager: test, list, ack, silence."""

from __future__ import annotations

import msgspec

from supervisor.paging.outbox import OutboxFailed
from supervisor.paging.pager import Pager
from supervisor.telemetry.status import Command, CommandError

# A silence that somebody forgot must end before the next weekend does.
SILENCE_MAX_S = 7 * 86_400.0


async def operate(pager: Pager, command: Command) -> str:
    """Carry out `page-test`, `page-list`, `page-ack` or `page-silence`; say what became of it. Raises
    CommandError."""
    try:
        match command.verb:
            case "page-test":
                names = pager.test(command.by, command.name)
                return tested(names, command.name)
            case "page-list":
                return msgspec.json.encode(await pager.listing()).decode()
            case "page-ack":
                return acknowledged(await pager.acknowledge(command.name, command.by), command.name)
            case "page-silence":
                length_s = silence_length_s(command.for_s)
                row = await pager.silence(command.name, length_s, command.by, command.reason)
                return f"nothing is sent about {row.pattern} for {length_s / 60:g} minutes"
            case _:
                raise CommandError(f"verb {command.verb!r}: of pages there are test, list, ack and silence")
    except OutboxFailed as error:
        raise CommandError(f"the outbox did not take it: {error}; look with df -h and repeat it") from error


def silence_length_s(for_s: float) -> float:
    """Raises CommandError for a silence without an end, or with one too far away."""
    if not 0 < for_s <= SILENCE_MAX_S:
        raise CommandError(
            f"a silence of {for_s / 60:g} minutes: it must be more than 0 and at most "
            f"{SILENCE_MAX_S / 60:g} (seven days), so that a forgotten one ends"
        )
    return for_s


def tested(names: tuple[str, ...], tag: str) -> str:
    """What `page test` says; raises CommandError where there is no channel."""
    if names:
        return f"a test page is on its way to {', '.join(names)}; see it arrive, or `nightdesk page list`"
    if tag:
        raise CommandError(f"no channel has the tag or name {tag!r}; they are in [paging] of the config")
    raise CommandError(
        "there is no channel: add one to [paging] of the config, such as urls = ['ntfy://topic']"
    )


def acknowledged(keys: list[str], pattern: str) -> str:
    """What `page ack` says; raises CommandError where nothing was open."""
    if not keys:
        raise CommandError(f"nothing open has a key like {pattern!r}; the keys are in `nightdesk page list`")
    return f"acknowledged: {', '.join(keys)}"
