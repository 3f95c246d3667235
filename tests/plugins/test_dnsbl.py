"""dnsbl: listings by address and domain, what is no listing, and lists that misbehave (RFC 5782, T-NET-04)."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailward.api import DnsAnswer, Finding, Role
from mailward.model.errors import PolicyError
from mailward.services.resolver import DnsResolver
from mailward.testing import FakeZone, Scan
from mailward_plugins import dnsbl
from mailward_plugins.dnsbl.codes import UnusableAnswer, code_pattern, listed_strength
from mailward_plugins.dnsbl.lookup import MOST_QUESTIONS, address_name
from mailward_plugins.dnsbl.settings import MOST_ZONES, DnsblFacts, DnsblSettings, Zones
from support.dns_server import DnsServer
from support.plugin_services import envelope, services, session

MAIL = "From: a@example.net\nSubject: hi\n\nhello\n"
ADDRESSES: dict[str, object] = {"addresses": {"bl.test": ["127.0.0.2-3", "127.0.0.10 0.25"]}}


def facts(scan: Scan, settings: dict[str, object], *, ip: str = "192.0.2.9", **more: str) -> DnsblFacts:
    found = scan(MAIL, [dnsbl], ip=ip, settings={"dnsbl": settings}, **more).facts("dnsbl")  # type: ignore[arg-type]
    assert isinstance(found, DnsblFacts)
    return found


# --- names and codes ---


def test_rfc5782_names_of_addresses() -> None:
    assert address_name("192.0.2.99") == "99.2.0.192"  # section 2.1
    v6 = "2.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert address_name("2001:db8::1:2") == v6


@pytest.mark.parametrize(
    ("records", "codes", "strength"),
    [
        (["127.0.0.2"], ["127.0.0.2-3"], 1.0),
        (["127.0.0.4"], ["127.0.0.2-3"], None),
        (["127.0.0.10", "127.0.0.2"], ["127.0.0.2 0.5", "127.0.0.10 0.25"], 0.5),
        (["127.0.5.3"], ["127.0.*.3 0.7"], 0.7),
        (["127.0.0.80"], ["127.0.0.&16"], 1.0),
        (["127.0.0.80"], ["127.0.0.&8"], None),
        ([], ["127.0.0.2"], None),
    ],
)
def test_codes(records: Sequence[str], codes: Sequence[str], strength: float | None) -> None:
    assert listed_strength(records, [code_pattern(code) for code in codes]) == strength


@pytest.mark.parametrize(
    "record", ["127.255.255.252", "127.255.255.254", "127.255.255.255", "127.0.0.1", "127.0.1.255", "192.0.2.1", "10.0.0.2"]
)
def test_t_net_04_refusals_and_addresses_outside_are_no_listing(record: str) -> None:
    with pytest.raises(UnusableAnswer):
        listed_strength(["127.0.0.2", record], [code_pattern("127.*.*.*")])


@pytest.mark.parametrize("text", ["128.0.0.2", "127.0.0", "127.0.0.2 1.5", "127.0.0.2 x", "127.0.0.2 1.2.3", "", "127.0.0.-3"])
def test_codes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no return code"):
        code_pattern(text)


@pytest.mark.parametrize(
    "settings",
    [
        {"addresses": {"bl.test": ["nonsense"]}},
        {"addresses": {"no zone": []}},
        {"not_asked": ["192.0.2.1/24"]},
        {"allow": {f"bl{number}.test": [] for number in range(MOST_ZONES + 1)}},
    ],
)
def test_wrong_settings_are_problems_of_the_policy(scan: Scan, settings: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        facts(scan, settings)


# --- what is found ---


def test_a_listed_address_counts_by_its_code_and_the_list_gives_the_reason(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.add("9.2.0.192.bl.test", "A", "127.0.0.10")
    fake_zone.add("9.2.0.192.bl.test", "TXT", "see \x1b[1m https://bl.test/?192.0.2.9 " + "x" * 500)
    result = scan(MAIL, [dnsbl], ip="192.0.2.9", settings={"dnsbl": ADDRESSES})
    [(_, finding)] = result.observed
    assert (finding.symbol, finding.strength) == ("DNSBL_ADDRESS", 0.25)
    assert finding.text.startswith("bl.test lists 192.0.2.9 (127.0.0.10): see ?[1m https://bl.test/?192.0.2.9 xxx")
    assert finding.text.isprintable() and len(finding.text) < 250
    assert result.facts("dnsbl") == DnsblFacts(zones=("bl.test",))


def test_a_policy_can_refuse_by_the_zone(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.add("9.2.0.192.bl.test", "A", "127.0.0.2")
    rule = {
        "name": "listed",
        "when": '"bl.test" in dnsbl.zones',
        "then": "reject",
        "reply": "554 5.7.1 Refused, listed by {dnsbl.zones}",
    }
    result = scan(MAIL, [dnsbl], ip="192.0.2.9", settings={"dnsbl": ADDRESSES}, policy={"rules": [rule]})
    assert result.reply.startswith("554 5.7.1 Refused, listed by bl.test")
    assert scan(MAIL, [dnsbl], ip="192.0.2.8", settings={"dnsbl": ADDRESSES}, policy={"rules": [rule]}).verdict == "accept"


def test_ipv6(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.add(address_name("2001:db8::9") + ".bl.test", "A", "127.0.0.2")
    assert facts(scan, ADDRESSES, ip="2001:db8::9").zones == ("bl.test",)
    fake_zone.add(address_name("::ffff:127.0.0.1") + ".bl.test", "A", "127.0.0.2")
    assert facts(scan, ADDRESSES, ip="2001:db8::9") == DnsblFacts(failed=("bl.test",))


def test_domains_of_reverse_path_and_helo(scan: Scan, fake_zone: FakeZone) -> None:
    settings: dict[str, object] = {"domains": {"dbl.test": []}}
    fake_zone.add("bad.example.dbl.test", "A", "127.0.1.2")
    assert facts(scan, settings, mail_from="a@Bad.example").zones == ("dbl.test",)
    assert facts(scan, settings, helo="bad.example.").zones == ("dbl.test",)
    fake_zone.asked.clear()
    assert facts(scan, settings, helo="[192.0.2.9]", mail_from="").zones == ()
    assert facts(scan, settings, helo="127.0.0.2", mail_from="a@[192.0.2.9]").zones == ()
    assert facts(scan, settings, helo="localhost", mail_from="").zones == ()
    assert fake_zone.asked == []


def test_allowlists_take_points_off(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.add("9.2.0.192.wl.test", "A", "127.0.5.3")
    result = scan(MAIL, [dnsbl], ip="192.0.2.9", settings={"dnsbl": {"allow": {"wl.test": ["127.0.*.2-3"]}}})
    assert result.facts("dnsbl") == DnsblFacts(allowed=("wl.test",))
    assert result.record.recipients[0].score == -2.0


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "100.64.0.1", "fd00::1", "fe80::1", "a socket"])
async def test_private_peers_are_asked_about_nowhere(tmp_path: Path, fake_zone: FakeZone, ip: str) -> None:
    settings = DnsblSettings(addresses={"bl.test": ()}, domains={"dbl.test": ()})
    given = replace(services(tmp_path), resolver=fake_zone)
    assert await dnsbl.inspect_mail(session(ip), envelope("a@example.net"), settings, given) == []
    assert fake_zone.asked == []


async def test_mail_of_our_own_users_is_asked_about_nowhere(tmp_path: Path, fake_zone: FakeZone) -> None:
    settings = DnsblSettings(addresses={"bl.test": ()})
    given = replace(services(tmp_path), resolver=fake_zone)
    submission = replace(session("192.0.2.9"), role=Role.SUBMISSION)
    lmtp = replace(session("192.0.2.9"), lmtp=True)
    for ours in (submission, lmtp):
        assert await dnsbl.inspect_mail(ours, envelope("a@example.net"), settings, given) is None
    assert fake_zone.asked == []


# --- lists that misbehave ---


def test_t_net_04_a_list_that_lists_everything_lists_nobody(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.add("9.2.0.192.bl.test", "A", "127.0.0.2")
    fake_zone.add("1.0.0.127.bl.test", "A", "127.0.0.2")
    assert facts(scan, ADDRESSES) == DnsblFacts(failed=("bl.test",))
    fake_zone.add("bad.example.dbl.test", "A", "127.0.1.2")
    fake_zone.add("invalid.dbl.test", "A", "127.0.1.2")
    assert facts(scan, {"domains": {"dbl.test": []}}, helo="bad.example") == DnsblFacts(failed=("dbl.test",))


def test_a_list_that_fails_is_told_and_the_others_count(scan: Scan, fake_zone: FakeZone) -> None:
    fake_zone.fail("9.2.0.192.down.test", "A")
    fake_zone.add("9.2.0.192.refuses.test", "A", "127.255.255.254")
    fake_zone.add("9.2.0.192.bl.test", "A", "127.0.0.2")
    fake_zone.fail("9.2.0.192.bl.test", "TXT")
    zones: dict[str, list[str]] = {"down.test": [], "refuses.test": [], "bl.test": []}
    result = scan(MAIL, [dnsbl], ip="192.0.2.9", settings={"dnsbl": {"addresses": zones}})
    assert result.facts("dnsbl") == DnsblFacts(zones=("bl.test",), failed=("down.test", "refuses.test"))
    assert [finding.symbol for _, finding in result.observed] == ["DNSBL_ADDRESS", "DNSBL_FAILED", "DNSBL_FAILED"]
    assert result.record.recipients[0].score == 4.0


async def test_whatever_lists_answer_there_are_at_most_64_questions(tmp_path: Path) -> None:
    class Everything:
        asked = 0

        async def resolve(self, name: str, record_type: str) -> object:
            self.asked += 1
            return DnsAnswer("found", () if name.startswith("invalid.") else ("127.0.0.2",) * 50)

    everything = Everything()
    given = replace(services(tmp_path), resolver=everything)  # type: ignore[arg-type]
    zones: Zones = {f"bl{number}.test": () for number in range(MOST_ZONES)}
    found = await dnsbl.inspect_mail(
        session("192.0.2.9", "helo.example"), envelope("a@example.net"), DnsblSettings(domains=zones), given
    )
    assert everything.asked == MOST_QUESTIONS
    assert found is not None and len(found) == 24 and {finding.symbol for finding in found} == {"DNSBL_DOMAIN"}


async def test_a_list_that_never_answers_costs_the_time_limit_once(tmp_path: Path) -> None:
    class Never:
        async def resolve(self, name: str, record_type: str) -> object:
            return await asyncio.Event().wait()

    given = replace(services(tmp_path), resolver=Never())  # type: ignore[arg-type]
    zones: Zones = {f"bl{number}.test": () for number in range(MOST_ZONES)}
    settings = DnsblSettings(addresses=zones, time_limit=timedelta(milliseconds=100))
    since = time.monotonic()
    found = await dnsbl.inspect_mail(session("192.0.2.9"), envelope(""), settings, given)
    assert time.monotonic() - since < 20
    assert found is not None and found[0].text == "bl0.test was of no use: no answer in 0.1 s"
    assert found[0].facts == DnsblFacts(failed=tuple(zones))


# --- real DNS ---

LIST = """
2.0.0.127 IN A 127.0.0.2
2.0.0.127 IN TXT "test entry of RFC 5782"
9.2.0.192 IN A 127.0.0.2
10.2.0.192 IN A 192.0.2.200
11.2.0.192 IN A 127.255.255.254
""" + "".join(f"12.2.0.192 IN A 127.0.{number // 250}.{number % 250 + 2}\n" for number in range(10_000))


@pytest.fixture(scope="module")
def world(dns_server: DnsServer) -> DnsServer:
    dns_server.publish("bl.test", LIST)
    dns_server.publish("all.test", "* IN A 127.0.0.2\n")
    return dns_server


async def ask_real_lists(world: DnsServer, folder: Path, ip: str, *zones: str) -> list[Finding]:
    given = replace(services(folder), resolver=DnsResolver([world.address], 3.0))
    settings = DnsblSettings(addresses={zone: () for zone in zones}, not_asked=(), time_limit=timedelta(seconds=4))
    found = await dnsbl.inspect_mail(session(ip), envelope("a@example.net"), settings, given)
    assert found is not None
    return found


async def test_rfc5782_test_entries_of_a_real_zone(world: DnsServer, tmp_path: Path) -> None:
    [listed] = await ask_real_lists(world, tmp_path, "127.0.0.2", "bl.test")
    assert listed.text == "bl.test lists 127.0.0.2 (127.0.0.2): test entry of RFC 5782"
    assert await ask_real_lists(world, tmp_path, "127.0.0.1", "bl.test") == []


async def test_t_net_04_faults_of_real_name_servers(world: DnsServer, tmp_path: Path) -> None:
    found = await ask_real_lists(world, tmp_path, "192.0.2.9", "bl.test", "all.test", "silent.test", "bogus.test")
    assert found[0].facts == DnsblFacts(zones=("bl.test",), failed=("all.test", "silent.test", "bogus.test"))
    for ip in ("192.0.2.10", "192.0.2.11"):
        [failed] = await ask_real_lists(world, tmp_path, ip, "bl.test")
        assert failed.facts == DnsblFacts(failed=("bl.test",))


async def test_ten_thousand_records(world: DnsServer, tmp_path: Path) -> None:
    since = time.monotonic()
    [listed] = await ask_real_lists(world, tmp_path, "192.0.2.12", "bl.test")
    assert time.monotonic() - since < 20
    assert len(listed.text) < 300
