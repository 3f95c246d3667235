"""May one more connection come from this address? Counted for all listeners that share one `Admission`.

When most places are taken the server is under stress: who has not logged in gets less time and fewer errors, until there is room
again. So a crowd of idle strangers makes room by itself, and nobody who is known is sent away.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

import structlog

from mailward.formats.network import Network, is_in, is_own, network_of, source_of
from mailward.services.rates import Rates

log = structlog.get_logger("mailward.net")

STRESS_BEGINS, STRESS_ENDS = 0.8, 0.6
"""Shares of all places."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """total, per_address, per_network: connections open at once. per_minute: new ones of one address.

    exempt: networks for which only `total` counts. Nothing is counted per minute for connections from this machine.
    """

    total: int = 1000
    per_address: int = 20
    per_network: int = 40
    per_minute: int = 120
    exempt: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that is reached. limit: its name in the settings. source: whose connections were counted, "" for everybody's.

    is_news: nothing was said of this source for a minute, so it is worth a line in the log (T-DOS-15).
    """

    limit: str
    value: int
    source: str = ""
    is_news: bool = True


class Admission:
    """Limits on connections of one protocol. An IPv6 /64 counts as one address, a /24 or a /48 as one network."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        """on_stress: what is called when stress begins."""
        self.limits = limits or AdmissionLimits()
        self.is_stressed = False
        self.on_stress: list[Callable[[], None]] = []
        self._open: Counter[str] = Counter()
        self._networks: Counter[str] = Counter()
        self._count = 0
        self._new = Rates(self.limits.per_minute, 60.0)
        self._told = Rates(1, 60.0)

    def twin(self) -> "Admission":
        """Another count with the same limits, but none on new connections."""
        return Admission(replace(self.limits, per_minute=0))

    def enter(self, ip: str) -> Excess | None:
        """None when the connection may stay; `leave` must then be called once. Else the limit that it would exceed."""
        limits, source, network = self.limits, source_of(ip), network_of(ip)
        excess = None
        if self._count >= limits.total:
            excess = Excess("connections", limits.total)
        elif not is_in(ip, limits.exempt):
            if self._open[source] >= limits.per_address:
                excess = Excess("connections_per_address", limits.per_address, source)
            elif self._networks[network] >= limits.per_network:
                excess = Excess("connections_per_network", limits.per_network, network)
            elif not is_own(ip) and not self._new.take(source, monotonic()):
                excess = Excess("connections_per_minute", limits.per_minute, source)
        if excess is not None:
            return replace(excess, is_news=self._told.take(excess.source, monotonic()))
        self._open[source] += 1
        self._networks[network] += 1
        self._count += 1
        self._look_for_stress()
        return None

    def leave(self, ip: str) -> None:
        self._count -= 1
        for counter, key in ((self._open, source_of(ip)), (self._networks, network_of(ip))):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        self._look_for_stress()

    def _look_for_stress(self) -> None:
        share = self._count / self.limits.total
        if not self.is_stressed and share >= STRESS_BEGINS:
            self.is_stressed = True
            log.warning("stress begins", connections=self._count, limit=self.limits.total)
            for hurry in self.on_stress:
                hurry()
        elif self.is_stressed and share < STRESS_ENDS:
            self.is_stressed = False
            log.warning("stress ends", connections=self._count, limit=self.limits.total)
