"""What the desk's own events say to people: log lines, incidents, and the situation that every page states.

The supervisor's events speak for themselves (`supervisor/telemetry/lines.py`, `supervisor/paging/rules.py`); here
are the trading ones. Pure.
"""

from __future__ import annotations

from actors import messages as m
from supervisor.message import Message
from supervisor.paging.messages import Incident, Resolved
from supervisor.telemetry.lines import Line

STATUS = "nightdesk status"


class Situation:
    """Positions, their stops and the mode, as last published: the lines that every page carries."""

    def __init__(self) -> None:
        self._protections: dict[str, m.ProtectionChanged] = {}
        self._mode: m.ModeChanged | None = None

    def __call__(self, event: Message) -> None:
        if isinstance(event, m.ProtectionChanged):
            self._protections[event.instrument] = event
        elif isinstance(event, m.ModeChanged):
            self._mode = event

    def lines(self) -> str:
        """One line for each instrument held, "flat" if none is, and the mode. Before the venue has been read, nobody
        knows: a page from a start that failed must not send its reader back to bed."""
        held = [_position(each) for each in self._protections.values() if each.position_lots]
        none = (
            "position: flat" if self._protections else "position: not known yet, the venue has not been read"
        )
        mode = self._mode.mode.value if self._mode is not None else "not known yet"
        return "\n".join([*(held or [none]), f"mode: {mode}"])


def _position(protection: m.ProtectionChanged) -> str:
    stop = (
        f"stop {protection.stop_client_id} at tick {protection.stop_ticks} for {protection.protected_lots} lots"
        if protection.stop_client_id is not None
        else "no stop at this moment"
    )
    return f"position: {protection.instrument} {protection.position_lots} lots, {stop}"


def line_of(event: Message) -> Line | None:
    """A log line for a trading event, or None for what is too frequent or too small to log."""
    match event:
        case m.Fill():
            side = event.side.value.lower()
            return Line(
                "INFO",
                f"{event.instrument} {side} {event.size} at {event.price}, fee {event.fee} {event.fee_coin} "
                f"({event.client_id})",
            )
        case m.OrderChanged() if event.is_terminal and event.state is not m.OrderState.FILLED:
            return Line("DEBUG", f"order {event.client_id} {event.state.value} {event.reason}".rstrip())
        case m.OrderChanged() if event.state is m.OrderState.UNKNOWN:
            return Line("WARNING", f"order {event.client_id} is unknown: {event.reason}; the venue is asked")
        case m.ProtectionChanged() if event.position_lots:
            return Line("INFO", _position(event))
        case m.ProtectionChanged():
            return Line("INFO", f"{event.instrument} is flat")
        case m.ModeChanged():
            return Line("WARNING", f"mode is {event.mode.value}, by {event.by}: {event.reason}")
        case m.Reconciled():
            words = "; ".join(event.differences) or "the journal agreed"
            return Line("INFO", f"reconciled with {event.account} in epoch {event.epoch}: {words}")
        case m.UserStreamDown() | m.StreamDown() | m.BookLost():
            return Line("WARNING", f"{type(event).__name__}: {event.reason}")
        case m.StreamReport() if event.frames_bad_new:
            refused = f"{event.frames_bad_new} frames refused ({event.frames_bad} in all)"
            return Line("WARNING", f"{event.venue}: {refused}, the last: {event.last_refusal}")
        case m.TradingStopped():
            how = "flat" if event.flat else f"holding {event.positions}"
            return Line("INFO", f"trading stopped ({event.reason}), {how}")
        case _:
            pass
    incident = incident_of(event, 0)
    return Line("ERROR", f"{incident.title}; {incident.done}") if incident is not None else None


def incident_of(event: Message, wall_ns: int) -> Incident | None:
    """What of the trading events a person must hear of."""
    match event:
        case m.PositionUnprotected():
            return Incident(
                key=f"unprotected/{event.instrument}",
                title=f"{event.instrument}: {event.position_lots} lots without a working stop: {event.reason}",
                done="the position is being sold",
                command=STATUS,
                wall_ns=wall_ns,
            )
        case m.ModeChanged() if event.mode in (m.DeskMode.KILLED, m.DeskMode.FLATTENING) and event.wall_ns:
            return Incident(
                key=f"mode/{event.mode.value}",
                title=f"the desk is {event.mode.value}, by {event.by}: {event.reason}",
                done="entries are cancelled and refused until a person resumes; stops stay",
                command="nightdesk resume",
                wall_ns=event.wall_ns,
                runbook=f"mode-{event.mode.value}",
            )
        case m.VenueTrouble():
            return Incident(
                key=f"venue/{event.venue}/{event.kind}",
                title=f"{event.venue}: {event.kind}: {event.words}",
                done="no request is sent to it until that is over; stops stand at the venue",
                command=STATUS,
                wall_ns=wall_ns,
                runbook=f"venue-{event.kind}",
            )
        case m.OrderStrayed() if not event.late:
            return Incident(
                key=f"strayed/{event.instrument}",
                title=f"{event.instrument}: order {event.client_id} is not of this desk's life: a second desk trades",
                done="the order is cancelled if it opens",
                command="nightdesk kill",
                wall_ns=wall_ns,
            )
        case m.JournalTrouble() if event.reason:
            return Incident(
                key="journal",
                title=f"the journal does not keep what it is given: {event.reason}",
                done="nothing is opened until it does; exits and stops work",
                command="df -h",
                wall_ns=wall_ns,
            )
        case m.ModeNotDurable():
            return Incident(
                key="mode/not-durable",
                title=f"mode {event.mode.value} is in force but not on disk: {event.reason}",
                done="it is written again and again",
                command="df -h",
                wall_ns=wall_ns,
                runbook="mode-not-durable",
            )
        case m.AuditDiffered():
            return _audited(event, wall_ns)
        case _:
            return None


def _audited(event: m.AuditDiffered, wall_ns: int) -> Incident:
    return Incident(
        key=f"audit/{event.account}",
        title=f"{event.account}: the venue's balance is not what the fills come to: {event.difference}",
        done="it reconciles with the venue anew; the venue's word counts",
        command=STATUS,
        wall_ns=wall_ns,
    )


def paged_of(event: Message, wall_ns: int) -> Incident | Resolved | None:
    """What of the trading events goes to the pager: a matter that begins, or one that is over."""
    match event:
        case m.ModeChanged() if event.mode is m.DeskMode.RUNNING:
            return Resolved(key="mode/*")
        case m.JournalTrouble() if not event.reason:
            return Resolved(key="journal")
        case m.ProtectionChanged() if not event.position_lots:
            return Resolved(key=f"unprotected/{event.instrument}")
        case _:
            return incident_of(event, wall_ns)
