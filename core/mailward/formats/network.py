"""Who is this peer, and what counts as one source? One answer for limits, failure counts and plugins."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_SOCKET_PATH = 107
"""sun_path of unix(7), without its last octet."""

PRIVATE_NETWORKS = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)
"""Loopback, private, shared and link-local addresses: our own machines, of which nobody outside knows anything."""

NEVER_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "fec0::/10",  # site-local, deprecated (RFC 3879)
        "3fff::/20",  # documentation (RFC 9637)
        "64:ff9b:1::/48",  # translation within a network (RFC 8215)
    )
)
"""What `ipaddress` takes for global in some releases of Python."""
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""An IPv4 address is in its last 32 bits (RFC 6052); servers without IPv4 reach others by it."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""RFC 4291 section 2.5.5.2."""

_address = lru_cache(maxsize=4096)(ipaddress.ip_address)


@lru_cache(maxsize=4096)
def normal_ip(text: str) -> str:
    """A peer address without zone; an IPv4 address mapped into IPv6 as IPv4 (RFC 4291 section 2.5.5.2). Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def unmapped(network: Network) -> Network:
    """A network of IPv4 addresses mapped into IPv6 as IPv4: peers are known so (`normal_ip`)."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - _MAPPED.prefixlen))
    return network


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
    address = _address(peer_ip)
    return any(address in network for network in networks)


def is_own(peer_ip: str) -> bool:
    """An address that only this machine can come from."""
    return peer_ip == "::1" or peer_ip.startswith("127.")


def is_public(address: str, allowed: Sequence[Network] = ()) -> bool:
    """May an address found in DNS be connected to? allowed: networks that are not public and yet may be."""
    parsed = parsed_ip(address)
    if parsed is None:
        return False
    reached = _within(parsed)
    if any(parsed in network or reached in network for network in allowed):
        return True
    if any(reached in network for network in NEVER_PUBLIC):
        return False
    return reached.is_global and not reached.is_multicast and not reached.is_reserved


def _within(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


@lru_cache(maxsize=4096)
def parsed_ip(text: str) -> Address | None:
    """None for what is no IP address."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
