"""An answer that may be a moment old."""

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


def kept_for(period_s: float, ask: Callable[[], T], now_s: Callable[[], float] = monotonic) -> Callable[[], T]:
    """Asks at most once in each period, and gives the last answer otherwise. An error is not kept."""
    answer: T
    stale_at_s = float("-inf")

    def recent() -> T:
        nonlocal answer, stale_at_s
        now = now_s()
        if now >= stale_at_s:
            answer, stale_at_s = ask(), now + period_s
        return answer

    return recent
