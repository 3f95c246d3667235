"""Small durable values of plugins: one SQLite file a plugin, shared by all processes, each call in a thread.

Counters are rows of signed 64-bit integers packed into one value, so a token filter reads three hundred of them in one query.
The last half minute may be lost at a power cut, which costs a filter a lesson and nobody a mail; what `change` has set is synced,
since it may say that a one-time code was used.

What has expired is passed over wherever something is read. It is removed later, in steps (`services.forgetting`). What expires is
counted by triggers, so that it costs every write one look whether there is too much of it (T-DOS-16).
"""

import asyncio
import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mailward.api.services import Clock
from mailward.database import Database
from mailward.services.clock import SystemClock
from mailward.services.keeping import MAX_KEY_OCTETS, added, check_sizes, end_of, now_s

MOST_EXPIRING = 1 << 20
MOST_EXPIRING_OCTETS = 256 << 20
"""Of the values of a plugin that expire, and again of its counters: keys and all. What would expire first gives way."""
A_STEP = 500
"""So many are removed at a time, so that nobody waits long for his turn to write."""

_TABLES = ("value", "counter")
_VERSION = 2
_FORM_1 = """
CREATE TABLE value (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_EXPIRES = """
ALTER TABLE $table ADD COLUMN expires_at REAL;
CREATE INDEX $table_expires_at ON $table (expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO expiring VALUES ('$table', 0, 0);
CREATE TRIGGER $table_in AFTER INSERT ON $table WHEN NEW.expires_at IS NOT NULL BEGIN
    UPDATE expiring SET entries = entries + 1, octets = octets + length(NEW.key) + length(NEW.value) WHERE kind = '$table';
END;
CREATE TRIGGER $table_out AFTER DELETE ON $table WHEN OLD.expires_at IS NOT NULL BEGIN
    UPDATE expiring SET entries = entries - 1, octets = octets - length(OLD.key) - length(OLD.value) WHERE kind = '$table';
END;
"""
_FORM_2 = (
    "CREATE TABLE expiring (kind TEXT PRIMARY KEY, entries INTEGER NOT NULL, octets INTEGER NOT NULL) WITHOUT ROWID;"
    + "".join(_EXPIRES.replace("$table", table) for table in _TABLES)
)
_KEYS_A_QUERY = 500
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


class SqliteKeyValue:
    """`mailward.api.KeyValue` of one plugin. Raises StorageError; ValueError for what is too long, and for no time to come.

    clock: by which values expire.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._database = Database(path, schema=_FORM_1 + _FORM_2, version=_VERSION, upgrades={1: _FORM_2})

    def close(self) -> None:
        self._database.close()

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that exist."""
        return await asyncio.to_thread(self._read, "value", keys)

    async def put_many(self, values: Mapping[bytes, bytes], *, expires_after_s: float | None = None) -> None:
        """Set all of them in one transaction."""
        check_sizes(values)
        await asyncio.to_thread(self._put, dict(values), end_of(expires_after_s, self._clock))

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]], *, expires_after_s: float | None = None) -> None:
        """Add to counters, all in one transaction, never below zero; a missing one counts as zeros."""
        check_sizes(amounts)
        await asyncio.to_thread(self._add, dict(amounts), end_of(expires_after_s, self._clock))

    async def counters(self, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, ...]]:
        """The counters of those keys that exist."""
        found = await asyncio.to_thread(self._read, "counter", keys)
        return {key: _unpack(value) for key, value in found.items()}

    async def find(self, prefix: bytes, *, after: bytes = b"", limit: int = 1000) -> Mapping[bytes, bytes]:
        """The first values whose keys begin with `prefix` and stand behind `after`, in the order of their keys."""
        return await asyncio.to_thread(self._find, prefix, after, limit)

    async def remove(self, first: bytes, end: bytes) -> None:
        """Forget all values and counters whose keys are `first` or behind it, and before `end`."""
        await asyncio.to_thread(self._remove, first, end)

    async def change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        """Set or delete a value if it is still `expected`; synced when it returns True."""
        check_sizes({key: value or b""})
        return await asyncio.to_thread(self._change, key, expected, value)

    async def forget_expired(self) -> bool:
        """Remove some of what has expired. Is there more?"""
        return await asyncio.to_thread(self._forget_expired)

    def _change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        with self._database.write() as connection:
            if _known(connection, "value", [key], now_s(self._clock)).get(key) != expected:
                return False
            if value is None:
                connection.execute("DELETE FROM value WHERE key = ?", (key,))
            else:
                _write(connection, "value", {key: value}, None)
        return True

    def _read(self, table: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        with self._database.read() as connection:
            return _known(connection, table, keys, now_s(self._clock))

    def _find(self, prefix: bytes, after: bytes, limit: int) -> dict[bytes, bytes]:
        behind_all = prefix + b"\xff" * (MAX_KEY_OCTETS + 1)
        query = f"SELECT key, value FROM value WHERE key > ? AND key >= ? AND key < ? AND {_ALIVE} ORDER BY key LIMIT ?"  # noqa: S608
        with self._database.read() as connection:
            return dict(connection.execute(query, (after, prefix, behind_all, now_s(self._clock), limit)))

    def _remove(self, first: bytes, end: bytes) -> None:
        with self._database.write_unsynced() as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table} WHERE key >= ? AND key < ?", (first, end))  # noqa: S608

    def _put(self, values: Mapping[bytes, bytes], expires_at: float | None) -> None:
        with self._database.write_unsynced() as connection:
            _write(connection, "value", values, expires_at)

    def _add(self, amounts: Mapping[bytes, tuple[int, ...]], expires_at: float | None) -> None:
        with self._database.write_unsynced() as connection:
            known = _known(connection, "counter", list(amounts), now_s(self._clock))
            rows = {key: _pack(added(_unpack(known.get(key, b"")), row)) for key, row in amounts.items()}
            _write(connection, "counter", rows, expires_at)

    def _forget_expired(self) -> bool:
        now, gone = now_s(self._clock), 0
        with self._database.write_unsynced() as connection:
            for table in _TABLES:
                gone += _forget(connection, table, "expires_at <= ? LIMIT ?", (now, A_STEP - gone))
        return gone == A_STEP


def _known(connection: sqlite3.Connection, table: str, keys: Sequence[bytes], now: float) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for portion in _portions(keys):
        query = f"SELECT key, value FROM {table} WHERE key IN ({_marks(portion)}) AND {_ALIVE}"  # noqa: S608
        found.update(connection.execute(query, (*portion, now)))
    return found


def _write(connection: sqlite3.Connection, table: str, rows: Mapping[bytes, bytes], expires_at: float | None) -> None:
    """REPLACE would not run the trigger for what it replaces."""
    for portion in _portions(list(rows)):
        connection.execute(f"DELETE FROM {table} WHERE key IN ({_marks(portion)})", portion)  # noqa: S608
    connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", [(*row, expires_at) for row in rows.items()])  # noqa: S608
    while expires_at is not None and _is_too_much(connection, table):
        _forget(connection, table, "expires_at IS NOT NULL ORDER BY expires_at LIMIT ?", (A_STEP // 10,))


def _is_too_much(connection: sqlite3.Connection, table: str) -> bool:
    entries, octets = connection.execute("SELECT entries, octets FROM expiring WHERE kind = ?", (table,)).fetchone()
    return bool(entries > MOST_EXPIRING or octets > MOST_EXPIRING_OCTETS)


def _forget(connection: sqlite3.Connection, table: str, which: str, values: Sequence[float]) -> int:
    """How many."""
    return connection.execute(f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE {which})", values).rowcount  # noqa: S608


def _portions(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _KEYS_A_QUERY):
        yield keys[start : start + _KEYS_A_QUERY]


def _marks(values: Sequence[bytes]) -> str:
    return ",".join("?" * len(values))


def _pack(row: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(row)}q", *row)


def _unpack(value: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(value) // 8}q", value)
