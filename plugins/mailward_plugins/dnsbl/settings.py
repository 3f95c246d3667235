"""What an admin may set for the dnsbl plugin, and the facts it gives to policies."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mailward.api import PRIVATE_NETWORKS, Facts, Settings
from mailward_plugins.dnsbl.codes import code_pattern

MOST_ZONES = 12
"""Each may be asked about two names, so that half of `lookup.MOST_QUESTIONS` is never exceeded."""

Zones = Mapping[str, tuple[str, ...]]
_ZONE = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,62}")


@dataclass(frozen=True)
class DnsblSettings(Settings):
    """Zones are `{zone: [codes]}`, each of codes as in `codes.code_pattern`; `[]` takes any code.

    addresses: blocklists asked about the peer's address. domains: blocklists asked about the domain of the reverse-path and
    the HELO name. allow: allowlists asked about the peer's address. not_asked: networks whose mail is asked about nowhere.
    time_limit: for all questions together; what has not answered by then counts as failed.
    """

    addresses: Zones = field(default_factory=dict)
    domains: Zones = field(default_factory=dict)
    allow: Zones = field(default_factory=dict)
    not_asked: tuple[str, ...] = PRIVATE_NETWORKS
    time_limit: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        for zones in (self.addresses, self.domains, self.allow):
            for zone, codes in zones.items():
                if not _ZONE.fullmatch(zone):
                    raise ValueError(f"'{zone}' is no zone")
                for code in codes:
                    code_pattern(code)
        if len(self.addresses) + len(self.domains) + len(self.allow) > MOST_ZONES:
            raise ValueError(f"more than {MOST_ZONES} zones; every message would wait for all of them")
        for network in self.not_asked:
            ipaddress.ip_network(network)


@dataclass(frozen=True)
class DnsblFacts(Facts):
    """zones: blocklists that list the peer, the reverse-path's domain or the HELO name. allowed: allowlists that list the peer.

    failed: zones that gave no usable answer.
    """

    zones: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
