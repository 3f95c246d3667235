"""tlsrpt: who wants reports, what is in them, and how they travel (RFC 8460)."""

import asyncio
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mailward.api import (
    DnsAnswer,
    DnsTemporaryError,
    PolicyType,
    RecordType,
    Services,
    TlsLevel,
    TlsPolicy,
    TlsResult,
    TlsSession,
)
from mailward.formats.message import MessageView
from mailward.model.errors import PolicyError
from mailward.model.tls import NO_POLICY
from mailward.testing import FakeClock, FakeZone, MemoryKeyValue, MemoryLog, SentMail
from mailward.testing.policies import made_policy
from mailward_plugins.tlsrpt import on_attempt, on_day, sending
from mailward_plugins.tlsrpt.history import Row
from mailward_plugins.tlsrpt.record import Rua, parse_record, rua_of
from mailward_plugins.tlsrpt.report import build, delay, mail
from mailward_plugins.tlsrpt.sending import NotAllSent
from mailward_plugins.tlsrpt.settings import TlsrptSettings
from support.plugin_services import attempt, services

T = TypeVar("T")

DAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
AFTER = datetime(2026, 11, 28, 0, 7, tzinfo=UTC)
SETTINGS = TlsrptSettings(reports_from="tls-reports@example.org", organization="Example Org")
STS = TlsPolicy(
    PolicyType.STS,
    "company-y.example",
    ("version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"),
    ("*.mail.company-y.example",),
)


# The record (section 3)


@pytest.mark.parametrize(
    ("text", "rua"),
    [
        ("v=TLSRPTv1;rua=mailto:reports@example.com", Rua(("reports@example.com",))),  # section 3.1.1
        ("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", Rua((), ("https://reporting.example.com/v1/tlsrpt",))),
        ("v=TLSRPTv1; rua=mailto:a@b.example , https://c.example/ ;", Rua(("a@b.example",), ("https://c.example/",))),
        ("v=TLSRPTv1; x=1; rua=mailto:a%2Cb@c.example?subject=x", Rua(("a,b@c.example",))),
        ("v=TLSRPTv1; rua=ftp://x, mailto:, mailto:a@b@c d, MAILTO:a@b.example, mailto:a@b.example", Rua(("a@b.example",))),
        ("v=TLSRPTv1", Rua()),
        ("v=TLSRPTv1; RUA=mailto:a@b.example", Rua()),
    ],
)
def test_a_record_says_where_reports_go(text: str, rua: Rua) -> None:
    assert parse_record(text) == rua


def test_t_tls_24_of_a_thousand_addresses_three_are_heeded() -> None:
    many = ",".join(f"mailto:a{number}@b.example" for number in range(1000))
    assert len(parse_record(f"v=TLSRPTv1; rua={many}").addresses) == 3


async def test_what_is_no_such_record_does_not_count_and_of_two_neither_does() -> None:
    one = "v=TLSRPTv1; rua=mailto:a@b.example"
    zone = FakeZone({
        ("_smtp._tls.one.example", "TXT"): ["v=spf1 -all", "v=TLSRPTv10; rua=mailto:x@b.example", one],
        ("_smtp._tls.two.example", "TXT"): [one, one],
    })  # fmt: skip
    assert await rua_of("one.example", zone) == Rua(("a@b.example",))
    assert await rua_of("two.example", zone) == await rua_of("none.example", zone) == Rua()


# The report (section 4.4)


def row(session: TlsSession, count: int, domain: str = "company-y.example") -> Row:
    return Row(DAY, domain, session, count, NOON)


def failure(result: TlsResult, ip: str = "", host: str = "mx1.mail.company-y.example") -> TlsSession:
    return TlsSession(STS, host, ip, "2001:db8:abcd:0012::1", None, result, "in plain words")


GOOD = TlsSession(STS, "mx1.mail.company-y.example", "", "", TlsLevel.VERIFIED)


def test_the_report_says_what_the_rfcs_example_says() -> None:
    """Appendix B: 5326 sessions went well, 303 failed in three ways."""
    rows = [
        row(GOOD, 5326),
        row(failure(TlsResult.CERTIFICATE_EXPIRED), 100),
        row(failure(TlsResult.STARTTLS_NOT_SUPPORTED, "203.0.113.56", "mx2.mail.company-y.example"), 200),
        row(failure(TlsResult.VALIDATION_FAILURE, "198.51.100.62", "mx-backup.mail.company-y.example"), 3),
    ]
    made = build(DAY, "company-y.example", rows, SETTINGS)
    check_schema(made)
    policies: Any = made["policies"]
    (policy,) = policies
    assert policy["policy"] == {
        "policy-type": "sts",
        "policy-domain": "company-y.example",
        "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
        "mx-host": ["*.mail.company-y.example"],
    }
    assert policy["summary"] == {"total-successful-session-count": 5326, "total-failure-session-count": 303}
    assert policy["failure-details"][0] == {
        "result-type": "starttls-not-supported",
        "sending-mta-ip": "2001:db8:abcd:0012::1",
        "receiving-mx-hostname": "mx2.mail.company-y.example",
        "receiving-ip": "203.0.113.56",
        "failed-session-count": 200,
        "failure-reason-code": "in plain words",
    }
    assert [one["failed-session-count"] for one in policy["failure-details"]] == [200, 100, 3]
    assert "receiving-ip" not in policy["failure-details"][1]


def test_each_policy_is_told_apart() -> None:
    tlsa = TlsPolicy(PolicyType.TLSA, "mx1.example.net", ("3 1 1 " + "AB" * 32,))
    rows = [row(replace(GOOD, policy=policy), count) for policy, count in ((STS, 1), (tlsa, 2), (NO_POLICY, 4))]
    made = build(DAY, "company-y.example", rows, SETTINGS)
    check_schema(made)
    policies: Any = made["policies"]
    assert [(one["policy"]["policy-type"], one["policy"]["policy-domain"]) for one in policies] == [
        ("sts", "company-y.example"),
        ("tlsa", "mx1.example.net"),
        ("no-policy-found", "company-y.example"),
    ]


_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")  # RFC 3339, as section 4.4 wants it


def check_schema(report: Any) -> None:
    """What section 4.4 says of each key: which there must be, and of what type."""
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    assert all(isinstance(report[key], str) and report[key] for key in ("organization-name", "contact-info", "report-id"))
    assert set(report["date-range"]) == {"start-datetime", "end-datetime"}
    assert all(_STAMP.fullmatch(moment) for moment in report["date-range"].values())
    results = {result.value for result in TlsResult}
    for policy in report["policies"]:
        assert set(policy) <= {"policy", "summary", "failure-details"} and {"policy", "summary"} <= set(policy)
        told = policy["policy"]
        assert {"policy-type", "policy-domain"} <= set(told) <= {"policy-type", "policy-string", "policy-domain", "mx-host"}
        assert told["policy-type"] in ("tlsa", "sts", "no-policy-found")
        assert all(isinstance(text, str) for text in (*told.get("policy-string", []), *told.get("mx-host", [])))
        sums = policy["summary"]
        assert set(sums) == {"total-successful-session-count", "total-failure-session-count"}
        failures = policy.get("failure-details", [])
        for one in failures:
            assert one["result-type"] in results and isinstance(one["failed-session-count"], int)
        assert sum(one["failed-session-count"] for one in failures) == sums["total-failure-session-count"]


# The mail (section 5.3)


def test_the_mail_is_as_section_5_3_says() -> None:
    made = build(DAY, "company-y.example", [row(GOOD, 1)], SETTINGS)
    octets = mail(DAY, "company-y.example", made, "reports@company-y.example", AFTER, SETTINGS)
    assert max(map(len, octets.split(b"\r\n"))) <= 998 and b"\n" not in octets.replace(b"\r\n", b"")
    read = message_from_bytes(octets, policy=SMTP)
    assert (read["From"], read["To"]) == ("tls-reports@example.org", "reports@company-y.example")
    assert (read["TLS-Report-Domain"], read["TLS-Report-Submitter"]) == ("company-y.example", "example.org")
    assert read["TLS-Required"] == "No"
    assert read["Subject"] == (
        "Report Domain: company-y.example Submitter: example.org Report-ID: <2026-11-27T00:00:00Z+company-y.example@example.org>"
    )
    assert read.get_content_type() == "multipart/report" and read.get_param("report-type") == "tlsrpt"
    text, attached = read.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    # Section 5.1: submitter ! domain ! begin ! end
    assert attached.get_filename() == "example.org!company-y.example!1795737600!1795823999.json.gz"
    assert json.loads(gzip.decompress(attached.get_content())) == made
    assert not MessageView(octets).anomalies


def test_the_same_report_is_made_of_the_same_day_again() -> None:
    made = [build(DAY, "a.example", [row(GOOD, 1)], SETTINGS) for _ in range(2)]
    assert mail(DAY, "a.example", made[0], "r@a.example", AFTER, SETTINGS) == mail(
        DAY, "a.example", made[1], "r@a.example", AFTER, SETTINGS
    )


def test_reports_of_many_senders_come_spread_over_hours() -> None:
    delays = [delay("a.example", replace(SETTINGS, reports_from=f"r@sender{number}.example")) for number in range(400)]
    assert max(delays) < timedelta(hours=4) and min(delays) >= timedelta(0)
    for hour in range(4):  # a hundred are expected in each
        assert 50 < sum(timedelta(hours=hour) <= one < timedelta(hours=hour + 1) for one in delays) < 150


# The end of a day


def own(folder: Path, zone: FakeZone) -> tuple[Services, SentMail]:
    sent = SentMail()
    return replace(services(folder), resolver=zone, clock=FakeClock(AFTER), submit=sent), sent


async def test_who_asks_gets_a_report_of_the_day_once_and_others_none(tmp_path: Path) -> None:
    zone = FakeZone()
    zone.add("_smtp._tls.a.example", "TXT", "v=TLSRPTv1; rua=mailto:r@a.example,mailto:s@else.example,https://a.example/")
    made, sent = own(tmp_path, zone)
    for domain in ("a.example", "b.example"):
        await on_attempt(attempt(GOOD, domain=domain), SETTINGS, made)
    await on_attempt(attempt(GOOD, domain="a.example", at=AFTER), SETTINGS, made)
    for _ in range(2):
        await on_day(DAY, SETTINGS, made)
    assert [to for to, *_ in sent.sent.values()] == ["r@a.example", "s@else.example"]
    for _, octets, not_before, tls_optional in sent.sent.values():
        assert tls_optional and not_before is not None and AFTER - timedelta(minutes=7) <= not_before < AFTER + timedelta(hours=4)
        (attached,) = [part for part in MessageView(octets).parts() if part.content_type == "application/tlsrpt+gzip"]
        report = json.loads(gzip.decompress(attached.decode()))
        check_schema(report)
        assert report["policies"][0]["summary"]["total-successful-session-count"] == 1


async def test_of_a_next_hop_that_the_admin_named_nobody_is_told(tmp_path: Path) -> None:
    zone = FakeZone({("_smtp._tls.a.example", "TXT"): ["v=TLSRPTv1; rua=mailto:r@a.example"]})
    made, sent = own(tmp_path, zone)
    await on_attempt(attempt(replace(GOOD, is_routed=True), domain="a.example"), SETTINGS, made)
    await on_day(DAY, SETTINGS, made)
    assert not sent.sent


async def test_nothing_is_sent_before_somebody_is_named_as_sender(tmp_path: Path) -> None:
    zone = FakeZone({("_smtp._tls.a.example", "TXT"): ["v=TLSRPTv1; rua=mailto:r@a.example"]})
    made, sent = own(tmp_path, zone)
    await on_attempt(attempt(GOOD, domain="a.example"), TlsrptSettings(), made)
    await on_day(DAY, TlsrptSettings(), made)
    assert not sent.sent


async def test_name_servers_that_fail_are_asked_again_and_given_up_at_noon(tmp_path: Path) -> None:
    zone = FakeZone({("_smtp._tls.slow.example", "TXT"): DnsTemporaryError})
    zone.add("_smtp._tls.a.example", "TXT", "v=TLSRPTv1; rua=mailto:r@a.example")
    made, sent = own(tmp_path, zone)
    for domain in ("slow.example", "a.example"):
        await on_attempt(attempt(GOOD, domain=domain), SETTINGS, made)
    with pytest.raises(NotAllSent):
        await on_day(DAY, SETTINGS, made)
    assert [to for to, *_ in sent.sent.values()] == ["r@a.example"]
    await on_day(DAY, SETTINGS, replace(made, clock=FakeClock(AFTER + timedelta(hours=12))))
    zone.add("_smtp._tls.slow.example", "TXT", "v=TLSRPTv1; rua=mailto:r@slow.example")
    await on_day(DAY, SETTINGS, made)
    assert [to for to, *_ in sent.sent.values()] == ["r@a.example", "r@slow.example"]


async def asked_for(made: Services, zone: FakeZone, rua: str, *domains: str) -> None:
    for domain in domains:
        zone.add(f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:{rua.format(domain)}")
        await on_attempt(attempt(GOOD, domain=domain), SETTINGS, made)


async def test_t_tls_24_a_stranger_with_many_domains_cannot_flood_a_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_FROM_OTHERS", 3)
    zone = FakeZone()
    made, sent = own(tmp_path, zone)
    made = replace(made, kv=MemoryKeyValue(), log=MemoryLog())
    await asked_for(made, zone, "x@a.victim.example", *(f"d{number}.attacker.test" for number in range(10)))
    await asked_for(made, zone, "x@b.victim.example", *(f"e{number}.attacker.test" for number in range(10)))
    await asked_for(made, zone, "own@victim.example", *(f"f{number}.victim.example" for number in range(5)))
    await on_attempt(attempt(GOOD, domain="d7.attacker.test"), SETTINGS, made)
    for _ in range(2):  # after a restart no more
        await on_day(DAY, SETTINGS, made)
    to = [to for to, *_ in sent.sent.values()]
    assert len(to) == 8 and to.count("own@victim.example") == 5  # what it gets about itself is not limited by what strangers do
    assert "2026-11-27 d7.attacker.test x@a.victim.example" in sent.sent  # who has most mail comes first
    assert isinstance(made.log, MemoryLog)
    assert made.log.events[0] == ("warning", "reports left out", {"day": "2026-11-27", "reports": 17})


async def test_t_tls_24_all_reports_of_a_day_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST_A_DAY", 4)
    zone = FakeZone()
    made, sent = own(tmp_path, zone)
    made = replace(made, kv=MemoryKeyValue())
    await asked_for(made, zone, "r@{}", *(f"d{number}.test" for number in range(10)))
    for _ in range(2):
        await on_day(DAY, SETTINGS, made)
    assert len(sent.sent) == 4
    await on_attempt(attempt(GOOD, domain="d1.test", at=AFTER), SETTINGS, made)
    await on_day(AFTER.date(), SETTINGS, made)
    assert len(sent.sent) == 5


async def test_t_tls_24_strangers_below_one_suffix_are_not_taken_for_the_receiver_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_FROM_OTHERS", 3)
    zone = FakeZone()
    made, sent = own(tmp_path, zone)
    made = replace(made, kv=MemoryKeyValue())
    await asked_for(
        made, zone, "x@victim.duckdns.org", *(f"evil{number}.duckdns.org" for number in range(10)), "evilvictim.duckdns.org"
    )
    await asked_for(made, zone, "own@Victim.duckdns.org", "victim.duckdns.org", "a.victim.duckdns.org", "b.victim.duckdns.org")
    await on_day(DAY, SETTINGS, made)
    to = [to.lower() for to, *_ in sent.sent.values()]
    assert (to.count("x@victim.duckdns.org"), to.count("own@victim.duckdns.org")) == (3, 3)


async def test_t_tls_24_one_with_thousands_of_busy_domains_leaves_reports_to_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_A_DAY", 10)
    monkeypatch.setattr(sending, "MOST_ABOUT_ONE", 4)
    zone = FakeZone()
    made, sent = own(tmp_path, zone)
    made = replace(made, kv=MemoryKeyValue())
    for _ in range(2):
        await asked_for(made, zone, "r@busy.test", *(f"d{number}.busy.test" for number in range(20)))
    await asked_for(made, zone, "r@{}", "quiet.test", "calm.test")
    for _ in range(2):
        await on_day(DAY, SETTINGS, made)
    to = [to for to, *_ in sent.sent.values()]
    assert sorted(to) == ["r@busy.test"] * 4 + ["r@calm.test", "r@quiet.test"]


async def test_how_much_was_sent_of_a_day_is_known_for_a_month(tmp_path: Path) -> None:
    zone, clock = FakeZone(), FakeClock(AFTER)
    made, _ = own(tmp_path, zone)
    kv = MemoryKeyValue(clock)
    made = replace(made, kv=kv, clock=clock)
    await asked_for(made, zone, "r@{}", "a.example")
    await on_day(DAY, SETTINGS, made)
    clock.advance(timedelta(days=29))
    assert {row for key, row in kv.counts.items() if key.startswith(b"sent/")} == {(1,)}
    clock.advance(timedelta(days=1))
    assert not [key for key in kv.counts if key.startswith(b"sent/")]


async def test_name_servers_that_let_us_wait_hold_up_nobody_else(tmp_path: Path) -> None:
    zone = FakeZone()
    made, sent = own(tmp_path, zone)
    made = replace(made, kv=MemoryKeyValue())
    await asked_for(made, zone, "r@{}", *(f"slow{number}.test" for number in range(sending.AT_ONCE - 1)), "quick.test")
    answering, at_once, most_at_once = asyncio.Event(), 0, 0

    class Slow(FakeZone):
        async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
            nonlocal at_once, most_at_once
            if "slow" in name:
                at_once += 1
                most_at_once = max(most_at_once, at_once)
                await answering.wait()
                at_once -= 1
            return await zone.resolve(name, record_type)

    async def submit(forward_path: str, octets: bytes, **more: Any) -> bool:
        if forward_path == "r@quick.test":
            answering.set()
        return await sent(forward_path, octets, **more)

    async with asyncio.timeout(10):
        await on_day(DAY, SETTINGS, replace(made, resolver=Slow(), submit=submit))
    assert next(iter(sent.sent.values()))[0] == "r@quick.test" and len(sent.sent) == sending.AT_ONCE
    assert most_at_once <= sending.AT_ONCE


async def test_reports_are_made_off_the_event_loop(tmp_path: Path) -> None:
    zone = FakeZone()
    made, sent = own(tmp_path, zone)
    await asked_for(made, zone, "r@{}", "a.example")
    lent: list[object] = []

    async def run_blocking(function: Callable[[], T]) -> T:
        found = await asyncio.to_thread(function)
        lent.append(found)
        return found

    await on_day(DAY, SETTINGS, replace(made, run_blocking=run_blocking))
    assert [octets for _, octets, *_ in sent.sent.values()] == lent


async def test_t_tls_24_a_report_is_not_reported_about(tmp_path: Path) -> None:
    zone = FakeZone({("_smtp._tls.a.example", "TXT"): ["v=TLSRPTv1; rua=mailto:r@a.example"]})
    made, sent = own(tmp_path, zone)
    await on_attempt(attempt(GOOD, domain="a.example", tls_optional=True), SETTINGS, made)
    await on_day(DAY, SETTINGS, made)
    assert not sent.sent


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"reports_from": "example.org"}, "'example.org' is no address; write tls-reports@example.org"),
        ({"reports_from": "a b@example.org"}, "is no address"),
        ({"reports_from": "a@b c"}, "'b c' is no domain"),
        ({"rua": "tls@example.org"}, "'tls@example.org' is no local-part"),
    ],
)
def test_wrong_settings_are_problems_with_their_place(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(PolicyError) as error:
        made_policy("outbound", ["tlsrpt"], {"tlsrpt": settings}, {})
    assert problem in str(error.value)


def test_a_domain_of_other_letters_reports_in_a_labels() -> None:
    assert TlsrptSettings(reports_from="tls@Bücher.example").reports_from == "tls@xn--bcher-kva.example"
