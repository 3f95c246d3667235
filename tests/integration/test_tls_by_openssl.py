"""`openssl s_client` at every listener that speaks TLS: which versions and suites, no compression, no renegotiation, no early data."""

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from support.doors import Doors, doors
from support.processes import program
from support.smtp_service import read_reply, say, trusting

STARTTLS = {"mx": "smtp", "submission": "smtp", "lmtp": "lmtp", "imap": "imap", "pop3": "pop3", "managesieve": "sieve"}
LISTENERS = (*STARTTLS, "submissions", "imaps", "pop3s")
EVERYTHING = "ALL:COMPLEMENTOFALL@SECLEVEL=0"


@pytest.fixture(scope="module")
def every_door() -> Iterator[Doors]:
    with doors("version: 1\nplugins: {}\n") as made:
        yield made


def _port(every_door: Doors, listener: str) -> int:
    return every_door.lmtp_port if listener == "lmtp" else every_door.target.port(listener)


def _s_client(every_door: Doors, listener: str, *options: str, types: str = "Q\n") -> subprocess.CompletedProcess[str]:
    """What it said. types: what is typed once the handshake is done; Q ends it, R renegotiates."""
    starttls = ["-starttls", STARTTLS[listener]] if listener in STARTTLS else []
    return subprocess.run(
        [program("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{_port(every_door, listener)}", *starttls, *options],
        input=types, capture_output=True, text=True, timeout=30, check=False, errors="replace",
    )  # fmt: skip


@pytest.mark.parametrize("version", ["1_2", "1_3"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_t_tls_12_new_versions_are_spoken_without_compression_and_early_data(
    every_door: Doors, listener: str, version: str
) -> None:
    done = _s_client(every_door, listener, f"-tls{version}")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^New, TLSv{version.replace('_', '.')}, Cipher is (TLS_|ECDHE-)", done.stdout, re.MULTILINE), done.stdout
    assert "Compression: NONE" in done.stdout
    assert set(re.findall(r"Max Early Data: (\d+)", done.stdout)) <= {"0"}


def _is_refused_by_the_server(done: subprocess.CompletedProcess[str]) -> bool:
    """By an alert or, as asyncio's and uvloop's TLS have it, by the end of the connection; not by the client before it asked."""
    said_no = "alert" in done.stderr or "unexpected eof" in done.stderr or "errno=104" in done.stderr
    return done.returncode != 0 and "New, (NONE), Cipher is (NONE)" in done.stdout and said_no


@pytest.mark.parametrize("version", ["1", "1_1"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_t_tls_12_the_server_refuses_old_versions(every_door: Doors, listener: str, version: str) -> None:
    done = _s_client(every_door, listener, f"-tls{version}", "-cipher", EVERYTHING)
    assert _is_refused_by_the_server(done), done.stderr


@pytest.mark.parametrize("suites", ["aNULL", "eNULL", "SHA1:!aNULL"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_t_tls_12_the_server_refuses_weak_suites(every_door: Doors, listener: str, suites: str) -> None:
    done = _s_client(every_door, listener, "-tls1_2", "-cipher", f"{suites}:@SECLEVEL=0")
    assert _is_refused_by_the_server(done), done.stderr


@pytest.mark.parametrize("listener", LISTENERS)
def test_t_tls_12_no_client_renegotiates(every_door: Doors, listener: str) -> None:
    done = _s_client(every_door, listener, "-tls1_2", types="R\nQ\n")
    assert "Secure Renegotiation IS supported" in done.stdout  # the client may ask in the right way
    assert "RENEGOTIATING" in done.stderr and "no renegotiation" in done.stderr and done.returncode != 0


@pytest.mark.parametrize("version", ["1_2", "1_3"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_t_tls_12_connections_that_come_again_with_their_session_are_served(
    every_door: Doors, listener: str, version: str
) -> None:
    done = _s_client(every_door, listener, f"-tls{version}", "-reconnect")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^(?:New|Reused), TLSv", done.stdout, re.MULTILINE)) == 6


@pytest.mark.parametrize("listener", ["mx", "submission", "submissions", "lmtp"])
def test_t_tls_12_a_client_that_offers_compression_gets_none(every_door: Doors, listener: str) -> None:
    """No OpenSSL of today offers it, so the offer is written into a ClientHello of TLS 1.2 (RFC 5246 section 7.4.1.2)."""
    outgoing, context = ssl.MemoryBIO(), trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    hello = outgoing.read()[9:]  # behind the heads of record and handshake message
    at = 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2])
    assert hello[at : at + 2] == b"\1\0", "one method: none"
    hello = hello[:at] + b"\2\1\0" + hello[at + 2 :]
    message = b"\1" + len(hello).to_bytes(3) + hello
    with socket.create_connection(("127.0.0.1", _port(every_door, listener)), 30) as client:
        if listener != "submissions":
            read_reply(client)
            assert say(client, f"{'LHLO' if listener == 'lmtp' else 'EHLO'} c.example.net", "STARTTLS").startswith("220")
        client.sendall(b"\x16\3\1" + len(message).to_bytes(2) + message)
        answer = client.recv(4096)
    assert answer[0] == 0x16 and answer[5] == 2, "a ServerHello"
    at = 9 + 2 + 32
    at += 1 + answer[at] + 2
    assert answer[at] == 0
