"""A real Exim sends to a whole server: in chunks and groups, over TLS, logged in, asking for a reply per recipient, with UTF-8 and DSN."""

import re
import shutil
from collections.abc import Iterator

import pytest

from support.exim import Exim
from support.server import Server, open_folder, server

SENDER = "a@sender.invalid"
HEAD = b"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: %s\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\n"
BODIES = {
    "dots": b".\r\n..\r\n...x\r\n.\r\n",
    "eight bit": "über\r\n".encode(),
    "long line": b"x" * 998 + b"\r\n",
    "two megabytes": (b"0123456789" * 7 + b"\r\n") * 29_000,
}


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server(policy="version: 1\nplugins: {}\n") as made:
        made.run("account", "address", "add", "jörg@example.test", made.demo)
        yield made


@pytest.fixture
def exim(target: Server) -> Iterator[Exim]:
    folder = open_folder("mailward-exim-")
    yield Exim(folder, target.port("mx"), ("hosts_try_prdr = *", "command_timeout = 30s"))
    shutil.rmtree(folder)


def _arrived(target: Server, subject: bytes, count: int = 1) -> list[bytes]:
    """The messages with this subject; delivery follows the 250 within moments."""
    target.until(lambda: sum(subject in octets for octets in target.messages()) >= count)
    found = [octets for octets in target.messages() if subject in octets]
    assert len(found) == count
    return found


@pytest.mark.parametrize("name", BODIES)
def test_messages_in_chunks_over_tls_arrive_octet_for_octet(target: Server, exim: Exim, name: str) -> None:
    subject = f"exim {name}".encode()
    log = exim.send(HEAD % subject + BODIES[name], SENDER, target.demo)
    delivered = [line for line in log.splitlines() if " => " in line]
    assert len(delivered) == 1, log
    assert " K " in delivered[0], "in chunks"
    assert " L " in delivered[0], "pipelined"
    assert "X=TLS1.3" in delivered[0]
    [octets] = _arrived(target, subject)
    assert octets.partition(b"\r\n\r\n")[2] == BODIES[name]


def test_each_recipient_gets_a_fate_of_its_own(target: Server, exim: Exim) -> None:
    log = exim.send(HEAD % b"exim several" + b"x\r\n", SENDER, target.demo, f"nobody@{target.domain}")
    assert re.search(rf"=> {re.escape(target.demo)} ", log) and re.search(rf"\*\* nobody@{re.escape(target.domain)} ", log), log
    assert "550 5.1.1" in log


def test_two_messages_on_one_connection_and_a_long_header(target: Server, exim: Exim) -> None:
    message = b"X-Long: " + b"word " * 150 + b"\r\n" + HEAD % b"exim long header" + b"x\r\n"
    log = exim.send(message, SENDER, target.demo)
    assert " K " in log
    assert _arrived(target, b"exim long header")


def test_it_logs_in_over_implicit_tls(target: Server) -> None:
    folder = open_folder("mailward-exim-")
    try:
        exim = Exim(folder, target.port("submissions"), ("protocol = smtps",), (target.demo, target.password(target.demo)))
        log = exim.send(
            (HEAD % b"exim submits").replace(SENDER.encode(), target.demo.encode()) + b"x\r\n", target.demo, target.demo
        )
    finally:
        shutil.rmtree(folder)
    assert " A=plain " in log and " K " in log and "X=TLS1.3" in log, log
    [octets] = _arrived(target, b"exim submits")
    assert re.search(rb"\swith ESMTPSA", octets)


def test_addresses_in_utf8_and_what_the_sender_wants_to_hear_of_come_with_the_mail(target: Server, exim: Exim) -> None:
    author = "jürgen@sender.invalid"
    dialogue = f"""EHLO client.example.net
MAIL FROM:<{author}> SMTPUTF8 RET=HDRS ENVID=QQ+2B1
RCPT TO:<jörg@example.test> NOTIFY=SUCCESS
RCPT TO:<{target.demo}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old+2Bname@example.com
DATA
{(HEAD % b"exim utf8").decode().replace(chr(13), "")}x
.
QUIT
"""
    log = exim.hear(dialogue.replace("\n", "\r\n").encode())
    assert log.count('C="250 2.0.0 Accepted') == 2, log
    arrived = _arrived(target, b"exim utf8", 2)
    assert all(octets.startswith(f"Return-Path: <{author}>\r\n".encode()) for octets in arrived)
    assert all(re.search(rb"\swith UTF8SMTPS", octets) for octets in arrived)
    told = target.explain()
    assert "the sender wants to hear of: success, failure" in told and "first addressed to rfc822;Old+name@example.com" in told
