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
    """What a smarthost's secret holds: the first line of its file. Raises OSError, ValueError that say what to do."""
    secrets = FolderSecrets(config.route_secrets)

    def password(name: str) -> str:
        path = config.route_secrets / name
        try:
            lines = secrets.read(name).decode("utf-8").splitlines()
        except FileNotFoundError:
            raise ValueError(f"there is no file {path}; write the password into it, mode 0600") from None
        except PermissionError as error:
            if error.strerror is None:  # its words say what to do
                raise
            raise ValueError(f"{path}: {error.strerror}; it must belong to the user that the server runs as") from None
        if not lines or not lines[0]:
            raise ValueError(f"{path} is empty; write the password into its first line")
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
