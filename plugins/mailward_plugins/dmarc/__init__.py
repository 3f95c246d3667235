"""DMARC: does the domain people see in From stand behind this message? (RFC 9989)"""

import asyncio

from mailward.api import Asked, AuthResult, Evidence, Finding, MessageView, Plugin, Services, Symbol, hookimpl
from mailward_plugins.dmarc.record import Policy
from mailward_plugins.dmarc.rules import DmarcOutcome, Identifier, author_domains, evaluate, shows_address
from mailward_plugins.dmarc.settings import DmarcFacts, DmarcSettings

plugin = Plugin(
    api=1,
    summary="Checks the author's domain by aligned SPF and DKIM, and what it asks for mail that fails",
    settings=DmarcSettings,
    facts=DmarcFacts,
    symbols={
        "DMARC_PASS": Symbol(-0.5, "The author's domain stands behind the message"),
        "DMARC_FAIL": Symbol(1.0, "The author's domain does not stand behind the message"),
        "DMARC_NONE": Symbol(0.0, "The author's domain publishes no policy"),
        "DMARC_TEMPERROR": Symbol(0.0, "The policy or an aligned check could not be fetched now"),
        "DMARC_PERMERROR": Symbol(0.5, "The policy record is not usable"),
        "DMARC_NO_AUTHOR": Symbol(3.0, "From is missing or holds no address, so DMARC cannot be asked"),
        "DMARC_UNREADABLE_AUTHOR": Symbol(5.0, "From shows people an address, and there is no domain to ask"),
        "DMARC_SEVERAL_AUTHORS": Symbol(5.0, "From names authors of several domains, which DMARC does not cover"),
    },
    capabilities=("body", "network"),
)

_ASKS: dict[Policy, Asked] = {Policy.REJECT: "reject", Policy.QUARANTINE: "quarantine"}


@hookimpl(needs=("spf", "dkim"))
async def inspect_message(message: MessageView, evidence: Evidence, settings: DmarcSettings, services: Services) -> Finding:
    """One finding; it asks for what the author's domain asks for, which counts where the policy heeds this plugin."""
    domains = sorted(author_domains(message))
    if len(domains) > 1:
        # RFC 9989 leaves such mail out, and `From: a@evil, ceo@bank` must not pass by: no domain vouches for another.
        return _odd("DMARC_SEVERAL_AUTHORS", f"From names authors of several domains: {', '.join(domains)}"[:300], "permerror")
    if not domains and shows_address(message):
        return _odd("DMARC_UNREADABLE_AUTHOR", "From shows an address whose domain cannot be asked", "permerror")
    if not domains:
        return _odd("DMARC_NO_AUTHOR", "From is missing or not readable", "permerror")
    if domains[0].startswith("["):
        return _odd("DMARC_NO_AUTHOR", "From holds an address literal", "none")
    try:
        async with asyncio.timeout(settings.time_limit.total_seconds()):
            outcome = await evaluate(domains[0], _identifiers(evidence), services.resolver)
    except TimeoutError:
        outcome = DmarcOutcome("temperror", reason="not finished in time")
    return _finding(domains[0], outcome)


def _identifiers(evidence: Evidence) -> list[Identifier]:
    """What SPF and DKIM found, by name of fact: plugins do not know each other's classes."""
    found = [Identifier("dkim", domain) for domain in evidence.values("dkim", "domains")]
    for result in evidence.auth_results():
        properties = dict(result.properties)
        if result.method == "dkim" and result.result == "temperror" and "header.d" in properties:
            found.append(Identifier("dkim", properties["header.d"], "temperror"))
    spf_result, spf_domain = evidence.value("spf", "result"), evidence.value("spf", "domain")
    if spf_domain and spf_result in ("pass", "temperror"):
        found.append(Identifier("spf", spf_domain, spf_result))
    return found


def _odd(symbol: str, text: str, result: str) -> Finding:
    auth = AuthResult("dmarc", result, (), text)
    asks: Asked | None = "quarantine" if symbol in ("DMARC_SEVERAL_AUTHORS", "DMARC_UNREADABLE_AUTHOR") else None
    return Finding(symbol, text, facts=DmarcFacts(result=result), asks=asks, auth=(auth,))


def _finding(domain: str, outcome: DmarcOutcome) -> Finding:
    policy = outcome.policy.value if outcome.policy is not None else ""
    facts = DmarcFacts(outcome.result, policy, domain)
    reason = outcome.reason or (f"p={policy}" if policy else None)
    auth = AuthResult("dmarc", outcome.result, (("header.from", domain),), reason)
    asks = _ASKS.get(outcome.policy) if outcome.result == "fail" and outcome.policy is not None else None
    return Finding(f"DMARC_{outcome.result.upper()}", _sentence(domain, outcome, policy), facts=facts, asks=asks, auth=(auth,))


def _sentence(domain: str, outcome: DmarcOutcome, policy: str) -> str:
    match outcome.result:
        case "pass" if outcome.aligned is not None:
            return f"{domain} stands behind the message ({outcome.aligned.method} of {outcome.aligned.domain})"
        case "fail":
            return f"{outcome.policy_domain} publishes p={policy}; nothing aligned"
        case "none":
            return outcome.reason or f"{domain} publishes no DMARC policy"
        case _:
            return f"DMARC of {domain}: {outcome.reason}"
