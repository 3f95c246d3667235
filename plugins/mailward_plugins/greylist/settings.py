"""What an admin may set for the greylist plugin, and the facts it gives to policies."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from mailward.api import PRIVATE_NETWORKS, Facts, Settings


@dataclass(frozen=True)
class GreylistSettings(Settings):
    """delay: a first message is early for so long. retry_within: after its first attempt; later it is a first one again.

    remember: how long what came back stays known, counted from its last message. known_after: so many different senders and
    recipients that came back make their source known, whoever writes from there next; 0 for never.
    exempt: networks that are never early. exempt_domains: so are domains of reverse-paths that SPF vouches for, and those
    below them.
    """

    delay: timedelta = timedelta(minutes=5)
    retry_within: timedelta = timedelta(days=2)
    remember: timedelta = timedelta(days=36)
    known_after: int = 5
    exempt: tuple[str, ...] = PRIVATE_NETWORKS
    exempt_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for network in self.exempt:
            ipaddress.ip_network(network)
        if not timedelta(0) < self.delay < self.retry_within <= self.remember:
            raise ValueError("delay must be shorter than retry_within, and that no longer than remember")


@dataclass(frozen=True)
class GreylistFacts(Facts):
    """early: the message is a first attempt, or a second that came too soon. wait_s: the seconds until another is not, else 0."""

    early: bool = False
    wait_s: int = 0
