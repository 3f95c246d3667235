"""How much may the process of a plugin have the worker do? So much at once, and so much in a second after that."""

import time
from collections.abc import Callable


class Pace:
    """a_second: what is made good in each second. at_once: what may be spent before. now: monotonic seconds."""

    def __init__(self, a_second: float, at_once: float, now: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_second
        self._at_once = at_once
        self._now = now
        self._left, self._at = at_once, now()

    def spend(self) -> None:
        """Count one, whether or not there is room for it."""
        self._refill()
        self._left -= 1

    def wait_s(self) -> float:
        """Until there is room for another one; 0.0 when there is."""
        self._refill()
        return max(0.0, (1 - self._left) / self._a_second)

    def _refill(self) -> None:
        now = self._now()
        self._left = min(self._at_once, self._left + (now - self._at) * self._a_second)
        self._at = now
