"""python-binance clients pointed at the simulated venue: a subclass that changes the URLs alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actors.venues.simulated.venue_fixture import LocalVenue

binance = pytest.importorskip("binance", reason="python-binance is not installed")


def urls(venue: LocalVenue) -> dict[str, str]:
    return {
        "API_URL": f"{venue.url}/api",
        "MARGIN_API_URL": f"{venue.url}/sapi",
        "WS_API_URL": f"{venue.ws_url}/ws-api/v3",
    }


def pointed_at(venue: LocalVenue, key: Any = None, **options: Any) -> Any:
    key = key or venue.hmac
    return type("Client", (binance.Client,), urls(venue))(key.api_key, key.client_secret, **options)
