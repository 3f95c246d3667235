"""`mailward policy replay --deep` finds again what was found, without network, and then what a changed setting would find."""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mailward.app.config_file import load_config
from mailward.app.copies import Copies
from mailward.app.filters import filters_at
from mailward.app.recipients import recipients_in
from mailward.app.rerunning import Arrived, Rerunner
from mailward.decisions import DecisionStore
from mailward.directory import Directory
from mailward.formats.arrived import as_arrived
from mailward.model.evidence import HookCall
from mailward.model.session import Role
from support.dns_server import DnsServer, dns_server
from support.processes import free_port
from support.server import Server, server

__all__ = ["dns_server"]

pytestmark = pytest.mark.timeout(300)

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PUBLIC = b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {engine: test-file}
  dkim: {isolation: process}
  cards: {at_least: 2}
rules:
  - {name: hold, when: 'message.subject.contains("hold")', then: quarantine}
  - {name: away, when: 'message.subject.contains("away")', then: reject}
  - {name: cards, when: 'cards.number > 0', then: junk}
  - {name: outside, when: 'spf.result != "pass"', do: [{subject_prefix: "[unproven] "}, {add_header: {name: X-Proof, value: none}}]}
"""
CARDS = """\
import re
from dataclasses import dataclass
from mailward.api import Facts, Finding, Plugin, ReplaceHeader, Settings, hookimpl

@dataclass(frozen=True)
class CardSettings(Settings):
    at_least: int = 1

@dataclass(frozen=True)
class CardFacts(Facts):
    number: int = 0

plugin = Plugin(api=1, summary="Cards", settings=CardSettings, facts=CardFacts, capabilities=("body", "edits"))

@hookimpl
def edit_message(message):
    return [ReplaceHeader("Subject", "replaced")] if message.subject == "replace" else []

@hookimpl
def inspect_message(message, settings):
    number = sum(len(re.findall("4111", part.text)) for part in message.texts())
    return Finding(None, f"{number} cards", facts=CardFacts(number=number)) if number >= settings.at_least else None
"""


def mail(number: int, subject: str, body: str, *, author: str = "smith@acme.test", signed: bool = True) -> bytes:
    octets = (
        f"From: Smith <{author}>\r\nTo: demo@example.test\r\nSubject: {subject}\r\n"
        f"Date: Thu, 1 Jan 2026 12:00:00 +0000\r\nMessage-ID: <{number}@acme.test>\r\n\r\n{body}\r\n"
    ).encode()
    return dkimpy.DKIM(octets).sign(b"sel", b"acme.test", PEM) + octets if signed else octets


MAILS = {
    "signed": (mail(1, "hello", "text"), "smith@acme.test"),
    "unsigned, prefixed": (mail(2, "hello", "text", author="a@other.test", signed=False), "a@other.test"),
    "signed, prefixed": (mail(3, "hello", "text"), "a@other.test"),
    "no SPF at all": (mail(4, "hello", "text", author="a@none.test", signed=False), "a@none.test"),
    "forged author": (mail(5, "hello", "text", signed=False), "a@other.test"),  # DMARC: quarantine
    "broken signature": (mail(6, "hello", "text").replace(b"text", b"test"), "smith@acme.test"),
    "held": (mail(7, "hold it", "text"), "smith@acme.test"),
    "DNS fails": (mail(8, "hello", "text", author="a@bogus.test", signed=False), "a@bogus.test"),
    "one card": (mail(9, "hello", "4111"), "smith@acme.test"),
    "two cards": (mail(10, "hello", "4111 4111"), "smith@acme.test"),
    "null": (mail(11, "hello", "text"), ""),
    "long subject": (mail(12, "word " * 30, "text", signed=False), "a@other.test"),
    "with a return path": (b"Return-Path: <x@other.test>\r\n" + mail(20, "hello", "4111"), "smith@acme.test"),
    "altered": (mail(13, "replace", "4111"), "smith@acme.test"),
    "deleted": (mail(14, "hello", "4111"), "smith@acme.test"),
    "moved": (mail(15, "hello", "4111"), "smith@acme.test"),
    "for two": (mail(16, "hello", "4111"), "smith@acme.test"),
    "of another host": (mail(19, "hello", "4111"), "smith@acme.test"),
    "for an alias": (mail(18, "hello", "4111"), "smith@acme.test"),
}
TO = {"for two": ("demo@example.test", "eve@example.test"), "for an alias": ("team@example.test",)}


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def made(dns_server: DnsServer, ids: dict[str, str]) -> Iterator[Server]:
    """A server that has received it all, and has no DNS any more."""
    records = (
        '@ IN TXT "v=spf1 ip4:127.0.0.1 -all"\n_dmarc IN TXT "v=DMARC1; p=reject"\n'
        f'sel._domainkey IN TXT "v=DKIM1; p={PUBLIC[:200]}" "{PUBLIC[200:]}"\n'
    )
    dns_server.publish("acme.test", records)
    dns_server.publish("4.8.8.in-addr.arpa", "4 IN PTR claimed.acme.test.\n")
    dns_server.publish("other.test", '@ IN TXT "v=spf1 ip4:192.0.2.0/24 ~all"\n')
    dns_server.publish("none.test", "@ IN A 192.0.2.1\n")
    with server(policy="version: 1\nextends: mailward/inbound\n", start=False) as target:
        (target.folder / "plugins/cards.py").write_text(CARDS)
        target.policy(POLICY)
        target.add_account("eve@example.test")
        target.run("alias", "add", "team@example.test", "eve@example.test", "demo@example.test")
        host, port = dns_server.address
        target.configure("mx: {", "mx: {xclient_from: [127.0.0.1], ")
        target.configure("dns: ", f'dns: {{servers: ["{host}:{port}"]}}  # ')
        target.start()
        for name, (octets, sender) in MAILS.items():
            to = TO.get(name, ("demo@example.test",))
            if name == "of another host":
                code, text = from_elsewhere(target, octets, sender, to)
            else:
                code, text = target.send(octets, sender=sender, to=to)
            assert code == 250, (name, text)
            ids[name] = text.rpartition("id ")[2].strip()
            target.wait_delivered(ids[name])
        assert target.send(mail(17, "away", "text"), sender="smith@acme.test")[0] == 554
        with target.imap() as client:
            client.select("INBOX")
            for name, change in (("deleted", "delete"), ("moved", "move")):
                found = client.search(None, "HEADER", "Message-ID", f"{14 if name == 'deleted' else 15}@acme.test")[1][0].decode()
                assert found.isdigit(), found
                if change == "move":
                    assert client.copy(found, "Archive")[0] == "OK"
                client.store(found, "+FLAGS", "(\\Deleted)")
                client.expunge()
        target.stop()

        text = target.config.read_text()
        target.config.write_text(text.replace(f"{host}:{port}", f"127.0.0.1:{free_port()}"))
        yield target


def from_elsewhere(target: Server, octets: bytes, sender: str, to: Sequence[str]) -> tuple[int, str]:
    """Of a host whose name does not lead back to it, and that gives two names."""
    with target.smtp() as client:
        client.ehlo()
        assert client.docmd("XCLIENT", "ADDR=8.8.4.4")[0] == 220
        for name in ("one.acme.test", "other.acme.test"):
            client.ehlo(name)
        client.mail(sender)
        for one in to:
            client.rcpt(one)
        code, text = client.data(octets)
        return code, text.decode()


def replayed(made: Server, policy: str, *options: str) -> tuple[int, dict[str, Any]]:
    path = made.folder / "new/inbound.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(policy)
    done = made.run("policy", "replay", "--deep", "--policy", str(path), "--limit", "100", "--json", *options, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


def found(calls: tuple[HookCall, ...]) -> object:
    return sorted(
        (c.plugin, c.hook, c.status, c.error or "", [(f.symbol, f.text, f.strength, f.asks) for f in c.findings])
        for c in calls
        if c.plugin != "cards"
    )


async def test_every_finding_is_found_again_without_network(made: Server, ids: dict[str, str]) -> None:
    config = load_config(made.config)
    (made.folder / "bundled").mkdir()  # we are not the user of the server, whose drop-ins we do not load
    (made.folder / "bundled/inbound.yaml").write_text("\n".join(line for line in POLICY.split("\n") if "cards" not in line))
    filters = filters_at(config, "inbound", made.folder / "bundled")
    begin = datetime.now(UTC) - timedelta(days=1)
    seen = set()
    with (
        closing(DecisionStore(config.decisions_file)) as store,
        closing(Directory(config.directory_file)) as directory,
        closing(Copies(config)) as copies,
        closing(Rerunner(config, filters, Role.MX, recipients_in(directory), None)) as rerunner,
    ):
        for name, id in ids.items():
            record = next(one for one in store.evidence(begin) if one.id == id)
            receipt = store.receipt(record.id)
            assert receipt is not None and receipt.heard and not receipt.cut, name
            for octets in copies.of(record):
                came = as_arrived(octets, record.size_octets, receipt.header, receipt.whole, receipt.removed)
                if came is None:
                    continue
                assert came == MAILS[name][0]
                rerun = await rerunner.run(Arrived(record, receipt, came))
                assert found(rerun.calls) == found(record.calls), name
                assert (rerun.anew, rerun.otherwise, rerun.replayed.unknown) == ((), (), ""), name
                seen.add(name)
    assert set(ids) - seen == {"altered", "deleted"}


def test_the_same_policy_changes_nothing_and_says_what_was_run_again(made: Server) -> None:
    code, report = replayed(made, POLICY)
    assert (code, report["changes"], report["messages_not_known"], report["examples"]) == (2, [], {
        "the record does not hold message.subject": 3,
    }, [])  # fmt: skip
    assert report["messages_run_again"] == len(MAILS) - 2
    assert report["messages_from_evidence"] == {
        "refused, and so not stored": 1,
        "its copy is no longer as it came": 1,
        "no copy is stored here, or none any more": 1,
    }
    assert (report["messages_asked_anew"], report["found_otherwise"]) == (0, {})
    assert (
        made.run("policy", "replay", "--deep", check=False).stdout.count(f"plugins run again on {len(MAILS) - 2} messages") == 1
    )


def test_a_changed_setting_changes_exactly_what_it_must(made: Server, ids: dict[str, str]) -> None:
    code, report = replayed(made, POLICY.replace("at_least: 2", "at_least: 1"))
    assert code == 1
    changed = {(one["id"], one["was"]["verdict"], one["would_be"]["verdict"]) for one in report["examples"]}
    names = ("one card", "moved", "for two", "for an alias", "of another host", "with a return path")
    assert changed == {(ids[name], "accept", "junk") for name in names}
    assert report["recipients_changed"] == len(names) + 1
    assert report["found_otherwise"] == {"cards": len(names)}


def test_what_nobody_asked_then_is_asked_only_on_request(made: Server, dns_server: DnsServer, ids: dict[str, str]) -> None:
    listed = POLICY.replace("  cards:", "  dnsbl: {domains: {bl.test: []}, not_asked: []}\n  cards:")
    _, report = replayed(made, listed)
    assert report["messages_asked_anew"] == report["messages_run_again"] == len(MAILS) - 2, report
    assert all(".bl.test" in one["question"] for one in report["asked_anew"])
    wrong = made.run("policy", "replay", "--ask-dns", check=False)
    assert wrong.returncode == 64 and "--ask-dns needs --deep" in wrong.stderr
