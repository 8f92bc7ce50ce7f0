"""The official binance-sdk-spot pointed at the simulated venue, and its models as the judge of our answers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.actors.venues.simulated.venue_fixture import LocalVenue

spot = pytest.importorskip("binance_sdk_spot.spot", reason="binance-sdk-spot is not installed")


def rest(venue: LocalVenue, key: Any = None, **options: Any) -> Any:
    """Its REST API, for the desk's HMAC key unless another is given."""
    where = {"base_path": venue.url, **_credentials(key or venue.hmac), **options}
    return spot.Spot(config_rest_api=spot.ConfigurationRestAPI(**where)).rest_api


def sockets(venue: LocalVenue, key: Any = None, **options: Any) -> Any:
    """Its websocket API (for the Ed25519 key unless another is given) and its market streams."""
    return spot.Spot(
        config_ws_api=spot.ConfigurationWebSocketAPI(
            stream_url=f"{venue.ws_url}/ws-api/v3", **_credentials(key or venue.ed25519), **options
        ),
        config_ws_streams=spot.ConfigurationWebSocketStreams(stream_url=f"{venue.ws_url}/stream", **options),
    )


def _credentials(key: Any) -> dict[str, str]:
    secret = "api_secret" if key.kind == "HMAC" else "private_key"
    return {"api_key": key.api_key, secret: key.client_secret}


def unknown_fields(model: Any, where: str = "") -> list[str]:
    """Fields of an answer that Binance's own models do not know, by their paths."""
    if isinstance(model, list):
        return [field for item in model for field in unknown_fields(item, where)]
    if not hasattr(type(model), "model_fields"):
        return []
    found = [f"{where}.{name}" for name in getattr(model, "additional_properties", None) or {}]
    for name in type(model).model_fields:
        if name != "additional_properties":
            found += unknown_fields(getattr(model, name), f"{where}.{name}")
    return found


def snake(params: dict[str, str]) -> dict[str, str]:
    """Binance's parameter names as the SDK calls its arguments."""
    return {re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name): params[name] for name in params}
