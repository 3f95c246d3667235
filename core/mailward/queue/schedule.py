"""When the next attempt is made: pure arithmetic, time and chance come in as arguments.

Local delivery fails for reasons an admin must mend (a full disk, a damaged store), so it is never given up: it is
repeated ever more slowly, and after `ALARM_AFTER` failures every further one is an alarm (RFC 5321 section 4.5.4.1).
"""

from datetime import datetime, timedelta

FIRST_DELAY_S = 60.0
LONGEST_DELAY_S = 3600.0
JITTER = 0.2
"""Delays vary by this much of themselves, so that what failed together does not return together."""
ALARM_AFTER = 5
HOLD_AFTER = 3
"""Attempts that began and never ended (the process died in them) before a recipient is held (T-Q-08)."""


def delay_s(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures (at least 1), doubling from a minute to an hour. chance: from 0 up to 1."""
    doubled = min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 30), LONGEST_DELAY_S)
    return doubled * (1 - JITTER + 2 * JITTER * chance)


def next_attempt_at(now: datetime, failures: int, chance: float) -> datetime:
    """The moment of the next attempt."""
    return now + timedelta(seconds=delay_s(failures, chance))


def remaining_s(now: datetime, next_at: datetime) -> float:
    """How long to wait for a stored moment: never negative and never above the longest delay.

    So a clock that jumped (T-Q-07) makes mail early or an hour late, never stuck.
    """
    return min(max((next_at - now).total_seconds(), 0.0), LONGEST_DELAY_S * (1 + JITTER))
