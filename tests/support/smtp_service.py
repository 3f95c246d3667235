"""The SMTP listener on its own loop in a thread, so that blocking clients can talk to it over real sockets."""

import asyncio
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailward.intake.reception import Reception
from mailward.net.admission import Admission
from mailward.net.smtp_connection import SmtpSettings
from mailward.net.smtpd import SmtpListener
from mailward.net.tls import server_context
from support.smtp_reception import Post

T = TypeVar("T")


def throw_away_certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Paths of a new self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class Service:
    """A running listener. port: where it listens on 127.0.0.1."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: SmtpListener) -> None:
        self._loop = loop
        self.listener = listener
        self.port = listener.port

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 20) -> T:
        """Runs a coroutine on the listener's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@contextmanager
def running(
    post: Post,
    *,
    loop_name: str,
    settings: SmtpSettings,
    certificate: tuple[Path, Path] | None = None,
    admission: Admission | None = None,
) -> Iterator[Service]:
    loop = uvloop.new_event_loop() if loop_name == "uvloop" else asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sock = socket.create_server(("127.0.0.1", 0))
    context = server_context(*certificate) if certificate else None
    listener = SmtpListener(settings, lambda session: Reception(post.desk, session), context, admission or Admission())
    asyncio.run_coroutine_threadsafe(listener.serve(sock), loop).result(20)
    service = Service(loop, listener)
    try:
        yield service
        service.run(service.listener.close(grace_s=0.1))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


Start = Callable[..., Service]
"""The fixture `start`: starts a listener."""


def trusting() -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read_reply(client: socket.socket) -> str:
    """One whole reply, "" at the end of the connection."""
    received = b""
    while not (received.endswith(b"\r\n") and received.splitlines()[-1][3:4] == b" "):
        some = client.recv(1)
        if not some:
            return received.decode()
        received += some
    return received.decode()


def read_all(client: socket.socket) -> str:
    """Everything until the server closes."""
    received = b""
    while some := client.recv(65536):
        received += some
    return received.decode()


def say(client: socket.socket, *lines: str) -> str:
    """Sends each line and reads its reply; the last one is returned."""
    answer = ""
    for line in lines:
        client.sendall(line.encode() + b"\r\n")
        answer = read_reply(client)
    return answer
