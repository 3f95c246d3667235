"""How often may each of many do something? Counted in bounded memory (T-DOS-16), and by forked processes together."""

from mailward.services.shared import SharedTable

MOST_SOURCES = 100_000
_ROUNDING_S = 1e-6


class Rates:
    """A leaky bucket for each source: `limit` at once, and as many again in each period. limit: 0 for none.

    Of more than about `sources`, one that would be forgotten soon anyway is forgotten. Processes forked after it was made count
    together; one step in many is lost where two count the same source in the same microsecond.
    """

    def __init__(self, limit: int, period_s: float, sources: int = MOST_SOURCES) -> None:
        self._limit = limit
        self._period_s = period_s
        self._full_until = SharedTable(sources if limit else 0)

    def take(self, source: str, now_s: float, count: int = 1) -> bool:
        """May it, once more or `count` times more? Only then it is counted. now_s: of a monotonic clock."""
        if not self._limit:
            return True
        until = self._until(source, now_s, count)
        if until > now_s + self._period_s + _ROUNDING_S:
            return False
        self._full_until.put(source, until)
        return True

    def would_take(self, source: str, now_s: float) -> bool:
        """Might it, once more? Nothing is counted."""
        return not self._limit or self._until(source, now_s, 1) <= now_s + self._period_s + _ROUNDING_S

    def is_spent(self, source: str, now_s: float) -> bool:
        """Is there nothing left for now?"""
        return self._limit > 0 and self._until(source, now_s, 0) >= now_s + self._period_s - _ROUNDING_S

    def charge(self, source: str, now_s: float, count: int) -> None:
        """It was done, be it more than was allowed; at most a further period is waited for it."""
        if self._limit:
            self._full_until.put(source, min(self._until(source, now_s, count), now_s + 2 * self._period_s))

    def _until(self, source: str, now_s: float, count: int) -> float:
        """When the bucket of this source would be empty again."""
        return max(self._full_until.get(source), now_s) + count * self._period_s / self._limit
