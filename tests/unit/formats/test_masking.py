"""Pseudonyms and masked messages: nobody's words are left, and what filters go by is."""

import html
import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.masking import masked
from mailward.formats.message import MessageView
from mailward.formats.pseudonyms import Pseudonyms
from mailward.testing import make_mail
from support.hostile_mail import HOSTILE

NAMES = Pseudonyms(b"a key of a test")


def common_bits(a: str, b: str) -> int:
    x, y = ipaddress.ip_address(a), ipaddress.ip_address(b)
    return x.max_prefixlen - (int(x) ^ int(y)).bit_length()


@given(st.ip_addresses(), st.ip_addresses())
def test_addresses_keep_their_common_prefix_and_no_two_become_one(a: object, b: object) -> None:
    one, other = ipaddress.ip_address(str(a)), ipaddress.ip_address(str(b))
    if one.version != other.version or not (one.is_global and other.is_global):
        return
    assert common_bits(NAMES.ip(str(one)), NAMES.ip(str(other))) == common_bits(str(one), str(other))


def test_private_addresses_stay_and_public_ones_do_not_become_private() -> None:
    for text in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fe80::1", "no address"):
        assert NAMES.ip(text) == text
    public = [f"192.{number}.7.9" for number in range(0, 168, 7)]
    names = Pseudonyms(b"k", public)
    assert all(ipaddress.ip_address(names.ip(text)).is_global for text in public)
    assert all(names.ip(text) != text for text in public)


def test_domains_keep_who_is_below_whom_and_are_nobodys() -> None:
    parent, child = NAMES.domain("acme-bank.com"), NAMES.domain("News.Acme-Bank.com")
    assert child.endswith("." + parent) and parent.endswith(".com.example") and "acme" not in child.lower()
    assert NAMES.domain("sel1._domainkey.acme-bank.com").endswith("._domainkey." + parent)
    assert NAMES.mailbox("ann.lee@acme-bank.com").endswith("@" + parent)
    assert re.fullmatch(r"[a-z]{3}\.[a-z]{3}@.*", NAMES.mailbox("ann.lee@acme-bank.com"))


@pytest.mark.parametrize("ip", ["8.8.4.4", "2001:4860:4860::8888"])
def test_names_made_of_addresses_follow_the_addresses(ip: str) -> None:
    names = Pseudonyms(b"k", [ip])
    moved = ipaddress.ip_address(names.ip(ip))
    assert names.domain(ipaddress.ip_address(ip).reverse_pointer) == moved.reverse_pointer
    if moved.version == 4:
        backwards, forwards = ".".join(reversed(ip.split("."))), f"{ip}"
        assert names.domain(f"{backwards}.bl.acme.org").startswith(".".join(reversed(str(moved).split("."))) + ".")
        if backwards != forwards:
            assert names.domain(f"{forwards}.exists.acme.org").startswith(str(moved) + ".")


def test_an_spf_record_says_the_same_of_the_same_hosts() -> None:
    made = NAMES.structure("v=spf1 ip4:198.50.100.0/24 include:_spf.acme.com mx:mail.acme.com -all")
    network = ipaddress.ip_network(re.search(r"ip4:(\S+)", made)[1], strict=False)  # type: ignore[index]
    assert ipaddress.ip_address(NAMES.ip("198.50.100.77")) in network
    assert f"include:{NAMES.domain('_spf.acme.com')} mx:{NAMES.domain('mail.acme.com')} -all" in made


SECRETS = ("Smith", "smith", "Rosalind", "4111", "Confidential", "acme", "passwort", "geheim", "Jülich")


def test_nothing_of_what_people_wrote_is_left_and_the_structure_is() -> None:
    mail = make_mail(
        "Dear Rosalind,\nthe card is 4111 1111 1111 1111, see https://acme.com/geheim?u=smith\n-- \nSmith, Jülich\n",
        author="Rosalind Smith <smith@acme.com>",
        to="Bob Smith <bob.smith@acme.com>, undisclosed <x@acme.org>",
        subject="Re: Confidential: Jülich, Smith",
        html="<p>Dear <b title='Smith'>Rosalind</b>, <a href='https://acme.com/geheim'>passwort</a> &nbsp;</p>",
        attach={"Smith-geheim.pdf": b"%PDF-1.7 Confidential Smith"},
        fields={
            "X-Mailer": "Smith Mailer 4111",
            "Received": "from smith.acme.com ([8.8.4.4]) by mx.acme.com for <bob.smith@acme.com>",
        },
    )
    made = masked(mail, NAMES)
    before, after = MessageView(mail), MessageView(made)
    everything = made + b"".join(part.decode() for part in after.parts() if not part.children) + after.subject.encode()
    assert [word for word in SECRETS if word.encode() in everything] == []
    assert [(p.number, p.content_type, p.encoding, p.charset) for p in after.parts()] == [
        (p.number, p.content_type, p.encoding, p.charset) for p in before.parts()
    ]
    assert [f.name for f in after.fields] == [f.name for f in before.fields]
    assert after.date == before.date and after.anomalies == before.anomalies
    assert after.subject.startswith("Re: ") and len(after.subject.split()) == len(before.subject.split())
    assert after.authors[0].address is not None and after.authors[0].address.domain == NAMES.domain("acme.com")
    assert next(p for p in after.parts() if p.filename).filename.endswith(".pdf")  # type: ignore[union-attr]
    assert next(p for p in after.parts() if p.filename).decode().startswith(b"%PDF-1.7")
    assert "https://" in after.body_octets.decode("latin-1")


@pytest.mark.parametrize(
    "line",
    [
        "Received: from LAPTOP-SMITH (rosalind [8.8.4.4]) (Authenticated sender: smith) by mx.acme.com id SMITH4111;\r\n Thu, 1 Jan 2026 12:00:00 +0000",
        "Authentication-Results: mx.acme.com; spf=pass (Smith said so) smtp.mailfrom=acme.com",
        'List-Id: "Rosalind\'s list" <list.acme.com>',
        "Content-Type: text/plain; title=\"Smith Confidential\"; name*0*=utf-8''Smith%20; charset=utf-8",
        "DKIM-Signature: v=1; a=rsa-sha256; d=acme.com; s=smith; h=from; bh=AAAA; b=BBBB",
        "X-Unknown: =?utf-8?q?Smith?=",
    ],
)
def test_a_field_says_nothing_of_whose_it_is(line: str) -> None:
    made = masked(f"{line}\r\n\r\n".encode(), NAMES).decode("latin-1")
    assert [word for word in SECRETS if word.lower() in made.lower()] == []
    assert made.partition(":")[0] == line.partition(":")[0]


def test_words_of_the_standards_stay() -> None:
    made = masked(
        b"Received: from a.acme.com by b.acme.com with ESMTPS id X1 for <x@acme.com>; Thu, 1 Jan 2026 12:00:00 +0000\r\n\r\n",
        NAMES,
    )
    assert re.fullmatch(
        rb"Received: from \S+ by \S+ with ESMTPS id \S+ for <\S+>; Thu, 1 Jan 2026 12:00:00 \+0000\r\n\r\n", made
    ), made
    signed = masked(b"DKIM-Signature: v=1; d=acme.com; s=s1; b=QUJD\r\n\r\n", NAMES)
    assert f"d={NAMES.domain('acme.com')}; s={NAMES.label('s1')}; b=QUJD".encode() in signed


@pytest.mark.parametrize(
    "text",
    [
        "<smith@acme.com>",
        "<rosalind smith>",
        "<!-- Smith -->",
        "<b Smith>",
        "<a href=https://acme.com/smith>",
        "&#83;mith",
        "&#x53;&#x6d;&#x69;&#x74;&#x68;",
        "< Smith",
    ],
)
def test_what_only_looks_like_a_tag_is_no_hiding_place(text: str) -> None:
    made = masked(f"Content-Type: text/html\r\n\r\n<p>{text}</p>\r\n".encode(), NAMES).decode("latin-1")
    assert "smith" not in html.unescape(made).lower() and "acme" not in made.lower() and "<p>" in made and "</p>" in made


def test_a_line_that_is_no_delimiter_is_masked() -> None:
    made = masked(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n-- Smith\r\n--b\r\n\r\nx\r\n--b--\r\n-- Smith\r\n", NAMES)
    assert b"Smith" not in made and b"\r\n--b\r\n" in made and b"\r\n--b--\r\n" in made


def test_the_same_key_masks_alike_and_another_does_not() -> None:
    mail = make_mail("Rosalind Smith\n")
    assert masked(mail, Pseudonyms(b"one")) == masked(mail, Pseudonyms(b"one")) != masked(mail, Pseudonyms(b"two"))


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_the_message_it_is_masked(name: str) -> None:
    assert isinstance(masked(HOSTILE[name](20_000), NAMES), bytes)


@given(st.binary(max_size=400))
def test_no_octets_stop_it(octets: bytes) -> None:
    masked(octets, NAMES)
