"""Binary content on a running server: in by BDAT, seen by filters, read over IMAP, sent on to a server that takes lines only."""

import email
import smtplib
from collections.abc import Iterator
from email.message import Message

import pytest

from support.clamd_server import EICAR
from support.relayed import QUIET, relay_to
from support.server import Server, server
from support.smtp_peer import Peer, peer

DEMO = "demo@example.test"
CONTENT = bytes(range(256)) * 8000  # 2 MB: through a file of its own, and in threads


@pytest.fixture(scope="module")
def next_server() -> Iterator[Peer]:
    with peer() as made:
        yield made


@pytest.fixture(scope="module")
def target(next_server: Peer) -> Iterator[Server]:
    with server(policy=QUIET, start=False) as made:
        relay_to(made, {"far.test": next_server.port})
        made.start()
        yield made


def letter(content: bytes, subject: str) -> bytes:
    return (
        f"From: {DEMO}\r\nTo: {DEMO}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n".encode()
        + b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + b"--b\r\nContent-Type: text/plain\r\n\r\nsee the picture\r\n"
        + b"--b\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + content
        + b"\r\n--b--\r\n"
    )


def send(client: smtplib.SMTP, octets: bytes, to: str) -> tuple[int, bytes]:
    """In two chunks."""
    client.ehlo_or_helo_if_needed()
    assert client.has_extn("binarymime") and client.has_extn("chunking")
    assert client.mail(DEMO, ["BODY=BINARYMIME"])[0] == 250
    assert client.rcpt(to)[0] == 250
    assert client.docmd("DATA") == (503, b"5.5.1 Binary content comes by BDAT")
    half = len(octets) // 2
    client.send(b"BDAT %d\r\n" % half + octets[:half])
    assert client.getreply()[0] == 250
    client.send(b"BDAT %d LAST\r\n" % (len(octets) - half) + octets[half:])
    return client.getreply()


def picture(message: Message) -> bytes:
    content = message.get_payload()[1].get_payload(decode=True)  # type: ignore[index,union-attr]
    assert isinstance(content, bytes)
    return content


def test_t_smtp_19_binary_content_is_read_over_imap_as_it_was_sent(target: Server) -> None:
    with target.smtp() as client:
        code, text = send(client, letter(CONTENT, "to a mailbox"), DEMO)
    assert code == 250, text
    [stored] = target.wait_for(1)
    assert b"\0" not in stored and picture(email.message_from_bytes(stored)) == CONTENT


def test_t_smtp_19_filters_see_into_binary_content(target: Server) -> None:
    with target.smtp() as client:
        code, text = send(client, letter(EICAR + b"\n\0", "infected"), DEMO)
    assert code == 554 and b"5.7.1" in text
    assert "rule infected" in target.explain()


def test_t_smtp_19_a_next_server_without_binarymime_gets_base64_that_is_signed(target: Server, next_server: Peer) -> None:
    with target.submission() as client:
        code, text = send(client, letter(CONTENT, "to another server"), "bob@far.test")
    assert code == 250, text
    next_server.wait(lambda: any(b"to another server" in taken.octets for taken in next_server.taken))
    [taken] = [taken for taken in next_server.taken if b"to another server" in taken.octets]
    assert taken.octets.isascii() and b"\0" not in taken.octets and b"DKIM-Signature" in taken.octets
    assert picture(email.message_from_bytes(taken.octets)) == CONTENT
    assert not any("BINARYMIME" in line for line in next_server.lines)
