"""The way out: routes from the configuration and DNS, connections as the configuration wants them."""

from collections.abc import Callable

from mailward.api.services import Resolver
from mailward.app.config import Config
from mailward.delivery.asking import RecipientQuestions
from mailward.delivery.relay import Relay
from mailward.delivery.route import Router
from mailward.net.connect import SmtpConnector
from mailward.net.own_addresses import OwnAddresses
from mailward.services.resolver import DnsResolver
from mailward.services.secrets import FolderSecrets


def make_relay(config: Config) -> Relay:
    """For one event loop."""
    return Relay(make_router(config, DnsResolver(config.dns_servers)), make_connector(config))


def make_questions(config: Config) -> RecipientQuestions:
    """For one event loop."""
    return RecipientQuestions(make_router(config, DnsResolver(config.dns_servers)), make_connector(config))


def make_connector(config: Config) -> SmtpConnector:
    """As the configuration wants connections."""
    own = config.outbound
    return SmtpConnector(own.hostname or config.hostname, source=own.source, password=passwords(config))


def passwords(config: Config) -> Callable[[str], str]:
    """What a smarthost's secret holds: the first line of its file. Raises OSError, ValueError."""
    secrets = FolderSecrets(config.route_secrets)

    def password(name: str) -> str:
        lines = secrets.read(name).decode("utf-8").splitlines()
        if not lines or not lines[0]:
            raise ValueError(f"{config.route_secrets / name} is empty")
        return lines[0]

    return password


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
