"""How much processor time does a plugin's process use while nobody has asked it anything?

While it works on a call, that call's time limit is its bound. What runs on in between (a thread that was never told to stop, a
task that never sleeps) has none of its own.
"""

import contextlib
import ctypes
import time
from collections.abc import Callable

AT_ONCE_S = 5.0
"""Seconds of processor time that it may use between its calls: a list that is read again, a collection of garbage."""
SHARE = 0.05
"""What is made good in each idle second."""


def cpu_clock(pid: int) -> Callable[[], float]:
    """What tells the seconds of processor time that a process has used (clock_getcpuclockid(3)); it stops when that has ended."""
    clock, last = ctypes.c_int(), 0.0
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        return lambda: 0.0

    def used() -> float:
        nonlocal last
        with contextlib.suppress(OSError):
            last = time.clock_gettime(clock.value)
        return last

    return used


class IdleUse:
    """Of one process, which is idle at first. used, now: seconds of processor time, and monotonic ones."""

    def __init__(self, used: Callable[[], float], now: Callable[[], float] = time.monotonic) -> None:
        self._used = used
        self._now = now
        self._left_s = AT_ONCE_S
        self._idle_from: tuple[float, float] | None = used(), now()

    def begin_call(self) -> None:
        """The first of the calls that are under way from here on."""
        self._count()
        self._idle_from = None

    def end_calls(self) -> None:
        """No call is under way any more."""
        self._idle_from = self._used(), self._now()

    def is_too_much(self) -> bool:
        """It used more than it may."""
        self._count()
        return self._left_s < 0

    def _count(self) -> None:
        if self._idle_from is None:
            return
        (used, since), self._idle_from = self._idle_from, (self._used(), self._now())
        self._left_s = min(AT_ONCE_S, self._left_s + SHARE * (self._idle_from[1] - since) - (self._idle_from[0] - used))
