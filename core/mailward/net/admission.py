"""May one more connection come from this address? Counted for all listeners that share one `Admission`, in all processes.

When most places are taken the server is under stress: who has not logged in gets less time and fewer errors, until there is room
again. So a crowd of idle strangers makes room by itself, and nobody who is known is sent away. Where people log in, the last
places are for those who come from where somebody has logged in before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

import structlog

from mailward.formats.network import Network, is_in, is_own, network_of, source_of
from mailward.metering import METERS
from mailward.model.metrics import Counter, Gauge
from mailward.rounds import Rounds
from mailward.services.known import KnownSources
from mailward.services.rates import Rates
from mailward.services.shared import OpenCounts, Seats

log = structlog.get_logger("mailward.net")

CONNECTIONS = Counter("connections", "Connections that were let in", ("protocol",))
REFUSED = Counter("connections_refused", "Connections that were refused, by the limit that was reached", ("protocol", "limit"))
OPEN = Gauge("connections_open", "Connections that are open", ("protocol",), adds_up=True)

STRESS_BEGINS, STRESS_ENDS, STRANGERS = 0.8, 0.6, 0.9
"""Shares of all places; the last one is what strangers may take."""
_ALL = "*"
_LOOK_S = 1.0


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
    """A limit that is reached. limit: its name in the settings. source: whose connections were counted, "" for everybody's."""

    limit: str
    value: int
    source: str = ""


class Admission:
    """Limits on connections of one protocol. An IPv6 /64 counts as one address, a /24 or a /48 as one network.

    seats: the processes that serve it together. known: from where people have logged in; None where nobody does. Clients in their
    first handshake are counted beside the others, and by the same limits, so that silent ones are not without number (T-TLS-13).
    """

    def __init__(
        self,
        limits: AdmissionLimits | None = None,
        seats: Seats | None = None,
        known: KnownSources | None = None,
        protocol: str = "smtp",
    ) -> None:
        """on_stress: what is called when stress begins."""
        self.protocol = protocol
        self.limits = limits or AdmissionLimits()
        self.is_stressed = False
        self.on_stress: list[Callable[[], None]] = []
        seats = seats or Seats()
        self._open = _Places(self.limits, seats, known)
        self._shaking = _Places(self.limits, seats, known)
        self._new = Rates(self.limits.per_minute, 60.0)
        self._told = Rates(1, 60.0)

    @property
    def count(self) -> int:
        """Connections that are open."""
        return self._open.count

    def enter(self, ip: str) -> Excess | None:
        """None when the connection may stay; `leave` must then be called once. Else the limit that it would exceed."""
        excess = self._open.enter(ip)
        if excess is None and (excess := self._too_many_new(ip)) is not None:
            self._open.leave(ip)
        if excess is not None:
            return self._refused(ip, excess)
        meter = METERS.of("")
        meter.count(CONNECTIONS, protocol=self.protocol)
        meter.change(OPEN, 1, protocol=self.protocol)
        self.look_for_stress()
        return None

    def leave(self, ip: str) -> None:
        self._open.leave(ip)
        METERS.of("").change(OPEN, -1, protocol=self.protocol)
        if self.is_stressed:
            self.look_for_stress()

    def enter_handshake(self, ip: str) -> Excess | None:
        """The same for a client that is no connection yet, and `leave_handshake`."""
        excess = self._shaking.enter(ip)
        return None if excess is None else self._refused(ip, excess)

    def leave_handshake(self, ip: str) -> None:
        self._shaking.leave(ip)

    def _too_many_new(self, ip: str) -> Excess | None:
        limits, source = self.limits, source_of(ip)
        if is_own(ip) or is_in(ip, limits.exempt) or self._new.take(source, monotonic()):
            return None
        return Excess("connections_per_minute", limits.per_minute, source)

    def _refused(self, ip: str, excess: Excess) -> Excess:
        METERS.of("").count(REFUSED, protocol=self.protocol, limit=excess.limit)
        if self.is_news(excess.source):
            log.info("connection refused", peer=ip, limit=excess.limit, value=excess.value, source=excess.source)
        return excess

    def is_news(self, source: str) -> bool:
        """Was nothing said of this source for a minute? Then it is worth a line in the log (T-DOS-15)."""
        return self._told.take(source, monotonic())

    def look_for_stress(self) -> None:
        """Other processes fill the places too: to be called now and then where nobody comes or goes."""
        count = self.count
        share = count / self.limits.total
        if not self.is_stressed and share >= STRESS_BEGINS:
            self.is_stressed = True
            log.warning("stress begins", connections=count, limit=self.limits.total)
            for hurry in self.on_stress:
                hurry()
        elif self.is_stressed and share < STRESS_ENDS:
            self.is_stressed = False
            log.warning("stress ends", connections=count, limit=self.limits.total)


class _Places:
    """Who is there."""

    def __init__(self, limits: AdmissionLimits, seats: Seats, known: KnownSources | None) -> None:
        self._limits = limits
        self._known = known
        room = 2 * limits.total + 1024  # so that more than one group holds fall together once in a million
        self._addresses, self._networks = OpenCounts(room, seats), OpenCounts(room, seats)

    @property
    def count(self) -> int:
        return self._addresses.of(_ALL)

    def enter(self, ip: str) -> Excess | None:
        """None when it has its place, else the limit that it would exceed.

        It takes the place before it counts, so that of several processes that do so at the same instant none believes that it has
        the last one. They may all believe that it is gone; then somebody is refused who could have stayed.
        """
        for counts, name in self._names(ip):
            counts.open(name)
        excess = self._excess(ip)
        if excess is not None:
            self.leave(ip)
        return excess

    def _excess(self, ip: str) -> Excess | None:
        """The limit that is exceeded with this one."""
        limits = self._limits
        if self.count > (limits.total if self._known is None or ip in self._known else limits.total * STRANGERS):
            return Excess("connections", limits.total)
        if is_in(ip, limits.exempt):
            return None
        source, network = source_of(ip), network_of(ip)
        if self._addresses.of(source) > limits.per_address:
            return Excess("connections_per_address", limits.per_address, source)
        if self._networks.of(network) > limits.per_network:
            return Excess("connections_per_network", limits.per_network, network)
        return None

    def leave(self, ip: str) -> None:
        for counts, name in self._names(ip):
            counts.close(name)

    def _names(self, ip: str) -> tuple[tuple[OpenCounts, str], ...]:
        return (self._addresses, _ALL), (self._addresses, source_of(ip)), (self._networks, network_of(ip))


def stress_watch(admissions: Iterable[Admission]) -> Rounds:
    """Notices what other processes let in."""

    async def look() -> None:
        for admission in admissions:
            admission.look_for_stress()

    return Rounds("looking for stress", look, every_s=_LOOK_S, first_after_s=_LOOK_S)
