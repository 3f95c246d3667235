"""Is it of any use to ask this plugin now? What its failures cost is counted, and past a budget nobody waits for it any more.

The budget is time, since that is what a failed call costs: a message, a login or a thread has waited for nothing. A call that
raises at once costs nothing and is always made. Otherwise a stranger with one message that makes a filter raise could have it
taken away from everybody's mail.

Whatever is not asked has failed, so the plugin's `on_error` holds for it as for any other failure: nothing goes unfiltered.
"""

import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mailward.metering import METERS
from mailward.model.metrics import Gauge

WINDOW_S = 60.0
"""Failures longer ago are forgotten."""
FEWEST_FAILURES = 5
"""Fewer are an accident, however long they took."""
BUDGET_S = 20.0
"""Together they may take so long."""
SHARE = 0.5
"""So many of the calls since the first of them must have failed: one bad message of many is no reason."""
MOST_REMEMBERED = 1000
"""Of more failures in the window, the oldest are forgotten."""
FIRST_BACK_OFF_S = 5.0
LONGEST_BACK_OFF_S = 300.0
SUSPENDED = Gauge("plugin_suspended", "In how many processes a plugin is not asked now", ("plugin",), adds_up=True)

_log = structlog.get_logger()


@dataclass(slots=True)
class _Opened:
    """What the breaker knows while it is open. trying: the one call that is made to see whether the plugin works again."""

    why: str
    back_off_s: float
    retry_at: float
    trying: bool = False


class Breaker:
    """Of one plugin. now: monotonic seconds. Not for several threads at once.

    Each call asks `refusal` first; when that is None it is made, and `succeeded`, `failed` or `given_up` follow. is_trial: what
    `is_open` was when it was made. While it is open only the trial counts: the others began before, and tell of that time.
    """

    def __init__(self, plugin: str, now: Callable[[], float] = time.monotonic) -> None:
        self._plugin = plugin
        self._now = now
        self._failures: deque[tuple[float, float]] = deque()  # when, how long it took
        self._lost_s = 0.0  # all of them together
        self._succeeded = 0  # since the oldest of them
        self._opened: _Opened | None = None
        self._no_longer: Callable[[], object] = lambda: None  # takes it out of those that are counted as suspended

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def refusal(self) -> str | None:
        """Why the plugin is not asked now; None to go on. Once the back-off is over, one call goes on, and is heard out first."""
        opened = self._opened
        if opened is None:
            return None
        left_s = opened.retry_at - self._now()
        if opened.trying or left_s > 0:
            when = "is tried with another call just now" if opened.trying else f"is tried again in {max(1, round(left_s))} s"
            return f"it is not asked, since {opened.why}; it {when}"
        opened.trying = True
        return None

    def succeeded(self, *, is_trial: bool) -> None:
        """The plugin answered, so it works."""
        if self._opened is None:
            self._succeeded += bool(self._failures)
        elif is_trial:
            self._opened = None
            self._no_longer()
            self._forget()
            _log.warning("plugin resumed", plugin=self._plugin)

    def failed(self, took_s: float, *, is_trial: bool) -> None:
        """The plugin did not answer, and somebody waited so long for nothing."""
        now, opened = self._now(), self._opened
        if opened is not None:
            if is_trial:
                self._open(now, opened.why, min(2 * opened.back_off_s, LONGEST_BACK_OFF_S))
            return
        failures = self._failures
        while failures and (failures[0][0] <= now - WINDOW_S or len(failures) == MOST_REMEMBERED):
            self._lost_s -= failures.popleft()[1]
        if not failures:
            self._forget()
        failures.append((now, took_s))
        self._lost_s += took_s
        count, lost_s = len(failures), self._lost_s
        if count >= FEWEST_FAILURES and lost_s >= BUDGET_S and count >= SHARE * (count + self._succeeded):
            self._forget()
            self._open(now, f"{count} calls failed within {WINDOW_S:g} s and took {lost_s:.0f} s together", FIRST_BACK_OFF_S)

    def given_up(self, *, is_trial: bool) -> None:
        """The call ended without telling whether the plugin works: nobody wanted its answer any more."""
        if self._opened is not None and is_trial:
            self._opened.trying = False

    def _open(self, now: float, why: str, back_off_s: float) -> None:
        if self._opened is None:
            _count(self._plugin, 1)
            self._no_longer = weakref.finalize(self, _count, self._plugin, -1)  # a reload may forget it while it is open
        self._opened = _Opened(why, back_off_s, now + back_off_s)
        _log.error("plugin suspended", plugin=self._plugin, reason=why, tried_again_in_s=back_off_s)

    def _forget(self) -> None:
        self._failures.clear()
        self._lost_s, self._succeeded = 0.0, 0


def _count(plugin: str, by: int) -> None:
    METERS.of("").change(SUSPENDED, by, plugin=plugin)
