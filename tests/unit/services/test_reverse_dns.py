"""What reverse DNS says of a peer, by the words of RFC 8601 section 2.7.3."""

import asyncio

import pytest

from mailward.model.session import ReverseName
from mailward.services.reverse_dns import MOST_NAMES, reverse_name
from mailward.testing.fakes import FakeZone

PTR = "7.2.0.192.in-addr.arpa"


def _named(zone: FakeZone, ip: str = "192.0.2.7") -> ReverseName:
    return asyncio.run(reverse_name(zone, ip))


def test_pass_is_a_name_that_leads_back() -> None:
    zone = FakeZone({(PTR, "PTR"): ["Mail.Example.NET"], ("mail.example.net", "A"): ["192.0.2.9", "192.0.2.7"]})
    assert _named(zone) == ReverseName("pass", "mail.example.net")


def test_an_ipv6_address_is_looked_for_among_aaaa_records() -> None:
    pointer = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    zone = FakeZone({(pointer, "PTR"): ["six.example.net"], ("six.example.net", "AAAA"): ["2001:0db8::0001"]})
    assert _named(zone, "2001:db8::1") == ReverseName("pass", "six.example.net")


def test_fail_is_a_name_that_belongs_to_others_and_is_not_taken_for_theirs() -> None:
    zone = FakeZone({(PTR, "PTR"): ["mail.bank.example"], ("mail.bank.example", "A"): ["198.51.100.1"]})
    assert _named(zone) == ReverseName("fail", claimed="mail.bank.example")


def test_fail_is_a_name_that_does_not_exist() -> None:
    assert _named(FakeZone({(PTR, "PTR"): ["gone.example.net"]})) == ReverseName("fail", claimed="gone.example.net")


def test_one_of_several_names_is_enough() -> None:
    zone = FakeZone({(PTR, "PTR"): ["a.example.net", "b.example.net"], ("b.example.net", "A"): ["192.0.2.7"]})
    zone.fail("a.example.net", "A")
    assert _named(zone) == ReverseName("pass", "b.example.net")


def test_permerror_is_an_address_without_a_name() -> None:
    assert _named(FakeZone()) == ReverseName("permerror")


def test_temperror_when_either_question_has_no_answer_now() -> None:
    zone = FakeZone()
    zone.fail(PTR, "PTR")
    assert _named(zone) == ReverseName("temperror")
    zone.add(PTR, "PTR", "mail.example.net")
    zone.fail("mail.example.net", "A")
    assert _named(zone) == ReverseName("temperror", claimed="mail.example.net")


@pytest.mark.parametrize(
    "record", ["a b.example", "x\\013\\010Bcc: y", "[192.0.2.7]", "-", "a..b", "x" * 300, "under_score.example"]
)
def test_t_hdr_11_what_is_no_host_name_is_nobodys_name(record: str) -> None:
    assert _named(FakeZone({(PTR, "PTR"): [record], (record, "A"): ["192.0.2.7"]})) == ReverseName("fail")


def test_a_stranger_with_hundreds_of_names_causes_few_questions() -> None:
    zone = FakeZone({(PTR, "PTR"): [f"h{number}.example.net" for number in range(100)]})
    assert _named(zone).result == "fail"
    assert len(zone.asked) == 1 + MOST_NAMES


_NEAR_4 = ("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1")


@pytest.mark.parametrize("ip", [*_NEAR_4, "::", "::1", "fe80::1", "fd00::1"])
def test_nobody_is_asked_about_addresses_that_mean_nothing_outside(ip: str) -> None:
    zone = FakeZone()
    assert _named(zone, ip) == ReverseName("none")
    assert zone.asked == []
