"""What counts as one source of logins?"""

import ipaddress
from collections.abc import Iterable


def source_of(peer_ip: str, trusted: Iterable[str] = ()) -> str | None:
    """An IPv4 address, the /64 of an IPv6 address; None for loopback, for what is trusted and for what is no address."""
    try:
        address = ipaddress.ip_address(peer_ip.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback or any(address in ipaddress.ip_network(network) for network in trusted):
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
