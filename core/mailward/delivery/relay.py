"""One message on its way to one domain: which hosts are tried, and what that means for each recipient.

RFC 5321 section 5.1. Nothing is journalled here: whoever calls does that, before and after, and between two hosts.
"""

import contextlib
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailward.api.relaying import MailHost
from mailward.delivery.fate import Fate, local_problem
from mailward.delivery.ports import Connector, Hop, HostFailed, HostFault
from mailward.delivery.reaching import reach
from mailward.delivery.route import NoRoute, Router, Target
from mailward.delivery.static_hop import StaticHop
from mailward.formats.text import one_line
from mailward.model.address import ForwardPath
from mailward.model.errors import HooksUnavailable
from mailward.model.reply import Reply, reply
from mailward.model.tls import PolicyType, Protection, TlsLevel, TlsRequirement, TlsResult, TlsSession, protection_of
from mailward.protocol.smtp.outgoing import Outcome, OutgoingMail, Result

SENDERS_REQUIREMENT = TlsRequirement(TlsLevel.VERIFIED, "its sender requires it, REQUIRETLS")
"""RFC 8689 section 4.2.1."""
Requirements = Callable[[MailHost], Awaitable[Sequence[TlsRequirement]]]
"""How well must the connection to a host be protected? Raises HooksUnavailable."""
Taken = Callable[[Mapping[ForwardPath, Fate]], Awaitable[None]]
"""Hears of those that one host has taken before the next one is tried for the others, which may last."""
SevenBits = Callable[[], Awaitable[bytes]]
"""The message in seven bits, ready to leave. Raises ValueError when it has no such form, and HooksUnavailable."""

LOGIN_WANTED = 530
"""RFC 4954 section 6."""
MOST_TRANSACTIONS = 2
"""With so many hosts of a domain a message is begun in one attempt, when they want it later."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One message that is to go to one domain, and what whoever sends it knows of it. via: as for `Router.find`."""

    domain: str
    mail: OutgoingMail
    requirements: Requirements
    taken: Taken
    seven_bits: SevenBits
    via: StaticHop | None = None

    def to(self, forward_paths: tuple[ForwardPath, ...]) -> "Errand":
        """To these alone."""
        return replace(self, mail=replace(self.mail, forward_paths=forward_paths))


@dataclass(slots=True)
class Attempt:
    """fates: by forward-path. hop: the connection, when it can take another message. is_domain_down: no host could be talked to
    at all, so that other mail for the domain need not find that out again. is_crowded_out: no host was of use, and of one we do
    not know, since our own limit kept us from it. next_hop: where the domain's mail went now, as `Relay.next_hop` says it; None
    when that was not looked up. sessions: the connections that were tried, but for those over a socket: they leave this machine
    no more than the mail does, and no policy is asked what it wants of them.
    """

    fates: dict[ForwardPath, Fate] = field(default_factory=dict)
    hop: Hop | None = None
    is_domain_down: bool = False
    is_crowded_out: bool = False
    next_hop: Hashable = None
    sessions: list[TlsSession] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a target was of no use, and what was required of it."""

    target: Target
    requirement: TlsRequirement
    why: HostFailed


class Relay:
    """Shared by all attempts."""

    def __init__(self, router: Router, connector: Connector) -> None:
        self._router = router
        self._connector = connector

    async def next_hop(self, domain: str, via: StaticHop | None = None) -> Hashable:
        """What tells the hosts of a domain from others': the same for all domains that are served at the same addresses."""
        return _next_hop(domain, via, await self._router.find(domain, via))

    async def attempt(self, errand: Errand, hop: Hop | None) -> Attempt:
        """hop: a connection left by an attempt before; used, or closed. Raises HooksUnavailable before anything was sent."""
        attempt = Attempt()
        if hop is not None and hop.is_usable and await self._serves(hop, errand):
            attempt.hop = hop
            waiting = await _send(attempt, hop, errand)
            if hop.is_usable or hop.may_have_arrived or not waiting:
                return attempt
            # The server ended the connection between two messages, as it may: this attempt has not begun yet.
            errand = errand.to(waiting)
        if hop is not None:
            await hop.close()
            attempt.hop = None
        route = await self._router.find(errand.domain, errand.via)
        attempt.next_hop = _next_hop(errand.domain, errand.via, route)
        if isinstance(route, NoRoute):
            result = Result.PERMANENT if route.permanent else Result.TEMPORARY
            _tell_all(attempt, errand.mail, result, route.reply)
            attempt.is_domain_down = not route.permanent
        else:
            await self._try_hosts(attempt, route, errand)
        return attempt

    async def _serves(self, hop: Hop, errand: Errand) -> bool:
        """A connection made for one domain is good for another of the same host, but where it must prove to be the domain's.

        One that an order made is good for what still is to go there.
        """
        is_own = hop.domain == errand.domain
        if not is_own or errand.via is not None or hop.target.is_ordered:
            route = await self._router.find(errand.domain, errand.via)
            if isinstance(route, NoRoute) or hop.target not in route:
                return False
        protection = await _protection(hop.target, errand)
        floor = protection.floor
        if floor.is_barred or (floor.tlsa and floor.tlsa != hop.requirement.tlsa):
            return False
        return (is_own or floor.level is not TlsLevel.VERIFIED) and _is_fit(hop, errand.mail, protection)

    async def _try_hosts(self, attempt: Attempt, targets: Sequence[Target], errand: Errand) -> None:
        failures: list[_Failure] = []
        transactions = 0
        for target in targets:
            try:
                protection = await _protection(target, errand)
            except HooksUnavailable:
                if attempt.fates:  # of those that wait, too: they have what the host before said
                    return
                raise
            try:
                sessions: list[TlsSession] = [] if target.is_socket else attempt.sessions
                hop = await reach(self._connector, target, errand.domain, protection, sessions)
                if not _is_fit(hop, errand.mail, protection):
                    await hop.close()
                    raise HostFailed(HostFault.NO_REQUIRETLS, "the server does not offer REQUIRETLS")
            except HostFailed as failure:
                # Without its way here, on which it would keep itself and the message until the next collection of garbage.
                failures.append(_Failure(target, protection.floor, failure.with_traceback(None)))
                continue
            attempt.hop = hop
            try:
                waiting = await _send(attempt, hop, errand)
            except HooksUnavailable:
                await hop.close()
                attempt.hop = None
                if attempt.fates:
                    return
                raise
            transactions += 1
            unclear = hop.may_have_arrived and not hop.is_usable
            if not waiting or unclear or transactions == MOST_TRANSACTIONS or target is targets[-1]:
                return
            await errand.taken({path: fate for path, fate in attempt.fates.items() if fate.result is Result.ACCEPTED})
            errand = errand.to(waiting)
            await hop.close()
            attempt.hop = None
        if not transactions:
            _unreached(attempt, errand.mail, failures)


def _next_hop(domain: str, via: StaticHop | None, route: Sequence[Target] | NoRoute) -> Hashable:
    if isinstance(route, NoRoute):
        return (domain, via)
    return frozenset((target.address, target.port, target.static) for target in route)


async def _protection(target: Target, errand: Errand) -> Protection:
    asked = [*target.requirements, *(() if target.is_socket else await errand.requirements(target.mail_host))]
    return protection_of([*asked, SENDERS_REQUIREMENT] if errand.mail.require_tls else asked)


def _unreached(attempt: Attempt, mail: OutgoingMail, failures: Sequence[_Failure]) -> None:
    """No host was good enough. Waiting will not help where each of them lacks STARTTLS and only our own admin wants it, or what
    REQUIRETLS wants; where the domain itself has published that it has TLS, somebody is in between (RFC 7672 section 2.2).
    """
    faults = {failure.why.fault for failure in failures}
    last = failures[-1]
    target, failure, requirement = last.target, last.why, last.requirement
    words = f"{target}: {failure}"
    crowded = next((one for one in failures if one.why.fault is HostFault.CROWDED), None)
    is_published = any(one.requirement.policy.type is not PolicyType.NONE for one in failures)
    is_dns_at_fault = any(one.why.result is TlsResult.DNSSEC_INVALID for one in failures)
    if crowded is not None:  # whatever the others lack, this one may have
        _tell_all(attempt, mail, Result.TEMPORARY, reply(451, "4.4.5", f"{crowded.target}: {crowded.why}"))
        attempt.is_crowded_out = True
    elif _wants_login(target) and failure.fault is not HostFault.UNREACHABLE:
        # A smarthost is the admin's choice: whatever is wrong can be mended there, and no mail is at fault.
        for path in mail.forward_paths:
            attempt.fates[path] = local_problem(words)
        attempt.is_domain_down = True
    elif mail.require_tls and HostFault.UNREACHABLE not in faults and not is_dns_at_fault:
        text = f"The sender requires verified TLS and REQUIRETLS, and no mail host of the domain has both: {words}"
        _tell_all(attempt, mail, Result.PERMANENT, reply(550, "5.7.30", text))
    elif faults == {HostFault.NO_TLS} and not is_published:
        text = f"Encryption is required ({requirement.why}) and no mail host of the domain offers STARTTLS"
        _tell_all(attempt, mail, Result.PERMANENT, reply(550, "5.7.10", text))
    elif HostFault.UNREACHABLE not in faults:
        is_said = requirement.level is TlsLevel.OPPORTUNISTIC or str(failure) == requirement.why
        why = "" if is_said else f" ({requirement.why})"
        _tell_all(attempt, mail, Result.TEMPORARY, reply(450, "4.7.5", f"No sound TLS{why}: {words}"))
    else:
        said = failure.reply
        if said is not None and failure.fault is HostFault.UNREACHABLE:
            words = f"{target} does not take mail now: {said}"
        _tell_all(attempt, mail, Result.TEMPORARY, reply(451, "4.4.1", words))
        attempt.is_domain_down = faults == {HostFault.UNREACHABLE}


def _wants_login(target: Target) -> bool:
    return target.static is not None and target.static.login is not None


def _is_fit(hop: Hop, mail: OutgoingMail, protection: Protection) -> bool:
    floor = protection.floor
    strength, precedence = hop.requirement.rank
    return (max(strength, hop.level.strength), precedence) >= floor.rank and (hop.offers_requiretls or not mail.require_tls)


async def _send(attempt: Attempt, hop: Hop, errand: Errand) -> tuple[ForwardPath, ...]:
    """One transaction. Returns the recipients that have to wait. What has no form that the server takes is refused by us."""
    mail, is_converted = errand.mail, False
    if hop.wants_seven_bits(mail):
        with contextlib.suppress(ValueError):
            mail, is_converted = replace(mail, octets=await errand.seven_bits()), True
    outcomes = await hop.send(mail)
    for outcome in outcomes:
        attempt.fates[outcome.forward_path] = _fate(outcome, hop, is_converted=is_converted)
    return tuple(outcome.forward_path for outcome in outcomes if outcome.result is Result.TEMPORARY)


def _fate(outcome: Outcome, hop: Hop, *, is_converted: bool) -> Fate:
    words = one_line(str(outcome.reply) if outcome.by_peer else " ".join(outcome.reply.lines))
    way = f"{hop.target} {_protected(hop)}{', in seven bits' if is_converted else ''}"
    text = f"relayed to {way}: {words}" if outcome.result is Result.ACCEPTED else f"{way}: {words}"
    if outcome.by_peer and outcome.reply.code == LOGIN_WANTED and hop.target.static is not None:
        return local_problem(f"{way} wants a login, or another one than its route has: {words}")
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


def _protected(hop: Hop) -> str:
    if hop.tls is None:
        return "within this machine" if hop.target.is_socket else "in clear"
    return f"over {hop.tls.version}{_PROVEN[hop.requirement.policy.type] if hop.level is TlsLevel.VERIFIED else ''}"


_PROVEN = {PolicyType.TLSA: ", verified by DANE", PolicyType.STS: ", verified by MTA-STS", PolicyType.NONE: ", verified"}


def _tell_all(attempt: Attempt, mail: OutgoingMail, result: Result, why: Reply) -> None:
    words = one_line(" ".join(why.lines))
    for path in mail.forward_paths:
        attempt.fates[path] = Fate(result, _status(why), words, "", words)


def _status(answer: Reply) -> str:
    return answer.enhanced or f"{answer.code // 100}.0.0"
