"""Which events a person must hear of, and how a storm of them becomes a few pages. Pure.

The first incident of a key is paged at once. Further ones within `every_s` are counted, and told in one page
when that time is over. Across all keys at most `at_once_max` first pages leave within `every_s`; what is
above goes into one page about the storm. So a person gets a page early, and never more than can be read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from supervisor import events
from supervisor.errors import Overran
from supervisor.message import Message
from supervisor.paging.messages import Incident, Page

# Keys remembered at a time; one more, and the one that was quiet for longest is forgotten.
KEYS_MAX = 1_000
STORM = "storm"
RUNBOOKS = "ops/runbooks"


class _Open:
    """One key that was paged: when, and what came since."""

    __slots__ = ("held", "last", "paged_s")

    def __init__(self, paged_s: float, last: Incident) -> None:
        self.paged_s = paged_s
        self.last = last
        self.held = 0


class Fold:
    """Incidents in, pages out. `context` is asked for what the page should also say (positions, say), line by
    line."""

    def __init__(
        self, context: Callable[[], str] = str, *, every_s: float = 60.0, at_once_max: int = 20
    ) -> None:
        self._context = context
        self._every_s = every_s
        self._at_once_max = at_once_max
        self._open: dict[str, _Open] = {}
        self._firsts_s: deque[float] = deque()

    def offer(self, incident: Incident, now_s: float) -> Page | None:
        """A page that must leave now, or None if it was counted for a later one. `now_s`: monotonic
        seconds."""
        known = self._open.get(incident.key)
        if known is not None and (known.held or now_s - known.paged_s < self._every_s):
            known.held += not incident.is_echo
            known.last = incident if not incident.is_echo else known.last
            return None
        while self._firsts_s and now_s - self._firsts_s[0] >= self._every_s:
            self._firsts_s.popleft()
        if len(self._firsts_s) >= self._at_once_max and incident.key != STORM:
            return self.offer(_storm(incident), now_s)
        if incident.key != STORM:
            self._firsts_s.append(now_s)
        self._remember(incident, now_s)
        return self._page(incident, 1)

    def due(self, now_s: float) -> list[Page]:
        """The pages about what was counted, where the time is over."""
        pages = []
        for open_ in self._open.values():
            if open_.held and now_s - open_.paged_s >= self._every_s:
                pages.append(self._page(open_.last, open_.held))
                open_.paged_s, open_.held = now_s, 0
        return pages

    def _remember(self, incident: Incident, now_s: float) -> None:
        # Popped and put back, so that the dict stays in the order of the last page.
        self._open.pop(incident.key, None)
        self._open[incident.key] = _Open(now_s, incident)
        if len(self._open) > KEYS_MAX:
            quiet = next((key for key, open_ in self._open.items() if not open_.held), next(iter(self._open)))
            del self._open[quiet]

    def _page(self, incident: Incident, count: int) -> Page:
        more = f"{count} more like it in {self._every_s:.0f} s: " if count > 1 else ""
        since = datetime.fromtimestamp(incident.wall_ns / 1e9, UTC)
        lines = [
            f"since: {since:%Y-%m-%d %H:%M:%S} UTC",
            f"done: {incident.done}",
            *filter(None, self._context().splitlines()),
            f"type: {incident.command}",
            f"runbook: {runbook(incident)}",
        ]
        title, text = more + incident.title, "\n".join(lines)
        return Page(
            page_id=0, key=incident.key, title=title, text=text, count=count, severity=incident.severity
        )

    def context(self) -> str:
        """What a page also says, as of now."""
        return self._context()


def runbook(incident: Incident) -> str:
    """The file that says what to look at and what to type."""
    return f"{RUNBOOKS}/{incident.runbook or incident.key.partition('/')[0]}.md"


def _storm(incident: Incident) -> Incident:
    return Incident(
        key=STORM,
        title=f"too many different incidents to page one by one; the last: {incident.title}",
        done=incident.done,
        command=incident.command,
        wall_ns=incident.wall_ns,
        severity=incident.severity,
    )


def incident_of(event: Message, wall_ns: int, command: str) -> Incident | None:
    """What a person must know of the supervisor's own events. `wall_ns`: now; `command`: what shows the
    tree."""
    match event:
        case events.ChildCrashed():
            hand = f" with {event.message_type} in hand" if event.message_type else ""
            return Incident(
                key=f"crash/{event.name}",
                title=f"{event.name} crashed{hand}: {event.error}",
                done=f"a new life of it begins (restarts before: {event.restarts}); the others go on",
                command=command,
                wall_ns=event.wall_ns,
                runbook="overrun" if event.error.startswith(Overran.__name__) else "",
            )
        case events.Halted():
            return Incident(
                key=f"branch/{event.branch}",
                title=f"{event.branch} halted: {event.child} says {event.error}",
                done="the branch is stopped, and stays stopped: a restart cannot help",
                command=command,
                wall_ns=wall_ns,
                runbook="halted",
            )
        case events.BranchGaveUp():
            then = (
                "it stays stopped, the others go on"
                if event.alone
                else "its parent starts it again, or gives up too"
            )
            return Incident(
                key=f"branch/{event.name}",
                title=f"{event.name} gave up: {event.cause}",
                done=then,
                command=command,
                wall_ns=wall_ns,
                runbook="branch-gave-up",
                # A halt says so already, and says why.
                is_echo=True,
            )
        case events.ChildStuck():
            return Incident(
                key=f"stuck/{event.name}",
                title=f"{event.name} does not stop; waited {event.waited_s:.1f} s",
                done="the process ends itself",
                command=command,
                wall_ns=wall_ns,
            )
        case _:
            return None
