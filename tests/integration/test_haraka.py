"""A real Haraka sends to a whole server: in clear, by STARTTLS, by LMTP, logged in, and with addresses in UTF-8."""

import re
from collections.abc import Iterator

import pytest

from support.haraka import Haraka, haraka
from support.processes import free_port
from support.server import PASSWORD, Server, server

CLEAR = "demo@clear.test"
BODIES = {
    "dots": b".\r\n..\r\n...x\r\n.\r\n",
    "eight bit": "über\r\n".encode(),
    "long line": b"x" * 998 + b"\r\n",
    "two megabytes": (b"0123456789" * 7 + b"\r\n") * 29_000,
}


@pytest.fixture(scope="module")
def lmtp_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def target(lmtp_port: int) -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n", start=False) as made:
        made.configure("listeners:\n", f"listeners:\n  lmtp: {{protocol: lmtp, port: {lmtp_port}}}\n")
        made.add_account(CLEAR)
        made.run("account", "address", "add", "jörg@example.test", "demo@example.test")
        made.start()
        yield made


@pytest.fixture(scope="module")
def sender(target: Server, lmtp_port: int) -> Iterator[Haraka]:
    here = {"exchange": "127.0.0.1"}
    login = here | {"port": target.port("submission"), "auth_user": target.demo, "auth_pass": PASSWORD}
    routes: dict[str, dict[str, object]] = {
        "mx": here | {"port": target.port("mx")},
        "jürgen": here | {"port": target.port("mx")},
        "lmtp": here | {"port": lmtp_port, "using_lmtp": True},
        "demo": login | {"auth_type": "PLAIN"},
    }
    with haraka(routes, in_clear="clear.test") as made:
        yield made


def _letter(subject: str, author: str, body: bytes) -> bytes:
    head = f"From: {author}\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\n"
    return head.encode() + body


def _arrived(target: Server, sender: Haraka, account: str, subject: str) -> bytes:
    found: list[bytes] = []

    def here() -> bool:
        found[:] = [octets for octets in target.messages(account=account) if f"\r\nSubject: {subject}\r\n".encode() in octets]
        assert "[NOTICE] [outbound] bounce" not in sender.log() and "Temp failing" not in sender.log(), sender.log()
        return bool(found)

    target.until(here)
    assert len(found) == 1
    return found[0]


def _protocol(octets: bytes) -> str:
    """Of the hop from Haraka to us."""
    trace = re.search(rb"\r\nReceived: from relay\.example\.net .*?\swith (\S+)", octets, re.DOTALL)
    assert trace is not None
    return trace[1].decode()


@pytest.mark.parametrize(
    ("author", "account", "protocol"),
    [
        ("mx@sender.invalid", CLEAR, "ESMTP"),
        ("mx@sender.invalid", "demo@example.test", "ESMTPS"),
        ("lmtp@sender.invalid", CLEAR, "LMTP"),
        ("lmtp@sender.invalid", "demo@example.test", "LMTPS"),
        ("demo@example.test", "demo@example.test", "ESMTPSA"),
    ],
)
def test_messages_arrive_octet_for_octet_by_every_route(
    target: Server, sender: Haraka, author: str, account: str, protocol: str
) -> None:
    for name, body in BODIES.items():
        sender.send(_letter(f"{protocol} {name}", author, body), author, account, mail=("BODY=8BITMIME",))
    for name, body in BODIES.items():
        octets = _arrived(target, sender, account, f"{protocol} {name}")
        assert octets.partition(b"\r\n\r\n")[2] == body
        assert _protocol(octets) == protocol


def test_addresses_in_utf8_come_as_they_are(target: Server, sender: Haraka) -> None:
    author = "jürgen@sender.invalid"
    sender.send(_letter("utf8", author, b"x\r\n"), author, "jörg@example.test", mail=("SMTPUTF8",))
    octets = _arrived(target, sender, "demo@example.test", "utf8")
    assert octets.startswith(f"Return-Path: <{author}>\r\n".encode())
    assert _protocol(octets) == "UTF8SMTPS"


def test_a_recipient_who_is_not_here_is_refused_for_good(target: Server, sender: Haraka) -> None:
    sender.send(_letter("nobody", "mx@sender.invalid", b"x\r\n"), "mx@sender.invalid", "nobody@example.test")
    target.until(lambda: "S: 550 5.1.1" in sender.log())
