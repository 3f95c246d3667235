"""How a client introduces itself: the name it gives, and the name that reverse DNS gives it (RFC 5321 section 4.1.4)."""

from mailward.api import AuthResult, Evidence, Finding, Plugin, SessionView, Symbol, hookimpl
from mailward_plugins.client.rules import is_generic, problems_of
from mailward_plugins.client.settings import ClientFacts, ClientSettings

plugin = Plugin(
    api=1,
    summary="Looks at the HELO name and the reverse DNS of strangers",
    settings=ClientSettings,
    facts=ClientFacts,
    symbols={
        "RDNS_NONE": Symbol(1.0, "The peer's address has no name"),
        "RDNS_UNCONFIRMED": Symbol(0.5, "No name of the peer's address leads back to it"),
        "RDNS_GENERIC": Symbol(0.5, "The peer's name is made from its address, as those of dial-up lines and rented hosts are"),
        "HELO_OURS": Symbol(2.5, "The peer says that it is this server"),
        "HELO_BARE_IP": Symbol(1.5, "The HELO name is an address without brackets"),
        "HELO_OTHER_IP": Symbol(1.0, "The HELO name is the address of another host"),
        "HELO_NOT_FQDN": Symbol(1.0, "The HELO name is no full host name"),
        "HELO_CHANGED": Symbol(1.0, "The peer gave another name before"),
    },
)


@hookimpl(inline=True)
def inspect_connect(session: SessionView) -> Finding | None:
    """One finding, of which only a doubtful client's has a symbol; None for users, servers of ours and private networks."""
    rdns = session.rdns
    if _is_ours(session) or rdns is None:
        return None
    auth = (AuthResult("iprev", rdns.result, (("policy.iprev", session.peer_ip),)),)
    facts = ClientFacts(rdns=rdns.result)
    match rdns.result:
        case "pass" if is_generic(rdns.name, session.peer_ip):
            text = f"{rdns.name} is a name made from the address"
            return Finding("RDNS_GENERIC", text, facts=ClientFacts(rdns="pass", is_generic=True), auth=auth)
        case "pass":
            return Finding(None, f"{session.peer_ip} is {rdns.name}", facts=facts, auth=auth)
        case "fail":
            claimed = f"{rdns.claimed} does not lead back to it" if rdns.claimed else "no host name leads back to it"
            return Finding("RDNS_UNCONFIRMED", f"{session.peer_ip}: {claimed}", facts=facts, auth=auth)
        case "permerror":
            return Finding("RDNS_NONE", f"{session.peer_ip} has no name", facts=facts, auth=auth)
    return Finding(None, f"the name of {session.peer_ip} could not be found out", facts=facts, auth=auth)


@hookimpl(inline=True)
def inspect_helo(session: SessionView, former: str | None, evidence: Evidence, settings: ClientSettings) -> list[Finding] | None:
    """One finding for each thing that is wrong with the name."""
    if _is_ours(session) or session.helo is None:
        return None
    known = evidence.facts("client")
    before = known if isinstance(known, ClientFacts) else ClientFacts()
    found = problems_of(session.helo, former, session.peer_ip, (session.hostname, *settings.own_names))
    facts = ClientFacts(before.rdns, before.is_generic, tuple(one.word for one in found))
    return [Finding(f"HELO_{one.word.upper()}", one.text, facts=facts) for one in found]


def _is_ours(session: SessionView) -> bool:
    """A user, a server of ours, or somebody in our own network, whose names nobody outside knows."""
    is_near = session.rdns is not None and session.rdns.result == "none"
    return not session.is_stranger or is_near
