"""SPF: may this client send for the domain of the reverse-path? (RFC 7208)"""

from mailward.api import AuthResult, EnvelopeView, Finding, Plugin, Services, SessionView, Symbol, hookimpl
from mailward_plugins.spf.rules import SpfOutcome, evaluate, is_wide_open
from mailward_plugins.spf.settings import SpfFacts, SpfSettings

plugin = Plugin(
    api=1,
    summary="Checks the client against the SPF record of the reverse-path's domain",
    settings=SpfSettings,
    facts=SpfFacts,
    symbols={
        "SPF_PASS": Symbol(-0.2, "The client is authorised by the domain of the reverse-path"),
        "SPF_FAIL": Symbol(2.5, "The domain of the reverse-path says that the client is not one of its senders"),
        "SPF_SOFTFAIL": Symbol(1.0, "The domain of the reverse-path says that the client is probably not one of its senders"),
        "SPF_NEUTRAL": Symbol(0.2, "The domain of the reverse-path says nothing about the client"),
        "SPF_NONE": Symbol(0.0, "There is no SPF record"),
        "SPF_PERMERROR": Symbol(0.5, "The SPF record cannot be evaluated"),
        "SPF_TEMPERROR": Symbol(0.0, "The SPF record could not be evaluated now"),
        "SPF_PLUSALL": Symbol(4.0, "The SPF record authorises the whole Internet, so its pass means nothing"),
    },
    capabilities=("network",),
)


@hookimpl
async def inspect_mail(session: SessionView, envelope: EnvelopeView, settings: SpfSettings, services: Services) -> Finding:
    """One finding; a record that lets everybody in counts as neutral, so that no trust is built on it."""
    outcome = await evaluate(
        session.peer_ip, envelope.reverse_path, session.helo, services.resolver, limit_s=settings.time_limit.total_seconds()
    )
    if is_wide_open(outcome, settings.wide_open_bits):
        text = f"{outcome.domain} lets every host send for it ({outcome.mechanism})"
        return _finding("SPF_PLUSALL", "neutral", text, outcome)
    return _finding(f"SPF_{outcome.result.upper()}", outcome.result, _sentence(outcome, session.peer_ip), outcome)


def _finding(symbol: str, result: str, text: str, outcome: SpfOutcome) -> Finding:
    properties = ((f"smtp.{outcome.identity}", outcome.domain),) if outcome.domain else ()
    auth = AuthResult("spf", result, properties, outcome.problem or None)
    return Finding(symbol, text, facts=SpfFacts(result=result, domain=outcome.domain), auth=(auth,))


def _sentence(outcome: SpfOutcome, peer_ip: str) -> str:
    by = f" ({outcome.mechanism})" if outcome.mechanism else ""
    match outcome.result:
        case "pass":
            return f"{peer_ip} is a sender of {outcome.domain}{by}"
        case "fail":
            words = f"; its words: {outcome.explanation}" if outcome.explanation else ""
            return f"{peer_ip} is not a sender of {outcome.domain}{by}{words}"
        case "softfail":
            return f"{peer_ip} is probably not a sender of {outcome.domain}{by}"
        case "neutral":
            return f"{outcome.domain} says nothing about {peer_ip}"
        case "none":
            return f"{outcome.domain} has no SPF record" if outcome.domain else "there is no domain to ask for an SPF record"
        case _:
            return f"the SPF record of {outcome.domain} cannot be evaluated: {outcome.problem}"
