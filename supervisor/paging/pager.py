"""What of paging outlives a crash of its port: what was reported, and, in the outbox, what waits to be sent.

Whoever publishes an event pays for a look at it and no more. The port takes what has gathered, and has it on
disk before a channel hears of it. A disk that takes nothing is no reason for silence: then the pages go out from
memory, and one of them says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import trio

from supervisor.events import ChildCrashed, ChildReady
from supervisor.paging import escalation
from supervisor.paging.messages import Incident, Page, PageDelivered, PageFailed, Resolved
from supervisor.paging.outbox import Outbox, OutboxFailed
from supervisor.paging.routes import CHANNEL_KEY, Routes
from supervisor.paging.rows import DeliveryState, IncidentRow, Listing, SilenceRow
from supervisor.paging.rules import Fold, incident_of

if TYPE_CHECKING:
    from supervisor.message import Message

# Incidents not yet looked at, and pages waiting in one channel. The oldest go first: the newest say how it is
# now.
WAITING_MAX = 1_000
QUEUE_MAX = 100
# How often it looks for what nobody has acknowledged.
LOOK_S = 5.0
TEST_KEY = "test"

T = TypeVar("T")
Rule = Callable[["Message", int], Incident | Resolved | None]


class Pager:
    """A subscriber of the runtime: call it with each event.

    `rules` are the program's own, tried after the supervisor's: (event, wall_ns) -> Incident, Resolved or None.
    `watch` is asked each second for incidents that consist in time passing (a position without a stop for too
    long): (wall_ns) -> incidents. Without an `outbox` everything is kept in memory.
    """

    def __init__(
        self,
        fold: Fold,
        *,
        wall_ns: Callable[[], int],
        command: str,
        rules: Iterable[Rule] = (),
        watch: Callable[[int], Iterable[Incident]] = lambda _wall_ns: (),
        outbox: Outbox | None = None,
        routes: Routes | None = None,
        escalate: escalation.Escalation | None = None,
    ) -> None:
        self.fold = fold
        self.pages = 0
        self.outbox = outbox if outbox is not None else Outbox(None)
        self.routes = routes if routes is not None else Routes()
        self._escalate = escalate if escalate is not None else escalation.Escalation()
        self._wall_ns = wall_ns
        self._command = command
        self._rules = tuple(rules)
        self._watch = watch
        self._waiting: deque[Incident | Resolved] = deque(maxlen=WAITING_MAX)
        self._tests: deque[tuple[Page, tuple[str, ...]]] = deque(maxlen=QUEUE_MAX)
        self._queues: dict[str, deque[Page]] = {}
        self._channels: tuple[str, ...] = ()
        self._silences: list[SilenceRow] = []
        # The newest life of each child that got ready; as many as there are children.
        self._ready: dict[str, int] = {}
        self._look_s = 0.0
        self._unkept = 0
        self._wake: Callable[[], None] = lambda: None
        # One call at a time: it is one connection.
        self._thread = trio.CapacityLimiter(1)

    def __call__(self, event: Message) -> None:
        found = self._found(event)
        if found is not None:
            self._report(found)
        over = self._recovered(event)
        if over is not None:
            self._report(over)

    def on_waiting(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is something new; replaces the one before it."""
        self._wake = wake

    def queue(self, channel: str) -> deque[Page]:
        """The pages that wait for this channel."""
        return self._queues.setdefault(channel, deque(maxlen=QUEUE_MAX))

    async def begin(self, channels: Sequence[str]) -> None:
        """Open the outbox, and queue what a life before this one did not get rid of."""
        self._channels = tuple(channels)
        trouble = await self._do(self.outbox.open, self._wall_ns())
        if trouble:
            self._waiting.append(self._outbox_incident(trouble))
        try:
            self._silences = await self._do(self.outbox.silences, self._wall_ns())
            pending = await self._do(self.outbox.pending, channels, self._wall_ns(), QUEUE_MAX)
        except OutboxFailed as error:
            self._waiting.append(self._outbox_incident(str(error)))
            pending = {}
        for channel, pages in pending.items():
            queue = self.queue(channel)
            known = {page.page_id for page in queue}
            queue.extendleft(page for page in reversed(pages) if page.page_id not in known)

    async def take(self, now_s: float) -> list[tuple[Page, tuple[str, ...]]]:
        """Everything that must be sent now, with the channels it goes to: on disk, and in their queues."""
        # What has been taken from memory must arrive on disk, or in memory again, even if the port ends now.
        with trio.CancelScope(shield=True):
            repeated = await self._unacknowledged(now_s)
            changes, pages, keys = self._gathered(now_s, repeated)
            if not changes and not pages:
                return []
            try:
                kept = await self._do(self.outbox.keep, changes, pages, keys, self._wall_ns())
            except OutboxFailed as error:
                kept = [self._numbered(page) for page, _ in pages]
                self._waiting.append(self._outbox_incident(str(error)))
            sent = [(page, names) for page, (_, names) in zip(kept, pages, strict=True)]
            for page, names in sent:
                for name in names:
                    self.queue(name).append(page)
        self.pages += len(sent)
        return sent

    # -- what a courier says -------------------------------------------------------------------------------

    async def settle(self, outcome: PageDelivered | PageFailed) -> None:
        """Write down what became of a page. If the disk refuses, a restart may double the page."""
        is_accepted = isinstance(outcome, PageDelivered)
        state = DeliveryState.ACCEPTED if is_accepted else DeliveryState.FAILED
        attempts = outcome.attempts if isinstance(outcome, PageDelivered) else 0
        with trio.CancelScope(shield=True):
            try:
                await self._do(
                    self.outbox.settle, outcome.page_id, outcome.channel, state, attempts, self._wall_ns()
                )
            except OutboxFailed as error:
                self._report(self._outbox_incident(str(error)))

    def channel_died(self, channel: str, reason: str) -> None:
        self._report(
            Incident(
                key=f"{CHANNEL_KEY}{channel}",
                title=f"channel {channel} takes no pages: {reason}",
                done="its pages wait, and it is tried now and then; the other channels deliver",
                command="nightdesk page test",
                wall_ns=self._wall_ns(),
            )
        )

    def channel_lives(self, channel: str) -> None:
        self._report(Resolved(key=f"{CHANNEL_KEY}{channel}"))

    # -- what a person wants -------------------------------------------------------------------------------

    def test(self, by: str, tag: str) -> tuple[str, ...]:
        """Send a page that says it is a test, to the channels with this tag ("": all). Returns their names."""
        names = self.routes.tagged(tag, self._channels)
        if names:
            text = f"asked for by {by}; nothing is wrong\n{self.fold.context()}"
            page = Page(page_id=0, key=TEST_KEY, title="a test page: this channel works", text=text, count=1)
            self._tests.append((page, names))
            self._wake()
        return names

    async def acknowledge(self, pattern: str, by: str) -> list[str]:
        """Stop repeating what is open under these keys. Returns them. Raises OutboxFailed."""
        return await self._do(self.outbox.acknowledge, pattern, by, self._wall_ns())

    async def silence(self, pattern: str, for_s: float, by: str, reason: str) -> SilenceRow:
        """Send nothing about these keys for so long. Raises OutboxFailed."""
        row = SilenceRow(pattern, self._wall_ns() + round(for_s * 1e9), by, reason)
        await self._do(self.outbox.silence, row, self._wall_ns())
        self._silences = await self._do(self.outbox.silences, self._wall_ns())
        return row

    async def listing(self) -> Listing:
        """Incidents, silences and the newest deliveries, as plain records."""
        return await self._do(self.outbox.listing, self._wall_ns())

    # -- within --------------------------------------------------------------------------------------------

    def _found(self, event: Message) -> Incident | Resolved | None:
        if isinstance(event, Incident | Resolved):
            return event
        wall_ns = self._wall_ns()
        found: Incident | Resolved | None = incident_of(event, wall_ns, self._command)
        for rule in self._rules:
            found = found or rule(event, wall_ns)
        return found

    def _recovered(self, event: Message) -> Resolved | None:
        """The crash is over: its child is ready. Of a quick restart we hear before we hear of the crash, whose
        traceback takes a moment to be written."""
        match event:
            case ChildReady():
                self._ready[event.name] = event.incarnation
            case ChildCrashed() if self._ready.get(event.name, 0) > event.incarnation:
                pass
            case _:
                return None
        return Resolved(key=f"crash/{event.name}")

    def _report(self, found: Incident | Resolved) -> None:
        self._waiting.append(found)
        self._wake()

    def _gathered(
        self, now_s: float, repeated: Sequence[IncidentRow]
    ) -> tuple[list[Incident | Resolved], list[tuple[Page, tuple[str, ...]]], list[str]]:
        """What happened, the pages about it with where they go, and the keys that are repeated."""
        self._waiting.extend(self._watch(self._wall_ns()))
        changes = list(self._waiting)
        self._waiting.clear()
        pages = self.fold.due(now_s)
        for change in changes:
            page = self.fold.offer(change, now_s) if isinstance(change, Incident) else None
            if page is not None:
                pages.append(page)
        if repeated:
            pages.append(escalation.repeat(repeated, self.fold.context(), self._wall_ns()))
        routed = [*self._tests, *((page, self._route(page)) for page in pages)]
        self._tests.clear()
        return changes, routed, [row.key for row in repeated]

    def _route(self, page: Page) -> tuple[str, ...]:
        if not page.is_repeat and escalation.silenced(page.key, self._silences, self._wall_ns()):
            return ()
        return self.routes.of(page, self._channels)

    async def _unacknowledged(self, now_s: float) -> list[IncidentRow]:
        # With no channel there is nobody to wake: the log and the view have it already.
        if now_s < self._look_s or not self._channels:
            return []
        self._look_s = now_s + LOOK_S
        try:
            rows = await self._do(self.outbox.unacknowledged)
        except OutboxFailed as error:
            self._waiting.append(self._outbox_incident(str(error)))
            return []
        return self._escalate.due(rows, self._silences, self._wall_ns())

    def _numbered(self, page: Page) -> Page:
        """A page that the outbox could not take."""
        self._unkept -= 1
        return Page(
            page_id=self._unkept, key=page.key, title=page.title, text=page.text, count=page.count,
            severity=page.severity, is_repeat=page.is_repeat,
        )  # fmt: skip

    def _outbox_incident(self, words: str) -> Incident:
        return Incident(
            key="outbox",
            title=f"pages are not kept on disk: {words}",
            done="they are sent from memory; those not yet delivered are lost if the process dies now",
            command="df -h",
            wall_ns=self._wall_ns(),
        )

    async def _do(self, call: Callable[..., T], *arguments: object) -> T:
        """Off the loop where it waits for a disk."""
        if self.outbox.blocks:
            return await trio.to_thread.run_sync(lambda: call(*arguments), limiter=self._thread)
        return call(*arguments)
