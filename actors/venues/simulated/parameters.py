"""Reading a request's parameters: what is mandatory, what is malformed, what nobody asked for.

Source of codes and words: binance-spot-api-docs errors.md, section "11xx - Request issues".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.venues.simulated.errors import VenueError

_DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER = r"^[0-9]{1,20}$"
_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
_MATCHERS = {pattern: re.compile(pattern) for pattern in (_DECIMAL, _INTEGER, _CLIENT_ID, _SYMBOL)}

# The server has used these before the engine sees the request.
_ENVELOPE = frozenset({"timestamp", "recvWindow", "signature", "apiKey"})

_LONG_MAX = 2**63 - 1


class Parameters:
    """One request's parameters; every read is noted, so that what is left over can be refused."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name: value for name, value in given.items() if name not in _ENVELOPE}
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether the parameter was sent at all."""
        return name in self._given

    def text(self, name: str) -> str | None:
        """The value, or None when it was not sent. Raises VenueError -1105 when it is empty."""
        self._read.add(name)
        value = self._given.get(name)
        if value is not None and value == "":
            raise VenueError(-1105, f"Parameter '{name}' was empty.")
        return value

    def require(self, name: str) -> str:
        """The value of a mandatory parameter. Raises VenueError -1102 when it is missing or empty."""
        self._read.add(name)
        value = self._given.get(name)
        if not value:
            raise VenueError(
                -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            )
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A price or amount. Raises VenueError -1100 (not a number) or -1111 (finer than eight decimals)."""
        value = self.text(name)
        if value is None:
            return None
        _match(name, value, _DECIMAL)
        number = Decimal(value)
        if number.normalize().as_tuple().exponent < -8:  # type: ignore[operator]
            raise VenueError(-1111, f"Parameter '{name}' has too much precision.")
        return number

    def require_decimal(self, name: str) -> Decimal:
        self.require(name)
        number = self.decimal(name)
        assert number is not None
        return number

    def integer(self, name: str) -> int | None:
        """A whole number. Raises VenueError -1100, or -1108 beyond 64 bits."""
        value = self.text(name)
        if value is None:
            return None
        _match(name, value, _INTEGER)
        if int(value) > _LONG_MAX:
            raise VenueError(-1108, f"Parameter '{name}' overflowed.")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """The `limit` parameter: a positive number, cut to the most that the request gives."""
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)

    def client_id(self, name: str) -> str | None:
        """A client's own id. Raises VenueError -1100 outside Binance's alphabet and 36 letters."""
        value = self.text(name)
        if value is not None:
            _match(name, value, _CLIENT_ID)
        return value

    def symbol_name(self) -> str:
        """The mandatory `symbol`, well-formed; whether it exists is for the caller."""
        value = self.require("symbol")
        _match("symbol", value, _SYMBOL)
        return value

    def boolean(self, name: str) -> bool:
        """ "true" or "false", false when not sent. Raises VenueError -1130."""
        value = self.text(name)
        if value is None or value.lower() == "false":
            return False
        if value.lower() != "true":
            raise VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")
        return True

    def names(self, name: str) -> list[str] | None:
        """A JSON array of strings, or None when not sent. Raises VenueError -1100 or -1151."""
        value = self.text(name)
        if value is None:
            return None
        try:
            names = msgspec.json.decode(value, type=list[str])
        except msgspec.DecodeError:
            legal = r'^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$'
            raise VenueError(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
            ) from None
        if len(set(names)) != len(names):
            raise VenueError(-1151, "Symbol is present multiple times in the list.")
        return names

    def refuse(self, *names: str) -> None:
        """These must not be sent here. Raises VenueError -1106."""
        for name in names:
            if name in self._given:
                raise VenueError(-1106, f"Parameter '{name}' sent when not required.")

    def done(self) -> None:
        """All parameters must have been read by now. Raises VenueError -1104."""
        unread = len(self._given.keys() - self._read)
        if unread:
            sent = len(self._given)
            raise VenueError(
                -1104,
                f"Not all sent parameters were read; read '{sent - unread}' parameter(s) "
                f"but was sent '{sent}'.",
            )


def either(first: str, second: str) -> VenueError:
    """The refusal when one of two parameters must be sent and neither was."""
    return VenueError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def _match(name: str, value: str, pattern: str) -> None:
    if not _MATCHERS[pattern].match(value):
        raise VenueError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
        )
