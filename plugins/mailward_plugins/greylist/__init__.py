"""Greylisting: has this sender come back, as real mail servers do? It says so; a rule of the policy defers. (RFC 6647)"""

import ipaddress

from mailward.api import EnvelopeView, Evidence, Finding, Plugin, Services, SessionView, Symbol, hookimpl, normal_ip
from mailward_plugins.greylist.rules import judge, keys_of, source_of_mail
from mailward_plugins.greylist.settings import GreylistFacts, GreylistSettings
from mailward_plugins.greylist.table import Table

plugin = Plugin(
    api=1,
    summary="Says which mail is a first attempt, so that a policy can ask for a second one",
    settings=GreylistSettings,
    facts=GreylistFacts,
    symbols={"GREYLIST_EARLY": Symbol(0.0, "Nobody has written from there, as this sender, to this recipient and come back")},
)


@hookimpl(after=("spf", "dnsbl"))
async def inspect_message(
    session: SessionView, envelope: EnvelopeView, evidence: Evidence, settings: GreylistSettings, services: Services
) -> Finding | None:
    """One finding, of which only an early message's has a symbol; None where nothing is remembered."""
    if not session.is_stranger:
        return None
    try:
        peer = normal_ip(session.peer_ip)
    except ValueError:
        return None  # a listener on a socket that has no addresses
    spf_domain = evidence.value("spf", "domain") if evidence.value("spf", "result") == "pass" else ""
    exempt = _exempt(peer, spf_domain, evidence.values("dnsbl", "allowed"), settings)
    if exempt:
        return Finding(None, f"not looked at: {exempt}")
    now = int(services.clock.now().timestamp())
    keys = keys_of(source_of_mail(peer, spf_domain), str(envelope.reverse_path), [str(path) for path in envelope.forward_paths])
    table = Table(services.kv, settings.retry_within.total_seconds(), settings.remember.total_seconds())
    known = await table.find((keys.source, *keys.triplets), now)
    outcome = judge(keys, known, now, settings)
    await table.keep(outcome.keep)
    if not outcome.wait_s:
        return Finding(None, outcome.reason)
    facts = GreylistFacts(early=True, wait_s=outcome.wait_s)
    return Finding("GREYLIST_EARLY", f"{outcome.reason}; {outcome.wait_s} s to wait", facts=facts)


def _exempt(peer: str, spf_domain: str, allowed: tuple[str, ...], settings: GreylistSettings) -> str:
    """Why this mail is never early, "" when it may be."""
    ip = ipaddress.ip_address(peer)
    if any(ip in ipaddress.ip_network(network) for network in settings.exempt):
        return f"{peer} is exempt"
    if allowed:
        return f"{allowed[0]} lists the peer"
    for domain in settings.exempt_domains:
        if spf_domain == domain or spf_domain.endswith(f".{domain}"):
            return f"{domain} is exempt, and SPF vouches for it"
    return ""
