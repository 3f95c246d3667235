"""TLSRPT: what becomes of connections, ours to others and theirs to us, and who is told of it (RFC 8460)."""

from collections.abc import Iterable
from datetime import date

from mailward.api import (
    DnsRecord,
    EnvelopeView,
    Evidence,
    Finding,
    MessageView,
    Plugin,
    RelayingAttempt,
    ServerCommand,
    Services,
    hookimpl,
)
from mailward_plugins.tlsrpt.commands import COMMANDS
from mailward_plugins.tlsrpt.history import count
from mailward_plugins.tlsrpt.reading import Unreadable, read_part, report_part
from mailward_plugins.tlsrpt.received import Kept, keep
from mailward_plugins.tlsrpt.sending import send_reports
from mailward_plugins.tlsrpt.settings import TlsrptFacts, TlsrptSettings
from mailward_plugins.tlsrpt.trust import our_domain, submitter_of

plugin = Plugin(
    api=1,
    summary="Remembers how well connections to others were protected, reports it to them, and takes in their reports",
    settings=TlsrptSettings,
    facts=TlsrptFacts,
    capabilities=("body", "network"),
)


@hookimpl
async def on_attempt(attempt: RelayingAttempt, settings: TlsrptSettings, services: Services) -> None:
    """What may go without TLS, reports above all, says nothing about the policies that others publish."""
    if attempt.sessions and not attempt.relaying.tls_optional:
        left_out = await count(services.kv, attempt, settings.keep)
        if left_out:
            services.log.warning("history is full", domain=attempt.relaying.domain, connections=left_out)


@hookimpl
async def on_day(day: date, settings: TlsrptSettings, services: Services) -> None:
    """The reports of the day, where somebody is to send them."""
    if settings.domain:
        await send_reports(day, settings, services)


@hookimpl(after="dkim")
async def inspect_message(
    envelope: EnvelopeView, message: MessageView, evidence: Evidence, settings: TlsrptSettings, services: Services
) -> Finding | None:
    """Keep a report that comes to the address where we ask for them. The message itself goes on as any other."""
    domain = our_domain(envelope, settings)
    if not domain:
        return None
    part = await services.run_blocking(lambda: report_part(message))
    if part is None:
        return None
    submitter = submitter_of(message, evidence)
    if not submitter:
        problem = "no DKIM signature of its author's domain holds"  # RFC 8460 section 3: then it must be ignored
    else:
        try:
            report = await services.run_blocking(lambda: read_part(part))
        except Unreadable as error:
            problem = str(error)
        else:
            problem = await keep(services.kv, Kept(submitter, domain, report), services.clock.now(), settings.keep)
    if problem:
        return Finding(None, f"a TLS report that is not kept: {problem}", facts=TlsrptFacts("refused"))
    return Finding(None, f"a TLS report of {submitter}", facts=TlsrptFacts("kept"))


@hookimpl
def collect_dns_records(domain: str, settings: TlsrptSettings) -> DnsRecord:
    """Where others may send their reports about us."""
    why = "others report daily what became of their connections to us; mailward tls reports shows it (RFC 8460)"
    return DnsRecord(f"_smtp._tls.{domain}.", "TXT", f'"v=TLSRPTv1; rua=mailto:{settings.rua}@{domain}"', why)


@hookimpl
def collect_commands() -> Iterable[ServerCommand]:
    """mailward tls forecast, and reports."""
    return COMMANDS
