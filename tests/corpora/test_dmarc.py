"""DMARC vectors of others: mailauth's tests (RFC 9989 among them) and opendmarc's records, judged by RFC 9989."""

from typing import Any, cast

import pytest

from mailward_plugins.dmarc.record import parse_record
from mailward_plugins.dmarc.rules import Identifier, evaluate
from support.corpora import corpus, corpus_json
from support.fake_dns import FakeDns

MAILAUTH = cast(list[dict[str, Any]], corpus_json("dmarc", "mailauth-vectors.json"))
VERIFY = {
    f"{case['suite'][-1]}/{case['test']}".replace(" ", "-"): case for case in MAILAUTH if case["calls"][0]["fn"] == "verify"
}


def _dns(call: dict[str, Any]) -> FakeDns:
    zone: dict[str, dict[str, list[str]]] = {}
    for name, types in call.get("zone", {}).items():
        for kind, records in types.items():
            texts = [f"{r['priority']} {r['exchange']}" if kind == "MX" else "".join(r) for r in records]
            zone.setdefault(name, {})[kind] = texts
    if "zone" not in call:
        for exchange in call["dns"]:
            name, kind = exchange["q"]
            if exchange.get("err") == "ETIMEOUT":
                zone[name] = {"TIMEOUT": []}
            elif "a" in exchange:
                zone[name] = {kind: ["".join(strings) for strings in exchange["a"]]}
    return FakeDns(zone)


def _domains(entries: list[Any]) -> list[str]:
    return [entry if isinstance(entry, str) else entry["domain"] for entry in entries]


@pytest.mark.parametrize("name", VERIFY)
async def test_mailauth(name: str) -> None:
    case = VERIFY[name]
    outcomes = []
    for call in case["calls"]:
        given = call["input"][0]
        identifiers = [Identifier("dkim", domain) for domain in _domains(given["dkimDomains"])]
        identifiers += [Identifier("spf", domain) for domain in _domains(given["spfDomains"])]
        outcomes.append(await evaluate(given["headerFrom"].rpartition("@")[2], identifiers, _dns(call)))
    for expected in case["expect"]:
        outcome, path = outcomes[expected["call"]], expected["path"]
        if expected["op"] != "equal":
            continue
        if path == "status.result":
            assert outcome.result == expected["value"][0], outcome
        elif path in ("policy", "p"):
            assert outcome.policy is not None and outcome.policy.value == expected["value"][0], outcome
        elif path == "domain":
            assert outcome.policy_domain == expected["value"][0], outcome


OPENDMARC = cast(dict[str, Any], corpus_json("dmarc", "opendmarc-vectors.json"))


@pytest.mark.parametrize(("text", "verdict"), OPENDMARC["test_dmarc_parse.c"])
def test_opendmarc_records(text: str, verdict: str) -> None:
    record = parse_record(text)
    if verdict in ("DMARC_PARSE_ERROR_EMPTY", "DMARC_PARSE_ERROR_BAD_VERSION"):
        assert record is None
        return
    assert record is not None
    usable = record.policy(for_subdomain=False, exists=True) is not None
    # RFC 9989 section 4.7: only p=, sp= and np= can spoil a record; opendmarc takes p=n, and stumbles over removed tags.
    assert usable == ("p=bob" not in text and "p=n;" not in text and "p=" in text)


@pytest.mark.parametrize("line", corpus("dmarc", "mail-dmarc-real-world-records.txt").read_text().splitlines())
def test_malformed_records_of_the_real_world_keep_their_policy(line: str) -> None:
    text = line.partition(";")[2]
    record = parse_record(text)
    assert record is not None
    policy = record.policy(for_subdomain=False, exists=True)
    assert policy is not None and f"p={policy.value};" in text


def _zone_file() -> FakeDns:
    zone: dict[str, dict[str, list[str]]] = {}
    for line in corpus("dmarc", "mail-dmarc-dmarcbis-zone.txt").read_text().splitlines():
        name, _, kind, value = line.split(None, 3)
        text = value.strip().strip('"') if kind == "TXT" else " ".join(value.split()).removesuffix(".")
        zone.setdefault(name.removesuffix("."), {}).setdefault(kind, []).append(text)
    return FakeDns(zone)


@pytest.mark.parametrize(
    ("author", "identifier", "result", "policy"),
    [
        ("sub.anchor.dmarctest.net", "anchor.dmarctest.net", "pass", "none"),
        ("sub.psd.dmarctest.net", "", "none", None),
        ("ttest.dmarctest.net", "", "fail", "quarantine"),
        ("real.np.dmarctest.net", "", "fail", "none"),
        ("txtonly.np.dmarctest.net", "", "fail", "none"),
        ("gone.np.dmarctest.net", "", "fail", "reject"),
        ("gone.npnosp.dmarctest.net", "", "fail", "quarantine"),
        ("gone.npnone.dmarctest.net", "", "fail", "none"),
        ("gone.npttest2.dmarctest.net", "", "fail", "quarantine"),
        ("invalid-sp-and-with-rua.example.com", "", "fail", "none"),
        ("invalid-sp-and-without-rua.example.com", "", "permerror", None),
        ("a.example.com", "b.example.com", "pass", "none"),
        ("mail-dmarc.tnpi.net", "tnpi.net", "pass", "reject"),
    ],
)
async def test_mail_dmarc_zone(author: str, identifier: str, result: str, policy: str | None) -> None:
    outcome = await evaluate(author, [Identifier("dkim", identifier)] if identifier else [], _zone_file())
    assert (outcome.result, outcome.policy and outcome.policy.value) == (result, policy)
