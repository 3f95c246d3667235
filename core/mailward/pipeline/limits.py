"""How long may the calls of one stage take? One timer of the event loop watches them all.

Most of them begin together and have the same limit, and a timer for each costs as much as all the rest of a short call.
"""

import asyncio
import math
import time
from typing import Protocol

TOGETHER_S = 0.001
"""Limits that are so near to each other end together; the event loop's clock is no finer."""


class Limited(Protocol):
    """What has a limit."""

    def expired(self) -> None:
        """Its time is over. It may have ended meanwhile."""


class Limits:
    """Of what is under way at one stage. All times are those of `time.monotonic()`.

    deadline: when the stage itself ends.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._ends: dict[Limited, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def set(self, one: Limited, at: float) -> None:
        """Tell it then, and no longer when it was to be told before."""
        self._ends[one] = at
        if at < self._rings_at:
            self._wind(at)

    def drop(self, one: Limited) -> None:
        """It has ended."""
        self._ends.pop(one, None)
        if not self._ends:
            self._stop()

    def _wind(self, at: float) -> None:
        self._stop()
        self._rings_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._ring)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, math.inf

    def _ring(self) -> None:
        over = [one for one, at in self._ends.items() if at <= self._rings_at + TOGETHER_S]
        for one in over:
            del self._ends[one]
        self._stop()
        if self._ends:
            self._wind(min(self._ends.values()))
        for one in over:
            one.expired()
