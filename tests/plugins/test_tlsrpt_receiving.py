"""tlsrpt: the reports of others are read within bounds, believed when they are signed, and told in plain words."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.api import (
    Address,
    CommandAnswer,
    EnvelopeView,
    Facts,
    Finding,
    ForwardPath,
    MessageView,
    ReversePath,
    ServerCall,
    Services,
    TlsResult,
    TlsSession,
    alike,
)
from mailward.model.tls import NO_POLICY
from mailward.testing import FakeClock, MemoryKeyValue
from mailward_plugins.dkim.settings import DkimFacts
from mailward_plugins.tlsrpt import collect_commands, collect_dns_records, inspect_message
from mailward_plugins.tlsrpt.history import Row
from mailward_plugins.tlsrpt.reading import MAX_FAILURES, MAX_OCTETS, Unreadable, read, read_part, report_part
from mailward_plugins.tlsrpt.received import MOST_A_DAY, MOST_OCTETS, MOST_OF_ONE, Kept, keep, reports
from mailward_plugins.tlsrpt.record import parse_record
from mailward_plugins.tlsrpt.report import build, mail
from mailward_plugins.tlsrpt.settings import TlsrptFacts, TlsrptSettings
from support.plugin_services import evidence, services

AT = datetime(2016, 4, 2, 9, tzinfo=UTC)
THEIRS = TlsrptSettings(reports_from="sts-reporting@company-x.example")
YEAR = timedelta(days=365)

APPENDIX_B: dict[str, Any] = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [{
        "policy": {
            "policy-type": "sts",
            "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
            "policy-domain": "company-y.example",
            "mx-host": ["*.mail.company-y.example"],
        },
        "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
        "failure-details": [
            {
                "result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1",
                "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100,
            },
            {
                "result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1",
                "receiving-mx-hostname": "mx2.mail.company-y.example", "receiving-ip": "203.0.113.56",
                "failed-session-count": 200,
                "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported",
            },
            {
                "result-type": "validation-failure", "sending-mta-ip": "198.51.100.62", "receiving-ip": "203.0.113.58",
                "receiving-mx-hostname": "mx-backup.mail.company-y.example", "failed-session-count": 3,
                "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
            },
        ],
    }],
}  # fmt: skip
"""RFC 8460 appendix B, its values."""


def octets_of(report: object) -> bytes:
    return json.dumps(report).encode()


def changed(**keys: object) -> bytes:
    return octets_of({**APPENDIX_B, **{key.replace("_", "-"): value for key, value in keys.items()}})


def test_the_rfcs_example_is_read() -> None:
    report = read(octets_of(APPENDIX_B))
    assert (report.organization, report.id) == ("Company-X", "5065427c-23d3-47ca-b6e0-946ea0e8c4be")
    assert (report.begin, report.end) == (datetime(2016, 4, 1, tzinfo=UTC), datetime(2016, 4, 1, 23, 59, 59, tzinfo=UTC))
    (policy,) = report.policies
    assert (policy.type, policy.domain, policy.successful, policy.failed) == ("sts", "company-y.example", 5326, 303)
    assert [(one.result, one.count) for one in policy.failures] == [
        ("starttls-not-supported", 200),
        ("certificate-expired", 100),
        ("validation-failure", 3),
    ]
    assert policy.failures[2].reason == "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"


HOSTILE: Mapping[str, bytes] = {
    "nothing": b"",
    "xml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'a'>]><x>&a;</x>",
    "a list": b"[]",
    "not utf-8": b'{"report-id": "\xff\xfe"}',
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a huge number": b'{"report-id": ' + b"9" * 100_000 + b"}",
    "too large": b'"' + b"a" * MAX_OCTETS + b'"',
    "no day": changed(date_range={}),
    "a day of text": changed(date_range={"start-datetime": "yesterday", "end-datetime": "today"}),
    "the year 0": changed(date_range={"start-datetime": "0000-01-01T00:00:00Z", "end-datetime": "0001-01-01T00:00:00Z"}),
    "before all time": changed(
        date_range={"start-datetime": "0001-01-01T00:00:00+14:00", "end-datetime": "2016-04-01T00:00:00Z"}
    ),
    "backwards": changed(date_range={"start-datetime": "2016-04-02T00:00:00Z", "end-datetime": "2016-04-01T00:00:00Z"}),
    "no id": changed(report_id=""),
    "no policies": changed(policies=None),
    "policies of text": changed(policies=["sts"]),
    "a thousand policies": changed(policies=APPENDIX_B["policies"] * 1000),
    "a negative count": changed(policies=[{"summary": {"total-failure-session-count": -1}}]),
    "half a session": changed(policies=[{"summary": {"total-failure-session-count": 0.5}}]),
    "true sessions": changed(policies=[{"summary": {"total-failure-session-count": True}}]),
    "infinite sessions": b'{"report-id":"x","date-range":{"start-datetime":"2016-04-01T00:00:00Z","end-datetime":"2016-04-01T00:00:00Z"},'
    b'"policies":[{"summary":{"total-failure-session-count":Infinity}}]}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_t_dos_13_what_is_no_report_is_unreadable_and_nothing_worse(name: str) -> None:
    with pytest.raises(Unreadable):
        read(HOSTILE[name])


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*APPENDIX_B, *APPENDIX_B["policies"][0], "x"]), inner),
))  # fmt: skip
def test_any_json_is_a_report_or_unreadable(found: object) -> None:
    for octets in (octets_of(found), octets_of({**APPENDIX_B, "policies": [found]})):
        try:
            read(octets)
        except Unreadable:
            continue


def message(attachment: bytes, kind: str = "application/tlsrpt+gzip", author: str = "a@company-x.example") -> MessageView:
    head = f"From: <{author}>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b; report-type=tlsrpt\r\n"
    part = f"\r\n--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return MessageView(head.encode() + part.encode() + attachment + b"\r\n--b--\r\n")


def read_message(view: MessageView) -> object:
    part = report_part(view)
    assert part is not None
    return read_part(part)


@pytest.mark.parametrize("kind", ["application/tlsrpt+gzip", "application/tlsrpt+json", "Application/TLSRPT+gzip"])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_report_is_read_as_what_it_is_whatever_it_is_called(kind: str, compressed: bool) -> None:
    octets = octets_of(APPENDIX_B)
    assert read_message(message(gzip.compress(octets) if compressed else octets, kind)) == read(octets)


def test_t_dmarc_10_a_gzip_bomb_costs_no_more_than_its_bound() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(256)), packer.flush()])
    assert len(bomb) < 1 << 20
    view = message(bomb)
    tracemalloc.start()
    with pytest.raises(Unreadable, match="more than 1 MiB"):
        read_message(view)
    _, peak_octets = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_octets < 5 * MAX_OCTETS


@pytest.mark.parametrize(
    "repeated", [b'{"a":1},', b"{},", b"[],", b"[[[]]],", b'"\xf0\x9f\x93\xa7",', b'"' + b"\xf0\x9f\x93\xa7" * 90_000 + b'",']
)
def test_t_dos_13_whatever_a_report_is_made_of_it_takes_few_megabytes(repeated: bytes) -> None:
    """The worst of JSON takes 25 octets of memory for each that it is written with."""
    octets = b'{"policies":[' + repeated * ((MAX_OCTETS - 20) // len(repeated)) + b"1]}"
    view = message(gzip.compress(octets))
    tracemalloc.start()
    with pytest.raises(Unreadable):
        read_message(view)
    _, peak_octets = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(octets) <= MAX_OCTETS and peak_octets < 12 << 20


def test_the_largest_report_that_we_make_we_can_read() -> None:
    session = TlsSession(NO_POLICY, "m" * 253, "192.0.2.1", "2001:db8::1", None, TlsResult.STARTTLS_NOT_SUPPORTED, "x" * 200)
    many = [Row(AT.date(), "company-y.example", replace(session, receiving_ip=f"192.0.2.{n}"), 1, AT) for n in range(3000)]
    octets = mail(AT.date(), "x.example", build(AT.date(), "x.example", many, THEIRS), "a@x.example", AT, THEIRS)
    part = report_part(MessageView(octets))
    assert part is not None and read_part(part).policies[0].failed == 3000


@pytest.mark.parametrize(
    "attachment",
    [gzip.compress(octets_of(APPENDIX_B))[:-12], b"\x1f\x8b\x08nothing more", b"\x1f\x8b", bytes(3 << 20)],
    ids=["cut", "wrong", "only its mark", "larger than mail should be"],
)
def test_what_cannot_be_unpacked_is_unreadable(attachment: bytes) -> None:
    with pytest.raises(Unreadable):
        read_message(message(attachment))


# What is kept


def kept(number: int = 1, domain: str = "company-y.example", **keys: object) -> Kept:
    return Kept("company-x.example", domain, read(changed(report_id=f"r{number}", **keys)))


async def all_kept(kv: MemoryKeyValue) -> list[Kept]:
    return [one async for one in reports(kv, datetime(2000, 1, 1, tzinfo=UTC).date())]


async def test_a_report_that_comes_twice_is_kept_once_and_read_back_as_it_was() -> None:
    kv = MemoryKeyValue()
    for _ in range(2):
        assert await keep(kv, kept(), AT, YEAR) == ""
    assert await all_kept(kv) == [kept()]
    await keep(kv, kept(2), AT, YEAR)
    await keep(kv, replace(kept(), submitter="else.example"), AT, YEAR)
    assert len(await all_kept(kv)) == 3


async def test_t_dmarc_10_a_flood_of_reports_about_a_day_is_bounded() -> None:
    kv = MemoryKeyValue()
    answers = [
        await keep(kv, replace(kept(number), submitter=f"s{number}.example"), AT, YEAR) for number in range(MOST_A_DAY + 5)
    ]
    assert [answer.split(",")[0] for answer in answers if answer] == [f"{MOST_A_DAY} reports about its day"] * 5
    assert len(await all_kept(kv)) == MOST_A_DAY


async def test_t_tls_24_who_sends_many_reports_shuts_nobody_out() -> None:
    kv = MemoryKeyValue()
    answers = [await keep(kv, replace(kept(n), submitter=f"s{n}.evil.example"), AT, YEAR) for n in range(MOST_OF_ONE + 5)]
    assert [answer for answer in answers if answer] == [f"{MOST_OF_ONE} reports about its day came from evil.example already"] * 5
    assert await keep(kv, kept(), AT, YEAR) == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.example.org", "B.example.org", True),
        ("example.org", "mail.example.org", True),
        ("a.example.co.uk", "b.example.co.uk", True),
        ("one.co.uk", "two.co.uk", False),
        ("one.org", "two.org", False),
        ("org", "org", True),
    ],
)
def test_names_in_one_hand_end_alike(one: str, other: str, same: bool) -> None:
    assert (alike(one) == alike(other)) is same


async def test_reports_about_days_far_away_are_not_kept_and_old_ones_go() -> None:
    kv = MemoryKeyValue()
    assert "is still to come" in await keep(kv, kept(), AT - timedelta(days=4), YEAR)
    assert "nothing is kept any more" in await keep(kv, kept(), AT + 2 * YEAR, YEAR)
    assert await keep(kv, kept(), AT, YEAR) == ""
    span = {"start-datetime": "2018-04-01T00:00:00Z", "end-datetime": "2018-04-01T23:59:59Z"}
    assert await keep(kv, kept(2, date_range=span), AT + 2 * YEAR, YEAR) == ""
    assert [one.report.id for one in await all_kept(kv)] == ["r2"]


async def test_of_very_many_long_failures_those_that_matter_most_are_kept() -> None:
    details = [{"result-type": '"' * 500, "receiving-mx-hostname": "\\" * 500, "failed-session-count": n} for n in range(400)]
    kv = MemoryKeyValue()
    big = kept(policies=[{**APPENDIX_B["policies"][0], "failure-details": details}, *APPENDIX_B["policies"] * 49])
    assert sum(len(policy.failures) for policy in big.report.policies) == MAX_FAILURES
    await keep(kv, big, AT, YEAR)
    (value,) = kv.values.values()
    assert len(value) <= MOST_OCTETS
    (one,) = await all_kept(kv)
    assert one.report.policies[0].failures[0].count == 399 and len(one.report.policies) == 50


# The hook


def signed_by(*domains: str) -> Finding:
    facts: Facts = DkimFacts("pass" if domains else "none", domains)
    return Finding(None, "x", facts=facts)


def to(*addresses: str) -> EnvelopeView:
    paths = tuple(ForwardPath(Address(*address.split("@"))) for address in addresses)
    return EnvelopeView(ReversePath(None), paths)


async def inspect(
    own: Services, view: MessageView, *signers: str, envelope: EnvelopeView | None = None
) -> tuple[str, str] | None:
    addressed = envelope or to("postmaster@company-y.example")
    found = await inspect_message(addressed, view, evidence(dkim=signed_by(*signers)), TlsrptSettings(), own)
    if found is None:
        return None
    assert isinstance(found.facts, TlsrptFacts)
    return found.facts.report, found.text


def own(folder: Path) -> Services:
    return replace(services(folder), clock=FakeClock(AT), kv=MemoryKeyValue())


GOOD = message(gzip.compress(octets_of(APPENDIX_B)))


async def test_a_signed_report_to_our_address_is_kept(tmp_path: Path) -> None:
    made = own(tmp_path)
    assert await inspect(made, GOOD, "company-x.example") == ("kept", "a TLS report of company-x.example")
    (one,) = await all_kept(made.kv)  # type: ignore[arg-type]
    assert asdict(one) == asdict(Kept("company-x.example", "company-y.example", read(octets_of(APPENDIX_B))))


@pytest.mark.parametrize("signers", [(), ("else.example",), ("sub.company-x.example",), ("x.example",)])
async def test_a_report_that_its_author_has_not_signed_is_ignored(tmp_path: Path, signers: tuple[str, ...]) -> None:
    """RFC 8460 section 3."""
    made = own(tmp_path)
    answer = await inspect(made, GOOD, *signers)
    assert answer == ("refused", "a TLS report that is not kept: no DKIM signature of its author's domain holds")
    assert not await all_kept(made.kv)  # type: ignore[arg-type]


async def test_the_domain_above_may_sign(tmp_path: Path) -> None:
    view = message(gzip.compress(octets_of(APPENDIX_B)), author="a@reports.company-x.example")
    assert (await inspect(own(tmp_path), view, "company-x.example") or ("",))[0] == "kept"


async def test_other_mail_and_other_addresses_are_left_alone(tmp_path: Path) -> None:
    plain = MessageView(b"From: a@company-x.example\r\n\r\nhello\r\n")
    assert await inspect(own(tmp_path), plain, "company-x.example") is None
    assert await inspect(own(tmp_path), GOOD, "company-x.example", envelope=to("bob@company-y.example")) is None


async def test_an_unreadable_report_is_told_and_is_mail_as_any_other(tmp_path: Path) -> None:
    answer = await inspect(own(tmp_path), message(b"\x1f\x8bx"), "company-x.example")
    assert answer == ("refused", "a TLS report that is not kept: its compressed octets end too early")


async def test_what_we_send_we_can_read(tmp_path: Path) -> None:
    view = MessageView(mail(AT.date(), "company-y.example", APPENDIX_B, "postmaster@company-y.example", AT, THEIRS))
    assert await inspect(own(tmp_path), view, "company-x.example") == ("kept", "a TLS report of company-x.example")


# What is told


async def say(made: Services, **options: str) -> CommandAnswer:
    command = next(command for command in collect_commands() if command.name == "reports")
    return await command.run(ServerCall(options, TlsrptSettings(), made))


async def test_the_command_says_who_could_not_deliver_and_why(tmp_path: Path) -> None:
    made = own(tmp_path)
    assert (await say(made)).text == "no reports in the last 30d"
    await inspect(made, GOOD, "company-x.example")
    answer = await say(made, since="7d")
    assert answer.exit_code == 0 and answer.text.splitlines() == [
        "2016-04-01  company-y.example  Company-X (company-x.example): 5326 connections went well, 303 failed",
        "  200: our server did not offer STARTTLS (starttls-not-supported) at mx2.mail.company-y.example from 2001:db8:abcd:0013::1: "
        "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported",
        "  100: the certificate had expired (certificate-expired) at mx1.mail.company-y.example from 2001:db8:abcd:0012::1",
        "  3: TLS failed for a reason of its own (validation-failure) at mx-backup.mail.company-y.example from 198.51.100.62: "
        "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
    ]
    assert (await say(made, domain="else.example")).text == "no reports about else.example in the last 30d"
    told: Any = (await say(made, domain="company-y.example")).data["reports"]
    assert told[0]["policies"][0]["failures"][1]["result"] == "certificate-expired" and json.dumps(told)


async def test_failures_without_details_are_told_as_such(tmp_path: Path) -> None:
    made = own(tmp_path)
    policy = {**APPENDIX_B["policies"][0], "failure-details": []}
    await keep(made.kv, kept(policies=[policy]), AT, YEAR)
    assert (await say(made)).text.splitlines()[1:] == ["  303: no reason was told"]


def test_the_record_to_publish_names_the_address_that_is_read() -> None:
    record = collect_dns_records("example.org", TlsrptSettings(rua="tls"))
    assert (record.name, record.type) == ("_smtp._tls.example.org.", "TXT")
    assert parse_record(record.value.strip('"')).addresses == ("tls@example.org",)
