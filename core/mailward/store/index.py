"""An account's database in use: connections that are kept for whoever comes next, and the lock under which one process writes.

Connections and locks do not survive a fork: open stores after it.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailward.database import connect, storage_errors
from mailward.disk import Disk
from mailward.store.schema import SCHEMA, UPGRADES, UPGRADING, VERSION
from mailward.store.stamp import Stamp, stamped

FILE = "index.sqlite"
LOCK = "lock"
_MOST_IDLE = 4


@contextmanager
def locked(file: Path, disk: Disk) -> Iterator[int]:
    """Keep other processes from writing to what the file stands for, an account as a rule; waits in the kernel. The file."""
    fd = disk.open_overwrite(file)
    try:
        disk.lock_wait(fd)
        yield fd
    finally:
        disk.close(fd)


class Index:
    """opening: called before a connection is opened, for somebody counts them. Every failure is a StorageError."""

    def __init__(self, folder: Path, disk: Disk, opening: Callable[[], None]) -> None:
        self._folder = folder
        self._lock_file = folder / LOCK
        self._disk = disk
        self._opening = opening
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._stamp: Stamp | None = None

    def stamp(self) -> int | None:
        """Another number after every `writing`; see `store.stamp`. Never waits."""
        stamp = self._stamp
        return None if stamp is None else stamp.look()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction: one moment for all its SELECTs."""
        with storage_errors(str(self._folder)), self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection under the account's lock, outside of any transaction."""
        with (
            storage_errors(str(self._folder)),
            locked(self._lock_file, self._disk) as lock,
            stamped(lock, self._disk),
            self._connection() as connection,
        ):
            yield connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection nobody else uses meanwhile."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if self._stamp is None or self._stamp.is_lost:
            self._stamp = Stamp(self._lock_file, self._disk)
        if connection is None:
            self._opening()
            connection = connect(self._folder / FILE, schema=SCHEMA, version=VERSION, upgrades=UPGRADES, upgrading=UPGRADING)
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._give_back(connection)
            raise
        else:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def rest(self) -> None:
        """Close idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._stamp = None
        for connection in idle:
            connection.close()
