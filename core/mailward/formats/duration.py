"""How long is this? One way to write a duration, for policies, the configuration and the command line alike."""

import re
from datetime import timedelta

DURATION_PATTERN = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)"
_DURATION = re.compile(DURATION_PATTERN)
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> timedelta:
    """30s, 500ms, 1.5m, 2h, 7d. Raises ValueError for anything else, a bare number included."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("a duration with its unit was expected, such as 30s, 5m or 2h")
    return timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])


def duration_text(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads as this."""
    seconds = duration.total_seconds()
    whole = [name for name in ("d", "h", "m", "s") if seconds and seconds % _UNITS_S[name] == 0]
    return f"{seconds / _UNITS_S[whole[0]]:.0f}{whole[0]}" if whole else f"{seconds:g}s"
