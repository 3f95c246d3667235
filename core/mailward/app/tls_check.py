"""How would mail for a domain be protected now, and why? For `mailward tls check`."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from mailward.api.relaying import MailHost, Relaying
from mailward.api.services import DnsTemporaryError, Resolver
from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices
from mailward.app.relaying import make_connector, make_router
from mailward.delivery.ports import Connector, HostFailed
from mailward.delivery.reaching import reach
from mailward.delivery.route import NoRoute, Target
from mailward.directory import Directory
from mailward.model.errors import HooksUnavailable
from mailward.model.ids import new_queue_id
from mailward.model.session import TlsFacts
from mailward.model.tls import Protection, TlsRequirement, TlsResult, TlsSession, protection_of
from mailward.pipeline.relays import Relays
from mailward.services.resolver import DnsResolver


@dataclass(frozen=True, slots=True)
class Tried:
    """One connection to one address. tls: None in clear, and when there was none. problem: "" when all was as it should be."""

    address: str
    tls: TlsFacts | None
    result: TlsResult | None
    problem: str
    is_used: bool


@dataclass(frozen=True, slots=True)
class HostCheck:
    """requirements: all that was asked for. tried: () unless connections were wanted."""

    host: MailHost
    addresses: tuple[str, ...]
    requirements: tuple[TlsRequirement, ...]
    protection: Protection
    tried: tuple[Tried, ...] = ()

    @property
    def gets_mail(self) -> bool:
        """Would a message go to it, as far as is known?"""
        return not self.protection.floor.is_barred and (not self.tried or any(one.is_used for one in self.tried))


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """is_own: it is served here, so its mail does not leave this server. no_route: why there is no host.

    notes: what an admin should know of this server. problem: which plugin failed.
    """

    domain: str
    hosts: tuple[HostCheck, ...] = ()
    is_own: bool = False
    no_route: NoRoute | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""


async def check_domain(config: Config, domain: str, *, connect: bool) -> DomainCheck:
    """domain: A-labels in lower case. connect: go as far as EHLO over TLS. Raises ConfigError. Nothing that is found is kept."""
    with closing(Directory(config.directory_file)) as directory:
        if directory.is_local_domain(domain):
            return DomainCheck(domain, is_own=True)
    resolver = DnsResolver(config.dns_servers)
    notes = await _notes(config, resolver)
    route = await make_router(config, resolver).find(domain)
    if isinstance(route, NoRoute):
        return DomainCheck(domain, no_route=route, notes=notes)
    filters = load_filters(config)
    services = PluginServices(config, keeps=False)
    try:
        rules = Relays(filters.policies["outbound"], filters.host, services.of)
        relaying = Relaying(new_queue_id(), domain, "submission", "", "", ())
        connector = make_connector(config) if connect else None
        hosts = [await _check(rules, relaying, targets, connector) for targets in _by_host(route)]
    except HooksUnavailable as error:
        return DomainCheck(domain, notes=notes, problem=str(error))
    finally:
        services.close()
    return DomainCheck(domain, tuple(hosts), notes=notes)


async def _check(rules: Relays, relaying: Relaying, targets: Sequence[Target], connector: Connector | None) -> HostCheck:
    host = targets[0].mail_host
    asked = () if targets[0].is_socket else await rules.tls_requirements(relaying, host)
    requirements = (*targets[0].requirements, *asked)
    protection = protection_of(requirements)
    attempt = None if connector is None else partial(_try, connector, relaying.domain, protection)
    tried = () if attempt is None else tuple([await attempt(target) for target in targets])
    return HostCheck(host, tuple(target.address for target in targets), requirements, protection, tried)


async def _try(connector: Connector, domain: str, protection: Protection, target: Target) -> Tried:
    """As an attempt does it."""
    sessions: list[TlsSession] = []
    try:
        hop = await reach(connector, target, domain, protection, sessions)
    except HostFailed as failure:
        return Tried(target.address, None, failure.result, str(failure), is_used=False)
    tls, (session,) = hop.tls, sessions
    await hop.close()
    return Tried(target.address, tls, session.result, session.detail, is_used=True)


async def _notes(config: Config, resolver: Resolver) -> tuple[str, ...]:
    """DANE lives on a resolver that validates (RFC 7672 section 2.1.1); the root zone is signed, so its answers show one."""
    if not any(ip_address(host).is_loopback for host, _ in config.dns_servers):
        return (
            "DANE is off: no server of dns: in mailward.yaml is on a loopback address, and no other is believed about DNSSEC",
        )
    try:
        root = await resolver.resolve(".", "TXT")
    except DnsTemporaryError as error:
        return (f"DNS: {error}",)
    if not root.authenticated:
        return ("DANE is off: the DNS server of dns: in mailward.yaml does not validate (DNSSEC); unbound does",)
    return ()


def _by_host(targets: Sequence[Target]) -> list[list[Target]]:
    found: dict[str, list[Target]] = {}
    for target in targets:
        found.setdefault(target.host, []).append(target)
    return list(found.values())
