"""Encryption: with whom must mail be exchanged over TLS only?"""

from mailward.api import (
    EnvelopeView,
    Finding,
    MailHost,
    Plugin,
    Relaying,
    Services,
    SessionView,
    Symbol,
    TlsLevel,
    TlsRequirement,
    hookimpl,
)
from mailward_plugins.encryption.dane import dane_requirement
from mailward_plugins.encryption.mta_sts import sts_requirement
from mailward_plugins.encryption.rules import level_of, own_requirement
from mailward_plugins.encryption.settings import EncryptionFacts, EncryptionSettings
from mailward_plugins.encryption.sts_book import StsBook

plugin = Plugin(
    api=1,
    summary="Asks for TLS, by domain: of those who send to us, and on the way to other servers",
    settings=EncryptionSettings,
    facts=EncryptionFacts,
    symbols={"ENCRYPTION_MISSING": Symbol(0.0, "Mail that must come encrypted comes in clear")},
    capabilities=("network",),
)


@hookimpl(inline=True)
def inspect_mail(session: SessionView, envelope: EnvelopeView, settings: EncryptionSettings) -> Finding:
    """By the domain of the reverse-path; the null reverse-path has the default."""
    address = envelope.reverse_path.address
    level, entry = level_of("" if address is None else address.domain, settings)
    facts = EncryptionFacts(required=level != "opportunistic", satisfied=session.tls is not None)
    if session.tls is not None:
        return Finding(None, f"encrypted with {session.tls.version}", facts=facts)
    if facts.required:
        return Finding("ENCRYPTION_MISSING", f"in clear, though the policy says {entry}: {level}", facts=facts)
    return Finding(None, "in clear", facts=facts)


@hookimpl
async def on_day(settings: EncryptionSettings, services: Services) -> None:
    """MTA-STS policies are fetched anew before they are over, whether or not mail goes to their domains today."""
    services.memory.of(StsBook).tidy(services, renew=settings.mta_sts)


@hookimpl
async def collect_tls_requirement(
    relaying: Relaying, host: MailHost, settings: EncryptionSettings, services: Services
) -> list[TlsRequirement]:
    """What the admin says of the domain the mail goes to, and what the domain itself has published.

    Nothing is asked for where a user lets his mail go without TLS (RFC 8689 section 5), or a bypass holds; nor of reports,
    which tell that TLS fails (RFC 8460 section 3).
    """
    if relaying.tls_optional and (settings.heed_senders or relaying.origin == "server"):
        return [TlsRequirement(TlsLevel.OPPORTUNISTIC, "its sender lets it go without TLS, TLS-Required: No")]
    own, is_bypass = own_requirement(relaying.domain, settings, services.clock.now().date())
    if is_bypass:
        services.log.info("encryption bypassed", domain=relaying.domain, host=host.name, why=own.why)
        return [own]
    by_dane = await dane_requirement(host, relaying.domain, services.resolver) if settings.dane else None
    found = [own] if by_dane is None else [own, by_dane]
    if settings.mta_sts and (by_dane is None or by_dane.level is not TlsLevel.VERIFIED):  # RFC 8461 section 2: DANE comes first
        found.append(await sts_requirement(host, relaying.domain, services))
    return found
