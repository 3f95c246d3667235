"""Certificates of a running server: changed without a restart, kept when the new ones are no good, tickets good on one service only."""

import contextlib
import datetime
import imaplib
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailward.app.config_file import load_config
from support.server import Server, server
from support.smtp_service import read_reply, say, trusting

IMPLICIT = ("submissions", "imaps", "pop3s")


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as made:
        yield made


def _files(target: Server) -> tuple[Path, Path]:
    tls = load_config(target.config).tls
    return tls.certificate, tls.key


def _pair(days: int) -> tuple[bytes, bytes, int]:
    """PEM of a certificate and its key, and the serial number."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), pem, certificate.serial_number


def _serial(target: Server, listener: str) -> int:
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", target.port(listener)), 20))
        if listener == "mx":
            read_reply(plain)
            say(plain, "EHLO c.example.net", "STARTTLS")
        client = stack.enter_context(trusting().wrap_socket(plain))
        octets = client.getpeercert(binary_form=True)
        assert octets is not None
        return x509.load_der_x509_certificate(octets).serial_number


def test_t_tls_26_a_new_certificate_is_used_from_the_next_handshake_on_and_sessions_go_on(target: Server) -> None:
    certificate, key = _files(target)
    old = _serial(target, "imaps")
    with (
        imaplib.IMAP4_SSL("127.0.0.1", target.port("imaps"), ssl_context=trusting()) as mailbox,
        smtplib.SMTP_SSL("127.0.0.1", target.port("submissions"), context=trusting()) as sender,
    ):
        mailbox.login(target.demo, target.password(target.demo))
        made, made_key, serial = _pair(30)
        certificate.write_bytes(made)
        key.write_bytes(made_key)
        target.reload()
        assert {_serial(target, listener) for listener in (*IMPLICIT, "mx")} == {serial} != {old}
        assert mailbox.noop()[0] == "OK" and sender.noop()[0] == 250


@pytest.mark.parametrize("fault", ["half of the pair", "expired", "rubbish"])
def test_t_tls_26_what_is_no_good_is_refused_and_the_old_one_stays(target: Server, fault: str) -> None:
    certificate, key = _files(target)
    kept = certificate.read_bytes(), key.read_bytes()
    serial = _serial(target, "imaps")
    made, made_key, _ = _pair(-1 if fault == "expired" else 30)
    try:
        certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nrubbish\n" if fault == "rubbish" else made)
        if fault == "expired":
            key.write_bytes(made_key)
        target.reload(expect="reload refused")
        time.sleep(0.5)
        assert {_serial(target, listener) for listener in (*IMPLICIT, "mx")} == {serial}
    finally:
        certificate.write_bytes(kept[0])
        key.write_bytes(kept[1])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_t_tls_16_a_ticket_of_one_service_is_good_on_no_other(target: Server, version: ssl.TLSVersion) -> None:
    context = trusting()
    context.minimum_version = context.maximum_version = version

    def shake_hands(listener: str, session: ssl.SSLSession | None) -> tuple[bool | None, ssl.SSLSession | None]:
        with (
            socket.create_connection(("127.0.0.1", target.port(listener)), 20) as plain,
            context.wrap_socket(plain, session=session) as client,
        ):
            client.recv(100)  # the ticket comes with the greeting
            return client.session_reused, client.session

    for listener in IMPLICIT:
        _, session = shake_hands(listener, None)
        assert shake_hands(listener, session)[0] is True, "a ticket is good where it came from, or this test shows nothing"
        for other in IMPLICIT:
            if other != listener:
                assert shake_hands(other, session)[0] is False


@pytest.mark.parametrize("name", ["LOCALHOST", "localhost.", "xn--mller-kva.example", "a." * 100 + "example", "*.example"])
def test_t_tls_15_whatever_name_a_client_asks_for_it_gets_the_certificate(target: Server, name: str) -> None:
    with socket.create_connection(("127.0.0.1", target.port("imaps")), 20) as plain, contextlib.ExitStack() as stack:
        client = stack.enter_context(trusting().wrap_socket(plain, server_hostname=name))
        assert client.recv(4) == b"* OK"
