"""A ccxt client pointed at the simulated venue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actors.venues.simulated.venue_fixture import LocalVenue

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed")

SYMBOL = "BTC/USDT"


def pointed_at(venue: LocalVenue, key: Any = None, **options: object) -> Any:
    """ccxt's binance with its URLs changed and documented options alone; `key` is the desk's unless given."""
    key = key or venue.hmac
    urls = dict.fromkeys(("public", "private"), f"{venue.url}/api/v3")
    urls |= {"v1": f"{venue.url}/api/v1", "sapi": f"{venue.url}/sapi/v1"}
    return ccxt.binance(
        {
            "apiKey": key.api_key,
            "secret": key.client_secret,
            # The client's own brake would make this suite wait; what it brakes for is tested with it.
            "enableRateLimit": False,
            "urls": {"api": urls},
            "options": {"fetchMarkets": {"types": ["spot"]}, **options},
        }
    )
