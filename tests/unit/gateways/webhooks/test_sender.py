"""One attempt against real receivers: signed, pinned to the checked address, over soon whatever they do."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import WebhookVerificationError

from gateways.webhooks.sender import WebhookSender, seconds_until
from models.base import JsonObject
from models.webhooks.endpoint import new_secret
from tests.support.webhook_receiver import (
    Receiver,
    answer_endlessly,
    close_connection,
    never_answer,
    respond_with,
    run_receiver,
)

PAYLOAD: JsonObject = {
    "type": "run.completed",
    "timestamp": "2026-01-15T10:05:00.000Z",
    "data": {"ä": [1, None]},
}
NOW = datetime(2026, 1, 15, 10, 5, tzinfo=UTC)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    async with WebhookSender(allow_private=True, deadline_seconds=1) as sender:
        yield sender


async def test_a_delivery_is_signed_with_every_secret(receiver: Receiver, sender: WebhookSender) -> None:
    old, new = new_secret(), new_secret()
    outcome = await sender.send(receiver.url("/a?b=c"), "whd_1", PAYLOAD, [new, old])
    assert (outcome.status, outcome.error, outcome.excerpt) == (200, None, "ok")
    [got] = receiver.got
    assert (got.path, got.event, got.id) == ("/a?b=c", PAYLOAD, "whd_1")
    assert got.headers["content-type"] == "application/json"
    for secret in (old, new):
        got.verify(secret)
    with pytest.raises(WebhookVerificationError):
        got.verify(new_secret())


async def test_what_is_no_success_says_what_happened(receiver: Receiver, sender: WebhookSender) -> None:
    receiver.behaviours = {
        "/fail": respond_with(500, "sorry"),
        "/moved": respond_with(302, location="/ok"),
        "/gone": respond_with(410),
        "/busy": respond_with(429, retry_after="120"),
        "/drop": close_connection,
        "/hang": never_answer,
    }
    told: dict[str, Any] = {}
    for path in receiver.behaviours:
        told[path] = await sender.send(receiver.url(path), "whd_1", PAYLOAD, [new_secret()])
    assert (told["/fail"].status, told["/fail"].excerpt) == (500, "sorry")
    assert told["/fail"].error == "The receiver answered 500."
    assert told["/moved"].error == "The receiver redirects (302), which is not followed."
    assert told["/gone"].is_gone
    assert (told["/busy"].status, told["/busy"].retry_after) == (429, 120.0)
    assert (told["/drop"].status, told["/drop"].error) == (
        None,
        "The connection failed (RemoteProtocolError).",
    )
    assert told["/hang"].error == "There was no answer within 1 seconds."
    assert 900 < told["/hang"].duration_ms < 3_000
    assert receiver.at("/ok") == [], "no redirect was followed"


async def test_an_endless_answer_is_read_no_further_than_its_beginning(
    receiver: Receiver, sender: WebhookSender
) -> None:
    receiver.behaviours = {"/pour": answer_endlessly}
    outcome = await sender.send(receiver.url("/pour"), "whd_1", PAYLOAD, [new_secret()])
    assert (outcome.status, outcome.error, outcome.excerpt) == (200, None, "x" * 4096)


async def test_a_late_status_counts_though_its_body_hangs(receiver: Receiver) -> None:
    async def answer_late(receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.6)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
        await receiver.closing.wait()

    receiver.behaviours = {"/late": answer_late}
    async with WebhookSender(allow_private=True, deadline_seconds=2) as sender:
        outcome = await sender.send(receiver.url("/late"), "whd_1", PAYLOAD, [new_secret()])
    assert (outcome.status, outcome.error, outcome.excerpt) == (200, None, "ok")


async def test_a_cookie_is_neither_kept_nor_sent_to_anybody(
    receiver: Receiver, sender: WebhookSender
) -> None:
    """Endpoints of different projects may share a host; what it tells one is not told for another."""
    receiver.behaviours = {"/a": respond_with(200, set_cookie="whose=mine; Path=/")}
    for path in ("/a", "/b"):
        await sender.send(receiver.url(path), "whd_1", PAYLOAD, [new_secret()])
    assert ["cookie" in got.headers for got in receiver.got] == [False, False]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
async def test_a_private_address_is_never_connected_to(receiver: Receiver, host: str) -> None:
    receiver.scheme = "https"
    async with WebhookSender(allow_private=False, deadline_seconds=2) as sender:
        outcome = await sender.send(receiver.url(host=host), "whd_1", PAYLOAD, [new_secret()])
    assert "not called" in (outcome.error or "")
    assert "public internet" in (outcome.error or "")
    assert (outcome.status, receiver.got) == (None, [])


async def test_the_connection_is_made_to_the_very_address_that_was_looked_at(
    receiver: Receiver, sender: WebhookSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise the second time, as in DNS rebinding, is not asked a second time."""
    asked: list[str] = []

    def look_up(host: Any, port: int, **_: object) -> list[object]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.99", port))]

    with monkeypatch.context() as patch:
        patch.setattr("gateways.webhooks.addresses.socket.getaddrinfo", look_up)
        url = receiver.url(host="receiver.example")
        outcome = await sender.send(url, "whd_1", PAYLOAD, [new_secret()])
    assert outcome.status == 200
    assert asked == ["receiver.example"]
    assert receiver.got[0].headers["host"] == f"receiver.example:{receiver.port}"


async def test_a_refused_connection_and_an_unknown_name(sender: WebhookSender) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        refused = await sender.send(f"http://127.0.0.1:{port}/", "whd_1", PAYLOAD, [new_secret()])
    assert refused.error == "The connection was refused."
    unknown = await sender.send("http://nobody.invalid/", "whd_1", PAYLOAD, [new_secret()])
    assert "no address" in (unknown.error or "") or "no answer" in (unknown.error or "")


async def test_certificate_and_host_are_those_of_the_name(tmp_path: Path) -> None:
    server, client = _tls(tmp_path, "localhost")
    async with run_receiver(tls=server) as receiver:
        names: list[str | None] = []
        server.sni_callback = lambda _socket, name, _context: names.append(name)
        async with WebhookSender(allow_private=True, verify=client, deadline_seconds=5) as sender:
            fine = await sender.send(receiver.url(host="localhost"), "whd_1", PAYLOAD, [new_secret()])
            other = await sender.send(receiver.url(host="127.0.0.1"), "whd_1", PAYLOAD, [new_secret()])
        async with WebhookSender(allow_private=True, deadline_seconds=5) as trusting_the_public_ones:
            unknown = await trusting_the_public_ones.send(
                receiver.url(host="localhost"), "whd_1", PAYLOAD, [new_secret()]
            )
    assert (fine.status, fine.error) == (200, None)
    assert names[0] == "localhost"
    assert receiver.got[0].headers["host"] == f"localhost:{receiver.port}"
    for refused in (other, unknown):
        assert "certificate is not valid" in (refused.error or "")
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("90", 90),
        (" 7 ", 7),
        ("-1", 0),
        ("soon", 0),
        ("1.5", 0),
        ("", 0),
        ("9" * 30, 999_999_999),
        ("Thu, 15 Jan 2026 10:06:30 GMT", 90),
        ("Thu, 15 Jan 2026 10:00:00 GMT", 0),
        ("Thu, 99 Jan 2026 10:00:00 GMT", 0),
        (f"Thu, 15 Jan {'9' * 20} 10:00:00 GMT", 0),
        (f"Thu, 15 Jan 2026 10:00:00 +{'9' * 20}", 0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(header: str | None, seconds: float) -> None:
    assert seconds_until(header, NOW) == seconds


def _tls(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for the name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    at = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
