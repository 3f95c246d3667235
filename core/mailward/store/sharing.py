"""Which accounts share something with whom? An index beside all accounts, so that a LIST need not open each of them.

What counts is what an account itself says it grants; this may name one that grants nothing any more, or, after a restore, miss
one until it is opened. It is written under the account's lock: before a grant is, and when the account is opened.
"""

import json
from collections.abc import Collection
from pathlib import Path
from threading import Lock

import structlog

from mailward.database import Database
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId

_log = structlog.get_logger()

FILE = "sharing.sqlite"
_SCHEMA = "CREATE TABLE sharing (grantee TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (grantee, owner)) STRICT, WITHOUT ROWID"


class Sharing:
    """Opened when it is asked first, and made when somebody shares first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._opened: Database | None = None

    def owners(self, grantees: Collection[str]) -> tuple[AccountId, ...]:
        """In order. Raises StorageError."""
        if not self._path.exists():
            return ()
        query = "SELECT DISTINCT owner FROM sharing WHERE grantee IN (SELECT value FROM json_each(?)) ORDER BY owner"
        try:
            with self._database().read() as connection:
                return tuple(AccountId(owner) for (owner,) in connection.execute(query, (json.dumps([*grantees]),)))
        except StorageError as error:
            _log.error("index of shared mailboxes failed", error=str(error))
            raise

    def put(self, owner: AccountId, grantees: Collection[str]) -> None:
        """These and no others. Nothing is written where that is known already. Raises StorageError."""
        if not grantees and not self._path.exists():
            return
        with self._database().read() as connection:
            known = {grantee for (grantee,) in connection.execute("SELECT grantee FROM sharing WHERE owner = ?", (owner,))}
        if known != {*grantees}:
            with self._database().write() as connection:
                connection.execute("DELETE FROM sharing WHERE owner = ?", (owner,))
                connection.executemany("INSERT INTO sharing VALUES (?, ?)", [(grantee, owner) for grantee in grantees])

    def renew(self, owner: AccountId, grantees: Collection[str]) -> None:
        """The same where nobody waits for it: what fails is logged."""
        try:
            self.put(owner, grantees)
        except StorageError as error:
            _log.error("index of shared mailboxes failed", error=str(error))

    def _database(self) -> Database:
        with self._lock:
            if self._opened is None:
                self._opened = Database(self._path, schema=_SCHEMA, version=1)
            return self._opened

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
