"""TLS reports that others sent or made up: Google's and Microsoft's as mox and parsedmarc keep them."""

from datetime import date

import pytest

from mailward.api import MessageView
from mailward_plugins.tlsrpt.reading import read, read_part, report_part
from support.corpora import corpus_members

MEMBERS = corpus_members("dmarc", "reports.tar.xz")
EXPECTED = {
    "mox/tlsrpt/example.eml": ("Google Inc.", "2022-09-15T00:00:00Z_test.xmox.nl", date(2022, 9, 15), "sts", 3, 0),
    "mox/tlsrpt/microsoft.eml": (  # its moments have no zone
        "Microsoft Corporation", "133198585438131172+test.xmox.nl", date(2023, 1, 10), "sts", 2, 0,
    ),
    "parsedmarc/smtp_tls/google.com_smtp_tls_report.eml": (
        "Google Inc.", "2024-09-03T00:00:00Z_cardinalhealth.ca", date(2024, 9, 3), "no-policy-found", 48, 0,
    ),
    "parsedmarc/smtp_tls/smtp_tls.json": ("Example Inc.", "2024-01-09T00:00:00Z_example.com", date(2024, 1, 9), "sts", 0, 3),
}  # fmt: skip


def test_every_sample_is_expected_to_say_something() -> None:
    named = {name.removeprefix("./") for name in MEMBERS if "tls" in name}
    assert named == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_says_what_its_sender_meant(name: str) -> None:
    octets = next(content for member, content in MEMBERS.items() if member.removeprefix("./") == name)
    if name.endswith(".json"):
        report = read(octets)
    else:
        part = report_part(MessageView(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
        assert part is not None
        report = read_part(part)
    (policy,) = report.policies
    said = (report.organization, report.id, report.begin.date(), policy.type, policy.successful, policy.failed)
    assert said == EXPECTED[name]
    assert sum(failure.count for failure in policy.failures) == policy.failed


@pytest.mark.parametrize("name", sorted(name for name in MEMBERS if "tls" not in name and name.endswith(".eml")))
def test_reports_of_other_kinds_are_none(name: str) -> None:
    assert report_part(MessageView(MEMBERS[name])) is None
