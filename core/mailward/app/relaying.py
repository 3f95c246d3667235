"""The way out: routes from the configuration and DNS, connections as the configuration wants them."""

from mailward.app.config import Config
from mailward.delivery.asking import RecipientQuestions
from mailward.delivery.relay import Relay
from mailward.delivery.route import Router
from mailward.net.connect import SmtpConnector
from mailward.net.own_addresses import OwnAddresses
from mailward.services.resolver import DnsResolver


def make_relay(config: Config) -> Relay:
    """For one event loop."""
    return Relay(_router(config), _connector(config))


def make_questions(config: Config) -> RecipientQuestions:
    """For one event loop."""
    return RecipientQuestions(_router(config), _connector(config))


def _connector(config: Config) -> SmtpConnector:
    return SmtpConnector(config.hostname, source=config.outbound.source)


def _router(config: Config) -> Router:
    return Router(
        DnsResolver(config.dns_servers),
        hostname=config.hostname,
        routes={domain: hop for domain, hop in config.routes.items() if hop is not None},
        port=config.outbound.port,
        is_ours=OwnAddresses(listener.address for listener in config.listeners if listener.protocol == "smtp"),
        allowed=config.outbound.private_networks,
    )
