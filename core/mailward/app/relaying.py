"""The way out: routes from the configuration and DNS, connections as the configuration wants them."""

import ipaddress
import socket

from mailward.app.config import Config
from mailward.delivery.relay import Relay
from mailward.delivery.route import Router
from mailward.net.connect import SmtpConnector
from mailward.services.resolver import DnsResolver


def make_relay(config: Config) -> Relay:
    """For one event loop."""
    router = Router(
        DnsResolver(config.dns_servers),
        hostname=config.hostname,
        routes={domain: hop for domain, hop in config.routes.items() if hop is not None},
        port=config.outbound.port,
        is_ours=OwnAddresses(config),
        allowed=config.outbound.private_networks,
    )
    return Relay(router, SmtpConnector(config.hostname, source=config.outbound.source))


class OwnAddresses:
    """Would mail for this address come back to us? A listener on all addresses has those that can be bound to here."""

    def __init__(self, config: Config) -> None:
        listening = {ipaddress.ip_address(listener.address) for listener in config.listeners if listener.protocol == "smtp"}
        self._exact = {str(address) for address in listening}
        self._everywhere = any(address.is_unspecified for address in listening)

    def __call__(self, address: str) -> bool:
        return address in self._exact or (self._everywhere and _is_of_this_host(address))


def _is_of_this_host(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
