"""The embedded quarantine: one synced file a message and an index in SQLite.

The file is durable before the index names it, and the index takes a delivery key only once; so a delivery that is done again
after a crash changes nothing, and a file without an entry is only left over.
"""

from dataclasses import dataclass
from pathlib import Path

from mailward.database import Database
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId

_VERSION = 1
_SCHEMA = """
CREATE TABLE held (
  delivery_key TEXT PRIMARY KEY, id TEXT NOT NULL, number INTEGER NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL,
  held_at TEXT NOT NULL, size_octets INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX held_by_time ON held (held_at);
"""


@dataclass(frozen=True, slots=True)
class Held:
    """One message kept for one recipient. held_at: ISO 8601 in UTC. reason: in plain words."""

    delivery_key: str
    id: QueueId
    number: int
    recipient: str
    reason: str
    held_at: str
    size_octets: int


class Quarantine:
    """All calls block and are safe from any thread. They raise StorageError."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        disk.mkdir(folder)
        self._database = Database(folder / "index.sqlite", schema=_SCHEMA, version=_VERSION)

    def close(self) -> None:
        self._database.close()

    def add(self, held: Held, octets: bytes) -> bool:
        """Keep a message; durable when it returns. False when its delivery key is known already."""
        if self._find(held.delivery_key) is not None:
            return False
        self._write(self._path(held), octets)
        row = (held.delivery_key, held.id, held.number, held.recipient, held.reason, held.held_at, held.size_octets)
        with self._database.write() as connection:
            return connection.execute("INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?, ?, ?, ?)", row).rowcount == 1

    def list(self, limit: int = 1000) -> tuple[Held, ...]:
        """What is kept, the newest first."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT * FROM held ORDER BY held_at DESC, delivery_key DESC LIMIT ?", (limit,)).fetchall()
        return tuple(_held(row) for row in rows)

    def read(self, delivery_key: str) -> bytes:
        """The octets of a kept message. Raises StorageError when there is no such key."""
        held = self._find(delivery_key)
        if held is None:
            raise StorageError(f"nothing is in quarantine as {delivery_key}", permanent=True)
        try:
            return self._path(held).read_bytes()
        except OSError as error:
            raise StorageError(f"{self._path(held)}: {error.strerror}") from error

    def _find(self, delivery_key: str) -> Held | None:
        with self._database.read() as connection:
            row = connection.execute("SELECT * FROM held WHERE delivery_key = ?", (delivery_key,)).fetchone()
        return None if row is None else _held(row)

    def _write(self, path: Path, octets: bytes) -> None:
        """Under another name first: a file that has its name is whole."""
        draft = path.with_suffix(".new")
        try:
            if self._disk.exists(draft):  # left over from a crash
                self._disk.unlink(draft)
            descriptor = self._disk.create_exclusive(draft)
            try:
                self._disk.write(descriptor, [octets])
                self._disk.sync(descriptor)
            finally:
                self._disk.close(descriptor)
            self._disk.rename(draft, path)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error

    def _path(self, held: Held) -> Path:
        return self._folder / f"{held.id}-{held.number}.eml"


def _held(row: tuple[str, str, int, str, str, str, int]) -> Held:
    return Held(row[0], QueueId(row[1]), row[2], row[3], row[4], row[5], row[6])
