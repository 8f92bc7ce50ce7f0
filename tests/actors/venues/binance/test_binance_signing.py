"""Signatures, against the worked example of Binance's documentation and against the public key."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actors.venues.binance.signing import Param, make_signer, signed_query, sorted_payload
from supervisor.secret import Secret

# The example of web-socket-api.md, "SIGNED request example (HMAC)".
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
PARAMS: list[Param] = [
    ("apiKey", KEY),
    ("newOrderRespType", "ACK"),
    ("price", "52000.00"),
    ("quantity", "0.01000000"),
    ("recvWindow", 100),
    ("side", "SELL"),
    ("symbol", "BTCUSDT"),
    ("timeInForce", "GTC"),
    ("timestamp", 1645423376532),
    ("type", "LIMIT"),
]
SIGNATURE = "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_hmac_gives_the_signature_of_the_documentations_example() -> None:
    signer = make_signer(Secret(SECRET))
    assert signer.sign(sorted_payload(PARAMS)) == SIGNATURE
    # The keyed state is copied, not used up.
    assert signer.sign(sorted_payload(PARAMS)) == SIGNATURE
    assert not signer.logs_on


def test_ed25519_verifies_with_the_public_key() -> None:
    key = Ed25519PrivateKey.generate()
    signer = make_signer(Secret(pem(key)))
    payload = sorted_payload(PARAMS)
    key.public_key().verify(base64.b64decode(signer.sign(payload)), payload)
    assert signer.logs_on


def test_a_query_is_signed_exactly_as_it_is_sent() -> None:
    key = Ed25519PrivateKey.generate()
    query = signed_query([("symbols", '["BTCUSDT"]'), ("timestamp", 1)], make_signer(Secret(pem(key))))
    body, _, signature = query.partition("&signature=")
    key.public_key().verify(base64.b64decode(unquote(signature)), body.encode())
    assert dict(parse_qsl(query))["symbols"] == '["BTCUSDT"]'
    assert not set(query) & set('+/" []')


def test_other_keys_are_refused_without_showing_them() -> None:
    for text in (pem(ec.generate_private_key(ec.SECP256R1())), "-----BEGIN PRIVATE KEY-----\nhunter2"):
        with pytest.raises(ValueError, match=r"Ed25519|PEM block") as error:
            make_signer(Secret(text))
        assert text.splitlines()[1][:20] not in str(error.value)


def test_a_signer_does_not_show_its_key() -> None:
    assert SECRET not in repr(make_signer(Secret(SECRET)))
    assert "PRIVATE" not in repr(make_signer(Secret(pem(Ed25519PrivateKey.generate()))))
