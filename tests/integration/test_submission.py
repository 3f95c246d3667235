"""Submission over real sockets and real TLS, with mail programs that others wrote, on asyncio's loop and on uvloop."""

import asyncio
import base64
import smtplib
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from mailward.auth.authenticator import MECHANISMS
from mailward.model.session import Role
from mailward.net.admission import Admission, AdmissionLimits
from mailward.net.patience import PatienceLimits
from mailward.net.smtp_connection import SmtpSettings
from support.smtp_reception import Post
from support.smtp_service import Service, Start, read_all, read_reply, say, trusting

MESSAGE = (
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nFrom: alice@example.org\r\n"
    b"Subject: hi\r\n\r\n.hello\r\n..\r\n"
)
USER, PASSWORD = "alice@example.org", "secret"
PLAIN = "AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


@pytest.fixture
def settings() -> SmtpSettings:
    return SmtpSettings(hostname="mx.example.org", listener="submission", role=Role.SUBMISSION, mechanisms=tuple(MECHANISMS))


def encrypted(service: Service) -> ssl.SSLSocket:
    """A client of a STARTTLS listener, behind the handshake."""
    plain = service.connect()
    read_reply(plain)
    say(plain, "EHLO c.example.net", "STARTTLS")
    return trusting().wrap_socket(plain)


def was_submitted(desk: Post, message: bytes = MESSAGE) -> bool:
    [(item, octets)] = desk.spool.items
    assert [(r.forward_path, r.route) for r in item.recipients] == [("x@outside.example", "relay")]
    assert (item.origin, item.user) == ("submission", USER)
    assert "with ESMTPSA" in item.trace.replace("\r\n\t", " ")
    return octets == message


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtplib(start: Start, desk: Post, implicit: bool, mechanism: str) -> None:
    port = start(implicit_tls=implicit).port
    with smtplib.SMTP_SSL("127.0.0.1", port, context=trusting()) if implicit else smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        if not implicit:
            assert not client.has_extn("auth")
            client.starttls(context=trusting())
            client.ehlo()
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
        client.user, client.password = USER, PASSWORD
        method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
        assert client.auth(mechanism, method, initial_response_ok=implicit)[0] == 235
        client.sendmail(USER, ["x@outside.example"], MESSAGE)
    assert was_submitted(desk)
    assert [(peer.listener, peer.peer_ip) for peer in desk.logins.peers] == [("submission", "127.0.0.1")]


@pytest.mark.parametrize("implicit", [False, True], ids=["smtp", "smtps"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("initial", [[], ["--sasl-ir"]], ids=["", "sasl-ir"])
def test_curl(
    start: Start, desk: Post, certificate: tuple[Path, Path], implicit: bool, mechanism: str, initial: list[str]
) -> None:
    port = start(implicit_tls=implicit).port
    scheme = "smtps" if implicit else "smtp"
    command = [
        "curl", "-sS", "--ssl-reqd", "--cacert", str(certificate[0]), "--resolve", f"localhost:{port}:127.0.0.1",
        "--url", f"{scheme}://localhost:{port}/c.example.net", "--user", f"{USER}:{PASSWORD}",
        "--login-options", f"AUTH={mechanism}", *initial,
        "--mail-from", USER, "--mail-rcpt", "x@outside.example", "--upload-file", "-",
    ]  # fmt: skip
    done = subprocess.run(command, input=MESSAGE, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert was_submitted(desk)
    wrong = [word.replace(f"{USER}:{PASSWORD}", f"{USER}:no") for word in command]
    done = subprocess.run(wrong, input=MESSAGE, capture_output=True, timeout=30, check=False)
    assert done.returncode == 67, done.stderr  # "login denied"


@pytest.mark.parametrize("tls", ["--tls", "--tls-on-connect"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(start: Start, desk: Post, tls: str, mechanism: str) -> None:
    port = start(implicit_tls=tls == "--tls-on-connect").port
    command = [
        "swaks", "--server", f"127.0.0.1:{port}", tls, "--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD,
        "--from", USER, "--to", "x@outside.example", "--ehlo", "c.example.net", "--data", "-",
    ]  # fmt: skip
    # swaks reads "data" with LF line ends and does the dot-stuffing itself
    done = subprocess.run(command, input=MESSAGE.replace(b"\r\n", b"\n"), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout
    assert was_submitted(desk, desk.spool.items[0][1])
    assert desk.spool.items[0][1].startswith(MESSAGE[:-2])


@pytest.mark.parametrize("starttls", ["on", "off"])
@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_msmtp(start: Start, desk: Post, certificate: tuple[Path, Path], starttls: str, mechanism: str) -> None:
    port = start(implicit_tls=starttls == "off").port
    command = [
        "msmtp", "--file=/dev/null", "--host=localhost", f"--port={port}", f"--auth={mechanism}", f"--user={USER}",
        f"--passwordeval=echo {PASSWORD}", "--tls=on", f"--tls-starttls={starttls}", f"--tls-trust-file={certificate[0]}",
        f"--from={USER}", "x@outside.example",
    ]  # fmt: skip
    done = subprocess.run(command, input=MESSAGE.replace(b"\r\n", b"\n"), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert was_submitted(desk)


def test_t_tls_11_a_login_in_clear_is_refused_without_a_look(start: Start, desk: Post) -> None:
    with start().connect() as client:
        read_reply(client)
        assert "AUTH" not in say(client, "EHLO c.example.net")
        assert say(client, PLAIN) == "538 5.7.11 Encryption required for authentication\r\n"
        assert say(client, "AUTH LOGIN") == "538 5.7.11 Encryption required for authentication\r\n"
        assert say(client, "MAIL FROM:<alice@example.org>") == "530 5.7.0 Must issue a STARTTLS command first\r\n"
    assert desk.logins.peers == []


def test_t_tls_07_nothing_said_in_clear_survives_the_handshake(start: Start, desk: Post) -> None:
    with encrypted(start()) as client:
        assert say(client, PLAIN).startswith("503 5.5.1 EHLO or HELO first")
        assert "AUTH SCRAM-SHA-256 PLAIN LOGIN" in say(client, "EHLO c.example.net")
        assert say(client, "MAIL FROM:<alice@example.org>").startswith("530 5.7.0 Authentication required")
        assert say(client, PLAIN).startswith("235 2.7.0")


@pytest.mark.parametrize("behind", [PLAIN, "AUTH LOGIN", "EHLO c.example.net"])
def test_t_tls_01_a_login_behind_starttls_is_never_run(start: Start, desk: Post, behind: str) -> None:
    with start().connect() as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        client.sendall(f"STARTTLS\r\n{behind}\r\n".encode())
        assert read_all(client) == "554 5.5.0 You must wait for the reply\r\n"
    assert desk.logins.peers == []


def test_nobody_logs_in_on_an_mx_listener(start: Start, desk: Post) -> None:
    with encrypted(start(role=Role.MX, listener="mx", mechanisms=None)) as client:
        assert "AUTH" not in say(client, "EHLO c.example.net")
        assert say(client, PLAIN).startswith("502 5.5.1")
        assert say(client, "MAIL FROM:<alice@example.org>").startswith("250")
        assert say(client, "RCPT TO:<x@outside.example>").startswith("554 5.7.1 Relaying is not permitted here (id ")
    assert desk.logins.peers == []


def test_guessing_ends_the_session(start: Start, desk: Post) -> None:
    with encrypted(start()) as client:
        say(client, "EHLO c.example.net")
        wrong = "AUTH PLAIN " + base64.b64encode(b"\0alice@example.org\0no").decode()
        assert say(client, *[wrong] * 5).startswith("535 5.7.8")
        assert read_all(client) == "421 4.7.0 Too many errors\r\n"


def test_a_login_that_takes_long_is_no_silence_of_the_client(start: Start, desk: Post) -> None:
    service = start(patience=PatienceLimits(command_s=1), implicit_tls=True)

    async def hold() -> None:
        desk.logins.book.gate = asyncio.Event()

    async def wait_and_let_go() -> None:
        await desk.logins.book.checking.wait()
        await asyncio.sleep(1.2)
        assert desk.logins.book.gate is not None
        desk.logins.book.gate.set()

    service.run(hold())
    with trusting().wrap_socket(service.connect()) as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        client.sendall(PLAIN.encode() + b"\r\n")
        service.run(wait_and_let_go())
        assert read_reply(client).startswith("235 2.7.0")
        assert read_reply(client) == "421 4.4.2 Timed out waiting for input\r\n"  # and now it is silent


def test_a_client_that_owes_a_response_is_silent(start: Start) -> None:
    service = start(patience=PatienceLimits(command_s=1), implicit_tls=True)
    with trusting().wrap_socket(service.connect()) as client:
        read_reply(client)
        assert say(client, "EHLO c.example.net", "AUTH LOGIN").startswith("334 ")
        assert read_reply(client) == "421 4.4.2 Timed out waiting for input\r\n"


def test_a_client_lost_during_its_login_gives_its_place_back(start: Start, desk: Post) -> None:
    service = start(implicit_tls=True, admission=Admission(AdmissionLimits(total=1, per_address=1)))

    async def hold() -> None:
        desk.logins.book.gate = asyncio.Event()

    async def let_go() -> None:
        await desk.logins.book.checking.wait()
        assert desk.logins.book.gate is not None
        desk.logins.book.gate.set()
        await asyncio.wait(service.listener.connections.values())

    service.run(hold())
    with trusting().wrap_socket(service.connect()) as client:
        read_reply(client)
        say(client, "EHLO c.example.net")
        client.sendall(PLAIN.encode() + b"\r\n")
        socket.socket(fileno=client.detach()).close()
    service.run(let_go())
    with trusting().wrap_socket(service.connect()) as client:
        assert read_reply(client).startswith("220")
