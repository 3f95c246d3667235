"""`mailward tls forecast` and `reports`: what is known, in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

from mailward.api import (
    CommandAnswer,
    CommandOption,
    ServerCall,
    ServerCommand,
    TlsLevel,
    parse_duration,
)
from mailward_plugins.tlsrpt.forecast import Forecast, Host, forecast
from mailward_plugins.tlsrpt.history import first_day, rows
from mailward_plugins.tlsrpt.reading import Failure
from mailward_plugins.tlsrpt.received import Kept, reports

DEFAULT_SINCE = "30d"
ASKED = (TlsLevel.REQUIRED, TlsLevel.VERIFIED)
_WORDS = {
    TlsLevel.REQUIRED: "required (never in clear)",
    TlsLevel.VERIFIED: "verified (and the server proves its name)",
}


async def _forecast(call: ServerCall) -> CommandAnswer:
    domain, period = call.options["require"], call.options.get("since", DEFAULT_SINCE)
    today = call.services.clock.now().date()
    since = today - min(parse_duration(period), timedelta(days=36_500))
    oldest = await first_day(call.services.kv)
    found = {}
    if oldest is not None:
        for level in ASKED:
            found[level] = await forecast(rows(call.services.kv, max(since, oldest), today), domain, level)
    known = found.get(TlsLevel.REQUIRED)
    data = {
        "domain": domain,
        "since": since.isoformat(),
        "known_since": None if oldest is None else oldest.isoformat(),
        "connections": 0 if known is None else known.connections,
        "levels": {level.value: _data(one) for level, one in found.items()},
    }
    if known is None or not known.connections:
        kept = "nothing is remembered yet" if oldest is None else f"the history begins on {oldest:%Y-%m-%d}"
        return CommandAnswer(f"no connection to a server of {domain} in the last {period}; {kept}", data)
    lines = [f"{domain}: {_count(known.connections, 'connection')} since {max(since, oldest or since):%Y-%m-%d}"]
    for level, one in found.items():
        lines += _told(level, one)
    return CommandAnswer("\n".join(lines), data, 1 if any(one.failing for one in found.values()) else 0)


def _told(level: TlsLevel, found: Forecast) -> Sequence[str]:
    some = f", {found.unknown} cannot be told" if found.unknown else ""
    if not found.failing:
        return [f"{_WORDS[level]}: none would have failed{some}"]
    head = f"{_WORDS[level]}: {found.failing} of {found.connections} would have failed{some}"
    return [head, *(f"  {_line(host)}" for host in found.hosts if host.failing)]


def _line(host: Host) -> str:
    at = f"{host.last_failed_at.astimezone():%Y-%m-%d %H:%M %Z}" if host.last_failed_at else ""
    named = " (which a route or a reroute names, not the domain)" if host.is_routed else ""
    return f"{host.mx_host}{named}: {host.failing} of {host.connections}, last {at}: {host.reason}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _data(found: Forecast) -> Mapping[str, object]:
    return {
        "failing": found.failing,
        "unknown": found.unknown,
        "hosts": [
            {
                "host": host.mx_host,
                "routed": host.is_routed,
                "connections": host.connections,
                "failing": host.failing,
                "unknown": host.unknown,
                "reason": host.reason,
                "last_failed_at": host.last_failed_at.isoformat() if host.last_failed_at else None,
            }
            for host in found.hosts
        ],
    }


MEANINGS = {
    "starttls-not-supported": "our server did not offer STARTTLS",
    "certificate-host-mismatch": "the certificate did not name our server",
    "certificate-expired": "the certificate had expired",
    "certificate-not-trusted": "the certificate was of no authority that they trust",
    "validation-failure": "TLS failed for a reason of its own",
    "tlsa-invalid": "our TLSA records were wrong",
    "dnssec-invalid": "our DNSSEC was wrong",
    "dane-required": "they want DANE, and we do not have it",
    "sts-policy-fetch-error": "our MTA-STS policy could not be fetched",
    "sts-policy-invalid": "our MTA-STS policy was wrong",
    "sts-webpki-invalid": "the web server of our MTA-STS policy could not prove its name",
}
"""Result types (RFC 8460 section 4.3), from the side that is told of them."""


async def _reports(call: ServerCall) -> CommandAnswer:
    period, domain = call.options.get("since", DEFAULT_SINCE), call.options.get("domain", "")
    today = call.services.clock.now().date()
    since = today - min(parse_duration(period), timedelta(days=36_500))
    found = [kept async for kept in reports(call.services.kv, since) if domain in ("", kept.domain)]
    data = {"since": since.isoformat(), "reports": [_report_data(kept) for kept in found]}
    if not found:
        about = f" about {domain}" if domain else ""
        return CommandAnswer(f"no reports{about} in the last {period}", data)
    return CommandAnswer("\n".join(line for kept in found for line in _report_lines(kept)), data)


def _report_lines(kept: Kept) -> Sequence[str]:
    policies = kept.report.policies
    well, failed = sum(policy.successful for policy in policies), sum(policy.failed for policy in policies)
    who = f"{kept.report.organization or kept.submitter} ({kept.submitter})"
    lines = [f"{kept.report.end.date()}  {kept.domain}  {who}: {_count(well, 'connection')} went well, {failed} failed"]
    for policy in policies:
        told = sum(failure.count for failure in policy.failures)
        lines += [f"  {failure.count}: {_why(failure)}" for failure in policy.failures]
        if policy.failed > told:
            lines.append(f"  {policy.failed - told}: no reason was told")
    return lines


def _why(failure: Failure) -> str:
    known = MEANINGS.get(failure.result)
    what = f"{known} ({failure.result})" if known else failure.result or "no reason was told"
    where = f" at {failure.mx_host}" if failure.mx_host else f" at {failure.receiving_ip}" if failure.receiving_ip else ""
    whence = f" from {failure.sending_ip}" if failure.sending_ip else ""
    return f"{what}{where}{whence}{f': {failure.reason}' if failure.reason else ''}"


def _report_data(kept: Kept) -> Mapping[str, object]:
    report = kept.report
    return {
        "domain": kept.domain,
        "submitter": kept.submitter,
        "organization": report.organization,
        "contact": report.contact,
        "id": report.id,
        "begin": report.begin.isoformat(),
        "end": report.end.isoformat(),
        "policies": [asdict(policy) for policy in report.policies],
    }


COMMANDS = (
    ServerCommand(
        "tls",
        "forecast",
        "Say what would have failed, had TLS been required of a domain. It is told from what became of earlier connections.\n\n"
        "Exits 1 when some connections would not have been good enough, 0 when all would, or none was made.\n\n"
        "Example: mailward tls forecast --require example.net --since 30d",
        _forecast,
        {
            "require": CommandOption("The domain that mail goes to.", "domain", required=True),
            "since": CommandOption(f"Only the last 12h, 7d ...; else {DEFAULT_SINCE}.", "duration"),
        },
    ),
    ServerCommand(
        "tls",
        "reports",
        "Say what others report of their connections to us. It shows how many went well, how many failed, and why.\n\n"
        "Example: mailward tls reports --domain example.org --since 7d",
        _reports,
        {
            "domain": CommandOption("Only reports about this domain of ours.", "domain"),
            "since": CommandOption(f"Only the last 12h, 7d ...; else {DEFAULT_SINCE}.", "duration"),
        },
    ),
)
