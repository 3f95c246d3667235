"""A real OpenSMTPD sends to a whole server: in clear, by STARTTLS, by implicit TLS, by LMTP, logged in, and with DSN parameters."""

import re
from collections.abc import Iterator

import pytest

from support.opensmtpd import OpenSmtpd, opensmtpd
from support.processes import free_port
from support.server import PASSWORD, Server, server

SENDER = "a@sender.invalid"
BODIES = {
    "dots": b".\r\n..\r\n...x\r\n.\r\n",
    "eight bit": "über\r\n".encode(),
    "long line": b"x" * 998 + b"\r\n",
    "two megabytes": (b"0123456789" * 7 + b"\r\n") * 29_000,
}
PROTOCOLS = {"clear": "ESMTP", "starttls": "ESMTPS", "lmtp": "LMTP", "submission": "ESMTPSA", "submissions": "ESMTPSA"}
"""What a message's trace field says of each route (RFC 3848)."""


@pytest.fixture(scope="module")
def lmtp_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def target(lmtp_port: int) -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n", start=False) as made:
        made.configure("listeners:\n", f"listeners:\n  lmtp: {{protocol: lmtp, port: {lmtp_port}}}\n")
        made.start()
        yield made


@pytest.fixture(scope="module")
def sender(target: Server, lmtp_port: int) -> Iterator[OpenSmtpd]:
    routes = {
        "clear": f"smtp+notls://127.0.0.1:{target.port('mx')}",
        "starttls": f"smtp+tls://localhost:{target.port('mx')}",
        "lmtp": f"lmtp://127.0.0.1:{lmtp_port}",
        "submission": f"smtp+tls://demo@localhost:{target.port('submission')}",
        "submissions": f"smtps://demo@localhost:{target.port('submissions')}",
    }
    with opensmtpd(routes, target.folder / "tls/certificate.pem", target.demo, PASSWORD) as made:
        yield made


def _letter(subject: str, author: str, body: bytes) -> bytes:
    head = f"From: {author}\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\n"
    return head.encode() + body


def _arrived(target: Server, sender: OpenSmtpd, subject: str) -> bytes:
    found: list[bytes] = []

    def here() -> bool:
        found[:] = [octets for octets in target.messages() if f"\r\nSubject: {subject}\r\n".encode() in octets]
        assert 'result="TempFail"' not in sender.log() and 'result="PermFail"' not in sender.log(), sender.log()
        return bool(found)

    target.until(here)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("route", PROTOCOLS)
def test_messages_arrive_octet_for_octet_by_every_route(target: Server, sender: OpenSmtpd, route: str) -> None:
    author = target.demo if route.startswith("submission") else SENDER
    for name, body in BODIES.items():
        sender.send(route, _letter(f"{route} {name}", author, body), author, target.demo, mail=("BODY=8BITMIME",))
    for name, body in BODIES.items():
        octets = _arrived(target, sender, f"{route} {name}")
        assert octets.partition(b"\r\n\r\n")[2] == body
        trace = re.search(rb"\r\nReceived: from relay\.example\.net .*?\swith (\S+)", octets, re.DOTALL)
        assert trace is not None and trace[1].decode() == PROTOCOLS[route]


def test_what_the_sender_wants_to_hear_of_comes_with_the_mail(target: Server, sender: OpenSmtpd) -> None:
    asked = ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Old+2Bname@example.com")
    sender.send("clear", _letter("dsn", SENDER, b"x\r\n"), SENDER, target.demo, mail=("RET=HDRS", "ENVID=QQ+2B1"), rcpt=asked)
    assert _arrived(target, sender, "dsn")
    told = target.explain()
    assert "the sender wants to hear of: success, failure" in told and "first addressed to rfc822;Old+name@example.com" in told


def test_a_recipient_who_is_not_here_is_refused_for_good(target: Server, sender: OpenSmtpd) -> None:
    sender.send("starttls", _letter("nobody", SENDER, b"x\r\n"), SENDER, "nobody@example.test")
    target.until(lambda: 'result="PermFail"' in sender.log())
    assert "550 5.1.1" in sender.log()
