"""8-bit mail to real servers that do not offer 8BITMIME: it is converted before it is signed, and comes back only where it must."""

import contextlib
import email
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.api.relaying import Relaying
from mailward.delivery.static_hop import StaticHop
from mailward.net.connect import SmtpConnector
from support.exim import Exim
from support.postfix import postfix
from support.relaying import FakeRules, Office
from support.server import open_folder
from support.smtp_peer import Peer, peer

SENDER = "mx@sender.invalid"
HEAD = (
    "From: mx@sender.invalid\r\nTo: b@far.test\r\nSubject: x\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <x@sender.invalid>\r\n"
)
TEXT = "Grüße aus Köln\r\n.\r\n  und zurück \r\n"
PLAIN = f"{HEAD}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{TEXT}"
SIGNED = (
    f'{HEAD}MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="=_1"; micalg=x; protocol="application/x"\r\n\r\n'
    f"--=_1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{TEXT}\r\n--=_1\r\n"
    "Content-Type: application/x\r\n\r\nx\r\n--=_1--\r\n"
)


class Signing(FakeRules):
    """A signature that covers everything."""

    async def edits(self, relaying: Relaying, octets: bytes) -> bytes:
        return b"X-Signed: " + hashlib.sha256(octets).hexdigest().encode() + b"\r\n" + octets


@pytest.fixture(scope="module")
def behind() -> Iterator[Peer]:
    with peer() as made:
        yield made


@pytest.fixture(scope="module", params=["postfix", "exim"])
def port(request: pytest.FixtureRequest, behind: Peer) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        if request.param == "postfix":
            yield stack.enter_context(postfix(behind.port, "smtpd_discard_ehlo_keywords = 8bitmime")).port
        else:
            made = Exim(open_folder("mailward-exim-"), behind.port, transport=("hosts_avoid_tls = *",), offers_8bitmime=False)
            yield stack.enter_context(made.listening())


async def test_8_bit_mail_arrives_in_seven_bits_with_a_signature_that_fits(port: int, behind: Peer, tmp_path: Path) -> None:
    """RFC 6152 section 3."""
    before = len(behind.taken)
    made = Office(tmp_path, {"far.test": StaticHop("127.0.0.1", port)}, connector=SmtpConnector("mail.example.org"))
    made.rules = Signing()
    try:
        plain = await made.post("b@far.test", octets=PLAIN.encode(), sender=SENDER)
        signed = await made.post("b@far.test", octets=SIGNED.encode(), sender="ann@example.org")
        await made.work()
        assert made.open(plain) == made.open(signed) == {}
        (relayed,), (failed,) = made.events(plain), made.events(signed)
        assert ", in seven bits: 250 " in relayed
        assert failed.startswith("failed: ") and "8-bit content that cannot be converted" in failed
        ((_, report),) = made.reports()
        assert "Status: 5.6.3" in report
    finally:
        await made.close()
    arrived = behind.wait_for(before + 1)[before].octets
    _, _, ours = arrived.partition(b"X-Signed: ")
    digest, _, covered = ours.partition(b"\r\n")
    assert hashlib.sha256(covered).hexdigest().encode() == digest
    assert covered.isascii() and email.message_from_bytes(covered).get_payload(decode=True) == TEXT.encode()
