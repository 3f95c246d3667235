"""Spam traps: who writes to an address that nobody uses has it from where spammers have theirs."""

import ipaddress

from mailward.api import EnvelopeView, Evidence, Finding, ForwardPath, Plugin, Services, SessionView, Symbol, hookimpl, source_of
from mailward_plugins.spamtrap.book import Book
from mailward_plugins.spamtrap.settings import SpamtrapFacts, SpamtrapSettings

plugin = Plugin(
    api=1,
    summary="Remembers for a while which hosts wrote to addresses that nobody uses",
    settings=SpamtrapSettings,
    facts=SpamtrapFacts,
    symbols={
        "SPAMTRAP_HIT": Symbol(6.0, "The message is for an address that nobody uses"),
        "SPAMTRAP_SOURCE": Symbol(3.0, "The peer has lately written to an address that nobody uses"),
    },
)


@hookimpl
async def inspect_connect(session: SessionView, settings: SpamtrapSettings, services: Services) -> Finding | None:
    """What is remembered of the peer; it counts less the longer ago it was."""
    if not settings.addresses or _is_spared(session, settings):
        return None
    source = source_of(session.peer_ip)
    known = await Book(services.kv, settings.remember).find(source, services.clock.now())
    if known is None:
        return None
    text = f"{source} has written to addresses that nobody uses, {known.hits} times"
    return Finding("SPAMTRAP_SOURCE", text, known.strength, facts=SpamtrapFacts(hits=known.hits))


@hookimpl
async def inspect_rcpt(
    session: SessionView, envelope: EnvelopeView, forward_path: ForwardPath, settings: SpamtrapSettings, services: Services
) -> Finding | None:
    """A finding for a trap. The name of the trap is not in it, so that no reply and no field of a header can give it away."""
    if str(forward_path).lower() not in settings.traps or _is_spared(session, settings):
        return None
    if envelope.reverse_path.address is None:
        return Finding(None, "a report to an address that nobody uses: somebody else has used it as a sender")
    hits = await Book(services.kv, settings.remember).add(source_of(session.peer_ip), services.clock.now())
    return Finding("SPAMTRAP_HIT", "it is for an address that nobody uses", facts=SpamtrapFacts(hit=True, hits=hits))


@hookimpl(inline=True)
def inspect_message(evidence: Evidence) -> Finding | None:
    """What was found of one recipient is a fact of the whole message: spam to a trap is spam to the others, too."""
    found = [finding.facts for _, finding in evidence.findings if isinstance(finding.facts, SpamtrapFacts)]
    hits = [facts.hits for facts in found if facts.hit]
    if not hits:
        return None
    return Finding(None, "one of its recipients is an address that nobody uses", facts=SpamtrapFacts(hit=True, hits=max(hits)))


def _is_spared(session: SessionView, settings: SpamtrapSettings) -> bool:
    """A user, a server of ours, or a network that the admin answers for."""
    if not session.is_stranger:
        return True
    try:
        ip = ipaddress.ip_address(session.peer_ip)
    except ValueError:
        return True  # a listener on a socket that has no addresses
    return any(ip in ipaddress.ip_network(network) for network in settings.exempt)
