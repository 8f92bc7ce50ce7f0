"""The websocket API: a text frame in, a `Call` out; an `Answer` in, a text frame out; one session per
connection.

Source: binance-spot-api-docs web-socket-api.md: request and response format, session authentication (Ed25519
only), user data stream subscriptions (one per account and connection). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec

from actors.venues.simulated.auth import ApiKey, socket_payload
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.gate import Admitted, Answer, Call, Gate, Local
from actors.venues.simulated.methods import method_named
from actors.venues.simulated.streams import Hub

# After so many frames that are not requests at all the connection is closed.
MALFORMED_MAX = 3
_ID = re.compile(r"[a-zA-Z0-9-_]{1,36}")
_BAD_ID = (
    "Invalid 'id' in JSON request; expected an integer, a string matching '^[a-zA-Z0-9-_]{1,36}$', or null."
)


class Request(msgspec.Struct):
    """A frame that is a request: its id, what it calls, whether its answer shows the rate limits."""

    id: int | str | None
    call: Call
    rate_limits: bool


class _Frame(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")
    method: msgspec.Raw = msgspec.Raw(b"null")
    params: msgspec.Raw = msgspec.Raw(b"{}")


class Session:
    """One connection: who is logged on, which accounts it listens to.

    `send` puts a frame on the connection; it never blocks.
    """

    def __init__(self, gate: Gate, hub: Hub, ip: str, query: str, send: Callable[[bytes, int], None]) -> None:
        self._gate = gate
        self._hub = hub
        self._ip = ip
        self._send = send
        self._rate_limits = parse_qs(query).get("returnRateLimits", ["true"])[-1] != "false"
        self._connected_us = gate.clock.told_us()
        self._key: ApiKey | None = None
        self._logged_on_us = 0
        # Subscription id -> (account, number at the hub); ids count up and are not used again.
        self._subscriptions: dict[int, tuple[str, int]] = {}
        self._next_subscription = 0
        self._of_session: int | None = None
        self._closed = False
        self.malformed = 0
        self.local: dict[str, Local] = {
            "session.logon": self._logon,
            "session.status": lambda _: self._status(),
            "session.logout": self._logout,
            "session.subscriptions": lambda _: [{"subscriptionId": n} for n in self._subscriptions],
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signature,
            "userDataStream.unsubscribe": self._unsubscribe,
        }

    def close(self) -> None:
        """The connection is gone: nothing is sent to it any more."""
        self._closed = True
        for _, number in self._subscriptions.values():
            self._hub.unwatch(number)
        self._subscriptions.clear()

    # --- Frames ------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Request | bytes:
        """The request in a frame, or the refusal of a frame that is none."""
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except msgspec.DecodeError:
            return self._no_request("Invalid JSON Request")
        try:
            request_id = msgspec.json.decode(frame.id, type=int | str | None)
        except msgspec.DecodeError:
            return self._no_request(_BAD_ID)
        if isinstance(request_id, str) and not _ID.fullmatch(request_id):
            return self._no_request(_BAD_ID)
        try:
            name = msgspec.json.decode(frame.method, type=str)
        except msgspec.DecodeError:
            return self._no_request("Invalid 'method' in JSON request; expected a string.", request_id)
        try:
            raw = msgspec.json.decode(frame.params, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            return self._no_request("Invalid 'params' in JSON request; expected an object.", request_id)
        params = {key: _text(value) for key, value in raw.items()}
        try:
            method = method_named(name, self._gate.config.listen_key_legacy)
        except VenueError as error:
            return _encode({"id": request_id, "status": error.http_status, "error": error.body()})
        return Request(request_id, self._call(method_name=method.name, params=params), self._shows(params))

    def render(self, request: Request, answer: Answer) -> bytes:
        """The frame that answers a request."""
        reply: dict[str, object] = {"id": request.id, "status": answer.status}
        if answer.error is None:
            reply["result"] = answer.result
        else:
            body = answer.error.body()
            if answer.retry_at_us is not None:
                now_ms = self._gate.clock.told_us() // 1000
                body["data"] = {"serverTime": now_ms, "retryAfter": answer.retry_at_us // 1000}
            reply["error"] = body
        if request.rate_limits:
            now_us, limits = self._gate.clock.now_us(), self._gate.limits
            rows = limits.order_rows(answer.account, now_us) if answer.counts and answer.account else []
            reply["rateLimits"] = [*rows, limits.weight_row(self._ip, now_us)]
        return _encode(reply)

    def _call(self, method_name: str, params: dict[str, str]) -> Call:
        empty = next((key for key, value in params.items() if value == ""), None)
        payload = socket_payload(params)
        kept = {k: v for k, v in params.items() if k not in ("signature", "apiKey", "returnRateLimits")}
        return Call(
            method=method_named(method_name, legacy=True),
            params=kept,
            ip=self._ip,
            transport="ws-api",
            api_key=params.get("apiKey"),
            payload=payload,
            signature=params.get("signature"),
            session=self._key,
            malformed=VenueError(-1105, f"Parameter '{empty}' was empty.") if empty is not None else None,
        )

    def _shows(self, params: dict[str, str]) -> bool:
        wanted = params.get("returnRateLimits")
        return self._rate_limits if wanted is None else wanted == "true"

    def _no_request(self, message: str, request_id: int | str | None = None) -> bytes:
        self.malformed += 1
        return _encode({"id": request_id, "status": 400, "error": {"code": -1135, "msg": message}})

    # --- Session -----------------------------------------------------------------------------------------

    def _logon(self, admitted: Admitted) -> object:
        key = admitted.key
        assert key is not None
        if key.kind != "ED25519":
            raise VenueError(-4056, f"{_KIND_NAMES[key.kind]} API key is not supported.")
        self._key, self._logged_on_us = key, self._gate.clock.told_us()
        return self._status()

    def _logout(self, _: Admitted) -> object:
        if self._of_session is not None:
            self._end_subscription(self._of_session)
        self._key, self._logged_on_us = None, 0
        return self._status()

    def _status(self) -> dict[str, object]:
        return {
            "apiKey": self._key.api_key if self._key is not None else None,
            "authorizedSince": self._logged_on_us // 1000 if self._key is not None else None,
            "connectedSince": self._connected_us // 1000,
            "returnRateLimits": self._rate_limits,
            "serverTime": self._gate.clock.told_us() // 1000,
            "userDataStream": self._of_session is not None,
        }

    # --- User data streams -------------------------------------------------------------------------------

    def _subscribe(self, _: Admitted) -> object:
        if self._key is None:
            raise VenueError(-1002, "You are not authorized to execute this request.", 401)
        key = self._gate.keys.find(self._key.api_key, "USER_DATA")
        self._of_session = self._begin_subscription(key.account)
        return {"subscriptionId": self._of_session}

    def _subscribe_signature(self, admitted: Admitted) -> object:
        assert admitted.key is not None
        return {"subscriptionId": self._begin_subscription(admitted.key.account)}

    def _unsubscribe(self, admitted: Admitted) -> object:
        text = admitted.call.params.get("subscriptionId")
        wanted = list(self._subscriptions) if text is None else [int(text)] if text.isdecimal() else [-1]
        if not wanted or any(number not in self._subscriptions for number in wanted):
            raise VenueError(-2036, "User Data Stream subscription not active.")
        for number in wanted:
            self._end_subscription(number)
        return {}

    def _begin_subscription(self, account: str) -> int:
        if self._closed:
            # A delayed request whose connection is gone: nobody would ever end the subscription.
            raise VenueError(-2036, "User Data Stream subscription not active.")
        if any(account == listening for listening, _ in self._subscriptions.values()):
            raise VenueError(-2035, "User Data Stream subscription already active.")
        number, self._next_subscription = self._next_subscription, self._next_subscription + 1
        watching = self._hub.watch(account, lambda event: self._event(number, event))
        self._subscriptions[number] = (account, watching)
        return number

    def _end_subscription(self, number: int) -> None:
        _, watching = self._subscriptions.pop(number)
        self._hub.unwatch(watching)
        if self._of_session == number:
            self._of_session = None
        ended = {"e": "eventStreamTerminated", "E": self._gate.clock.told_us() // 1000}
        self._event(number, ended)

    def _event(self, number: int, event: object) -> None:
        self._send(_encode({"subscriptionId": number, "event": event}), 0)


_KIND_NAMES = {"HMAC": "HMAC_SHA256", "RSA": "RSA"}


def shutdown_frame(now_us: int) -> bytes:
    return _encode({"event": {"e": "serverShutdown", "E": now_us // 1000}})


def _text(raw: msgspec.Raw) -> str:
    """A parameter as text: a string's content, anything else exactly as it was written (it was signed so)."""
    text = bytes(raw).decode()
    return msgspec.json.decode(raw, type=str) if text.startswith('"') else text


def _encode(reply: object) -> bytes:
    return msgspec.json.encode(reply)
