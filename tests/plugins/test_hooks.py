"""The hooks of the bundled plugins, called as the chain calls them, one after another for whole messages."""

import asyncio
from base64 import b64encode
from pathlib import Path

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mailward.api import AddHeader, Finding, MessageMoved, MessageView, RemoveHeader, Services
from mailward.formats.edits import render
from mailward.testing import make_classified
from mailward_plugins import antivirus, dkim, dmarc, spam, spf
from mailward_plugins.antivirus.settings import AntivirusFacts, AntivirusSettings
from mailward_plugins.dkim.settings import DkimFacts, DkimSettings
from mailward_plugins.dmarc.settings import DmarcFacts, DmarcSettings
from mailward_plugins.spam.settings import SpamFacts, SpamSettings
from mailward_plugins.spf.settings import SpfFacts, SpfSettings
from support.clamd_server import EICAR, ClamdServer
from support.plugin_services import envelope, evidence, services, session

MESSAGE = (
    b"From: Ann <ann@example.net>\r\nTo: bob@example.org\r\nSubject: Lunch\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.net>\r\n\r\nShall we?\r\n"
)
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
ZONE = {
    "example.net": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "_dmarc.example.net": {"TXT": ["v=DMARC1; p=reject"]},
    "sel._domainkey.example.net": {
        "TXT": [
            "v=DKIM1; p=" + b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
        ]
    },
}


def signed(message: bytes = MESSAGE) -> bytes:
    return dkimpy.DKIM(message).sign(b"sel", b"example.net", PEM) + message


async def authenticate(
    message: bytes, given: Services, *, ip: str = "192.0.2.1", mail_from: str = "ann@example.net"
) -> dict[str, list[Finding]]:
    view = MessageView(message)
    spf_finding = await spf.inspect_mail(session(ip), envelope(mail_from), SpfSettings(), given)
    dkim_findings = await dkim.inspect_message(view, DkimSettings(), given)
    seen = evidence(spf=spf_finding, dkim=dkim_findings)
    return {
        "spf": [spf_finding],
        "dkim": dkim_findings,
        "dmarc": [await dmarc.inspect_message(view, seen, DmarcSettings(), given)],
    }


async def test_an_authentic_message(tmp_path: Path) -> None:
    found = await authenticate(signed(), services(tmp_path, ZONE))
    assert found["spf"][0].facts == SpfFacts("pass", "example.net")
    assert found["dkim"][0].facts == DkimFacts("pass", ("example.net",))
    assert found["dmarc"][0].facts == DmarcFacts("pass", "reject", "example.net")
    published = [(result.method, result.result, result.properties[0]) for one in found.values() for result in one[0].auth]
    assert published == [
        ("spf", "pass", ("smtp.mailfrom", "example.net")),
        ("dkim", "pass", ("header.d", "example.net")),
        ("dmarc", "pass", ("header.from", "example.net")),
    ]


async def test_a_forged_message(tmp_path: Path) -> None:
    found = await authenticate(MESSAGE, services(tmp_path, ZONE), ip="203.0.113.7")
    assert found["spf"][0].text == "203.0.113.7 is not a sender of example.net (-all)"
    assert [finding.symbol for one in found.values() for finding in one] == ["SPF_FAIL", "DKIM_NONE", "DMARC_FAIL"]
    assert found["dmarc"][0].text == "example.net publishes p=reject; nothing aligned"
    assert found["dmarc"][0].asks == "reject"


async def test_a_forwarded_message_passes_by_its_signature(tmp_path: Path) -> None:
    found = await authenticate(signed(), services(tmp_path, ZONE), ip="203.0.113.7", mail_from="list@other.example")
    assert found["dmarc"][0].facts == DmarcFacts("pass", "reject", "example.net")


@pytest.mark.parametrize(
    ("from_field", "symbol", "result"),
    [
        (b"From: ann@example.net, ceo@bank.example\r\n", "DMARC_SEVERAL_AUTHORS", "permerror"),
        (b"From: ann@example.net\r\nFrom: ceo@bank.example\r\n", "DMARC_SEVERAL_AUTHORS", "permerror"),
        (b"", "DMARC_NO_AUTHOR", "permerror"),
        (b"From: nobody at all\r\n", "DMARC_NO_AUTHOR", "permerror"),
        *(
            (b"From: " + shown + b"\r\n", "DMARC_UNREADABLE_AUTHOR", "permerror")
            for shown in (
                *(
                    b'"ceo@bank.example"',
                    b'"ceo@bank.example" <>',
                    b"(ceo@bank.example) <>",
                    b"=?utf-8?q?ceo=40bank.example?= <>",
                ),
                *("CEO <ceo@bank.example\u200e>".encode(), "<ceo@\u200ebank.example>".encode(), b"ceo@bank.example\xa0"),
                *(b'ceo@"bank.example"', b'ceo"@bank.example', b"ceo@-bank.example", "ceo\uff20bank.example".encode()),
                b"ceo@" + b"l" * 64 + b".bank.example",
            )
        ),
        (b"From: a@[192.0.2.1]\r\n", "DMARC_NO_AUTHOR", "none"),
        (b"From: =?utf-8?q?B?= <x@b\xc3\xbccher.example>\r\n", "DMARC_NONE", "none"),
    ],
)
async def test_r9_from_fields_that_dmarc_does_not_cover(tmp_path: Path, from_field: bytes, symbol: str, result: str) -> None:
    message = MESSAGE.replace(b"From: Ann <ann@example.net>\r\n", from_field)
    (finding,) = (await authenticate(message, services(tmp_path, ZONE)))["dmarc"]
    assert finding.symbol == symbol and isinstance(finding.facts, DmarcFacts) and finding.facts.result == result


async def test_t_spf_12_a_record_for_everybody_gives_no_dmarc_pass(tmp_path: Path) -> None:
    zone = {**ZONE, "example.net": {"TXT": ["v=spf1 +all"]}}
    found = await authenticate(MESSAGE, services(tmp_path, zone))
    assert found["spf"][0].symbol == "SPF_PLUSALL" and found["dmarc"][0].symbol == "DMARC_FAIL"


async def test_every_symbol_a_plugin_uses_is_declared(tmp_path: Path) -> None:
    for module in (spf, dkim, dmarc, antivirus, spam):
        assert module.plugin.problems() == []
    found = await authenticate(signed(), services(tmp_path, ZONE))
    for name, module in (("spf", spf), ("dkim", dkim), ("dmarc", dmarc)):
        assert {finding.symbol for finding in found[name]} <= set(module.plugin.symbols)


async def test_antivirus_hook(clamd_server: ClamdServer, tmp_path: Path) -> None:
    settings = AntivirusSettings(socket=clamd_server.socket_path)
    found = await antivirus.inspect_message(MessageView(MESSAGE + EICAR), settings, services(tmp_path))
    assert found.facts == AntivirusFacts(infected=True, name="Test.Eicar.UNOFFICIAL")
    assert (await antivirus.inspect_message(MessageView(MESSAGE), settings, services(tmp_path))).text == "clean"


def mail_about(words: str, number: int) -> bytes:
    return MESSAGE.replace(b"Shall we?", f"{words} {number}".encode()).replace(b"<1@", f"<{number}@".encode())


def moved(octets: bytes, source: str, target: str) -> MessageMoved:
    return MessageMoved("1", source, target, octets, source == "Junk", target == "Junk", target == "Trash")


async def spam_facts(octets: bytes, given: Services) -> SpamFacts:
    found = await spam.inspect_message(MessageView(octets), SpamSettings(learn_first=5), given)
    assert isinstance(found[0].facts, SpamFacts)
    return found[0].facts


async def test_spam_learns_from_moves_and_unlearns(tmp_path: Path) -> None:
    given = services(tmp_path)
    settings = SpamSettings(learn_first=5)
    pills, agenda = "cheap pills without prescription", "agenda of the board meeting"
    for number in range(6):
        await spam.on_moved(moved(mail_about(pills, number), "INBOX", "Junk"), settings, given)
    assert await spam_facts(mail_about(pills, 99), given) == SpamFacts(0.5, 6)  # nothing is said before both kinds are known
    for number in range(10, 16):
        await spam.on_moved(moved(mail_about(agenda, number), "Junk", "INBOX"), settings, given)
    assert (await spam_facts(mail_about(pills, 99), given)).probability > 0.9
    assert (await spam_facts(mail_about(agenda, 99), given)).probability < 0.1
    # Kept copies differ by the trace fields above them only: the same mail, learnt once.
    again = b"Return-Path: <x@example.net>\r\nReceived: by mx; now\r\n" + mail_about(pills, 0)
    await spam.on_moved(moved(again, "INBOX", "Junk"), settings, given)
    assert (await spam_facts(MESSAGE, given)).learnt == 12
    for number in range(6):
        await spam.on_moved(moved(mail_about(pills, number), "Junk", "INBOX"), settings, given)
    assert (await spam_facts(mail_about(pills, 99), given)).learnt == 12
    assert (await given.kv.counters([spam.TOTALS]))[spam.TOTALS] == (0, 12)


@pytest.mark.parametrize(("source", "target"), [("INBOX", "Archive"), ("INBOX", "Trash"), ("Junk", "Trash"), ("Junk", "Junk")])
async def test_other_moves_teach_nothing(tmp_path: Path, source: str, target: str) -> None:
    given = services(tmp_path)
    await spam.on_moved(moved(MESSAGE, source, target), SpamSettings(), given)
    assert (await spam_facts(MESSAGE, given)).learnt == 0


async def test_moves_teach_nothing_when_the_admin_says_so(tmp_path: Path) -> None:
    given = services(tmp_path)
    await spam.on_moved(moved(MESSAGE, "INBOX", "Junk"), SpamSettings(learn_from_moves=False), given)
    assert (await spam_facts(MESSAGE, given)).learnt == 0


async def test_keywords_teach_when_the_admin_says_so_and_a_change_takes_the_lesson_back(tmp_path: Path) -> None:
    given = services(tmp_path)
    as_spam, as_ham = make_classified(MESSAGE, "spam", "keyword"), make_classified(MESSAGE, "ham", "keyword")
    for said in (as_spam, as_ham):
        await spam.on_classified(said, SpamSettings(), given)
        assert (await spam_facts(MESSAGE, given)).learnt == 0
    for said, counts in ((as_spam, (1, 0)), (as_spam, (1, 0)), (as_ham, (0, 1))):
        await spam.on_classified(said, SpamSettings(learn_from_keywords=True), given)
        assert (await given.kv.counters([spam.TOTALS]))[spam.TOTALS] == counts
    await spam.on_moved(moved(as_ham.octets, "INBOX", "Archive"), SpamSettings(), given)
    await spam.on_moved(moved(as_ham.octets, "INBOX", "Junk"), SpamSettings(), given)
    assert (await given.kv.counters([spam.TOTALS]))[spam.TOTALS] == (1, 0), "a move is the same lesson"


async def test_what_is_kept_holds_no_text(tmp_path: Path) -> None:
    given = services(tmp_path)
    await spam.on_moved(moved(mail_about("confidential merger", 1), "INBOX", "Junk"), SpamSettings(), given)
    kept = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.iterdir()))
    assert b"confidential" not in kept and b"merger" not in kept and b"ann@" not in kept


def test_t_hdr_23_a_spam_status_that_came_with_the_message_does_not_stay() -> None:
    edits = spam.edit_message(evidence(spam=[Finding("BAYES_SPAM", "x", facts=SpamFacts(0.97, 100))]), SpamSettings())
    assert edits is not None
    view = MessageView(render(b"X-SPAM-STATUS: probability=0.0\r\n" + MESSAGE + b"\r\n", edits))
    assert [field.value for field in view.all("X-Spam-Status")] == [b"probability=0.97; symbols=BAYES_SPAM"]


def test_spam_header() -> None:
    seen = evidence(spam=[Finding("BAYES_SPAM", "x", facts=SpamFacts(0.97, 100)), Finding("MISSING_DATE", "y")])
    status = AddHeader("X-Spam-Status", "probability=0.97; symbols=BAYES_SPAM,MISSING_DATE")
    assert spam.edit_message(seen, SpamSettings()) == (RemoveHeader("X-Spam-Status"), status)
    assert spam.edit_message(seen, SpamSettings(header=False)) is None


async def test_gtube_in_base64_is_seen(tmp_path: Path) -> None:
    body = b64encode(spam.rules.GTUBE.encode() + b"\r\n")
    message = MESSAGE.replace(b"\r\n\r\nShall we?", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)
    found = await spam.inspect_message(MessageView(message), SpamSettings(), services(tmp_path))
    assert "GTUBE" in {finding.symbol for finding in found}


async def test_antivirus_without_a_scanner_knows_the_test_file_and_says_that_it_knows_nothing_else(tmp_path: Path) -> None:
    settings = AntivirusSettings(engine="test-file", socket="/nowhere")
    found = await antivirus.inspect_message(MessageView(MESSAGE + EICAR), settings, services(tmp_path))
    assert found.facts == AntivirusFacts(infected=True, name="Eicar-Test-File")
    clean = await antivirus.inspect_message(MessageView(MESSAGE), settings, services(tmp_path))
    assert clean.text.startswith("not scanned: no scanner is set up")
