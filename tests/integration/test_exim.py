"""A real Exim sends to a whole server: in chunks, over TLS, asking for a reply per recipient, with DSN parameters."""

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
        yield made


@pytest.fixture
def exim(target: Server) -> Iterator[Exim]:
    folder = open_folder("mailward-exim-")
    yield Exim(folder, target.port("mx"), ("hosts_try_prdr = *", "command_timeout = 30s"))
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", BODIES)
def test_messages_in_chunks_over_tls_arrive_octet_for_octet(target: Server, exim: Exim, name: str) -> None:
    subject = f"exim {name}".encode()
    log = exim.send(HEAD % subject + BODIES[name], SENDER, target.demo)
    delivered = [line for line in log.splitlines() if " => " in line]
    assert len(delivered) == 1, log
    assert " K " in delivered[0], "in chunks"
    assert "X=TLS1.3" in delivered[0]
    [octets] = [octets for octets in target.messages() if subject in octets]
    assert octets.partition(b"\r\n\r\n")[2] == BODIES[name]


def test_each_recipient_gets_a_fate_of_its_own(target: Server, exim: Exim) -> None:
    log = exim.send(HEAD % b"exim several" + b"x\r\n", SENDER, target.demo, f"nobody@{target.domain}")
    assert re.search(rf"=> {re.escape(target.demo)} ", log) and re.search(rf"\*\* nobody@{re.escape(target.domain)} ", log), log
    assert "550 5.1.1" in log


def test_two_messages_on_one_connection_and_a_long_header(target: Server, exim: Exim) -> None:
    message = b"X-Long: " + b"word " * 150 + b"\r\n" + HEAD % b"exim long header" + b"x\r\n"
    log = exim.send(message, SENDER, target.demo)
    assert " K " in log
    assert any(b"exim long header" in octets for octets in target.messages())
