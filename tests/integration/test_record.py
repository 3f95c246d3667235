"""`mailward record`: a real session becomes a fixture that names nobody and comes out as it did."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mailward.testing import CallHook, Scan, recorded, recordings
from mailward_plugins import ambiguity
from support.dns_server import DnsServer, dns_server
from support.server import Server, server

__all__ = ["dns_server"]

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()
POLICY = """\
version: 1
extends: mailward/inbound
plugins: {antivirus: {engine: test-file}}
rules:
  - {name: hold, when: 'message.subject.contains("hold")', then: quarantine}
  - {name: away, when: 'message.subject.contains("away")', then: reject}
"""
SECRETS = (
    "rosalind",
    "smith",
    "acme",
    "lunch",
    "confidential",
    "demo",
    "example.test",
    "4111",
    "b1946ac9",
    tempfile.gettempdir(),
)


def mail(subject: str) -> bytes:
    octets = (
        f"From: Rosalind Smith <smith@news.acme.test>\r\nTo: demo@example.test\r\nSubject: {subject} Smith\r\n"
        "Date: Thu, 1 Jan 2026 12:00:00 +0000\r\nMessage-ID: <b1946ac9.smith@acme.test>\r\n"
        "Received: from laptop.acme.test ([8.8.4.4]) by mx.acme.test with ESMTPSA; Thu, 1 Jan 2026 12:00:00 +0000\r\n"
        "\r\nDear demo,\r\nconfidential: 4111 1111 1111 1111, lunch?\r\nSmith\r\n"
    ).encode()
    return dkimpy.DKIM(octets).sign(b"sel", b"acme.test", PEM) + octets


@pytest.fixture(scope="module")
def judged(dns_server: DnsServer) -> Iterator[Server]:
    from base64 import b64encode

    key = b64encode(bytes.fromhex(PUBLIC)).decode()
    halves = f'"v=DKIM1; p={key[:200]}" "{key[200:]}"'
    records = (
        '@ IN TXT "v=spf1 -all"\nnews IN TXT "v=spf1 ip4:8.8.4.0/24 include:_spf.acme.test -all"\n'
        f'_spf IN TXT "v=spf1 ip4:127.0.0.1 -all"\nsel._domainkey IN TXT {halves}\n'
        '_dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:smith@acme.test"\n'
    )
    dns_server.publish("acme.test", records)
    with server(policy=POLICY, start=False) as made:
        host, port = dns_server.address
        made.configure("dns: ", f'dns: {{servers: ["{host}:{port}"]}}  # ')
        made.start()
        yield made


def send(made: Server, subject: str) -> tuple[int, str]:
    return made.send(mail(subject), sender="smith@news.acme.test")


def later(made: Server, word: str) -> None:
    made.until(lambda: word in made.explain())


def names_nobody(text: str) -> None:
    read = text.lower()
    assert [word for word in SECRETS if word in read] == []


def test_a_delivered_message_comes_out_as_it_did(judged: Server, tmp_path: Path, scan: Scan, call_hook: CallHook) -> None:
    assert send(judged, "Re: lunch")[0] == 250
    later(judged, "delivered to")
    facts = judged.decision()["facts"]
    assert (facts["spf.result"], facts["dkim.result"], facts["dmarc.result"]) == ("pass", "pass", "pass")
    judged.until(lambda: "X-Spam-Status" not in judged.run("record", "last").stdout)  # once the receipt is written
    made = judged.run("record", "last")
    assert "was" not in made.stderr.replace("read it before", "")
    names_nobody(made.stdout)
    file = tmp_path / "lunch.json"
    file.write_text(made.stdout)
    one = recorded(file)
    assert one.message.subject.startswith("Re: ") and one.session.helo is not None
    assert one.facts["spf.result"] == "pass" and one.facts["dmarc.policy"] == "reject"
    result = scan.replay(one, plugins=["spf", "dkim", "dmarc"])
    again = {name: value for name, value in result.record.facts.items() if name.split(".")[0] in ("spf", "dkim", "dmarc")}
    assert again == {name: value for name, value in one.facts.items() if name in again}
    assert again["dmarc.result"] == "pass" and str(again["spf.domain"]).endswith(".test.example")
    assert set(one.symbols) >= set(result.findings) != set()
    # As it was received: nothing of ours is on top, and of no filter.
    assert [f.name for f in one.message.fields] == [
        "DKIM-Signature", "From", "To", "Subject", "Date", "Message-ID", "Received",
    ]  # fmt: skip
    call_hook(ambiguity, "inspect_message", session=one.session, envelope=one.envelope, message=one.message)


def test_what_is_in_quarantine_is_recorded_and_what_was_refused_needs_its_file(judged: Server, tmp_path: Path) -> None:
    assert send(judged, "hold")[0] == 250
    later(judged, "quarantine")
    names_nobody(judged.run("record", "last").stdout)
    assert send(judged, "away")[0] == 554
    refused = judged.run("record", "last", check=False)
    assert refused.returncode == 66 and "no copy is here; --file MESSAGE gives it" in refused.stderr
    (judged.folder / "away.eml").write_bytes(mail("away"))
    file = tmp_path / "away.json"
    file.write_text(judged.run("record", "last", "--file", str(judged.folder / "away.eml")).stdout)
    names_nobody(file.read_text())
    assert recorded(file).facts["dkim.result"] == "pass"


def test_the_next_messages_are_waited_for(judged: Server, tmp_path: Path) -> None:
    waiting = subprocess.Popen(
        [judged.command, "record", "--next", "2", "-c", str(judged.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    sent = 0
    while waiting.poll() is None and time.monotonic() < deadline:
        sent += 1
        send(judged, f"number {sent}")
    said, told = waiting.communicate(timeout=10)
    assert waiting.returncode == 0, told
    (tmp_path / "two.json").write_text(said)
    found = recordings(tmp_path / "two.json")
    assert len(found) == 2
    with pytest.raises(ValueError, match="holds 2 recordings"):
        recorded(tmp_path / "two.json")


def test_what_is_no_recording_says_so(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"version": 99}')
    with pytest.raises(ValueError, match="holds no recording of version 1; mailward record makes one"):
        recorded(tmp_path / "other.json")
