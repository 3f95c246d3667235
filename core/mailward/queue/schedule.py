"""When the next attempt is made, and when none is made any more: pure arithmetic, time and chance come in as arguments.

Local delivery fails for reasons an admin must mend (a full disk, a damaged store), so it is never given up: it is
repeated ever more slowly, and after `ALARM_AFTER` failures every further one is an alarm (RFC 5321 section 4.5.4.1).
Relaying is given up after a time, but never before a few attempts were made, whatever the clock says (T-Q-07).
"""

from datetime import datetime, timedelta

FIRST_DELAY_S = 60.0
FIRST_RELAY_DELAY_S = 300.0
LONGEST_DELAY_S = 3600.0
FIRST_REST_S = 60.0
LONGEST_REST_S = 900.0
JITTER = 0.2
"""Delays vary by this much of themselves, so that what failed together does not return together."""
ALARM_AFTER = 5
HOLD_AFTER = 3
"""Attempts that began and never ended (the process died in them) before a recipient is held (T-Q-08)."""
GIVE_UP_AFTER_S = 5 * 86400.0
"""Where the configuration does not say."""
LEAST_ATTEMPTS = 4
"""So often relaying is tried before it is given up: with their delays, more than half an hour on a clock that never jumps."""


def delay_s(failures: int, chance: float, first_s: float = FIRST_DELAY_S) -> float:
    """Seconds to wait after so many failures (at least 1), doubling from `first_s` to an hour. chance: from 0 up to 1."""
    doubled = min(first_s * 2.0 ** min(failures - 1, 30), LONGEST_DELAY_S)
    return doubled * (1 - JITTER + 2 * JITTER * chance)


def rest_s(failures: int, chance: float) -> float:
    """Seconds for which a next hop that could not be reached, so often in succession, is left alone by mail that comes meanwhile.

    Shorter than `relay_delay_s`, so that what waits for its next attempt finds the rest over.
    """
    return min(FIRST_REST_S * 2.0 ** min(failures - 1, 30), LONGEST_REST_S) * (1 - JITTER + 2 * JITTER * chance)


def remaining_s(now: datetime, next_at: datetime) -> float:
    """How long to wait for a stored moment: never negative and never above the longest delay.

    So a clock that jumped (T-Q-07) makes mail early or an hour late, never stuck.
    """
    return min(max((next_at - now).total_seconds(), 0.0), LONGEST_DELAY_S * (1 + JITTER))


def is_given_up(now: datetime, received_at: datetime, failures: int, after_s: float) -> bool:
    """Is it time to stop relaying a message, or asking for its folder, after so many failures?"""
    return failures >= LEAST_ATTEMPTS and (now - received_at).total_seconds() >= after_s


def gives_up_at(now: datetime, received_at: datetime, failures: int, after_s: float) -> datetime:
    """The moment by which relaying is given up, after so many failures: when its time is over, and a few attempts were made."""
    attempts_s = sum(delay_s(number, 1.0, FIRST_RELAY_DELAY_S) for number in range(max(failures, 1), LEAST_ATTEMPTS))
    return max(received_at + timedelta(seconds=after_s), now + timedelta(seconds=attempts_s))


def relay_delay_s(
    now: datetime, received_at: datetime, failures: int, chance: float, notice_after_s: float, give_up_after_s: float
) -> float:
    """As `delay_s`, from five minutes, and never past the moments at which a delay notice is due, or the last attempt."""
    passed_s = (now - received_at).total_seconds()
    moments_s = [notice_after_s] if failures < LEAST_ATTEMPTS else [notice_after_s, give_up_after_s]
    usual_s = delay_s(failures, chance, FIRST_RELAY_DELAY_S)
    return min([usual_s, *(moment_s - passed_s for moment_s in moments_s if moment_s > passed_s)])
