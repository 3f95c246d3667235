"""Where has somebody logged in from? Processes forked after it was made know it together; a restart of the server forgets it."""

from mailward.formats.network import source_of
from mailward.services.shared import SharedTable

MOST_SOURCES = 50_000


class KnownSources:
    """Addresses, an IPv6 /64 as one, from which a login was accepted; of too many the oldest are forgotten."""

    def __init__(self, sources: int = MOST_SOURCES) -> None:
        self._at = SharedTable(sources)

    def add(self, ip: str, now_s: float) -> None:
        """now_s: of a monotonic clock, above 0."""
        self._at.put(source_of(ip), now_s)

    def __contains__(self, ip: str) -> bool:
        return self._at.get(source_of(ip)) > 0
