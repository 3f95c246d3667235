"""One day's report about one domain, and the mail that carries it (RFC 8460 sections 4.4 and 5.3)."""

import gzip
import json
import textwrap
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from hashlib import sha256

from mailward.api import TlsPolicy
from mailward_plugins.tlsrpt.history import Row
from mailward_plugins.tlsrpt.settings import TlsrptSettings

MOST_FAILURES = 1000
"""Kinds of failure that one report tells; all are in its sums."""

Report = dict[str, object]


def report_id(day: date, domain: str, settings: TlsrptSettings) -> str:
    """The same whenever it is made, so that who gets a report twice knows it."""
    return f"{day.isoformat()}T00:00:00Z+{domain}@{settings.domain}"


def build(day: date, domain: str, rows: Iterable[Row], settings: TlsrptSettings) -> Report:
    """The report as JSON has it. rows: those of the day and the domain."""
    by_policy: dict[TlsPolicy, list[Row]] = {}
    for row in rows:
        if row.count:
            by_policy.setdefault(row.session.policy, []).append(row)
    return {
        "organization-name": settings.organization or settings.domain,
        "date-range": {"start-datetime": f"{day.isoformat()}T00:00:00Z", "end-datetime": f"{day.isoformat()}T23:59:59Z"},
        "contact-info": settings.reports_from,
        "report-id": report_id(day, domain, settings),
        "policies": [_policy(policy, domain, some) for policy, some in by_policy.items()],
    }


def mail(day: date, domain: str, report: Report, to: str, at: datetime, settings: TlsrptSettings) -> bytes:
    """The whole message."""
    ours, number = settings.domain, report_id(day, domain, settings)
    start = datetime.combine(day, time(), UTC)
    begin, end = int(start.timestamp()), int((start + timedelta(days=1)).timestamp()) - 1
    filename = f"{ours}!{domain}!{begin}!{end}.json.gz"
    content = b64encode(gzip.compress(json.dumps(report).encode("ascii"), mtime=0)).decode("ascii")
    boundary = "=_" + sha256(f"{number} {to}".encode()).hexdigest()[:32]
    head = [
        f"From: <{settings.reports_from}>",
        f"To: <{to}>",
        f"Subject: Report Domain: {domain}\r\n Submitter: {ours}\r\n Report-ID: <{number}>",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{sha256(f'{number} {to}'.encode()).hexdigest()[:32]}@{ours}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {ours}",
        "TLS-Required: No",  # RFC 8460 section 3: a report arrives though TLS to its receiver is broken; RFC 8689 section 5
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"',
    ]
    text = [
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is the report of {ours} about its connections to the mail servers of",
        f"{domain} on {day.isoformat()} (UTC), as RFC 8460 describes it.",
    ]
    attached = [
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n filename="{filename}"',
        "",
        *textwrap.wrap(content, 76),
    ]
    lines = [*head, "", f"--{boundary}", *text, "", f"--{boundary}", *attached, "", f"--{boundary}--", ""]
    return "\r\n".join(lines).encode("ascii")


def delay(domain: str, settings: TlsrptSettings) -> timedelta:
    """How long after midnight this report leaves: spread over the day, and different for each sender (RFC 8460 section 4.1)."""
    chance = int.from_bytes(sha256(f"{settings.domain} {domain}".encode()).digest()[:4], "big") / (1 << 32)
    return settings.spread * chance


def _policy(policy: TlsPolicy, domain: str, rows: Sequence[Row]) -> Report:
    told: Report = {"policy-type": policy.type.value, "policy-domain": policy.domain or domain}
    if policy.strings:
        told["policy-string"] = list(policy.strings)
    if policy.mx_hosts:
        told["mx-host"] = list(policy.mx_hosts)
    failed = [row for row in rows if row.session.result is not None]
    sums = {
        "total-successful-session-count": sum(row.count for row in rows if row.session.result is None),
        "total-failure-session-count": sum(row.count for row in failed),
    }
    found: Report = {"policy": told, "summary": sums}
    if failed:
        failed.sort(key=lambda row: -row.count)
        found["failure-details"] = [_failure(row) for row in failed[:MOST_FAILURES]]
    return found


def _failure(row: Row) -> Report:
    session = row.session
    values = {
        "result-type": session.result.value if session.result else "",
        "sending-mta-ip": session.sending_ip,
        "receiving-mx-hostname": session.mx_host,
        "receiving-ip": session.receiving_ip,
        "failed-session-count": row.count,
        "failure-reason-code": session.detail,
    }
    return {name: value for name, value in values.items() if value != ""}
