"""Which source of logins is counted?"""

import ipaddress
from collections.abc import Iterable

from mailward.api import normal_ip, source_of


def counted_source(peer_ip: str, trusted: Iterable[str] = ()) -> str | None:
    """None for loopback, for what is trusted and for what is no address."""
    try:
        address = ipaddress.ip_address(normal_ip(peer_ip))
    except ValueError:
        return None
    if address.is_loopback or any(address in ipaddress.ip_network(network) for network in trusted):
        return None
    return source_of(peer_ip)
