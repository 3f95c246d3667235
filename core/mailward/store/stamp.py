"""Has anybody written since? A number in an account's lock file that is another one whenever somebody has held the lock.

Every process that serves the account has the number mapped into memory, so whoever looks at it makes no call and never waits.
It is odd while somebody writes, and stays so when he is killed, until the next one has written. It need not outlive a power cut,
as nobody who remembers it does.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mailward.disk import Disk

_NUMBER = struct.Struct("=Q")


@contextmanager
def stamped(fd: int, disk: Disk) -> Iterator[None]:
    """Whoever writes, in the block, has the lock of this file. Raises OSError before the block, never behind it: what has been
    written is written."""
    octets = disk.read(fd, 0, _NUMBER.size)
    number = _NUMBER.unpack(octets)[0] if len(octets) == _NUMBER.size else 0
    number += 1 + number % 2
    disk.overwrite(fd, 0, _NUMBER.pack(number))
    try:
        yield
    finally:
        with suppress(OSError):
            disk.overwrite(fd, 0, _NUMBER.pack(number + 1))


def map_stamp(fd: int, disk: Disk) -> mmap.mmap | None:
    """None where nobody has written a number yet."""
    return disk.map(fd, 0, _NUMBER.size) if disk.size(fd) >= _NUMBER.size else None


def look(mapped: mmap.mmap | None) -> int | None:
    """The number; None while somebody writes, and where it is not mapped."""
    if mapped is None:
        return None
    number: int = _NUMBER.unpack_from(mapped)[0]
    return None if number % 2 else number
