"""Who a request comes from and whether it is still valid: API keys, signatures and the timing rule.

Source: binance-spot-api-docs rest-api.md and web-socket-api.md, "Request security" and "Timing security":
HMAC-SHA256 (hex, any case), Ed25519 and RSA PKCS#1 v1.5 with SHA-256 (base64, case-sensitive). A REST
payload is the query string and the body joined without a separator, a websocket payload the parameters
sorted by name; the signature itself is left out of both.

Pure: the venue's time comes in as an argument.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from actors.venues.simulated.errors import VenueError

KeyKind = Literal["HMAC", "ED25519", "RSA"]

DEFAULT_WINDOW_US = 5_000_000
MAX_WINDOW_US = 60_000_000
# A client's clock may be this far ahead of the venue's.
AHEAD_US = 1_000_000

_KEY_FORMAT = re.compile(r"[A-Za-z0-9]{64}")
_TIMESTAMP = re.compile(r"[0-9]{1,20}")
_WINDOW = re.compile(r"[0-9]{1,20}(\.[0-9]{1,3})?")
# From here on a timestamp counts microseconds: as milliseconds it would lie in the year 5138.
_MICROSECONDS_FROM = 10**14


class ApiKey:
    """One API key of one account; its secret or public key never shows in a repr.

    `verify_with` is the HMAC secret, or the PEM of the public key for ED25519 and RSA.
    `permissions` are those of Binance's security types: USER_DATA and TRADE.
    """

    def __init__(
        self,
        api_key: str,
        account: str,
        kind: KeyKind,
        verify_with: str,
        permissions: Iterable[str] = ("USER_DATA", "TRADE"),
        *,
        ip_restricted: bool = True,
        withdrawals: bool = False,
    ) -> None:
        self.api_key = api_key
        self.account = account
        self.kind = kind
        self.permissions = frozenset(permissions)
        self.ip_restricted = ip_restricted
        self.withdrawals = withdrawals
        self._secret = verify_with.encode() if kind == "HMAC" else b""
        self._public = None if kind == "HMAC" else load_pem_public_key(verify_with.encode())
        wanted = {"ED25519": Ed25519PublicKey, "RSA": RSAPublicKey}.get(kind)
        if wanted is not None and not isinstance(self._public, wanted):
            raise ValueError(
                f"the key of account {account} is declared {kind}, but its PEM holds another kind"
            )

    def __repr__(self) -> str:
        return f"ApiKey({self.api_key[:4]}..., account={self.account!r}, kind={self.kind!r})"

    def accepts(self, payload: bytes, signature: str) -> bool:
        """True if `signature` was made by the owner of this key over exactly these bytes."""
        if self.kind == "HMAC":
            expected = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode())
        try:
            raw = base64.b64decode(signature, validate=True)
            if isinstance(self._public, Ed25519PublicKey):
                self._public.verify(raw, payload)
            elif isinstance(self._public, RSAPublicKey):
                self._public.verify(raw, payload, PKCS1v15(), hashes.SHA256())
            else:
                return False
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


class KeyRing:
    """All keys that the venue knows."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {key.api_key: key for key in keys}

    def __iter__(self) -> Iterable[ApiKey]:
        return iter(self._keys.values())

    def find(self, api_key: str | None, permission: str | None) -> ApiKey:
        """The key of that name, if it may do `permission` (TRADE, USER_DATA, or None for anything).

        Raises VenueError -2014 for a malformed key and -2015 for one that is unknown or may not do this.
        """
        if api_key is None or not _KEY_FORMAT.fullmatch(api_key):
            raise VenueError(-2014, "API-key format invalid.", 401)
        key = self._keys.get(api_key)
        if key is None or (permission is not None and permission not in key.permissions):
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return key

    def revoke(self, api_key: str) -> None:
        """Forget a key, as its owner does on the venue's page; sessions that use it fail at their next
        request."""
        self._keys.pop(api_key, None)


def check_signature(key: ApiKey, payload: bytes, signature: str | None) -> None:
    """Raises VenueError -1102 when there is no signature, -1022 when it is wrong."""
    if not signature:
        raise missing("signature")
    if not key.accepts(payload, signature):
        raise VenueError(-1022, "Signature for this request is not valid.")


def check_timing(params: Mapping[str, str], now_us: int) -> int:
    """Apply the timing rule to `timestamp` and `recvWindow` at the venue's time; give the deadline in
    microseconds.

    The deadline is timestamp + recvWindow: the same request must be refused again if matching would begin
    later. Raises VenueError -1102, -1100, -1131 (recvWindow above 60000) and -1021 (too old, or over 1 s
    ahead).
    """
    stamp = params.get("timestamp", "")
    if not stamp:
        raise missing("timestamp")
    if not _TIMESTAMP.fullmatch(stamp):
        raise illegal("timestamp", "^[0-9]{1,20}$")
    sent = int(stamp)
    sent_us = sent if sent >= _MICROSECONDS_FROM else sent * 1000
    window_us = _window_us(params.get("recvWindow"))
    if sent_us >= now_us + AHEAD_US:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_us - sent_us > window_us:
        raise too_late()
    return sent_us + window_us


def _window_us(text: str | None) -> int:
    if text is None:
        return DEFAULT_WINDOW_US
    if not _WINDOW.fullmatch(text):
        raise illegal("recvWindow", "^[0-9]{1,20}(\\.[0-9]{1,3})?$")
    whole, _, fraction = text.partition(".")
    window_us = int(whole) * 1000 + int(fraction.ljust(3, "0") or 0)
    if window_us > MAX_WINDOW_US:
        raise VenueError(-1131, "recvWindow must be less than 60000.")
    return window_us


def too_late() -> VenueError:
    return VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")


def missing(name: str) -> VenueError:
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> VenueError:
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def rest_payload(query: str, body: str) -> tuple[bytes, str | None]:
    """The signed bytes of a REST request and the signature found beside them (still percent-encoded)."""
    query, in_query = _without_signature(query)
    body, in_body = _without_signature(body)
    return (query + body).encode(), in_query if in_query is not None else in_body


def _without_signature(text: str) -> tuple[str, str | None]:
    kept: list[str] = []
    signature: str | None = None
    for pair in text.split("&"):
        if pair.startswith("signature=") and signature is None:
            signature = pair[len("signature=") :]
        else:
            kept.append(pair)
    return "&".join(kept), signature


def socket_payload(params: Mapping[str, str]) -> bytes:
    """The signed bytes of a websocket request: all parameters but the signature, sorted by name."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature").encode()
