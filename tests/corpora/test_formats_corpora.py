"""Messages and vectors of others through the parser: nothing raises, nothing takes long, and what they expect is what we read."""

import json
import tarfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest

from mailward.formats import imap
from mailward.formats.address import parse_forward_path, parse_mailbox
from mailward.formats.address_lists import read_address_list
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.edits import render
from mailward.formats.header import unfold
from mailward.formats.message import MessageView
from mailward.formats.words import decode_words
from support.corpora import corpus
from support.imap_data import folded, parse_imap

MAX_MESSAGE_S = 1.0
"""The largest of these messages have 1.7 MB."""

_SAMPLES = {"spam": 16}
"""Every so many messages of the big collections."""

ARCHIVES = sorted(
    f"{folder}/{path.name}"
    for folder in ("mime", "mime-evasion", "spam", "clients", "dkim", "auth-rspamd", "av-samples")
    for path in corpus(folder).glob("*.tar.xz")
)


def _messages(archive: str) -> Iterator[tuple[str, bytes]]:
    step = _SAMPLES.get(archive.split("/")[0], 1)
    with tarfile.open(corpus(*archive.split("/"))) as members:
        for number, member in enumerate(members):
            if number % step == 0 and (file := members.extractfile(member)) is not None:
                yield member.name, file.read()


@pytest.mark.parametrize("archive", ARCHIVES)
def test_every_message_is_read(archive: str) -> None:
    for name, octets in _messages(archive):
        started = time.perf_counter()
        view = MessageView(octets)
        answers = (view.subject, view.message_id, view.authors, view.recipients_in_header, view.anomalies, view.attachment_types)
        texts = [part.text for part in view.texts()]
        contents = [part.decode() for part in view.parts()]
        structures = [imap.envelope(view), imap.body(view), imap.bodystructure(view)]
        took = time.perf_counter() - started
        assert took < MAX_MESSAGE_S, name
        assert len(answers) == 6
        assert len(texts) <= len(contents), name
        assert all(made.isascii() and len(parse_imap(made)) == 1 for made in structures), name
        assert render(octets, ()) == octets, name


def test_ordinary_mail_is_not_suspect() -> None:
    """Recent mail of people and mailing lists has no anomaly but the line ends of the archive."""
    for name, octets in _messages("spam/modern-lists.tar.xz"):
        assert MessageView(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).anomalies == (), name


def test_t_mime_hidden_content_is_seen_or_the_message_is_ambiguous() -> None:
    """mime-is-broken: an EICAR zip that some client would show. Its octets are seen, or an anomaly of its MIME is named.

    Every one of these mails also says `From: me`, which is an anomaly of its own and must not count here.
    """
    missed = []
    for name, octets in _messages("mime-evasion/hide-content.d.tar.xz"):
        view = MessageView(octets)
        if not any(b"PK\x03\x04" in part.decode() for part in view.parts()) and not set(view.anomalies) - {
            "BARE_LF",
            "MALFORMED_FROM",
        }:
            missed.append(name)
    assert missed == []


def _isemail() -> Iterator[Any]:
    for file in ("tests.xml", "tests-original.xml"):
        for test in ET.parse(corpus("isemail", file)).getroot().iter("test"):
            # Control characters are written as U+2400 and their number.
            address = "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x2420 else c for c in test.findtext("address") or "")
            category = test.findtext("category") or ""
            if test.findtext("diagnosis") == "ISEMAIL_RFC5322_LOCAL_TOOLONG":
                category = "ISEMAIL_RFC5321"  # 64 octets are what every server must take, not the most it may
            yield pytest.param(address, category, id=f"{file}-{test.get('id')}-{category}")


@pytest.mark.parametrize(("address", "category"), list(_isemail()))
def test_isemail(address: str, category: str) -> None:
    """Fit for SMTP or not, as isemail's categories say."""
    octets = b"<" + address.encode() + b">"
    if category in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_RFC5321", "ISEMAIL_DNSWARN"):
        mailbox = parse_mailbox(address)
        assert parse_forward_path(octets, smtputf8=False)[0].address == mailbox
        assert parse_mailbox(str(mailbox)) == mailbox
    else:
        with pytest.raises(AddressSyntaxError):
            parse_mailbox(address)


def _dovecot(kind: str) -> list[Any]:
    vectors: dict[str, list[Any]] = json.loads(corpus("imap", "dovecot-unit-vectors.json").read_text())
    return vectors[kind]


def _crlf(text: str) -> bytes:
    return text.encode("latin-1").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("vector", _dovecot("bodystructure"))
def test_dovecot_bodystructure(vector: dict[str, str]) -> None:
    view = MessageView(_crlf(vector["message"]))
    expected = (vector.get("bodystructure") or vector["output"]).encode("latin-1")
    assert folded(parse_imap(imap.bodystructure(view))) == folded(parse_imap(b"(" + expected + b")"))
    if "body" in vector:
        assert folded(parse_imap(imap.body(view))) == folded(parse_imap(b"(" + vector["body"].encode("latin-1") + b")"))


@pytest.mark.parametrize("vector", _dovecot("envelope"))
def test_dovecot_envelope(vector: dict[str, str]) -> None:
    view = MessageView(_crlf(vector["message"]))
    assert parse_imap(imap.envelope(view)) == parse_imap(b"(" + vector["envelope"].encode("latin-1") + b")")


@pytest.mark.parametrize("vector", _dovecot("header_decode"))
def test_dovecot_header_decode(vector: dict[str, str]) -> None:
    assert decode_words(unfold(vector["input"].encode("latin-1"))) == vector["utf8"].encode("latin-1").decode().strip()


@pytest.mark.parametrize("vector", _dovecot("address"))
def test_dovecot_address(vector: dict[str, Any]) -> None:
    """Names and addresses as Dovecot reads them; a source route makes ours no address (T-HDR-07)."""
    found = read_address_list(vector["input"].encode("latin-1"))
    (mailbox,) = found.mailboxes
    expected = {key: "" if value == "NULL" else value for key, value in vector["addr"].items()}
    assert found.is_malformed == (expected["invalid_syntax"] == "TRUE" or bool(expected["route"]))
    if "(" not in vector["input"] or not found.is_malformed:
        read = (mailbox.display_name, mailbox.local_part_octets.decode(), mailbox.domain_octets.decode())
        assert read == (expected["name"], expected["mailbox"], expected["domain"])
