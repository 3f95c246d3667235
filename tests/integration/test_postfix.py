"""A real Postfix sends to a whole server: in clear, by STARTTLS, by implicit TLS, logged in; in groups of commands (RFC 2920) to many
recipients, with addresses in UTF-8 and with DSN parameters.
"""

import re
import smtplib
from collections.abc import Iterator

import pytest

from support.postfix import Postfix, postfix
from support.server import PASSWORD, Server, server

SENDER = "a@sender.invalid"
NAMES = [f"user{number}@example.test" for number in range(8)]
BODIES = {
    "dots": b".\r\n..\r\n...x\r\n.\r\n",
    "eight bit": "über\r\n".encode(),
    "long line": b"x" * 998 + b"\r\n",
    "two megabytes": (b"0123456789" * 7 + b"\r\n") * 29_000,
}
LOGIN = (
    "smtp_tls_security_level = encrypt",
    "smtp_sasl_auth_enable = yes",
    f"smtp_sasl_password_maps = static:{{demo@example.test:{PASSWORD}}}",
    "smtp_sasl_tls_security_options = noanonymous",
)
ROUTES = {
    "ESMTP": ("mx", ("smtp_tls_security_level = none",)),
    "ESMTPS": ("mx", ("smtp_tls_security_level = encrypt",)),
    "ESMTPSA": ("submission", LOGIN),
    "implicit": ("submissions", (*LOGIN, "smtp_tls_wrappermode = yes")),
}


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as made:
        made.run("account", "address", "add", "jörg@example.test", made.demo)
        for name in NAMES:
            made.run("account", "address", "add", name, made.demo)
        yield made


@pytest.fixture(scope="module")
def sender(target: Server) -> Iterator[Postfix]:
    with postfix(target.port("mx")) as made:
        yield made


def _send(
    sender: Postfix,
    subject: str,
    author: str,
    *to: str,
    body: bytes = b"x\r\n",
    mail: tuple[str, ...] = (),
    rcpt: tuple[str, ...] = (),
) -> None:
    head = f"From: {author}\r\nTo: demo@example.test\r\nSubject: {subject}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\n"
    with smtplib.SMTP("127.0.0.1", sender.port, local_hostname="client.example.net", timeout=30) as client:
        assert client.sendmail(author, to, head.encode() + body, mail, rcpt) == {}


def _arrived(target: Server, sender: Postfix, subject: str) -> bytes:
    found: list[bytes] = []

    def here() -> bool:
        found[:] = [octets for octets in target.messages() if f"\r\nSubject: {subject}\r\n".encode() in octets]
        assert "status=deferred" not in sender.log() and "status=bounced" not in sender.log(), sender.log()
        return bool(found)

    target.until(here)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("route", ROUTES)
def test_messages_arrive_octet_for_octet_by_every_route(target: Server, route: str) -> None:
    listener, settings = ROUTES[route]
    author = SENDER if listener == "mx" else target.demo
    with postfix(target.port(listener), *settings) as sender:
        for name, body in BODIES.items():
            _send(sender, f"{route} {name}", author, target.demo, body=body, mail=("BODY=8BITMIME",))
        for name, body in BODIES.items():
            octets = _arrived(target, sender, f"{route} {name}")
            assert octets.partition(b"\r\n\r\n")[2] == body
            trace = re.search(rb"\r\nReceived: from relay\.example\.net .*?\swith (\S+)", octets, re.DOTALL)
            assert trace is not None and trace[1].decode() == route.replace("implicit", "ESMTPSA")


def test_many_recipients_come_in_one_transaction(target: Server, sender: Postfix) -> None:
    _send(sender, "many", SENDER, *NAMES)
    target.until(lambda: sum(b"\r\nSubject: many\r\n" in octets for octets in target.messages()) == len(NAMES))
    told = target.decision()
    assert sorted(recipient["recipient"] for recipient in told["recipients"]) == sorted(NAMES)


def test_addresses_in_utf8_come_as_they_are(target: Server, sender: Postfix) -> None:
    author = "jürgen@sender.invalid"
    _send(sender, "utf8", author, "jörg@example.test", mail=("SMTPUTF8",))
    octets = _arrived(target, sender, "utf8")
    assert octets.startswith(f"Return-Path: <{author}>\r\n".encode()) and re.search(rb"\swith UTF8SMTPS", octets)
    assert r"first addressed to utf-8;j\x{F6}rg@example.test" in target.explain()


def test_what_the_sender_wants_to_hear_of_comes_with_the_mail(target: Server, sender: Postfix) -> None:
    asked = ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Old+2Bname@example.com")
    _send(sender, "dsn", SENDER, target.demo, mail=("RET=HDRS", "ENVID=QQ+2B1"), rcpt=asked)
    assert _arrived(target, sender, "dsn")
    told = target.explain()
    assert "the sender wants to hear of: success, failure" in told and "first addressed to rfc822;Old+name@example.com" in told
