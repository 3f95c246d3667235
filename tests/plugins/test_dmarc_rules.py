"""DMARC against hostile names and records, by the threat table."""

import pytest

from mailward.formats.message import MessageView
from mailward_plugins.dmarc.record import Policy, Record, parse_record
from mailward_plugins.dmarc.rules import DmarcOutcome, Identifier, author_domains, evaluate, walk_names
from support.fake_dns import TIMEOUT, FakeDns

DKIM, SPF = "dkim", "spf"


@pytest.mark.parametrize(
    ("author", "domains"),
    [
        ("Chief <ceo@bank.example>", {"bank.example"}),
        ("Chief <ceo@bank.example.>", {"bank.example"}),
        ("Chief <ceo@bank.example", {"bank.example"}),
        ("ceo@bank.example.,", {"bank.example"}),
        ("Chief <the..ceo@bank.example>", {"bank.example"}),
        ("a@evil.example, Chief <ceo@bank.example.>", {"evil.example", "bank.example"}),
        ("Chief <ceo@" + "x" * 300 + ".example.>", set()),
        ("Chief", set()),
    ],
)
def test_t_hdr_07_t_dmarc_the_domain_that_people_see_is_asked(author: str, domains: set[str]) -> None:
    """An address that breaks a rule is an address all the same to those who read it."""
    assert author_domains(MessageView(f"From: {author}\r\n\r\n".encode())) == domains


async def judge(author: str, records: dict[str, str], *identifiers: Identifier) -> DmarcOutcome:
    return await evaluate(author, identifiers, FakeDns({f"_dmarc.{name}": {"TXT": [text]} for name, text in records.items()}))


async def test_t_dmarc_01_a_walk_asks_eight_questions_at_most() -> None:
    dns = FakeDns({})
    domain = ".".join(["x"] * 29 + ["test"])
    assert (await evaluate(domain, [Identifier(DKIM, "y." + domain)], dns)).result == "none"
    assert len(dns.questions) == 8
    asked = [name for name, _ in dns.questions]
    assert asked[0].count(".") == 30 and asked[1] == "_dmarc.x.x.x.x.x.x.test" and asked[-1] == "_dmarc.test"


def test_t_dmarc_01_names_of_a_walk() -> None:
    assert list(walk_names("a.b.example.com")) == ["a.b.example.com", "b.example.com", "example.com", "com"]
    assert list(walk_names("a.b.c.d.e.f.g.h"))[1] == "b.c.d.e.f.g.h"
    assert list(walk_names("com")) == ["com"]


@pytest.mark.parametrize(
    ("records", "signer", "result"),
    [
        ({"bank": "v=DMARC1; p=reject; psd=y"}, "mail.my.bank", "pass"),
        ({"bank": "v=DMARC1; p=reject; psd=y"}, "other.bank", "fail"),
        ({"bank": "v=DMARC1; p=reject; psd=y"}, "bank", "fail"),
        ({"my.bank": "v=DMARC1; p=reject; psd=n", "bank": "v=DMARC1; p=none"}, "other.bank", "fail"),
        ({"my.bank": "v=DMARC1; p=reject", "bank": "v=DMARC1; p=none"}, "other.bank", "pass"),
        ({"bank": "v=DMARC1; p=reject", "dept.my.bank": "v=DMARC1; p=none; psd=n"}, "dept.my.bank", "fail"),
    ],
)
async def test_t_dmarc_02_organisational_domain(records: dict[str, str], signer: str, result: str) -> None:
    assert (await judge("www.my.bank", records, Identifier(DKIM, signer))).result == result


async def test_t_dmarc_02_order_of_policies() -> None:
    records = {"bank": "v=DMARC1; p=reject; sp=quarantine; psd=y"}
    assert (await judge("my.bank", records)).policy is Policy.QUARANTINE
    records["my.bank"] = "v=DMARC1; p=none; sp=reject"
    assert (await judge("my.bank", records)).policy is Policy.NONE
    assert (await judge("www.my.bank", records)).policy is Policy.REJECT


async def test_t_dmarc_03_neighbours_under_a_public_suffix_are_not_aligned() -> None:
    assert (await judge("a.co.uk", {}, Identifier(DKIM, "b.co.uk"))).result == "none"
    assert (await judge("a.co.uk", {"a.co.uk": "v=DMARC1; p=reject"}, Identifier(DKIM, "b.co.uk"))).result == "fail"


async def test_strict_alignment_wants_equal_names() -> None:
    records = {"legit.test": "v=DMARC1; p=reject; adkim=s; aspf=r"}
    assert (await judge("legit.test", records, Identifier(DKIM, "mail.legit.test"))).result == "fail"
    assert (await judge("legit.test", records, Identifier(SPF, "mail.legit.test"))).result == "pass"


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1; p=reject; pct=0", Policy.REJECT),
        ("v=DMARC1; p=reject; t=y", Policy.QUARANTINE),
        ("v=DMARC1; p=quarantine; t=y", Policy.NONE),
        ("v=DMARC1; rf=afrf; ri=1; p=Reject; x=y", Policy.REJECT),
        ("v=DMARC1; rua=mailto:a@legit.test", Policy.NONE),
        ("v=DMARC1; p=bogus; rua=mailto:a@legit.test", Policy.NONE),
        ("v=DMARC1; rua=nonsense", None),
        ("v=DMARC1", None),
        ("v=DMARC1; p=bogus", None),
        ("v=DMARC1; p=reject; p=none", Policy.REJECT),
    ],
)
async def test_t_dmarc_04_tags(text: str, policy: Policy | None) -> None:
    assert (await judge("legit.test", {"legit.test": text})).policy is policy


@pytest.mark.parametrize(
    "text", ["v=spf1 -all", "v=DMARC2; p=reject", "v=dmarc1; p=reject", "p=reject; v=DMARC1", "", ";", "v=DMARC1" + " " * 70_000]
)
def test_t_dmarc_05_what_is_no_record(text: str) -> None:
    assert parse_record(text) is None


def test_t_dmarc_05_an_odd_but_real_record() -> None:
    assert parse_record(" V = DMARC1 ;;P=none; sp-none") == Record(own="none")


async def test_t_dmarc_05_several_records_are_none_and_junk_is_discarded_first() -> None:
    two = FakeDns(
        {"_dmarc.legit.test": {"TXT": ["v=DMARC1; p=reject", "v=DMARC1; p=none"]}, "_dmarc.test": {"TXT": ["v=DMARC1; p=none"]}}
    )
    assert (await evaluate("legit.test", [], two)).result == "none"
    junk = FakeDns({"_dmarc.legit.test": {"TXT": ["v=spf1 -all", "v=DMARC1; p=reject"]}})
    assert (await evaluate("legit.test", [], junk)).policy is Policy.REJECT


async def test_t_dkim_14_temporary_failures_are_never_fail() -> None:
    slow = FakeDns({"_dmarc.legit.test": {TIMEOUT: []}})
    assert (await evaluate("legit.test", [], slow)).result == "temperror"
    records = {"legit.test": "v=DMARC1; p=reject"}
    assert (await judge("legit.test", records, Identifier(DKIM, "legit.test", "temperror"))).result == "temperror"
    assert (await judge("legit.test", records, Identifier(SPF, "evil.test", "temperror"))).result == "fail"
    both = (Identifier(SPF, "legit.test", "temperror"), Identifier(DKIM, "legit.test"))
    assert (await judge("legit.test", records, *both)).result == "pass"
