"""What an operator's command does to a running desk: the three verbs, `resume`, and a crash for practice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from actors.messages import CommandRefused, ModeChanged, OperatorCommand, Verb
from supervisor.errors import ActorDied, AskTimeout, Overloaded
from supervisor.telemetry.status import Command, CommandError

if TYPE_CHECKING:
    from supervisor.mailbox import Address
    from supervisor.port import PortLink

CONTROL_TIMEOUT_S = 3.0
VERBS = {verb.value: verb for verb in Verb}


class Operating:
    """`crash` takes the name of a child and raises KeyError, with the names there are, if there is none; `pages`
    carries out what begins with "page-"."""

    def __init__(
        self,
        control: Address,
        crash: Callable[[str], None],
        pages: Callable[[Command], Awaitable[str]],
    ) -> None:
        self._control = control
        self._crash = crash
        self._pages = pages

    async def __call__(self, link: PortLink, command: Command) -> str:
        """Carry out a command and say what became of it. Raises CommandError."""
        if command.verb == "crash":
            try:
                self._crash(command.name)
            except KeyError as error:
                raise CommandError(str(error.args[0])) from None
            return f"{command.name} crashes with the next message in its hand"
        if command.verb.startswith("page-"):
            return await self._pages(command)
        verb = VERBS.get(command.verb)
        if verb is None:
            raise CommandError(f"verb {command.verb!r}: there are {', '.join([*VERBS, 'crash'])}")
        return await self._tell_control(link, verb, command)

    async def _tell_control(self, link: PortLink, verb: Verb, command: Command) -> str:
        by = command.by if command.by.startswith("operator") else f"operator:{command.by}"
        question = OperatorCommand(verb=verb, by=by, reason=command.reason or "typed")
        try:
            answer = await link.ask(self._control, question, timeout_s=CONTROL_TIMEOUT_S)
        except (ActorDied, Overloaded, AskTimeout) as error:
            raise CommandError(
                f"control did not answer ({type(error).__name__}). A pause, kill or flatten is in force all the same, "
                "since its flag goes up at once, but may not be on disk; look with `nightdesk status` and repeat it"
            ) from error
        if isinstance(answer, CommandRefused):
            raise CommandError(answer.reason)
        if isinstance(answer, ModeChanged):
            return f"the desk is {answer.mode.value}"
        raise CommandError(
            f"control answered with a {type(answer).__name__}, which is no answer to {verb.value}"
        )
