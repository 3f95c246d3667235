"""Login guard: does somebody try one password after another name? (password spraying)"""

from mailward.api import Finding, LoginAttempt, LoginOutcome, Plugin, Services, Symbol, hookimpl
from mailward_plugins.login_guard.networks import counted_source
from mailward_plugins.login_guard.settings import GuardFacts, GuardSettings
from mailward_plugins.login_guard.tally import Tally

plugin = Plugin(
    api=1,
    summary="Turns away networks that try many names in vain",
    settings=GuardSettings,
    facts=GuardFacts,
    symbols={"LOGIN_SPRAYING": Symbol(10.0, "Many distinct names were tried in vain from this network")},
)


@hookimpl
async def inspect_auth(attempt: LoginAttempt, settings: GuardSettings, services: Services) -> Finding | None:
    """From the limit on it asks to reject, whoever the name is."""
    network = counted_source(attempt.peer_ip, settings.trusted)
    if network is None:
        return None
    names = await _tally(settings, services).names(network)
    text = f"{names} names were tried in vain from {network}"
    if names >= settings.names:
        return Finding("LOGIN_SPRAYING", text, facts=GuardFacts(names), asks="reject")
    return Finding(None, text, facts=GuardFacts(names))


@hookimpl
async def on_auth(attempt: LoginAttempt, outcome: LoginOutcome, settings: GuardSettings, services: Services) -> None:
    """A refused name counts; that a later one is accepted forgives nothing, since an attacker may own an account."""
    network = counted_source(attempt.peer_ip, settings.trusted)
    if network is None or outcome.result != "refused":
        return
    tally = _tally(settings, services)
    if await tally.names(network) >= settings.names:
        return  # who is turned away must not add to what turns him away: he would never be let in again
    await tally.add(network, attempt.name)
    if await tally.names(network) >= settings.names:
        services.log.warning("login spraying", network=network, names=settings.names, protocol=attempt.protocol)


def _tally(settings: GuardSettings, services: Services) -> Tally:
    return Tally(services.kv, settings.names, settings.window.total_seconds())
