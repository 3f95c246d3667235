"""Submission through a whole server, started as an admin starts it: who may send what, and what the log and the disk keep."""

import base64
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.server import PASSWORD, Server, server
from support.smtp_service import read_all, read_reply, say

LETTER = b"From: Demo <demo@example.test>\r\nTo: x@outside.example\r\nBcc: demo@example.test\r\nSubject: hello\r\n\r\nhi\r\n"
OUTSIDE = "x@outside.example"


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    """Accounts demo@ and bob@; what goes to outside.example is thrown away."""
    with server(start=False) as made:
        made.add_account("bob@example.test")
        text = made.config.read_text()
        assert "routes: {}" in text
        made.config.write_text(text.replace("routes: {}", "routes: {outside.example: discard}"))
        made.start()
        yield made


@contextmanager
def encrypted(target: Server) -> Iterator[ssl.SSLSocket]:
    """A client of the implicit TLS port, greeted."""
    with socket.create_connection(("127.0.0.1", target.port("submissions")), timeout=30) as plain:
        client = target.tls().wrap_socket(plain)
        read_reply(client)
        say(client, "EHLO c.example.net")
        yield client
        client.close()


def refusals(target: Server, listener: str) -> list[str]:
    """What a stranger hears who tries to relay through a listener, in clear."""
    with socket.create_connection(("127.0.0.1", target.port(listener)), timeout=30) as client:
        read_reply(client)
        return [
            say(client, line)[:9]
            for line in ("EHLO c.example.net", "MAIL FROM:<demo@example.test>", f"RCPT TO:<{OUTSIDE}>", "DATA")
        ][1:]


def test_t_relay_01_no_listener_relays_for_strangers(target: Server) -> None:
    assert refusals(target, "mx") == ["250 2.1.0", "554 5.7.1", "554 5.5.1"]
    assert refusals(target, "submission") == ["530 5.7.0", "530 5.7.0", "530 5.7.0"]
    with encrypted(target) as client:
        assert say(client, "MAIL FROM:<demo@example.test>") == "530 5.7.0 Authentication required\r\n"
        assert say(client, f"RCPT TO:<{OUTSIDE}>", "DATA").startswith("530 5.7.0")


def test_an_account_sends_to_its_neighbours_and_outside(target: Server) -> None:
    code, text = target.submit(LETTER, OUTSIDE, "bob@example.test")
    assert code == 250, text
    [mail] = target.wait_for(1, account="bob@example.test")
    header, _, body = mail.partition(b"\r\n\r\n")
    assert body == b"hi\r\n"
    received = header.replace(b"\r\n\t", b" ").split(b"\r\n")
    assert any(line.startswith(b"Received: from client.example.net") and b"with ESMTPSA" in line for line in received)
    assert sum(line.startswith(b"Date:") for line in received) == 1
    assert re.search(rb"^Message-ID: <\w+@mx\.example\.test>\r?$", header, re.MULTILINE)
    assert b"Bcc" not in header and b"outside.example" in header
    assert b"Authentication-Results" not in header


def test_t_relay_11_12_nobody_speaks_for_another(target: Server) -> None:
    assert target.submit(LETTER, OUTSIDE, sender="bob@example.test")[0] == 553
    assert target.submit(LETTER.replace(b"<demo@", b"<bob@"), OUTSIDE)[0] == 550
    assert target.submit(LETTER, OUTSIDE, sender="postmaster@example.test")[0] == 250  # an alias of the first account
    assert target.submit(LETTER.replace(b"<demo@", b"<abuse@"), OUTSIDE, sender="demo+tag@example.test")[0] == 250
    assert target.submit(LETTER, OUTSIDE, sender="")[0] == 250


def test_t_smtp_09_look_alikes_of_the_end_are_refused_from_users_too(target: Server) -> None:
    for look_alike in (b"\n.\r\n", b"\r.\r\n", b"\r\r\n.\r\n", b"\n.\n"):
        with target.submission() as client:
            client.mail("demo@example.test")
            client.rcpt(OUTSIDE)
            client.putcmd("data")
            assert client.getreply()[0] == 354
            client.send(LETTER + look_alike + b"MAIL FROM:<ceo@bank.example>\r\n\r\n.\r\n")
            code, text = client.getreply()
            assert (code, text) == (550, b"5.5.2 The message holds CR or LF outside a CRLF")
            client.close()


def test_t_auth_11_no_credential_is_in_the_log_or_on_disk(target: Server) -> None:
    wrong = "a password typed by mistake"
    with encrypted(target) as client:
        attempts = [f"\0demo@example.test\0{wrong}", f"\0{wrong}\0demo@example.test", f"{wrong}\0demo@example.test\0x"]
        attempts = [f"AUTH PLAIN {base64.b64encode(text.encode()).decode()}" for text in attempts]
        assert say(client, attempts[0]).startswith("535 5.7.8")
        assert say(client, attempts[1]).startswith("535 5.7.8")
        assert say(client, "AUTH PLAIN", base64.b64encode(wrong.encode()).decode()).startswith("501 5.5.2")
        assert say(client, "AUTH PLAIN", "*", base64.b64encode(wrong.encode()).decode()).startswith("500 5.5.1")
        assert say(client, "AUTH PLAIN", "not base64 " + wrong).startswith("501 5.5.2")
        say(client, wrong)  # out of step: as if it were a command
        assert say(client, f"AUTH {wrong}").startswith("501 5.5.4")
        client.sendall(f"{attempts[0]}\r\n{attempts[1]}\r\n".encode())  # and sent ahead
        assert read_all(client).startswith("554 5.5.0")
    target.submit(LETTER, OUTSIDE)
    log = (target.folder / "server.log").read_text(errors="replace")
    assert "login accepted" in log
    places = [log, *(path.read_bytes().decode("latin-1") for path in (target.folder / "data").rglob("*") if path.is_file())]
    for text in (wrong, PASSWORD):
        for spelling in (text, *(base64.b64encode(("x" * pad + text).encode()).decode()[4:-4] for pad in range(3))):
            assert not any(spelling in place for place in places), spelling


def test_try_send_submits_as_an_account(target: Server) -> None:
    arguments = ("try", "send", "--from", "demo@example.test", "--to", OUTSIDE, "--password-stdin", "--json")
    done = target.run(*arguments, stdin=PASSWORD + "\n")
    sent = json.loads(done.stdout)
    assert sent["accepted"] and sent["from"] == "demo@example.test" and sent["reply"].startswith("250 2.0.0 Accepted, id ")
    refused = target.run(*arguments, stdin="wrong\n", check=False)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["reply"] == "535 5.7.8 Authentication credentials invalid"


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_swaks_submits(target: Server, listener: str) -> None:
    tls = "--tls" if listener == "submission" else "--tls-on-connect"
    command = [
        "swaks", "--server", f"127.0.0.1:{target.port(listener)}", tls, "--auth", "PLAIN", "--auth-user", "demo@example.test",
        "--auth-password", PASSWORD, "--from", "demo@example.test", "--to", OUTSIDE,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "250 2.0.0 Accepted" in done.stdout
