"""Which host? The name that reverse DNS gives an address, believed where it leads back to it (iprev, RFC 8601 section 3)."""

import asyncio
import ipaddress

from mailward.api.services import DnsTemporaryError, Resolver
from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.network import PRIVATE_NETWORKS
from mailward.model.dns import RecordType
from mailward.model.session import ReverseName

MOST_NAMES = 5
"""Of one address so many names are looked at, so that a stranger cannot make us ask hundreds of questions."""
LOOKUP_S = 6.0
"""All questions about one address together."""

_NOT_ASKED = tuple(ipaddress.ip_network(text) for text in ("0.0.0.0/8", "::/128", *PRIVATE_NETWORKS))
"""Nobody outside knows a name for these, and whoever is asked learns of our network."""


async def reverse_name(resolver: Resolver, ip: str) -> ReverseName:
    """The name of the host with this address. Never raises for what DNS says or does not say."""
    address = ipaddress.ip_address(ip)
    if any(address in network for network in _NOT_ASKED):
        return ReverseName("none")
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await resolver.resolve(address.reverse_pointer, "PTR")
            names = list(dict.fromkeys(name for name in map(_host_name, found.records[:MOST_NAMES]) if name))
            if found.status != "found":
                return ReverseName("permerror")
            results = await asyncio.gather(*(_leads_back(resolver, name, ip) for name in names))
    except (TimeoutError, DnsTemporaryError):
        return ReverseName("temperror")
    for name, result in zip(names, results, strict=True):
        if result:
            return ReverseName("pass", name)
    return ReverseName("temperror" if None in results else "fail", claimed=names[0] if names else "")


async def _leads_back(resolver: Resolver, name: str, ip: str) -> bool | None:
    """Has the name this address? None: nobody can say now."""
    kind: RecordType = "AAAA" if ":" in ip else "A"
    try:
        found = await resolver.resolve(name, kind)
    except DnsTemporaryError:
        return None
    return any(ipaddress.ip_address(record) == ipaddress.ip_address(ip) for record in found.records)


def _host_name(record: str) -> str:
    """ "" for what is no name of a host: a PTR record may hold any octets (T-HDR-11)."""
    try:
        return "" if record.startswith("[") else normalise_domain(record)
    except AddressSyntaxError:
        return ""
