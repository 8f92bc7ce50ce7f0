"""The trade port as in production, over TLS, and against a venue that misbehaves on the websocket itself."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actors.messages import (
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderReport,
    UserStreamDown,
    UserStreamUp,
    VenueTrouble,
)
from actors.venues.binance import wire
from actors.venues.simulated.keys import NewKey
from tests.actors.venues.binance.desk import desk
from tests.actors.venues.binance.order_samples import order_answer, place
from tests.actors.venues.binance.scripted_ws import scripted_ws
from tests.actors.venues.binance.test_trade_port import port_maker


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's context whose certificate this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    wire.tls_context.cache_clear()
    yield context
    wire.tls_context.cache_clear()


def accepts(asked: dict[str, Any]) -> str:
    return json.dumps(
        {"id": asked["id"], "status": 200, "result": order_answer(asked["params"]["newClientOrderId"])}
    )


async def test_orders_travel_over_tls(tmp_path: Path, tls: ssl.SSLContext) -> None:
    async with (
        scripted_ws(accepts, tls) as server,
        desk(port_maker(server.url, NewKey("ED25519"), tmp_path)) as it,
    ):
        await it.wait(UserStreamUp)
        for number in range(30):
            it.tell(place(f"nd-o-{number}"))
        assert {(await it.wait(OrderReport)).client_id for _ in range(30)} == {f"nd-o-{n}" for n in range(30)}


async def test_a_certificate_that_does_not_verify_is_no_connection(
    tmp_path: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    wire.tls_context.cache_clear()
    async with (
        scripted_ws(accepts, tls) as server,
        desk(port_maker(server.url, NewKey("ED25519"), tmp_path)) as it,
    ):
        trouble = await it.wait(VenueTrouble)
        assert (trouble.kind, server.requests) == ("unreachable", [])
        assert "CERTIFICATE_VERIFY_FAILED" in trouble.words
        it.tell(place())
        assert "not connected" in (await it.wait(OrderNotSent)).reason


async def test_garbage_on_the_socket_ends_the_connection_and_the_order_is_unknown(tmp_path: Path) -> None:
    async with (
        scripted_ws(lambda _: "<html>gateway</html>") as server,
        desk(port_maker(server.url, NewKey("ED25519"), tmp_path)) as it,
    ):
        await it.wait(UserStreamUp)
        it.tell(place())
        await it.wait(OrderOutcomeUnknown)
        assert "not understood" in (await it.wait(UserStreamDown)).reason
        await it.wait(UserStreamUp)
        # Not sent again by itself.
        assert len([asked for asked in server.requests if asked["method"] == "order.place"]) == 1


async def test_a_venue_gone_silent_is_left_and_found_again(tmp_path: Path) -> None:
    async with scripted_ws(lambda _: None) as server:
        maker = port_maker(server.url, NewKey("ED25519"), tmp_path, heartbeat_s=0.1, heartbeat_timeout_s=0.3)
        async with desk(maker) as it:
            await it.wait(UserStreamUp)
            # The socket stays open, nothing is answered any more.
            server.silent = True
            assert "no answer" in (await it.wait(UserStreamDown)).reason
            server.silent = False
            await it.wait(UserStreamUp)


async def test_a_handshake_that_is_refused_with_a_limit_holds_the_whole_host_back(tmp_path: Path) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        [listener, *_] = await nursery.start(trio.serve_tcp, refuse, 0)
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/ws-api/v3"
        async with desk(port_maker(url, NewKey("ED25519"), tmp_path)) as it:
            trouble = await it.wait(VenueTrouble)
            assert (trouble.kind, trouble.words) == ("rate_limited", "handshake refused with HTTP 429")
            it.tell(place())
            assert "rate_limited" in (await it.wait(OrderNotSent)).reason
        nursery.cancel_scope.cancel()
