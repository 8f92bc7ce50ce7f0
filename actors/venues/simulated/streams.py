"""Streams: who listens to what, the exchange's events out to them, and the control frames of a market
connection.

Source: binance-spot-api-docs web-socket-streams.md (raw and combined streams, SUBSCRIBE and the other
control frames, the depth streams of 100 ms and 1000 ms) and user-data-stream.md. Pure: sending is a call
that never blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from actors.venues.simulated.exchange import StreamEvent
from actors.venues.simulated.slow_streams import SlowStreams

Send = Callable[[bytes, int], None]
"""(frame, delay in microseconds) -> None."""

_NAME = re.compile(r"(![A-Za-z0-9_]+@arr(@[0-9]+ms)?|[a-z0-9]{1,30}@[A-Za-z0-9_@+:]{1,40})")
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_FAST = {"trade": "trade", "aggTrade": "aggTrade", "bookTicker": "bookTicker"}


class Subscriber:
    """One market connection: the streams it listens to, and whether they come wrapped with their names."""

    def __init__(self, send: Send, combined: bool) -> None:
        self.send = send
        self.combined = combined
        self.names: dict[str, None] = {}


class Hub:
    """All listeners of the venue.

    `ask(method, params)` gives a public answer of the exchange; `delay_us(name)` how late a stream is by a
    fault.
    """

    def __init__(
        self, ask: Callable[[str, Mapping[str, str]], object], delay_us: Callable[[str], int]
    ) -> None:
        self._delay_us = delay_us
        # Dicts instead of sets: the order of sending is then the order of subscribing, in every run.
        self._listeners: dict[str, dict[int, Subscriber]] = {}
        self._watchers: dict[str, dict[int, Callable[[object], None]]] = {}
        self._next = 0
        self._slow = SlowStreams(ask, self._is_heard, self.send)

    # --- Who listens -------------------------------------------------------------------------------------

    def follow(self, subscriber: Subscriber, name: str) -> None:
        subscriber.names[name] = None
        self._listeners.setdefault(name, {})[id(subscriber)] = subscriber

    def unfollow(self, subscriber: Subscriber, name: str) -> None:
        subscriber.names.pop(name, None)
        listeners = self._listeners.get(name, {})
        listeners.pop(id(subscriber), None)
        if not listeners:
            self._listeners.pop(name, None)

    def forget(self, subscriber: Subscriber) -> None:
        """The connection is gone."""
        for name in list(subscriber.names):
            self.unfollow(subscriber, name)

    def watch(self, account: str, receive: Callable[[object], None]) -> int:
        """Give `receive` every user event of the account from now on; gives the number that ends it."""
        number, self._next = self._next, self._next + 1
        self._watchers.setdefault(account, {})[number] = receive
        return number

    def unwatch(self, number: int) -> None:
        for watchers in self._watchers.values():
            watchers.pop(number, None)

    def _is_heard(self, name: str) -> bool:
        return name in self._listeners

    def heard(self) -> list[str]:
        """The names of all streams that somebody listens to."""
        return list(self._listeners)

    # --- What they get -----------------------------------------------------------------------------------

    def publish(self, event: StreamEvent) -> None:
        """Send one event of the exchange to all who listen to it."""
        if event.account is not None:
            for receive in list(self._watchers.get(event.account, {}).values()):
                receive(event.payload)
            return
        symbol = (event.symbol or "").lower()
        if event.kind == "depthUpdate":
            self.send(f"{symbol}@depth@100ms", event.payload)
            if not isinstance(event.payload, bytes):
                self._slow.depth_changed(symbol, event.payload)
        else:
            self.send(f"{symbol}@{_FAST[event.kind]}", event.payload)

    def tick(self, now_us: int) -> None:
        """Once a second: the streams that are made up each second or slower."""
        self._slow.tick(now_us, self.heard())

    def send(self, name: str, payload: object) -> None:
        listeners = self._listeners.get(name)
        if not listeners:
            return
        data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        wrapped = b'{"stream":"' + name.encode() + b'","data":' + data + b"}"
        delay_us = self._delay_us(name)
        for subscriber in list(listeners.values()):
            subscriber.send(wrapped if subscriber.combined else data, delay_us)


class MarketSession:
    """One connection to /ws or /stream: its subscriptions and its control frames."""

    def __init__(self, hub: Hub, send: Send, combined: bool, names: list[str], streams_max: int) -> None:
        self._hub = hub
        self._streams_max = streams_max
        self.subscriber = Subscriber(send, combined)
        for name in names[:streams_max]:
            hub.follow(self.subscriber, name)

    def close(self) -> None:
        self._hub.forget(self.subscriber)

    def on_text(self, text: str) -> bytes:
        """The answer to one control frame."""
        try:
            frame = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return _error(3, f"Invalid JSON: {error}", None)
        if not isinstance(frame, dict):
            return _error(3, "Invalid JSON: expected an object", None)
        request_id = frame.get("id")
        if not _is_id(request_id) or "id" not in frame:
            return _error(2, "Invalid request: request ID must be an unsigned integer", None)
        if "method" not in frame:
            return _error(2, "Invalid request: missing field `method`", request_id)
        if frame["method"] not in _METHODS:
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            unknown = f"unknown variant `{frame['method']}`, expected one of {expected}"
            return _error(2, f"Invalid request: {unknown}", request_id)
        if set(frame) - {"method", "params", "id"}:
            return _error(2, "Invalid request: too many parameters", request_id)
        return self._control(frame["method"], frame.get("params"), request_id)

    def _control(self, method: str, params: object, request_id: object) -> bytes:
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(self.subscriber.names), request_id)
        if not isinstance(params, list):
            return _error(2, "Invalid request: params must be an array", request_id)
        if method == "SUBSCRIBE":
            return self._subscribe(params, request_id)
        if method == "UNSUBSCRIBE":
            for name in params:
                self._hub.unfollow(self.subscriber, str(name))
            return _result(None, request_id)
        return self._property(method, params, request_id)

    def _subscribe(self, names: list[object], request_id: object) -> bytes:
        texts = [name for name in names if isinstance(name, str) and _NAME.fullmatch(name)]
        if len(texts) != len(names) or not names:
            return _error(2, "Invalid request: invalid stream", request_id)
        if len(self.subscriber.names.keys() | set(texts)) > self._streams_max:
            return _error(2, f"Invalid request: too many streams, at most {self._streams_max}", request_id)
        for name in texts:
            self._hub.follow(self.subscriber, name)
        return _result(None, request_id)

    def _property(self, method: str, params: list[object], request_id: object) -> bytes:
        if not params or not isinstance(params[0], str):
            return _error(2, "Invalid request: property name must be a string", request_id)
        if params[0] != "combined":
            return _error(0, "Unknown property", request_id)
        if method == "GET_PROPERTY":
            return _result(self.subscriber.combined, request_id)
        if len(params) != 2 or not isinstance(params[1], bool):
            return _error(1, "Invalid value type: expected Boolean", request_id)
        self.subscriber.combined = params[1]
        return _result(None, request_id)


def user_frame(name: str, event: object, combined: bool) -> bytes:
    """A user event on the stream of a listenKey."""
    return msgspec.json.encode({"stream": name, "data": event} if combined else event)


def shutdown_frame(now_us: int) -> bytes:
    return msgspec.json.encode({"e": "serverShutdown", "E": now_us // 1000})


def _is_id(value: object) -> bool:
    # The documentation says alphanumeric; a UUID with its hyphens, which the official SDK sends, counts as such.
    if value is None or (isinstance(value, str) and _ID.fullmatch(value)):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _result(result: object, request_id: object) -> bytes:
    return msgspec.json.encode({"result": result, "id": request_id})


def _error(code: int, message: str, request_id: object) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "msg": message}, "id": request_id})
