"""One message on its way to one domain: which hosts are tried, and what that means for each recipient.

RFC 5321 section 5.1. Nothing is journalled here: whoever calls does that, before and after.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from mailward.delivery.fate import Fate
from mailward.delivery.ports import Connector, Hop, HostFailed, HostFault
from mailward.delivery.route import NoRoute, Router, Target
from mailward.formats.text import one_line
from mailward.model.address import ForwardPath
from mailward.model.reply import Reply, reply
from mailward.model.tls import TlsLevel, TlsRequirement, TlsSession, strictest
from mailward.protocol.smtp.outgoing import Outcome, OutgoingMail, Result

SENDERS_REQUIREMENT = TlsRequirement(TlsLevel.VERIFIED, "its sender requires it, REQUIRETLS")
"""RFC 8689 section 4.2.1."""
MOST_TRANSACTIONS = 2
"""With so many hosts of a domain a message is begun in one attempt, when they want it later."""


@dataclass(slots=True)
class Attempt:
    """fates: by forward-path. hop: the connection, when it can take another message. is_domain_down: no host could be talked to
    at all, so that other mail for the domain need not find that out again. sessions: the connections that were tried.
    """

    fates: dict[ForwardPath, Fate] = field(default_factory=dict)
    hop: Hop | None = None
    is_domain_down: bool = False
    sessions: list[TlsSession] = field(default_factory=list)


class Relay:
    """Shared by all attempts."""

    def __init__(self, router: Router, connector: Connector) -> None:
        self._router = router
        self._connector = connector

    async def next_hop(self, domain: str) -> Hashable:
        """What tells the hosts of a domain from others': the same for all domains that are served at the same addresses."""
        route = await self._router.find(domain)
        return domain if isinstance(route, NoRoute) else frozenset((target.address, target.port) for target in route)

    async def attempt(self, domain: str, mail: OutgoingMail, requirement: TlsRequirement, hop: Hop | None) -> Attempt:
        """hop: a connection left by an attempt before; it is used, or closed."""
        attempt = Attempt()
        if mail.require_tls:
            requirement = strictest([SENDERS_REQUIREMENT, requirement])
        if hop is not None and _is_fit(hop, mail, requirement) and await self._serves(hop, domain, requirement):
            attempt.hop = hop
            waiting = await _send(attempt, hop, mail)
            if hop.is_usable or hop.may_have_arrived or not waiting:
                return attempt
            # The server ended the connection between two messages, as it may: this attempt has not begun yet.
            mail = replace(mail, forward_paths=waiting)
        if hop is not None:
            await hop.close()
            attempt.hop = None
        route = await self._router.find(domain)
        if isinstance(route, NoRoute):
            result = Result.PERMANENT if route.permanent else Result.TEMPORARY
            _tell_all(attempt, mail, result, route.reply)
            attempt.is_domain_down = not route.permanent
        else:
            await self._try_hosts(attempt, route, domain, mail, requirement)
        return attempt

    async def _serves(self, hop: Hop, domain: str, requirement: TlsRequirement) -> bool:
        """A connection made for one domain is good for another of the same host, but where it must prove to be the domain's."""
        if hop.domain == domain:
            return True
        if requirement.level is TlsLevel.VERIFIED:
            return False
        route = await self._router.find(domain)
        return not isinstance(route, NoRoute) and hop.target in route

    async def _try_hosts(
        self, attempt: Attempt, targets: Sequence[Target], domain: str, mail: OutgoingMail, requirement: TlsRequirement
    ) -> None:
        failures: list[tuple[Target, HostFailed]] = []
        transactions = 0
        for target in targets:
            try:
                hop = await self._connector.connect(target, domain, requirement.level)
            except HostFailed as failure:
                failures.append((target, failure))
                if failure.result is not None:
                    attempt.sessions.append(_session(target, requirement, failure.sending_ip, None, failure))
                continue
            attempt.sessions.append(_session(target, requirement, hop.sending_ip, hop.level, hop.setback))
            if not _is_fit(hop, mail, requirement):
                await hop.close()
                failures.append((target, HostFailed(HostFault.NO_REQUIRETLS, "the server does not offer REQUIRETLS")))
                continue
            attempt.hop = hop
            waiting = await _send(attempt, hop, mail)
            transactions += 1
            unclear = hop.may_have_arrived and not hop.is_usable
            if not waiting or unclear or transactions == MOST_TRANSACTIONS or target is targets[-1]:
                return
            mail = replace(mail, forward_paths=waiting)
            await hop.close()
            attempt.hop = None
        if not transactions:
            self._unreached(attempt, mail, failures, requirement)

    def _unreached(
        self, attempt: Attempt, mail: OutgoingMail, failures: Sequence[tuple[Target, HostFailed]], requirement: TlsRequirement
    ) -> None:
        """No host was good enough. Waiting will not help where each of them lacks STARTTLS, or what REQUIRETLS wants."""
        faults = {failure.fault for _, failure in failures}
        target, failure = failures[-1]
        words = f"{target}: {failure}"
        if mail.require_tls and HostFault.UNREACHABLE not in faults:
            text = f"The sender requires verified TLS and REQUIRETLS, and no mail host of the domain has both: {words}"
            _tell_all(attempt, mail, Result.PERMANENT, reply(550, "5.7.30", text))
        elif faults == {HostFault.NO_TLS}:
            text = f"Encryption is required ({requirement.why}) and no mail host of the domain offers STARTTLS"
            _tell_all(attempt, mail, Result.PERMANENT, reply(550, "5.7.10", text))
        elif HostFault.TLS in faults and HostFault.UNREACHABLE not in faults:
            why = f" ({requirement.why})" if requirement.level is not TlsLevel.OPPORTUNISTIC else ""
            _tell_all(attempt, mail, Result.TEMPORARY, reply(450, "4.7.5", f"No sound TLS{why}: {words}"))
        else:
            said = failure.reply
            if said is not None and failure.fault is HostFault.UNREACHABLE:
                words = f"{target} does not take mail now: {said}"
            _tell_all(attempt, mail, Result.TEMPORARY, reply(451, "4.4.1", words))
            attempt.is_domain_down = faults == {HostFault.UNREACHABLE}


def _is_fit(hop: Hop, mail: OutgoingMail, requirement: TlsRequirement) -> bool:
    if not hop.is_usable:
        return False
    return hop.level.strength >= requirement.level.strength and (hop.offers_requiretls or not mail.require_tls)


def _session(
    target: Target, requirement: TlsRequirement, sending_ip: str, level: TlsLevel | None, wrong: HostFailed | None
) -> TlsSession:
    result, detail = (None, "") if wrong is None else (wrong.result, str(wrong))
    return TlsSession(requirement.policy, target.host, target.address, sending_ip, level, result, detail)


async def _send(attempt: Attempt, hop: Hop, mail: OutgoingMail) -> tuple[ForwardPath, ...]:
    """One transaction. Returns the recipients that have to wait."""
    outcomes = await hop.send(mail)
    for outcome in outcomes:
        attempt.fates[outcome.forward_path] = _fate(outcome, hop)
    return tuple(outcome.forward_path for outcome in outcomes if outcome.result is Result.TEMPORARY)


def _fate(outcome: Outcome, hop: Hop) -> Fate:
    words = one_line(str(outcome.reply) if outcome.by_peer else " ".join(outcome.reply.lines))
    way = f"{hop.target} {f'over {hop.tls.version}' if hop.tls else 'in clear'}"
    text = f"relayed to {way}: {words}" if outcome.result is Result.ACCEPTED else f"{way}: {words}"
    mta = hop.target.host if outcome.by_peer else ""
    return Fate(
        outcome.result,
        _status(outcome.reply),
        words,
        mta,
        text,
        reports_there=outcome.reports_there,
        times_there=outcome.times_there,
    )


def _tell_all(attempt: Attempt, mail: OutgoingMail, result: Result, why: Reply) -> None:
    words = one_line(" ".join(why.lines))
    for path in mail.forward_paths:
        attempt.fates[path] = Fate(result, _status(why), words, "", words)


def _status(answer: Reply) -> str:
    return answer.enhanced or f"{answer.code // 100}.0.0"
