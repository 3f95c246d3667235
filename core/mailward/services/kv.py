"""Small durable values of plugins: one SQLite file a plugin, shared by all processes, each call in a thread.

Counters are rows of signed 64-bit integers packed into one value, so a token filter reads three hundred of them in one query.
The last half minute may be lost at a power cut, which costs a filter a lesson and nobody a mail; what `change` has set is synced,
since it may say that a one-time code was used.
"""

import asyncio
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mailward.database import Database

MAX_KEY_OCTETS = 256
MAX_VALUE_OCTETS = 64 * 1024
_VERSION = 1
_SCHEMA = """
CREATE TABLE value (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_KEYS_A_QUERY = 500
_MOST = (1 << 63) - 1


class SqliteKeyValue:
    """`mailward.api.KeyValue` of one plugin. Raises StorageError; ValueError for keys or values that are too long."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, schema=_SCHEMA, version=_VERSION)

    def close(self) -> None:
        self._database.close()

    async def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that exist."""
        return await asyncio.to_thread(self._read, "value", keys)

    async def put_many(self, values: Mapping[bytes, bytes]) -> None:
        """Set all of them in one transaction."""
        check_sizes(values)
        await asyncio.to_thread(self._put, dict(values))

    async def add_many(self, amounts: Mapping[bytes, tuple[int, ...]]) -> None:
        """Add to counters, all in one transaction, never below zero; a missing one counts as zeros."""
        check_sizes(amounts)
        await asyncio.to_thread(self._add, dict(amounts))

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

    def _change(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        with self._database.write() as connection:
            row = connection.execute("SELECT value FROM value WHERE key = ?", (key,)).fetchone()
            if (None if row is None else row[0]) != expected:
                return False
            if value is None:
                connection.execute("DELETE FROM value WHERE key = ?", (key,))
            else:
                connection.execute("INSERT OR REPLACE INTO value VALUES (?, ?)", (key, value))
        return True

    def _read(self, table: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        with self._database.read() as connection:
            for some in _portions(keys):
                marks = ",".join("?" * len(some))
                found.update(connection.execute(f"SELECT key, value FROM {table} WHERE key IN ({marks})", some))  # noqa: S608
        return found

    def _find(self, prefix: bytes, after: bytes, limit: int) -> dict[bytes, bytes]:
        behind_all = prefix + b"\xff" * (MAX_KEY_OCTETS + 1)
        query = "SELECT key, value FROM value WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
        with self._database.read() as connection:
            return dict(connection.execute(query, (after, prefix, behind_all, limit)))

    def _remove(self, first: bytes, end: bytes) -> None:
        with self._database.write_unsynced() as connection:
            for table in ("value", "counter"):
                connection.execute(f"DELETE FROM {table} WHERE key >= ? AND key < ?", (first, end))  # noqa: S608

    def _put(self, values: Mapping[bytes, bytes]) -> None:
        with self._database.write_unsynced() as connection:
            connection.executemany("INSERT OR REPLACE INTO value VALUES (?, ?)", list(values.items()))

    def _add(self, amounts: Mapping[bytes, tuple[int, ...]]) -> None:
        with self._database.write_unsynced() as connection:
            rows = []
            for some in _portions(list(amounts)):
                marks = ",".join("?" * len(some))
                known = dict(connection.execute(f"SELECT key, value FROM counter WHERE key IN ({marks})", some))  # noqa: S608
                for key in some:
                    old = _unpack(known.get(key, b""))
                    wide = max(len(old), len(amounts[key]))
                    padded = zip(old + (0,) * (wide - len(old)), amounts[key] + (0,) * (wide - len(amounts[key])), strict=True)
                    rows.append((key, _pack(tuple(min(max(a + b, 0), _MOST) for a, b in padded))))
            connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", rows)


def _portions(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _KEYS_A_QUERY):
        yield keys[start : start + _KEYS_A_QUERY]


def check_sizes(values: Mapping[bytes, bytes | tuple[int, ...]]) -> None:
    """Raises ValueError for a key or value that is not kept."""
    for key, value in values.items():
        if len(key) > MAX_KEY_OCTETS:
            raise ValueError(f"a key of {len(key)} octets; at most {MAX_KEY_OCTETS} are kept")
        if len(value) > MAX_VALUE_OCTETS:
            raise ValueError(f"a value of {len(value)} octets; at most {MAX_VALUE_OCTETS} are kept")


def _pack(row: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(row)}q", *row)


def _unpack(value: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(value) // 8}q", value)
