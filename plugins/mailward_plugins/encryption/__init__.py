"""Encryption: with whom must mail be exchanged over TLS only?"""

from mailward.api import (
    EnvelopeView,
    Finding,
    Plugin,
    Relaying,
    SessionView,
    Symbol,
    TlsLevel,
    TlsRequirement,
    hookimpl,
)
from mailward_plugins.encryption.rules import level_of
from mailward_plugins.encryption.settings import EncryptionFacts, EncryptionSettings

plugin = Plugin(
    api=1,
    summary="Asks for TLS, by domain: of those who send to us, and on the way to other servers",
    settings=EncryptionSettings,
    facts=EncryptionFacts,
    symbols={"ENCRYPTION_MISSING": Symbol(0.0, "Mail that must come encrypted comes in clear")},
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


@hookimpl(inline=True)
def collect_tls_requirement(relaying: Relaying, settings: EncryptionSettings) -> TlsRequirement | None:
    """By the domain the mail goes to; nothing is asked for where a user lets his mail go without TLS (RFC 8689 section 5), nor of
    reports, which tell that TLS fails (RFC 8460 section 3).
    """
    level, entry = level_of(relaying.domain, settings)
    if level == "opportunistic" or (relaying.tls_optional and (settings.heed_senders or relaying.origin == "report")):
        return None
    return TlsRequirement(TlsLevel(level), f"the outbound policy says of encryption: {entry}: {level}")
