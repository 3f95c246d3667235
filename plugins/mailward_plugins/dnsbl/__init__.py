"""DNS lists: what do blocklists and allowlists know of the peer's address and of the domains it names? (RFC 5782)"""

import ipaddress
from collections.abc import Iterable, Iterator

from mailward.api import EnvelopeView, Finding, Plugin, Services, SessionView, Symbol, hookimpl, normal_ip
from mailward_plugins.dnsbl.codes import ANY_CODE, CodePattern, code_pattern
from mailward_plugins.dnsbl.lookup import Failure, Kind, Listing, Lookup, Question, asked_domain
from mailward_plugins.dnsbl.settings import DnsblFacts, DnsblSettings, Zones

plugin = Plugin(
    api=1,
    summary="Asks DNS blocklists and allowlists about the peer, the reverse-path's domain and the HELO name",
    settings=DnsblSettings,
    facts=DnsblFacts,
    symbols={
        "DNSBL_ADDRESS": Symbol(4.0, "A blocklist lists the peer's address"),
        "DNSBL_DOMAIN": Symbol(4.0, "A blocklist lists the domain of the reverse-path or the HELO name"),
        "DNSBL_ALLOWED": Symbol(-2.0, "An allowlist lists the peer's address"),
        "DNSBL_FAILED": Symbol(0.0, "A list gave no usable answer"),
    },
    capabilities=("network",),
)

_SYMBOLS: dict[Kind, str] = {"address": "DNSBL_ADDRESS", "domain": "DNSBL_DOMAIN", "allow": "DNSBL_ALLOWED"}


@hookimpl
async def inspect_mail(
    session: SessionView, envelope: EnvelopeView, settings: DnsblSettings, services: Services
) -> list[Finding] | None:
    """One finding for each listing and each list that failed; none when nothing is asked or nothing found."""
    if not session.is_stranger:
        return None
    questions = list(_questions(session, envelope, settings))
    found = await Lookup(services.resolver).ask(questions, settings.time_limit.total_seconds())
    for one in found:
        if isinstance(one, Failure):
            services.log.warning("DNS list failed", zone=one.question.zone, why=one.why)
    facts = _facts(found)
    return [_finding(one, facts) for one in found]


def _questions(session: SessionView, envelope: EnvelopeView, settings: DnsblSettings) -> Iterator[Question]:
    try:
        peer = normal_ip(session.peer_ip)
    except ValueError:
        return  # a listener on a socket that has no addresses
    ip = ipaddress.ip_address(peer)
    if any(ip in ipaddress.ip_network(network) for network in settings.not_asked):
        return
    yield from _asked("address", [peer], settings.addresses)
    yield from _asked("allow", [peer], settings.allow)
    reverse_path = envelope.reverse_path.address
    names = [asked_domain(session.helo or ""), asked_domain(reverse_path.domain if reverse_path else "")]
    yield from _asked("domain", list(dict.fromkeys(name for name in names if name)), settings.domains)


def _asked(kind: Kind, subjects: list[str], zones: Zones) -> Iterator[Question]:
    for zone, codes in zones.items():
        patterns: tuple[CodePattern, ...] = tuple(code_pattern(code) for code in codes) or (ANY_CODE,)
        for subject in subjects:
            yield Question(kind, subject, zone, patterns)


def _facts(found: list[Listing | Failure]) -> DnsblFacts:
    listings = [one.question for one in found if isinstance(one, Listing)]
    return DnsblFacts(
        zones=_zones(q for q in listings if q.kind != "allow"),
        allowed=_zones(q for q in listings if q.kind == "allow"),
        failed=_zones(one.question for one in found if isinstance(one, Failure)),
    )


def _zones(questions: Iterable[Question]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(question.zone for question in questions))


def _finding(found: Listing | Failure, facts: DnsblFacts) -> Finding:
    question = found.question
    if isinstance(found, Failure):
        return Finding("DNSBL_FAILED", f"{question.zone} was of no use: {found.why}", facts=facts)
    words = f": {found.reason}" if found.reason else ""
    text = f"{question.zone} lists {question.subject} ({found.code}){words}"
    return Finding(_SYMBOLS[question.kind], text, strength=found.strength, facts=facts)
