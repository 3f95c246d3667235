"""Which accounts share something with whom? An index beside all accounts, so that a LIST need not open each of them.

What counts is what an account itself says it grants; this may name one that grants nothing any more. It is written
under the account's lock: before a grant is, and when the account is opened. A damaged one is set aside, and another is made of
what all accounts say.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

import structlog

from mailward.database import Database, files_of, storage_errors
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.store.index import locked

_log = structlog.get_logger()

FILE = "sharing.sqlite"
LOCK = "sharing.lock"
_SCHEMA = "CREATE TABLE sharing (grantee TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (grantee, owner)) STRICT, WITHOUT ROWID"

Granted = Iterable[tuple[AccountId, Collection[str]]]
T = TypeVar("T")


class Sharing:
    """Opened when it is asked first, and made when somebody shares first.

    granted: of every account the grantees that it has itself; asked when the index is damaged. now_s: seconds since 1970.
    """

    def __init__(self, path: Path, disk: Disk, granted: Callable[[], Granted], now_s: Callable[[], float]) -> None:
        self._path = path
        self._lock_file = path.with_name(LOCK)
        self._disk = disk
        self._granted = granted
        self._now_s = now_s
        self._lock = Lock()
        self._opened: Database | None = None
        self._opened_file = 0

    def owners(self, grantees: Collection[str]) -> tuple[AccountId, ...]:
        """In order. Raises StorageError."""
        if not self._path.exists():
            return ()
        query = "SELECT DISTINCT owner FROM sharing WHERE grantee IN (SELECT value FROM json_each(?)) ORDER BY owner"

        def read(database: Database) -> tuple[AccountId, ...]:
            with database.read() as connection:
                return tuple(AccountId(owner) for (owner,) in connection.execute(query, (json.dumps([*grantees]),)))

        try:
            return self._with(read)
        except StorageError as error:
            _log.error("index of shared mailboxes failed", error=str(error))
            raise

    def put(self, owner: AccountId, grantees: Collection[str]) -> None:
        """These and no others. Nothing is written where that is known already. Raises StorageError."""
        if not grantees and not self._path.exists():
            return

        def write(database: Database) -> None:
            with database.read() as connection:
                known = {grantee for (grantee,) in connection.execute("SELECT grantee FROM sharing WHERE owner = ?", (owner,))}
            if known != {*grantees}:
                with database.write() as connection:
                    connection.execute("DELETE FROM sharing WHERE owner = ?", (owner,))
                    _add(connection, owner, grantees)

        self._with(write)

    def renew(self, owner: AccountId, grantees: Collection[str]) -> None:
        """The same where nobody waits for it: what fails is logged."""
        try:
            self.put(owner, grantees)
        except StorageError as error:
            _log.error("index of shared mailboxes failed", error=str(error))

    def _with(self, work: Callable[[Database], T]) -> T:
        """Do it, once more where the index is damaged."""
        file = self._file()
        try:
            return work(self._database())
        except StorageError as error:
            if not (error.permanent and isinstance(error.__cause__, sqlite3.DatabaseError)):  # of a newer release, perhaps
                raise
            self._begin_anew(file, error)
        return work(self._database())

    def _file(self) -> int:
        """Which file has the name now, 0 for none."""
        with suppress(FileNotFoundError):
            return self._path.stat().st_ino
        return 0

    def _database(self) -> Database:
        """The file of that name opened, and not one that another process has set aside."""
        with self._lock, storage_errors(str(self._path)):
            if self._opened is not None and self._opened_file == self._file():
                return self._opened
            self._close()
            with locked(self._lock_file, self._disk):  # while a file is set aside, its companions' names are nobody's
                self._opened = Database(self._path, schema=_SCHEMA, version=1)
                self._opened_file = self._file()
            return self._opened

    def _begin_anew(self, damaged: int, error: StorageError) -> None:
        """Unless another process has done so."""
        draft, aside = (self._path.with_name(FILE + ending) for ending in (".new", f".damaged-{int(self._now_s())}"))
        with self._lock, storage_errors(str(self._path)), locked(self._lock_file, self._disk):
            self._close()
            if self._file() != damaged:
                return
            _log.error("index of shared mailboxes damaged, made anew", error=str(error), kept_as=str(aside))
            for file in files_of(draft):
                with suppress(FileNotFoundError):
                    self._disk.unlink(file)
            made = Database(draft, schema=_SCHEMA, version=1)
            with closing(made), made.write() as connection:
                for owner, grantees in self._granted():
                    _add(connection, owner, grantees)
            for companion, beside in zip(files_of(self._path)[:-1], files_of(aside)[:-1], strict=True):
                with suppress(FileNotFoundError):
                    self._disk.rename(companion, beside)
            with suppress(FileExistsError):
                self._disk.link(self._path, aside)
            self._disk.rename(draft, self._path)
            self._disk.sync_folder(self._path.parent)

    def _close(self) -> None:
        if self._opened is not None:
            with suppress(sqlite3.Error):
                self._opened.close()
            self._opened = None

    def close(self) -> None:
        with self._lock:
            self._close()


def _add(connection: sqlite3.Connection, owner: AccountId, grantees: Iterable[str]) -> None:
    connection.executemany("INSERT INTO sharing VALUES (?, ?)", [(grantee, owner) for grantee in grantees])
