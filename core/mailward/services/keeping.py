"""What may a plugin keep, and until when? Answered alike for every store of its values."""

import math
from collections.abc import Mapping
from itertools import zip_longest

from mailward.api.services import Clock

MAX_KEY_OCTETS = 256
MAX_VALUE_OCTETS = 64 * 1024
_MOST = (1 << 63) - 1


def check_sizes(values: Mapping[bytes, bytes | tuple[int, ...]]) -> None:
    """Raises ValueError for a key or value that is not kept."""
    for key, value in values.items():
        if len(key) > MAX_KEY_OCTETS:
            raise ValueError(f"a key of {len(key)} octets; at most {MAX_KEY_OCTETS} are kept")
        if len(value) > MAX_VALUE_OCTETS:
            raise ValueError(f"a value of {len(value)} octets; at most {MAX_VALUE_OCTETS} are kept")


def now_s(clock: Clock) -> float:
    """Seconds since 1970: wall time, so that what expires does so while the server is down, too."""
    return clock.now().timestamp()


def end_of(expires_after_s: float | None, clock: Clock) -> float | None:
    """When that will be; None for never. Raises ValueError for no time that is still to come."""
    if expires_after_s is None:
        return None
    if not 0 < expires_after_s < math.inf:
        raise ValueError(f"expires_after_s={expires_after_s}: more than 0 seconds were expected, None for never")
    return now_s(clock) + expires_after_s


def added(row: tuple[int, ...], amounts: tuple[int, ...]) -> tuple[int, ...]:
    """Both together, as long as the longer one; never below zero, nor beyond 64 bits."""
    return tuple(min(max(a + b, 0), _MOST) for a, b in zip_longest(row, amounts, fillvalue=0))
