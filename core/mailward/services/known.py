"""Where has somebody logged in from? Processes forked after it was made know it together; a restart of the server forgets it."""

from mailward.formats.network import source_of
from mailward.services.rates import Rates
from mailward.services.shared import SharedTable

MOST_SOURCES = 50_000
MOST_NEW = 50
"""Of one account in a day: whoever has one password and a large network must not make others forgotten (T-DOS-16)."""
_DAY_S = 86400.0


class KnownSources:
    """Addresses, an IPv6 /64 as one, from which a login was accepted; of too many the oldest are forgotten."""

    def __init__(self, sources: int = MOST_SOURCES) -> None:
        self._at = SharedTable(sources)
        self._new = Rates(MOST_NEW, _DAY_S, sources)

    def add(self, ip: str, account: str, now_s: float) -> None:
        """now_s: of a monotonic clock, above 0."""
        source = source_of(ip)
        if self._at.get(source) > 0 or self._new.take(account, now_s):
            self._at.put(source, now_s)

    def __contains__(self, ip: str) -> bool:
        return self._at.get(source_of(ip)) > 0
