"""Who is this peer, and what counts as one source? One answer for limits, failure counts and plugins."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)
def normal_ip(text: str) -> str:
    """A peer address without zone; an IPv4 address mapped into IPv6 as IPv4 (RFC 4291 section 2.5.5.2). Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=4096)
def source_of(peer_ip: str) -> str:
    """An IPv4 address, the /64 of an IPv6 address: whoever has one address of it has them all. Other text is its own source."""
    try:
        ip = normal_ip(peer_ip)
    except ValueError:
        return peer_ip
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ":" in ip else ip
