"""May one more connection come from this address? Counted for all listeners that share one `Admission`."""

from collections import Counter

from mailward.formats.network import source_of


class Admission:
    """Limits on connections that are open at the same time. An IPv6 /64 counts as one address."""

    def __init__(self, *, total: int = 1000, per_address: int = 20) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self._count = 0

    def twin(self) -> "Admission":
        """Another count with the same limits."""
        return Admission(total=self._total, per_address=self._per_address)

    def enter(self, ip: str) -> bool:
        """True when the connection may stay; `leave` must then be called once."""
        key = source_of(ip)
        if self._count >= self._total or self._open[key] >= self._per_address:
            return False
        self._open[key] += 1
        self._count += 1
        return True

    def leave(self, ip: str) -> None:
        key = source_of(ip)
        self._count -= 1
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
