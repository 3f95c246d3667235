"""DKIM vectors of others: opendkim, Perl's Mail::DKIM, dkimpy, and the examples of RFC 6376 and RFC 8463.

Most vectors are older than RFC 8301 and use rsa-sha1 or keys of 512 bits. They are run twice: with those limits off, to test
syntax, canonicalisation and field selection, and with them on, where none of them may pass.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import hashes

from mailward_plugins.dkim import safe, tags
from mailward_plugins.dkim.rules import Outcome, verify
from mailward_plugins.dkim.settings import DkimSettings
from support.corpora import corpus, corpus_json, corpus_members
from support.fake_dns import FakeDns
from support.mail import crlf, split

_SIGNED_AT = re.compile(rb"[ ;]t=(\d{9,10});")

NOT_OURS = {
    "t-test13": "l= with data added", "t-test14": "l= with data added", "t-test15": "l= with data added",
    "t-test29": "l= with data added", "t-test101": "l= with data added",
}  # fmt: skip
"""Vectors that opendkim passes and we do not, on purpose: the signature covers a part of the body (T-DKIM-01)."""


async def run(function: Callable[[], list[Outcome]]) -> list[Outcome]:
    return function()


async def results(message: bytes, dns: FakeDns) -> list[Outcome]:
    times = [int(found) for found in _SIGNED_AT.findall(message)]
    now = datetime.fromtimestamp(max(times, default=1_300_000_000), UTC)
    fields, body = split(message)
    return await verify(fields, body, [], dns, run, now, DkimSettings())


@pytest.fixture
def old_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tags.HASH_OCTETS, "rsa-sha1", 20)
    monkeypatch.setitem(safe._HASHES, "sha1", hashes.SHA1())
    monkeypatch.setattr(safe, "MIN_RSA_BITS", 512)


OPENDKIM = cast(dict[str, Any], corpus_json("dkim", "opendkim-vectors.json"))
OPENDKIM_DNS = {name: {"TXT": [text]} for name, text in OPENDKIM["dns"].items()}
VERIFY = {case["name"]: case for case in OPENDKIM["cases"] if case["mode"] == "dkim_verify"}


def _opendkim_message(case: dict[str, Any]) -> bytes:
    text: str = "\r\n".join(case["headers"]) + "\r\n\r\n" + case["body"]
    return text.encode("latin-1")


@pytest.mark.usefixtures("old_limits")
@pytest.mark.parametrize("name", VERIFY)
async def test_opendkim(name: str) -> None:
    outcomes = await results(_opendkim_message(VERIFY[name]), FakeDns(OPENDKIM_DNS))
    passes = any(outcome.result == "pass" for outcome in outcomes)
    if name == "t-test102":  # opendkim was told of further fields that must be signed
        return
    assert passes == (VERIFY[name]["expected"].get("dkim_eom") == "DKIM_STAT_OK" and name not in NOT_OURS), outcomes


@pytest.mark.parametrize("name", VERIFY)
async def test_opendkim_rsa_sha1_never_passes(name: str) -> None:
    for outcome in await results(_opendkim_message(VERIFY[name]), FakeDns(OPENDKIM_DNS)):
        assert outcome.result != "pass" or (outcome.signature is not None and outcome.signature.algorithm == "rsa-sha256")


MAIL_DKIM = cast(dict[str, Any], corpus_json("dkim", "mail-dkim-expected.json"))


def _mail_dkim_dns() -> FakeDns:
    zone: dict[str, dict[str, list[str]]] = {}
    for name, text in MAIL_DKIM["dns"].items():
        if text != "NXDOMAIN":
            zone[name] = {"TIMEOUT": []} if text.startswith("~~") else {"TXT": [text]}
    return FakeDns(zone)


@pytest.mark.usefixtures("old_limits")
@pytest.mark.parametrize("name", MAIL_DKIM["messages"])
async def test_mail_dkim(name: str) -> None:
    case = MAIL_DKIM["messages"][name]
    outcomes = await results(crlf(corpus_members("dkim", "mail-dkim-corpus.tar.xz")[name]), _mail_dkim_dns())
    if case["depends_on_obsolete_g_tag"]:
        return
    old = case["pre_rfc6376_version"] or case["domainkeys_only"]
    assert any(outcome.result == "pass" for outcome in outcomes) == (case["expected"] == "pass" and not old), outcomes
    if case["note"] == "dns error (timeout)":
        assert outcomes[0].result == "temperror"


@pytest.mark.parametrize("name", MAIL_DKIM["messages"])
async def test_mail_dkim_within_todays_limits(name: str) -> None:
    for outcome in await results(crlf(corpus_members("dkim", "mail-dkim-corpus.tar.xz")[name]), _mail_dkim_dns()):
        assert outcome.result != "pass" or outcome.signature is None or outcome.signature.algorithm != "rsa-sha1"
        assert outcome.result != "pass" or outcome.bits in (256, *range(1024, 4097))


async def test_rfc_8463_example_both_signatures() -> None:
    dns = cast(dict[str, Any], corpus_json("dkim", "rfc8463-example.dns.json"))
    zone = {name: {"TXT": [text]} for name, text in dns.items()}
    outcomes = await results(crlf(corpus("dkim", "rfc8463-example.eml").read_bytes()), FakeDns(zone))
    assert [(outcome.result, outcome.domain) for outcome in outcomes] == [("pass", "football.example.com")] * 2


RFC_6376_KEY = (
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5i"
    "jSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)


async def test_rfc_6376_appendix_a() -> None:
    case = VERIFY["t-test51"]
    dns = FakeDns({"brisbane._domainkey.example.com": {"TXT": [RFC_6376_KEY]}})
    (outcome,) = await results(_opendkim_message(case), dns)
    assert (outcome.result, outcome.domain, outcome.selector) == ("pass", "example.com", "brisbane")
