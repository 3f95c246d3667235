"""What an admin may set for the spamtrap plugin, and the facts it gives to policies."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from mailward.api import PRIVATE_NETWORKS, Facts, Settings


@dataclass(frozen=True)
class SpamtrapSettings(Settings):
    """addresses: the traps, which must be addresses here. remember: for how long, counted from the last message to one.

    exempt: networks that are never remembered, and whose mail is never counted.
    """

    addresses: tuple[str, ...] = ()
    remember: timedelta = timedelta(days=3)
    exempt: tuple[str, ...] = PRIVATE_NETWORKS

    def __post_init__(self) -> None:
        for address in self.addresses:
            if not all(address.rpartition("@")):
                raise ValueError(f"'{address}' is no address")
        for network in self.exempt:
            ipaddress.ip_network(network)
        if not timedelta(0) < self.remember <= timedelta(days=90):
            raise ValueError("remember must be between a second and 90 days")

    @cached_property
    def traps(self) -> frozenset[str]:
        return frozenset(address.lower() for address in self.addresses)


@dataclass(frozen=True)
class SpamtrapFacts(Facts):
    """hit: this message is for a trap. hits: how often the peer has lately written to one, this message included."""

    hit: bool = False
    hits: int = 0
