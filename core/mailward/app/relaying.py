"""The way out: routes from the configuration and DNS, connections as the configuration wants them."""

from mailward.api.services import Resolver
from mailward.app.config import Config
from mailward.delivery.asking import RecipientQuestions
from mailward.delivery.relay import Relay
from mailward.delivery.route import Router
from mailward.net.connect import SmtpConnector
from mailward.net.own_addresses import OwnAddresses
from mailward.services.resolver import DnsResolver


def make_relay(config: Config) -> Relay:
    """For one event loop."""
    return Relay(make_router(config, DnsResolver(config.dns_servers)), make_connector(config))


def make_questions(config: Config) -> RecipientQuestions:
    """For one event loop."""
    return RecipientQuestions(make_router(config, DnsResolver(config.dns_servers)), make_connector(config))


def make_connector(config: Config) -> SmtpConnector:
    """As the configuration wants connections."""
    return SmtpConnector(config.hostname, source=config.outbound.source)


def make_router(config: Config, resolver: Resolver) -> Router:
    """For one event loop."""
    return Router(
        resolver,
        hostname=config.hostname,
        routes={domain: hop for domain, hop in config.routes.items() if hop is not None},
        port=config.outbound.port,
        is_ours=OwnAddresses(listener.address for listener in config.listeners if listener.protocol == "smtp"),
        allowed=config.outbound.private_networks,
    )
