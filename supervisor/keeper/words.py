"""What the keeper says of a child: one incident, in words, for each thing that it found."""

from __future__ import annotations

import signal

from supervisor.keeper.decide import Fault, Phase, Ward
from supervisor.paging.messages import Incident


def incident(
    ward: Ward, fault: Fault, words: str, *, pid: int | None, code: int | None, command: str, wall_ns: int
) -> Incident:
    """`words` are the ward's; `code` how it ended, where it has. Keys: process/NAME/FAULT."""
    which = f"{ward.name} (pid {pid})" if pid is not None else ward.name
    what = words
    if fault is Fault.DIED and code is not None:
        what = how_it_ended(code) + (f": {words}" if words else "")
    if fault is Fault.GAVE_UP:
        what = f"it is given up: {words}"
    return Incident(
        key=f"process/{ward.name}/{fault.value}",
        title=f"process {which}: {what}",
        done=_done(ward, fault),
        command=command,
        wall_ns=wall_ns,
    )


def how_it_ended(code: int) -> str:
    """An exit code, or minus the signal, in words."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return "could not be started" if code == 127 else f"ended with exit code {code}"


def status(wards: list[Ward]) -> str:
    """One line for `systemctl status`."""
    return "; ".join(_one(ward) for ward in wards)


def _one(ward: Ward) -> str:
    if ward.gave_up:
        return f"{ward.name} given up"
    return f"{ward.name} {ward.phase.value}" + (f", life {ward.life}" if ward.life > 1 else "")


def _done(ward: Ward, fault: Fault) -> str:
    match fault:
        case Fault.GAVE_UP:
            return "it stays down until a person looks"
        case Fault.UNKILLABLE:
            return "nothing takes its place while it is there"
        case Fault.DIED if ward.phase is Phase.ENDED:
            return "it is not started again"
        case Fault.DIED:
            return "it is started again"
        case Fault.MEMORY:
            return "it is told to end in order, then killed; then it is started again"
        case _:
            return "it is asked for its stacks, killed, and started again"
