"""How often may each of many do something? Counted in bounded memory (T-DOS-16)."""

from collections import OrderedDict

MOST_SOURCES = 100_000
_ROUNDING_S = 1e-6


class Rates:
    """A leaky bucket for each source: `limit` at once, and as many again in each period. limit: 0 for none.

    Of more than MOST_SOURCES the one that was heard of the longest ago is forgotten, which costs it nothing.
    """

    def __init__(self, limit: int, period_s: float) -> None:
        self._limit = limit
        self._period_s = period_s
        self._full_until: OrderedDict[str, float] = OrderedDict()

    def take(self, source: str, now_s: float, count: int = 1) -> bool:
        """May it, once more or `count` times more? Only then it is counted. now_s: of a monotonic clock."""
        until = self._until(source, now_s, count)
        if until > now_s + self._period_s + _ROUNDING_S:
            return False
        self._keep(source, until)
        return True

    def is_spent(self, source: str, now_s: float) -> bool:
        """Is there nothing left for now?"""
        return self._limit > 0 and self._until(source, now_s, 0) >= now_s + self._period_s - _ROUNDING_S

    def charge(self, source: str, now_s: float, count: int) -> None:
        """It was done, be it more than was allowed; at most a further period is waited for it."""
        self._keep(source, min(self._until(source, now_s, count), now_s + 2 * self._period_s))

    def _until(self, source: str, now_s: float, count: int) -> float:
        """When the bucket of this source would be empty again."""
        if not self._limit:
            return now_s
        return max(self._full_until.get(source, now_s), now_s) + count * self._period_s / self._limit

    def _keep(self, source: str, until: float) -> None:
        if self._limit:
            self._full_until[source] = until
            self._full_until.move_to_end(source)
            if len(self._full_until) > MOST_SOURCES:
                self._full_until.popitem(last=False)
