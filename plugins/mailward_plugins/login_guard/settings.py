"""What an admin may set for the login_guard plugin, and the facts it gives to policies."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from mailward.api import Facts, Settings

MOST_NAMES = 1000


@dataclass(frozen=True)
class GuardSettings(Settings):
    """names: so many distinct names tried in vain from one network within `window` are spraying. window: that time.

    trusted: networks that are never counted, beside loopback: an office behind one address, a webmail server.
    """

    names: int = 20
    window: timedelta = timedelta(hours=1)
    trusted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError, which becomes a problem of the policy."""
        if not 2 <= self.names <= MOST_NAMES:
            raise ValueError(f"names: 2 to {MOST_NAMES} was expected")
        if self.window < timedelta(minutes=1):
            raise ValueError("window: at least 1m was expected")
        for network in self.trusted:
            ipaddress.ip_network(network)


@dataclass(frozen=True)
class GuardFacts(Facts):
    """names: distinct names that were tried in vain from this network within the window."""

    names: int = 0
