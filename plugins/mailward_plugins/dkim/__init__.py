"""DKIM: which domains take responsibility for this message, and how do ours? (RFC 6376, RFC 8301, RFC 8463)"""

from collections.abc import Iterator

from mailward.api import (
    AddHeader,
    AuthResult,
    DnsRecord,
    Finding,
    MessageView,
    Plugin,
    Relaying,
    Services,
    Symbol,
    hookimpl,
)
from mailward_plugins.dkim.keys import dns_records, signing_keys
from mailward_plugins.dkim.rules import HeaderField, Outcome, verify
from mailward_plugins.dkim.settings import DkimFacts, DkimSettings
from mailward_plugins.dkim.signing import SIGNATURE_FIELD, author_domain, sign

plugin = Plugin(
    api=1,
    summary="Verifies DKIM signatures and signs what is sent",
    settings=DkimSettings,
    facts=DkimFacts,
    symbols={
        "DKIM_PASS": Symbol(-0.2, "A signature holds"),
        "DKIM_NONE": Symbol(0.0, "The message is not signed"),
        "DKIM_FAIL": Symbol(0.5, "Signed, and no signature holds"),
        "DKIM_PARTIAL": Symbol(1.0, "A signature leaves room for additions by others"),
        "DKIM_PERMERROR": Symbol(0.3, "A signature or its key cannot be used"),
        "DKIM_TEMPERROR": Symbol(0.0, "A key could not be fetched now"),
        "DKIM_WEAK_KEY": Symbol(0.2, "A signature holds by a short RSA key"),
        "DKIM_STALE": Symbol(0.5, "A signature holds but is old: the message may be a replay"),
        "DKIM_MANY": Symbol(1.0, "More signatures than are checked"),
    },
    capabilities=("body", "edits", "network", "credentials"),
)

_MOST_TELLING = ("pass", "fail", "temperror", "policy", "permerror", "neutral")
_SYMBOLS = {"pass": "PASS", "fail": "FAIL", "temperror": "TEMPERROR", "policy": "PARTIAL", "permerror": "PERMERROR"}


@hookimpl
async def inspect_message(message: MessageView, settings: DkimSettings, services: Services) -> list[Finding]:
    """One finding on the whole, with a result for every signature, and more on what is odd about those that hold."""
    fields = [HeaderField.of(field.raw) for field in message.fields]
    body = memoryview(message.octets)[len(message.header_octets) :]  # no copy while name servers of a stranger let us wait
    authors = [author.address.domain for author in message.authors if author.address is not None]
    outcomes = await verify(fields, body, authors, services.resolver, services.run_blocking, services.clock.now(), settings)
    return list(_findings(outcomes, settings, services.clock.now().timestamp()))


@hookimpl(after="*")
async def edit_relay(relaying: Relaying, message: MessageView, settings: DkimSettings, services: Services) -> list[AddHeader]:
    """A signature by every key of the author's domain; after all others, since what they change would break it."""
    if relaying.origin == "inbound":  # and no thread is troubled with it
        return []
    return await services.run_blocking(lambda: _signatures(relaying, message, settings, services))


def _signatures(relaying: Relaying, message: MessageView, settings: DkimSettings, services: Services) -> list[AddHeader]:
    domain = author_domain(relaying, message)
    keys = signing_keys(domain, services.secrets) if domain is not None else ()
    if not keys:
        reason = "no single author" if domain is None else "the author's domain has no key"
        services.log.info("not signed", id=relaying.id, reason=reason)
        return []
    values = sign(message, keys, services.clock.now(), settings.expire_after)
    return [AddHeader(SIGNATURE_FIELD, value) for value in values]


@hookimpl
def collect_dns_records(domain: str, services: Services) -> list[DnsRecord]:
    """The public keys."""
    return dns_records(domain, services.secrets)


def _findings(outcomes: list[Outcome], settings: DkimSettings, now_s: float) -> Iterator[Finding]:
    if not outcomes:
        yield Finding("DKIM_NONE", "the message is not signed", facts=DkimFacts(), auth=(AuthResult("dkim", "none"),))
        return
    result = min((outcome.result for outcome in outcomes), key=_MOST_TELLING.index)
    passing = [outcome for outcome in outcomes if outcome.result == "pass"]
    facts = DkimFacts(result, tuple(dict.fromkeys(outcome.domain for outcome in passing)))
    told = next(outcome for outcome in outcomes if outcome.result == result)
    # RFC 8601 section 5: a bounded field; the signatures that count come first.
    auth = tuple(_auth_result(outcome) for outcome in outcomes[:20])
    symbol = f"DKIM_{_SYMBOLS[result]}" if result in _SYMBOLS else None
    yield Finding(symbol, _sentence(told, facts), facts=facts, auth=auth)
    for outcome in passing:
        signature = outcome.signature
        if outcome.bits < settings.weak_key_bits and signature is not None and signature.algorithm.startswith("rsa"):
            yield Finding("DKIM_WEAK_KEY", f"{outcome.domain} signs with an RSA key of {outcome.bits} bits")
        if signature is not None and signature.signed_at is not None:
            days = (now_s - signature.signed_at) / 86_400
            if days > settings.stale_after.days:
                yield Finding("DKIM_STALE", f"the signature of {outcome.domain} is {days:.0f} days old")
    if len(outcomes) > settings.max_signatures:
        yield Finding("DKIM_MANY", f"{len(outcomes)} signatures, {settings.max_signatures} are checked at most")


def _auth_result(outcome: Outcome) -> AuthResult:
    signature = outcome.signature
    properties = []
    if outcome.domain:
        properties.append(("header.d", outcome.domain))
    if outcome.selector:
        properties.append(("header.s", outcome.selector))
    if signature is not None:
        properties += [("header.a", signature.algorithm), ("header.b", signature.signature_start)]
    return AuthResult("dkim", outcome.result, tuple(properties), outcome.reason or None)


def _sentence(outcome: Outcome, facts: DkimFacts) -> str:
    if outcome.result == "pass":
        return f"signed by {', '.join(facts.domains)}"
    return f"the signature of {outcome.domain or 'an unreadable domain'}: {outcome.reason}"
