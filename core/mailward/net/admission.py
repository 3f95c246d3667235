"""May one more connection come from this address? Counted for all listeners that share one `Admission`."""

import ipaddress
from collections import Counter


def normal_ip(text: str) -> str:
    """A peer address as text without zone; an IPv4 address mapped into IPv6 as IPv4 (RFC 4291 section 2.5.5.2)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


class Admission:
    """Limits on connections that are open at the same time. An IPv6 /64 counts as one address."""

    def __init__(self, *, total: int = 1000, per_address: int = 20) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self._count = 0

    def enter(self, ip: str) -> bool:
        """True when the connection may stay; `leave` must then be called once. ip: as `normal_ip` gives it."""
        key = _key(ip)
        if self._count >= self._total or self._open[key] >= self._per_address:
            return False
        self._open[key] += 1
        self._count += 1
        return True

    def leave(self, ip: str) -> None:
        key = _key(ip)
        self._count -= 1
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]


def _key(ip: str) -> str:
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ":" in ip else ip
