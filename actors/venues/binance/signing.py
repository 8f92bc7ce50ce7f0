"""Signs requests: HMAC-SHA256 or Ed25519, whichever the secret is.

Source: binance-spot-api-docs, "Request security". REST signs the query string exactly as it is sent; the
websocket API signs the parameters sorted by name, joined as name=value&..., unescaped. HMAC signatures are
hexadecimal, Ed25519 ones base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Protocol
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from supervisor.secret import Secret

# (name, value) as the venue reads them; an int is a JSON number in the websocket API.
Param = tuple[str, str | int]


class Signer(Protocol):
    # Whether `session.logon` takes this key (Ed25519 only); after it, requests need no signature of their
    # own.
    logs_on: bool

    def sign(self, payload: bytes) -> str: ...


class HmacSigner:
    """A keyed state is copied for each signature, which saves hashing the key twice per order."""

    logs_on = False

    def __init__(self, secret: Secret) -> None:
        self._keyed = hmac.new(secret.reveal().encode("ascii"), digestmod=hashlib.sha256)

    def sign(self, payload: bytes) -> str:
        keyed = self._keyed.copy()
        keyed.update(payload)
        return keyed.hexdigest()

    def __repr__(self) -> str:
        return "HmacSigner(****)"


class Ed25519Signer:
    logs_on = True

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self._key.sign(payload)).decode("ascii")

    def __repr__(self) -> str:
        return "Ed25519Signer(****)"


def make_signer(secret: Secret) -> Signer:
    """A PEM block is an Ed25519 private key; any other text is an HMAC secret. Raises ValueError without the
    key in it."""
    text = secret.reveal()
    if not text.lstrip().startswith("-----BEGIN"):
        if not text.isascii():
            raise ValueError("the API secret must be ASCII text (HMAC) or a PEM block (Ed25519)")
        return HmacSigner(secret)
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(
            "the API secret begins like a PEM block but is no readable, unencrypted private key"
            f" ({type(error).__name__})"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(
            "the API secret is a PEM block of another kind than Ed25519; create an Ed25519 key (Binance"
            " recommends it) or use an HMAC secret"
        )
    return Ed25519Signer(key)


def sorted_payload(params: list[Param]) -> bytes:
    """What the websocket API signs. `params` must be sorted by name already."""
    return "&".join([f"{name}={value}" for name, value in params]).encode("ascii")


def query_string(params: list[Param]) -> str:
    """Percent-encoded, in the order given. It is signed as it stands and must be sent as it stands."""
    return "&".join([f"{name}={quote(str(value), safe='')}" for name, value in params])


def signed_query(params: list[Param], signer: Signer) -> str:
    query = query_string(params)
    return f"{query}&signature={quote(signer.sign(query.encode('ascii')), safe='')}"
