"""The embedded store of lists, one SQLite file. Policies read it whole when it has changed; commands write it.

It is opened for each call, or for the questions of one run of a script: policies are loaded before the server's processes are
forked, and a connection does not survive that.
Reading opens nothing that is not there, so a server without such lists has no file.
"""

import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from mailward.database import Database, log_of
from mailward.lists.entries import Change, Changed, KeptEntry, ListError, Remark
from mailward.lists.questions import ListQuestions
from mailward.model.errors import StorageError
from mailward.policy.entries import ListType
from mailward.policy.lists import KeptEntries

MOST_ENTRIES = 1_000_000
"""Of one list; every process that judges has all of them in memory."""
CHANGES_KEPT_S = 366 * 86400.0

_SCHEMA = """
CREATE TABLE list (name TEXT PRIMARY KEY, type TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
  list TEXT NOT NULL REFERENCES list, value TEXT NOT NULL,
  changed_by TEXT NOT NULL, changed_at REAL NOT NULL, note TEXT NOT NULL, expires_at REAL NOT NULL,
  PRIMARY KEY (list, value)
) WITHOUT ROWID;
CREATE TABLE change (
  number INTEGER PRIMARY KEY, list TEXT NOT NULL, value TEXT NOT NULL, action TEXT NOT NULL,
  changed_by TEXT NOT NULL, changed_at REAL NOT NULL, note TEXT NOT NULL, expires_at REAL NOT NULL
);
CREATE INDEX change_by_list ON change (list, number);
CREATE INDEX change_by_value ON change (list, value, number);
"""
# expires_at: seconds since 1970, infinite for never.

_Row = tuple[str, str, float, str, float]


class ListStore:
    """Lists by name. Every call blocks for a moment and raises StorageError; a policy's own view is `KeptLists`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was_there = path.exists()
        self._file, self._log = str(path), str(log_of(path))

    # --- KeptLists ---

    def mark(self) -> object:
        """Of the file, and of what was written beside it and is not in it yet."""
        return _signature(self._file), _signature(self._log)

    def read(self, name: str, now: float) -> KeptEntries:
        with self._reading() as connection:
            if connection is None:
                return KeptEntries()
            row = connection.execute("SELECT type FROM list WHERE name = ?", (name,)).fetchone()
            rows = "SELECT value, expires_at FROM entry WHERE list = ? AND expires_at > ? ORDER BY value"
            ends = dict(connection.execute(rows, (name, now)))
        if not ends:
            return KeptEntries()
        return KeptEntries(cast(ListType, row[0]), [*ends], {value: end for value, end in ends.items() if end < math.inf})

    def changed_at(self, name: str, now: float) -> float:
        with self._reading() as connection:
            if connection is None:
                return 0
            (came,) = connection.execute("SELECT max(changed_at) FROM change WHERE list = ?", (name,)).fetchone()
            (ended,) = connection.execute(_LAST_EXPIRED, (name, now)).fetchone()
        return max(came or 0, ended or 0)

    # --- commands ---

    def types(self) -> Mapping[str, ListType]:
        """Every list that anything was put on, by name."""
        with self._reading() as connection:
            return {} if connection is None else dict(connection.execute("SELECT name, type FROM list ORDER BY name"))

    def count(self, name: str, now: datetime) -> int:
        """Of the entries that have not expired."""
        asked = "SELECT count(*) FROM entry WHERE list = ? AND expires_at > ?"
        with self._reading() as connection:
            return 0 if connection is None else int(connection.execute(asked, (name, now.timestamp())).fetchone()[0])

    def entries(self, name: str, now: datetime, limit: int) -> tuple[KeptEntry, ...]:
        """Those that have not expired, the newest first."""
        asked = f"SELECT {_COLUMNS} FROM entry WHERE list = ? AND expires_at > ? ORDER BY changed_at DESC, value LIMIT ?"  # noqa: S608
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute(asked, (name, now.timestamp(), limit)).fetchall()
        return tuple(KeptEntry(*_told(row)) for row in rows)

    def entry(self, name: str, value: str, now: datetime) -> KeptEntry | None:
        """One entry, None when it is not there or has expired."""
        asked = f"SELECT {_COLUMNS} FROM entry WHERE list = ? AND value = ? AND expires_at > ?"  # noqa: S608
        with self._reading() as connection:
            row = None if connection is None else connection.execute(asked, (name, value, now.timestamp())).fetchone()
        return None if row is None else KeptEntry(*_told(row))

    def questions(self, at: datetime) -> ListQuestions:
        """What is on the lists then, over one connection, which is closed by whoever asks."""
        return ListQuestions(self._opened, at)

    def changes(self, name: str, limit: int) -> tuple[Change, ...]:
        """The newest first."""
        asked = f"SELECT action, {_COLUMNS} FROM change WHERE list = ? ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute(asked, (name, limit)).fetchall()
        return tuple(Change(action, *_told(tuple(row))) for action, *row in rows)

    def put(
        self, name: str, type: ListType, values: Iterable[str], remark: Remark, expires_at: datetime | None = None
    ) -> Changed:
        """Put normalised entries on a list; those that are there already get this remark and this end.

        Raises ListError when entries of another type are on it, and when it would be too long.
        """
        wanted = tuple(dict.fromkeys(values))
        with self._writing(remark) as connection:
            there = _there(connection, name, type)
            changed = tuple(value for value in wanted if value in there)
            added = tuple(value for value in wanted if value not in there)
            _check_length(name, len(there) + len(added))
            _add(connection, name, "added", added, remark, expires_at)
            _add(connection, name, "changed", changed, remark, expires_at)
        return Changed(added, changed)

    def fill(
        self,
        name: str,
        type: ListType,
        values: Iterable[str],
        remark: Remark,
        expires_at: datetime | None = None,
        *,
        alone: bool = False,
    ) -> Changed:
        """The same, but those that are there already stay as they are: a file that is imported again is no change.

        alone: all others go.
        """
        wanted = dict.fromkeys(values)
        with self._writing(remark) as connection:
            there = _there(connection, name, type)
            added = tuple(value for value in wanted if value not in there)
            going = tuple(sorted(there.difference(wanted))) if alone else ()
            _check_length(name, len(there) + len(added) - len(going))
            _remove(connection, name, going, remark)
            _add(connection, name, "added", added, remark, expires_at)
        return Changed(added, removed=going)

    def remove(self, name: str, values: Iterable[str] | None, remark: Remark) -> Changed:
        """Take entries off a list, None for all; those that are not on it are passed over."""
        with self._writing(remark) as connection:
            there = [value for (value,) in connection.execute("SELECT value FROM entry WHERE list = ? ORDER BY value", (name,))]
            known = set(there)
            going = there if values is None else [value for value in dict.fromkeys(values) if value in known]
            _remove(connection, name, going, remark)
        return Changed(removed=tuple(going))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there are no lists."""
        opened = self._opened()
        if opened is None:
            yield None
            return
        with closing(opened) as database, database.read() as connection:
            yield connection

    @contextmanager
    def _writing(self, remark: Remark) -> Iterator[sqlite3.Connection]:
        """Expired entries and old changes go by the way."""
        now = remark.at.timestamp()
        with closing(self._open()) as database, database.write() as connection:
            connection.execute("DELETE FROM entry WHERE expires_at <= ?", (now,))
            connection.execute("DELETE FROM change WHERE changed_at < ? AND expires_at < ?", (now - CHANGES_KEPT_S, now))
            yield connection

    def _opened(self) -> Database | None:
        """None where there is no file, and never was since this object is there."""
        if not self._path.exists():
            if self._was_there:
                raise StorageError(f"{self._path} is gone")
            return None
        self._was_there = True
        return self._open()

    def _open(self) -> Database:
        return Database(self._path, schema=_SCHEMA, version=1)


_COLUMNS = "value, changed_by, changed_at, note, expires_at"


def _signature(file: str) -> tuple[int, int, int] | None:
    """None when there is nothing in it: readers alone leave such files."""
    try:
        status = os.stat(file)  # noqa: PTH116 - asked for each message, and this is much quicker
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status.st_size else None


def _there(connection: sqlite3.Connection, name: str, type: ListType) -> set[str]:
    """What is on a list, which is of this type from now on. One without entries may become one of another type."""
    there = {value for (value,) in connection.execute("SELECT value FROM entry WHERE list = ?", (name,))}
    row = connection.execute("SELECT type FROM list WHERE name = ?", (name,)).fetchone()
    if there and row[0] != type:
        mend = f"remove them first: mailward list remove {name} --all"
        raise ListError(f"the entries of the list {name} are of type {row[0]} and not {type}; {mend}")
    connection.execute("INSERT OR REPLACE INTO list VALUES (?, ?)", (name, type))
    return there


def _check_length(name: str, count: int) -> None:
    if count > MOST_ENTRIES:
        raise ListError(f"the list {name} would have more than {MOST_ENTRIES:,} entries")


def _add(
    connection: sqlite3.Connection,
    name: str,
    action: Literal["added", "changed"],
    values: Sequence[str],
    remark: Remark,
    expires_at: datetime | None,
) -> None:
    rest = _remembered(remark, expires_at)
    connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)", [(name, value, *rest) for value in values])
    connection.executemany(_NOTE, [(name, value, action, *rest) for value in values])


def _remove(connection: sqlite3.Connection, name: str, values: Sequence[str], remark: Remark) -> None:
    connection.executemany("DELETE FROM entry WHERE list = ? AND value = ?", [(name, value) for value in values])
    connection.executemany(_NOTE, [(name, value, "removed", *_remembered(remark, None)) for value in values])


_LAST_EXPIRED = """
SELECT max(expires_at) FROM change WHERE list = ? AND expires_at <= ? AND NOT EXISTS (
  SELECT 1 FROM change AS later WHERE later.list = change.list AND later.value = change.value
  AND later.number > change.number AND later.changed_at < change.expires_at)
"""
_NOTE = "INSERT INTO change (list, value, action, changed_by, changed_at, note, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"


def _remembered(remark: Remark, expires_at: datetime | None) -> tuple[str, float, str, float]:
    return remark.by, remark.at.timestamp(), remark.note, math.inf if expires_at is None else expires_at.timestamp()


def _told(row: _Row) -> tuple[str, Remark, datetime | None]:
    value, by, at, note, end = row
    expires_at = None if math.isinf(end) else datetime.fromtimestamp(end, UTC)
    return value, Remark(by, datetime.fromtimestamp(at, UTC), note), expires_at
