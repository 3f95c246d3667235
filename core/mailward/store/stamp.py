"""Has anybody written since? A number in an account's lock file that is another one whenever somebody has held the lock.

Every process that serves the account has the file open, so that a look at the number is a short read of what the kernel has in
memory, and waits for nobody. It is odd while somebody writes, and stays so when he is killed, until the next one has written. It
need not outlive a power cut, as nobody who remembers it does.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import finalize

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


class Stamp:
    """The number in this file, which is made when it is missing. Raises OSError."""

    def __init__(self, lock_file: Path, disk: Disk) -> None:
        self._disk = disk
        self._fd = disk.open_overwrite(lock_file)
        finalize(self, disk.close, self._fd)  # when nobody looks any more, in whatever thread

    def look(self) -> int | None:
        """None while somebody writes, and where nobody has written a number yet."""
        with suppress(OSError):
            octets = self._disk.read(self._fd, 0, _NUMBER.size)
            if len(octets) == _NUMBER.size and not self.is_lost:
                number: int = _NUMBER.unpack(octets)[0]
                return None if number % 2 else number
        return None

    @property
    def is_lost(self) -> bool:
        """The file has no name any more: writers lock another one, and the number in this one says nothing."""
        return self._disk.is_nameless(self._fd)
