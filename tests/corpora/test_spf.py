"""The official SPF suite (RFC 7208) through our bridge: every case has its own zone."""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from mailward.api import Address, ReversePath
from mailward_plugins.spf.rules import evaluate
from support.corpora import corpus
from support.fake_dns import TIMEOUT, FakeDns


def _zone(data: dict[str, list[Any]]) -> dict[str, dict[str, list[str]]]:
    zone: dict[str, dict[str, list[str]]] = {}
    for name, records in data.items():
        types = zone.setdefault(name, {})
        for record in records:
            if record == TIMEOUT:
                types[TIMEOUT] = []
                continue
            ((kind, value),) = record.items()
            if value == "NONE":
                types.setdefault(kind, [])
            elif kind == "MX":
                types.setdefault(kind, []).append(f"{value[0]} {value[1]}")
            else:
                texts = value if isinstance(value, list) else [value]
                # Octets above 127 stand in the file as the characters of the same number.
                types.setdefault(kind, []).append("".join(texts))
        if "SPF" in types and "TXT" not in types:  # "a SPF record stands for a TXT record unless a TXT is given"
            types["TXT"] = types["SPF"]
        types.pop("SPF", None)
        for kind in [kind for kind, values in types.items() if not values and kind != TIMEOUT]:
            del types[kind]
    return zone


def _cases() -> Iterator[Any]:
    for scenario in yaml.safe_load_all(corpus("spf-rfc7208", "rfc7208-tests.yml").read_text()):
        for name, case in scenario["tests"].items():
            yield pytest.param(scenario, case, id=f"{scenario['description']}/{name}".replace(" ", "-"))


@pytest.mark.parametrize(("scenario", "case"), list(_cases()))
async def test_rfc_7208_suite(scenario: dict[str, Any], case: dict[str, Any]) -> None:
    local_part, at, domain = str(case["mailfrom"]).rpartition("@")
    reverse_path = ReversePath(Address(local_part, domain) if at else None)
    if case["mailfrom"] and not at:
        reverse_path = ReversePath(Address("", case["mailfrom"]))
    resolver = FakeDns(_zone(scenario["zonedata"]))
    outcome = await evaluate(str(ipaddress.ip_address(case["host"])), reverse_path, case["helo"], resolver, receiver="unknown")
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert outcome.result in expected, (outcome, case)
    explanation = case.get("explanation")
    if explanation is not None and outcome.result == "fail":
        assert outcome.explanation == ("" if explanation == "DEFAULT" else explanation)
