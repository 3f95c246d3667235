"""A message as octets, in memory or mapped from a file, searched without copying it whole."""

import mmap

Octets = bytes | mmap.mmap
"""A message in memory, or mapped from the spool or a pack."""

_FIRST_WINDOW = 4 * 1024
_LARGEST_WINDOW = 1024 * 1024
PIECE_OCTETS = 256 * 1024


def find(octets: Octets, wanted: bytes, start: int, end: int) -> int:
    """Where `wanted` begins first, if it lies wholly between start and end; -1 when it does not."""
    if isinstance(octets, bytes):
        return octets.find(wanted, start, end)
    # A map's own search looks at octet after octet; copies of windows are searched many times faster.
    window, overlap = _FIRST_WINDOW, len(wanted) - 1
    while start + overlap < end:
        found = octets[start : min(start + window + overlap, end)].find(wanted)
        if found >= 0:
            return start + found
        start += window
        window = min(2 * window, _LARGEST_WINDOW)
    return -1
