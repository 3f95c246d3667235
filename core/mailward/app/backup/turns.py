"""One command at a time at what two would spoil for each other, be it a folder of backups or the copy of a snapshot."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailward.app.backup.snapshot import BackupError


class Busy(BackupError):
    """Another command is at work; the same one works when it has ended."""


@contextmanager
def taking_turns(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of a folder, which ends with its process. what: is done by whoever holds it. Raises Busy, OSError."""
    with (folder / "lock").open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{what}; try again when that has ended") from None
        yield
