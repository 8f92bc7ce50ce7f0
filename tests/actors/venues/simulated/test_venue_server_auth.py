"""Keys, signatures and the timing rule of the simulated venue, as Binance documents them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from actors.venues.simulated.auth import (
    ApiKey,
    KeyRing,
    check_signature,
    check_timing,
    rest_payload,
    socket_payload,
)
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.keys import NewKey, load_keys
from actors.venues.simulated.server_config import KeyConfig

NOW_US = 1_700_000_000_000_000


def _code(error: pytest.ExceptionInfo[VenueError]) -> int:
    return error.value.code


def _key(new: NewKey) -> ApiKey:
    return ApiKey(new.api_key, "desk", new.kind, new.verify_with)


def test_hmac_agrees_with_an_independent_computation_and_ignores_the_case_of_the_hex() -> None:
    key = _key(new := NewKey("HMAC"))
    payload = b"symbol=BTCUSDT&timestamp=1"
    signature = hmac.new(new.client_secret.encode(), payload, hashlib.sha256).hexdigest()
    assert key.accepts(payload, signature)
    assert key.accepts(payload, signature.upper())
    assert not key.accepts(payload + b"0", signature)


def test_ed25519_accepts_only_the_owner_and_only_these_bytes() -> None:
    key, other = _key(new := NewKey("ED25519")), NewKey("ED25519")
    payload = b"a=1&b=2"

    def sign(by: NewKey, what: bytes) -> str:
        private = load_pem_private_key(by.client_secret.encode(), None)
        return base64.b64encode(private.sign(what)).decode()  # type: ignore[union-attr,call-arg]

    assert key.accepts(payload, sign(new, payload))
    assert not key.accepts(payload, sign(other, payload))
    assert not key.accepts(b"a=1&b=3", sign(new, payload))
    assert not key.accepts(payload, "not base64!")
    # Base64 is case-sensitive, unlike the hex of HMAC.
    assert not key.accepts(payload, sign(new, payload).swapcase())


def test_rsa_keys_sign_with_pkcs1_v15_and_sha256() -> None:
    key = _key(new := NewKey("RSA"))
    private = load_pem_private_key(new.client_secret.encode(), None)
    assert isinstance(private, RSAPrivateKey)
    signature = base64.b64encode(private.sign(b"x=1", PKCS1v15(), hashes.SHA256())).decode()
    assert key.accepts(b"x=1", signature)
    assert not key.accepts(b"x=2", signature)


def test_a_key_of_another_kind_than_declared_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="declared RSA"):
        ApiKey("k" * 64, "desk", "RSA", NewKey("ED25519").verify_with)


def test_secrets_never_show_in_a_repr() -> None:
    new = NewKey("HMAC")
    assert new.client_secret not in repr(new)
    assert new.client_secret not in repr(_key(new))
    assert new.api_key not in repr(_key(new))


def test_a_malformed_key_is_2014_an_unknown_or_forbidden_one_2015() -> None:
    new = NewKey("HMAC")
    ring = KeyRing([ApiKey(new.api_key, "desk", "HMAC", new.verify_with, ["USER_DATA"])])
    assert ring.find(new.api_key, "USER_DATA").account == "desk"
    for malformed in (None, "", "short", "!" * 64):
        with pytest.raises(VenueError) as error:
            ring.find(malformed, None)
        assert (_code(error), error.value.http_status) == (-2014, 401)
    for api_key, permission in (("z" * 64, "USER_DATA"), (new.api_key, "TRADE")):
        with pytest.raises(VenueError) as error:
            ring.find(api_key, permission)
        assert (_code(error), error.value.http_status) == (-2015, 401)


def test_a_rest_payload_is_query_and_body_joined_without_the_signature() -> None:
    # The mixed example of rest-api.md: there is no "&" between GTC and quantity.
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
    body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    assert rest_payload(query, body + "&signature=abc") == ((query + body).encode(), "abc")
    assert rest_payload(query + "&signature=x%2B", "") == (query.encode(), "x%2B")
    assert rest_payload("a=1", "") == (b"a=1", None)


def test_a_socket_payload_is_sorted_by_name() -> None:
    params = {"symbol": "BTCUSDT", "apiKey": "K", "signature": "s", "price": "52000.00"}
    assert socket_payload(params) == b"apiKey=K&price=52000.00&symbol=BTCUSDT"


def test_a_missing_signature_is_1102_a_wrong_one_1022() -> None:
    key = _key(NewKey("HMAC"))
    for signature, code in ((None, -1102), ("", -1102), ("00", -1022)):
        with pytest.raises(VenueError) as error:
            check_signature(key, b"", signature)
        assert _code(error) == code


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -1102),
        ({"timestamp": ""}, -1102),
        ({"timestamp": "12.5"}, -1100),
        ({"timestamp": "-1"}, -1100),
        # More than a second ahead, exactly a second ahead, and too old.
        ({"timestamp": str(NOW_US // 1000 + 1001)}, -1021),
        ({"timestamp": str(NOW_US // 1000 + 1000)}, -1021),
        ({"timestamp": str(NOW_US // 1000 - 5001)}, -1021),
        ({"timestamp": str(NOW_US // 1000 - 11), "recvWindow": "10"}, -1021),
        ({"timestamp": str(NOW_US - 1), "recvWindow": "0.000"}, -1021),
        ({"timestamp": str(NOW_US // 1000), "recvWindow": "60000.001"}, -1131),
        ({"timestamp": str(NOW_US // 1000), "recvWindow": "1.2345"}, -1100),
        ({"timestamp": str(NOW_US // 1000), "recvWindow": "-1"}, -1100),
    ],
)
def test_a_request_out_of_time_or_malformed_is_refused(params: dict[str, str], code: int) -> None:
    with pytest.raises(VenueError) as error:
        check_timing(params, NOW_US)
    assert _code(error) == code


@pytest.mark.parametrize(
    ("params", "deadline_us"),
    [
        ({"timestamp": str(NOW_US // 1000)}, NOW_US + 5_000_000),
        ({"timestamp": str(NOW_US // 1000 + 999)}, NOW_US + 999_000 + 5_000_000),
        ({"timestamp": str(NOW_US // 1000 - 5000)}, NOW_US),
        ({"timestamp": str(NOW_US + 7), "recvWindow": "60000"}, NOW_US + 7 + 60_000_000),
        ({"timestamp": str(NOW_US), "recvWindow": "0.25"}, NOW_US + 250),
    ],
)
def test_the_deadline_is_timestamp_plus_window_in_milliseconds_or_microseconds(
    params: dict[str, str], deadline_us: int
) -> None:
    assert check_timing(params, NOW_US) == deadline_us


@given(ahead_us=st.integers(-70_000_000, 5_000_000), window_ms=st.integers(0, 60_000))
def test_what_is_accepted_lies_within_the_documented_window(ahead_us: int, window_ms: int) -> None:
    params = {"timestamp": str(NOW_US + ahead_us), "recvWindow": str(window_ms)}
    valid = ahead_us < 1_000_000 and -ahead_us <= window_ms * 1000
    try:
        deadline_us = check_timing(params, NOW_US)
    except VenueError:
        assert not valid
    else:
        assert valid
        assert deadline_us >= NOW_US


def test_missing_key_files_are_named_or_made_readable_for_the_owner_alone(tmp_path) -> None:
    config = KeyConfig(name="desk-ed", account="desk")
    with pytest.raises(ValueError, match=r"desk-ed.*desk-ed\.api_key"):
        load_keys([config], tmp_path, create=False)
    ring = load_keys([config], tmp_path, create=True)
    api_key = (tmp_path / "desk-ed.api_key").read_text().strip()
    assert ring.find(api_key, "TRADE").kind == "ED25519"
    for name in ("desk-ed.api_key", "desk-ed.private.pem", "desk-ed.public.pem"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    # A second start reads what the first one made.
    again = load_keys([config], tmp_path, create=True)
    assert again.find(api_key, "TRADE").account == "desk"
