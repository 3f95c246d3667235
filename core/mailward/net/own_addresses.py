"""Would mail for this address come back to us? (T-RELAY-17)"""

import ipaddress
import socket
from collections.abc import Iterable


class OwnAddresses:
    """listening: where we take mail; one that listens on all addresses has those that can be bound to here."""

    def __init__(self, listening: Iterable[str]) -> None:
        addresses = {ipaddress.ip_address(address) for address in listening}
        self._exact = {str(address) for address in addresses}
        self._everywhere = any(address.is_unspecified for address in addresses)

    def __call__(self, address: str) -> bool:
        return address in self._exact or (self._everywhere and is_of_this_host(address))


def is_of_this_host(address: str) -> bool:
    """Can it be connected from, and listened at?"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
