"""How is a host connected to that is to be as well protected as a `Protection` says, and what is remembered of it?"""

from mailward.delivery.ports import Connector, Hop, HostFailed, HostFault
from mailward.delivery.route import Target
from mailward.model.tls import Protection, TlsRequirement, TlsSession


async def reach(connector: Connector, target: Target, domain: str, protection: Protection, sessions: list[TlsSession]) -> Hop:
    """A connection as the floor wants it, after the tested requirement was tried. Raises HostFailed.

    sessions: gets what a TLS report says of it, unless the host could not be reached at all.
    """
    floor, tested = protection.floor, protection.tested
    failed: HostFailed | None = None
    if tested is not None:
        try:
            hop = await _connect(connector, target, domain, tested)
        except HostFailed as failure:
            if failure.result is None:
                raise
            failed = failure
        else:
            sessions.append(_session(target, tested, hop))
            return hop
    try:
        hop = await _connect(connector, target, domain, floor)
    except HostFailed as failure:
        if failure.result is not None:
            sessions.append(_session(target, floor, None, failure))
        raise
    if tested is not None and failed is not None:
        sessions.append(_session(target, tested, hop, failed))
    else:
        sessions.append(_session(target, floor, hop))
    return hop


async def _connect(connector: Connector, target: Target, domain: str, requirement: TlsRequirement) -> Hop:
    if requirement.is_barred:
        raise HostFailed(HostFault.TLS, requirement.why, result=requirement.problem)
    return await connector.connect(target, domain, requirement)


def _session(target: Target, requirement: TlsRequirement, hop: Hop | None, failure: HostFailed | None = None) -> TlsSession:
    wrong = failure or (hop.setback if hop is not None else None)
    result, detail = (None, "") if wrong is None else (wrong.result, str(wrong))
    if failure is None and requirement.problem is not None:
        result, detail = requirement.problem, requirement.why
    sending_ip = hop.sending_ip if hop is not None else failure.sending_ip if failure is not None else ""
    level = None if hop is None else hop.level
    unproven = None if hop is None else hop.unproven
    ips = (target.address, sending_ip)
    return TlsSession(requirement.policy, target.host, *ips, level, result, detail, unproven, target.is_routed)
