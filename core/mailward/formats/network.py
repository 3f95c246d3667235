"""Who is this peer, and what counts as one source? One answer for limits, failure counts and plugins."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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


@lru_cache(maxsize=4096)
def network_of(peer_ip: str) -> str:
    """The neighbourhood of a source: the /24 of an IPv4 address, the /48 of an IPv6 address. Other text is its own."""
    try:
        ip = normal_ip(peer_ip)
    except ValueError:
        return peer_ip
    return str(ipaddress.ip_network((ip, 48 if ":" in ip else 24), strict=False))


def is_in(peer_ip: str, networks: Sequence[Network]) -> bool:
    """Does the address lie in one of the networks?"""
    if not networks:
        return False
    address = ipaddress.ip_address(peer_ip)
    return any(address in network for network in networks)


def is_own(peer_ip: str) -> bool:
    """An address that only this machine can come from."""
    return peer_ip == "::1" or peer_ip.startswith("127.")
