"""Which channels a page goes to. Pure.

By severity at first; a repeat goes to every channel, or to those with a tag of `escalate_to`. What is said of a
channel that is dead goes to the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from supervisor.paging.messages import Page, Severity

CHANNEL_KEY = "channel/"
DEFAULT = frozenset({Severity.PAGE, Severity.NOTICE})
# A severity that must have somewhere to go; "log" is content with the log.
_ROUTED = (Severity.PAGE, Severity.NOTICE)


class Route(msgspec.Struct, frozen=True):
    """What goes to the channel `name`, and its tags."""

    name: str
    tags: tuple[str, ...] = ()
    severities: frozenset[Severity] = DEFAULT


class Routes:
    """A channel without a route takes what DEFAULT says."""

    def __init__(self, routes: Sequence[Route] = (), *, escalate_to: Sequence[str] = ()) -> None:
        self._routes = {route.name: route for route in routes}
        self._escalate_to = frozenset(escalate_to)

    def of(self, page: Page, channels: Sequence[str]) -> tuple[str, ...]:
        """Those of `channels` that the page goes to."""
        routes = [self._routes.get(name, Route(name=name)) for name in channels]
        return tuple(route.name for route in routes if self._takes(route, page))

    def tagged(self, tag: str, channels: Sequence[str]) -> tuple[str, ...]:
        """Those of `channels` with this tag, or this name; "" is all of them."""
        routes = [self._routes.get(name, Route(name=name)) for name in channels]
        return tuple(route.name for route in routes if not tag or tag == route.name or tag in route.tags)

    def _takes(self, route: Route, page: Page) -> bool:
        if page.key == f"{CHANNEL_KEY}{route.name}":
            return False
        if page.is_repeat:
            return not self._escalate_to or bool(self._escalate_to & set(route.tags))
        return page.severity in route.severities


def unrouted_severity(routes: Sequence[Route]) -> Severity | None:
    """A severity that none of these takes though one must."""
    return next((each for each in _ROUTED if not any(each in route.severities for route in routes)), None)
