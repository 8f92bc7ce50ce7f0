"""REST: an HTTP request in, a `Call` out; an `Answer` in, an HTTP response out.

Source: binance-spot-api-docs rest-api.md, "General Information on Endpoints" and "LIMITS". Parameters may
come in the query string, in a form body, or mixed; where both name one, the query counts. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

import msgspec

from actors.venues.simulated.auth import rest_payload
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.gate import Answer, Call
from actors.venues.simulated.limits import SECOND_US
from actors.venues.simulated.methods import LISTEN_KEY, METHODS, PATHS, ROUTES

PARAMS_MAX = 100


class HttpRequest(msgspec.Struct):
    """One HTTP request; header names are lower case."""

    verb: str
    target: str
    headers: dict[str, str]
    body: bytes
    ip: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


class HttpResponse(msgspec.Struct):
    status: int
    body: bytes
    headers: list[tuple[str, str]] = []
    content_type: str = "application/json;charset=UTF-8"


def parse(request: HttpRequest, legacy: bool) -> Call | HttpResponse:
    """The call that a request makes, or the response to one that is no call at all (404, 405, 410).

    `legacy` lets the removed listenKey endpoints live.
    """
    name = ROUTES.get((request.verb, request.path))
    if name is None:
        return page(405, "Not Allowed") if request.path in PATHS else page(404, "Not Found")
    if name in LISTEN_KEY and not legacy:
        # What Binance's front end answers since 2026-02-20.
        return page(410, "Gone")
    body = request.body.decode("utf-8", "replace") if _is_form(request) else ""
    payload, signature = rest_payload(request.query, body)
    params, malformed = _params(request.query, body)
    params.pop("signature", None)
    return Call(
        method=METHODS[name],
        params=params,
        ip=request.ip,
        transport="rest",
        api_key=request.headers.get("x-mbx-apikey"),
        payload=payload,
        signature=unquote(signature) if signature is not None else None,
        malformed=malformed,
    )


def _is_form(request: HttpRequest) -> bool:
    # GET takes its parameters from the query string alone. Some clients send no content type at all.
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
    return request.verb != "GET" and kind.startswith("application/x-www-form-urlencoded")


def _params(query: str, body: str) -> tuple[dict[str, str], VenueError | None]:
    """All parameters, and what is wrong with them."""
    malformed: VenueError | None = None
    params: dict[str, str] = {}
    for text in (body, query):
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=PARAMS_MAX)
        except ValueError:
            return {}, VenueError(-1101, "Too many parameters sent for this endpoint.")
        if len(dict(pairs)) < len(pairs):
            malformed = VenueError(-1101, "Duplicate values for a parameter detected.")
        params.update(pairs)
    for name, value in params.items():
        if value == "" and name not in ("signature", "timestamp"):
            malformed = malformed or VenueError(-1105, f"Parameter '{name}' was empty.")
    return params, malformed


def response(answer: Answer, used_weight: int, now_us: int) -> HttpResponse:
    """The answer as REST gives it, with the headers that tell how much of the limits is used."""
    headers = [("x-mbx-used-weight", str(used_weight)), ("x-mbx-used-weight-1m", str(used_weight))]
    if answer.counts is not None:
        ten, day = answer.counts
        headers += [("x-mbx-order-count-10s", str(ten)), ("x-mbx-order-count-1d", str(day))]
    if answer.retry_at_us is not None:
        # Rounded up: a client that comes back at the very second must be welcome.
        wait_s = max(-(-(answer.retry_at_us - now_us) // SECOND_US), 1)
        headers.append(("retry-after", str(wait_s)))
    result = answer.error.body() if answer.error is not None else answer.result
    return HttpResponse(answer.status, msgspec.json.encode(result), headers)


def as_json(status: int, result: object) -> HttpResponse:
    return HttpResponse(status, msgspec.json.encode(result))


def page(status: int, reason: str) -> HttpResponse:
    """The HTML of the front end, for what never reaches the API."""
    text = f"<html>\n<head><title>{status} {reason}</title></head>\n<body>\n"
    text += f"<center><h1>{status} {reason}</h1></center>\n</body>\n</html>\n"
    return HttpResponse(status, text.encode(), content_type="text/html")


def header_map(raw: Mapping[str, str] | list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as h11 gives them, as text with lower-case names."""
    pairs = (
        raw.items()
        if isinstance(raw, Mapping)
        else [(n.decode("latin-1"), v.decode("latin-1")) for n, v in raw]
    )
    return {name.lower(): value for name, value in pairs}
