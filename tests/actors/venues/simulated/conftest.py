"""Fixtures of the simulated venue's tests; what they are made of is in venue_fixture.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.actors.venues.simulated.venue_fixture import LocalVenue, VenueThread, running_venue


@pytest.fixture
async def venue() -> AsyncIterator[LocalVenue]:
    """A venue whose market stands still, in the test's own Trio run."""
    async with running_venue() as local:
        yield local


@pytest.fixture
def venue_thread() -> Iterator[LocalVenue]:
    """The same in a thread of its own, for clients that are not on Trio."""
    with VenueThread() as local:
        yield local
