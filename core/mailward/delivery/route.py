"""Where does mail for a domain go next? Static routes, MX records, null MX, loops (RFC 5321 section 5; RFC 7505).

`Router.find` asks DNS; what an answer means is decided by the pure functions below it. A name in DNS is a stranger's word:
it may not lead to this server itself, nor into a network that is not public unless the admin named that.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mailward.api.relaying import MailHost
from mailward.api.services import DnsTemporaryError, Resolver
from mailward.delivery.static_hop import StaticHop
from mailward.formats.network import Network, is_public, parsed_ip
from mailward.model.reply import Reply, reply
from mailward.model.tls import TlsLevel, TlsRequirement

MOST_HOSTS = 10
MOST_TARGETS = 10
"""How many hosts are looked up, and how many addresses tried, in one attempt (T-RELAY-17)."""

HOSTS_S = 10.0
"""How long is waited for the addresses of all hosts together, so that nobody's name servers hold up other mail."""

NULL_MX = reply(556, "5.1.10", "The domain does not accept mail (null MX)")
NO_SUCH_DOMAIN = reply(550, "5.1.2", "The domain does not exist in DNS, or has neither MX nor address records")
NO_ADDRESS = reply(550, "5.4.4", "No mail host of the domain has an address")
NOT_PUBLIC = reply(550, "5.4.4", "The mail hosts of the domain have no public address")
LOOP = reply(554, "5.4.6", "The domain's best mail host is this server, which does not serve it")


Chance = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Target:
    """One address to try. host: the name it has there; the address itself for none. Of a unix socket the address is the path.

    is_trusted: that this host is the right one is the admin's word, the address's own, or DNSSEC's; then a certificate that
    proves it is enough. Else DNS could have named anybody's. is_routed: the admin named it; is_ordered: by an order for the time
    being. static: how the admin wants connections there.
    """

    host: str
    address: str
    port: int
    is_trusted: bool = False
    is_routed: bool = False
    is_ordered: bool = False
    static: StaticHop | None = None

    @property
    def is_lmtp(self) -> bool:
        return self.static is not None and self.static.is_lmtp

    @property
    def is_socket(self) -> bool:
        """Nothing that goes there leaves this machine."""
        return self.static is not None and self.static.is_socket

    @property
    def requirements(self) -> tuple[TlsRequirement, ...]:
        """What the route itself asks for. Whoever is to hear a password proves his own name, not that of the mail's domain."""
        if self.static is None or self.static.level is TlsLevel.OPPORTUNISTIC:
            return ()
        return (TlsRequirement(self.static.level, "its route wants that", names=(self.host,)),)

    @property
    def mail_host(self) -> MailHost:
        """As plugins see it."""
        return MailHost(self.host, self.port, self.is_trusted, self.is_routed)

    def __str__(self) -> str:
        return f"[{self.address}]" if self.host == self.address else f"{self.host} [{self.address}]"


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Why there is nothing to try. permanent: nor will there be."""

    reply: Reply
    permanent: bool


@dataclass(frozen=True, slots=True)
class Mx:
    """One MX record, the host's name in lower case."""

    preference: int
    host: str


class Router:
    """hostname: our own. routes: domain, or "*" for all others. port: of hosts found by MX.

    is_ours: does an address lead to a listener of this server? allowed: networks that are not public and yet may be reached.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        hostname: str,
        routes: Mapping[str, StaticHop],
        port: int = 25,
        is_ours: Callable[[str], bool] = lambda address: False,
        allowed: Sequence[Network] = (),
        chance: Chance = random.random,
    ) -> None:
        self._resolver = resolver
        self._hostname = hostname.lower()
        self._routes = routes
        self._port = port
        self._is_ours = is_ours
        self._allowed = allowed
        self._chance = chance

    async def find(self, domain: str, via: StaticHop | None = None) -> tuple[Target, ...] | NoRoute:
        """The addresses to try, in this order. domain: A-labels in lower case, or an address literal.

        via: where an admin's order sends it, whatever configuration and DNS say.
        """
        try:
            static = via or self._routes.get(domain) or self._routes.get("*")
            if static is not None:
                return await self._static(static, is_ordered=via is not None)
            if domain.startswith("["):
                literal = domain[1:-1].removeprefix("IPv6:")
                return self._literal(literal)
            return await self._by_mx(domain)
        except DnsTemporaryError as error:
            return NoRoute(reply(451, "4.4.3", f"DNS gives no usable answer: {error}"), permanent=False)

    async def _static(self, hop: StaticHop, *, is_ordered: bool) -> tuple[Target, ...] | NoRoute:
        if hop.is_socket or parsed_ip(hop.host) is not None:
            host = self._hostname if hop.is_socket else hop.host
            return (Target(host, hop.host, hop.port, is_trusted=True, is_routed=True, is_ordered=is_ordered, static=hop),)
        addresses = await self._addresses(hop.host)
        if not addresses:
            # The admin's own word, and perhaps a slip of the pen: mail waits until it is mended.
            return NoRoute(reply(451, "4.4.4", f"The routed host {hop.host} has no address"), permanent=False)
        return tuple(
            Target(hop.host, address, hop.port, is_trusted=True, is_routed=True, is_ordered=is_ordered, static=hop)
            for address in addresses[:MOST_TARGETS]
        )

    def _literal(self, address: str) -> tuple[Target, ...] | NoRoute:
        if self._is_ours(address):
            return NoRoute(LOOP, permanent=True)
        if not is_public(address, self._allowed):
            return NoRoute(NOT_PUBLIC, permanent=True)
        return (Target(address, address, self._port, is_trusted=True),)

    async def _by_mx(self, domain: str) -> tuple[Target, ...] | NoRoute:
        answer = await self._resolver.resolve(domain, "MX")
        if answer.status == "nxdomain":
            return NoRoute(NO_SUCH_DOMAIN, permanent=True)
        found = read_mx(answer.records)
        if answer.status == "found" and not found:
            return NoRoute(NULL_MX, permanent=True)
        # RFC 5321 section 5.1: the domain's own addresses only where there is no MX record at all.
        ordered = in_order(found, self._chance) if found else (Mx(0, domain),)
        return await self._reach(ordered[:MOST_HOSTS], without_mx=not found, is_trusted=answer.authenticated)

    async def _reach(self, records: Sequence[Mx], *, without_mx: bool, is_trusted: bool) -> tuple[Target, ...] | NoRoute:
        """Look up hosts until there are enough addresses; our own place in the list ends it."""
        targets: list[Target] = []
        refused = False
        failure: DnsTemporaryError | None = None
        deadline = asyncio.get_running_loop().time() + HOSTS_S
        own = next((record.preference for record in records if record.host == self._hostname), None)
        for record in records:
            if (own is not None and record.preference >= own) or len(targets) >= MOST_TARGETS:
                break
            try:
                async with asyncio.timeout_at(deadline):
                    addresses = await self._addresses(record.host)
            except DnsTemporaryError as error:
                failure = error
                continue
            except TimeoutError:
                failure = DnsTemporaryError(f"the addresses of its hosts take longer than {HOSTS_S:g} s")
                break
            if any(self._is_ours(address) for address in addresses):
                own = record.preference
                targets = [target for target in targets if _preference(records, target) < own]
                break
            public = [address for address in addresses if is_public(address, self._allowed)]
            refused = refused or len(public) < len(addresses)
            targets += [Target(record.host, address, self._port, is_trusted) for address in public]
        if targets:
            return tuple(targets[:MOST_TARGETS])
        if failure is not None:
            raise failure
        if own is not None:
            return NoRoute(LOOP, permanent=True)
        if refused:
            return NoRoute(NOT_PUBLIC, permanent=True)
        return NoRoute(NO_SUCH_DOMAIN if without_mx else NO_ADDRESS, permanent=True)

    async def _addresses(self, host: str) -> list[str]:
        """IPv6 and IPv4 by turns. An IP address where a name belongs has none (RFC 5321 section 5.1: names only)."""
        if parsed_ip(host) is not None:
            return []
        failure: DnsTemporaryError | None = None
        kinds: list[Sequence[str]] = []
        both = (self._resolver.resolve(host, "AAAA"), self._resolver.resolve(host, "A"))
        for answer in await asyncio.gather(*both, return_exceptions=True):
            if isinstance(answer, DnsTemporaryError):
                failure = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                kinds.append(answer.records)
        found = [records[place] for place in range(max(map(len, kinds), default=0)) for records in kinds if place < len(records)]
        if not found and failure is not None:
            raise failure
        return found


def read_mx(records: Sequence[str]) -> tuple[Mx, ...]:
    """The MX records that name a host; none in an answer that has only "." (RFC 7505 section 3)."""
    found = []
    for record in records:
        preference, _, host = record.partition(" ")
        if host and host != ".":
            found.append(Mx(int(preference), host.lower()))
    return tuple(found)


def in_order(records: Sequence[Mx], chance: Chance) -> tuple[Mx, ...]:
    """By preference, equals at random (RFC 5321 section 5.1)."""
    return tuple(sorted(records, key=lambda record: (record.preference, chance())))


def _preference(records: Sequence[Mx], target: Target) -> int:
    return min(record.preference for record in records if record.host == target.host)
