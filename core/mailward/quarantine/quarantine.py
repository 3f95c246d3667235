"""The embedded quarantine: one synced file a message, with a name for each recipient, and an index in SQLite.

The file is durable before the index names it, and the index takes a delivery key only once; so a delivery that is done again
after a crash changes nothing, and a file without an entry is only left over. An entry that was released or dropped stays for a
while without its file, so that such a delivery does not bring it back either.
"""

import contextlib
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from mailward.api.relaying import Origin
from mailward.database import Database
from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.envelope import Ret
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId

_VERSION = 5
"""2 adds what a release needs to know, and what became of an entry; 3 whether it may leave only by way of REQUIRETLS; 4
what else its sender asked for behind MAIL FROM: and RCPT TO:; 5 what an alias made of the envelope."""
_ADDED = (
    "route TEXT NOT NULL DEFAULT 'mailbox'",
    "reverse_path TEXT NOT NULL DEFAULT ''",
    "subject TEXT NOT NULL DEFAULT ''",
    "infected INTEGER NOT NULL DEFAULT 0",
    "origin TEXT NOT NULL DEFAULT 'inbound'",
    "user TEXT NOT NULL DEFAULT ''",
    "smtputf8 INTEGER NOT NULL DEFAULT 0",
    "releasing TEXT NOT NULL DEFAULT ''",
    "ended TEXT NOT NULL DEFAULT ''",
)
_ADDED_IN_3 = "require_tls INTEGER NOT NULL DEFAULT 0"
_ADDED_IN_4 = (
    "ret TEXT NOT NULL DEFAULT ''",
    "envelope_id TEXT NOT NULL DEFAULT ''",
    "notify TEXT NOT NULL DEFAULT ''",
    "original_recipient TEXT NOT NULL DEFAULT ''",
    "tls_optional INTEGER NOT NULL DEFAULT 0",
    "hold_until TEXT NOT NULL DEFAULT ''",
    "deliver_by TEXT NOT NULL DEFAULT ''",
    "by_mode TEXT NOT NULL DEFAULT ''",
    "by_trace INTEGER NOT NULL DEFAULT 0",
    "priority INTEGER NOT NULL DEFAULT 0",
)
_ADDED_IN_5 = ("own_reverse_path TEXT", "asked TEXT NOT NULL DEFAULT ''")
_SCHEMA = f"""
CREATE TABLE held (
  delivery_key TEXT PRIMARY KEY, id TEXT NOT NULL, number INTEGER NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL,
  held_at TEXT NOT NULL, size_octets INTEGER NOT NULL, {", ".join(_ADDED)}, {_ADDED_IN_3}, {", ".join(_ADDED_IN_4)},
  {", ".join(_ADDED_IN_5)}
) WITHOUT ROWID;
CREATE INDEX held_by_time ON held (held_at);
"""
# Form 1 said only in words what a message was held for; the mail in it was all for mailboxes here.
_KNOWN_INFECTED = "UPDATE held SET infected = 1 WHERE reason LIKE '%infected%' OR reason LIKE '%antivirus%'"
_UPGRADES = {
    1: "; ".join([*(f"ALTER TABLE held ADD COLUMN {column}" for column in _ADDED), _KNOWN_INFECTED]),
    2: f"ALTER TABLE held ADD COLUMN {_ADDED_IN_3}",
    3: "; ".join(f"ALTER TABLE held ADD COLUMN {column}" for column in _ADDED_IN_4),
    4: "; ".join(f"ALTER TABLE held ADD COLUMN {column}" for column in _ADDED_IN_5),
}
_REMEMBERED = timedelta(days=30)
"""Longer than any queue keeps a message."""


@dataclass(frozen=True, slots=True)
class Held:
    """One message kept for one recipient. held_at: ISO 8601 in UTC. reason: in plain words.

    index: the recipient's place in the queue item; copies kept anew have that and a multiple of all recipients.

    route: where the forward-path leads, "mailbox", "relay" or "discard"; a release goes there. infected: a scanner said so.
    subject: for people. notify: NOTIFY as RCPT has it, "" when not given; original_recipient: as in `RcptParameters`.
    own_reverse_path, asked: the recipient's, as in `QueuedRecipient`. All else as of the queue item.
    """

    delivery_key: str
    id: QueueId
    index: int
    recipient: str
    reason: str
    held_at: str
    size_octets: int
    route: str = "mailbox"
    reverse_path: str = ""
    subject: str = ""
    infected: bool = False
    origin: Origin = "inbound"
    user: str = ""
    smtputf8: bool = False
    require_tls: bool = False
    ret: Ret = ""
    envelope_id: str = ""
    notify: str = ""
    original_recipient: str = ""
    tls_optional: bool = False
    hold_until: str = ""
    deliver_by: str = ""
    by_mode: Literal["", "R", "N"] = ""
    by_trace: bool = False
    priority: int = 0
    own_reverse_path: str | None = None
    asked: str = ""


_COLUMNS = ", ".join("number" if field.name == "index" else field.name for field in fields(Held))
"""INDEX is a word of SQL."""
_MARKS = ", ".join("?" for _ in fields(Held))


class Quarantine:
    """All calls block and are safe from any thread. They raise StorageError."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        disk.mkdir(folder)
        self._database = Database(folder / "index.sqlite", schema=_SCHEMA, version=_VERSION, upgrades=_UPGRADES)

    def close(self) -> None:
        self._database.close()

    def add(self, held: Held, octets: bytes) -> bool:
        """Keep a message; durable when it returns. False when its delivery key is known already, even from one that is gone."""
        with self._database.read() as connection:
            if connection.execute("SELECT 1 FROM held WHERE delivery_key = ?", (held.delivery_key,)).fetchone():
                return False
        try:
            if not self._share(held, octets):
                self._disk.write_whole(self._path(held), [octets])
        except OSError as error:
            raise StorageError(f"{self._path(held)}: {error.strerror}") from error
        with self._database.write() as connection:
            statement = f"INSERT OR IGNORE INTO held ({_COLUMNS}) VALUES ({_MARKS})"  # noqa: S608 - our own names
            return connection.execute(statement, astuple(held)).rowcount == 1

    def list(self, *, recipient: str | None = None, since: datetime | None = None, limit: int = 1000) -> tuple[Held, ...]:
        """What is kept and meets all of what is given, the newest first. recipient: compared without case. since: aware."""
        conditions, values = ["ended = ''"], []
        if recipient is not None:
            conditions.append("lower(recipient) = ?")
            values.append(recipient.lower())
        if since is not None:
            conditions.append("held_at >= ?")
            values.append(utc_text(since))
        order = f"ORDER BY held_at DESC, delivery_key DESC LIMIT {int(limit)}"
        return self._select(f"{' AND '.join(conditions)} {order}", *values)

    def find(self, id: QueueId, index: int | None = None) -> tuple[Held, ...]:
        """The copies kept of one message, or the one for the recipient of this index; () when there is none."""
        if index is None:
            return self._select("id = ? AND ended = '' ORDER BY number", id)
        return self._select("id = ? AND number = ? AND ended = ''", id, index)

    def read(self, delivery_key: str) -> bytes:
        """The octets of a kept message. Raises StorageError when there is no such key."""
        held = next(iter(self._select("delivery_key = ? AND ended = ''", delivery_key)), None)
        if held is None:
            raise StorageError(f"nothing is in quarantine as {delivery_key}", permanent=True)
        try:
            return self._disk.read_whole(self._path(held))
        except OSError as error:
            raise StorageError(f"{self._path(held)}: {error.strerror}") from error

    def begin_release(self, delivery_key: str, target: str) -> str:
        """Say where a release leads before it begins, durably; what was said first stands, and is returned.

        So one that was cut short can only be brought to its end, never to another place as well.
        """
        with self._database.write() as connection:
            connection.execute("UPDATE held SET releasing = ? WHERE delivery_key = ? AND releasing = ''", (target, delivery_key))
            row = connection.execute("SELECT releasing FROM held WHERE delivery_key = ?", (delivery_key,)).fetchone()
        if row is None:
            raise StorageError(f"nothing is in quarantine as {delivery_key}", permanent=True)
        return str(row[0])

    def end(self, delivery_key: str, how: Literal["released", "dropped"], now: datetime) -> None:
        """The message is kept no longer; its octets are deleted. now: aware; entries that ended long ago are forgotten."""
        with self._database.write() as connection:
            connection.execute("UPDATE held SET ended = ? WHERE delivery_key = ?", (how, delivery_key))
        old = utc_text(now - _REMEMBERED)
        forgotten = self._select("ended != '' AND held_at < ?", old)
        for held in (*self._select("delivery_key = ?", delivery_key), *forgotten):
            self._remove(self._path(held))
        with self._database.write() as connection:
            connection.execute("DELETE FROM held WHERE ended != '' AND held_at < ?", (old,))

    def _share(self, held: Held, octets: bytes) -> bool:
        """Give the file of another recipient of this message one more name, when it holds the same: a thousand recipients fill
        the disk no more than one does. False when there is none, or none that can have one more name."""
        clause = "id = ? AND delivery_key != ? AND size_octets = ? AND ended = '' ORDER BY number DESC LIMIT 1"
        for other in self._select(clause, held.id, held.delivery_key, len(octets)):
            try:
                if self._disk.read_whole(self._path(other)) != octets:
                    return False
                self._remove(self._path(held))  # left by a crash before the index took it
                self._disk.link(self._path(other), self._path(held))
            except OSError:  # it was released just now, or the file system has no second names
                return False
            self._disk.sync_folder(self._folder)
            return True
        return False

    def _select(self, clause: str, *values: str | int) -> tuple[Held, ...]:
        with self._database.read() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM held WHERE {clause}", values).fetchall()  # noqa: S608 - our own
        return tuple(_held(row) for row in rows)

    def _remove(self, path: Path) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(path)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error

    def _path(self, held: Held) -> Path:
        return self._folder / f"{held.id}-{held.index}.eml"


def _held(row: tuple[Any, ...]) -> Held:
    """SQLite knows no truth values."""
    columns = zip(fields(Held), row, strict=True)
    values: dict[str, Any] = {field.name: bool(value) if field.type is bool else value for field, value in columns}
    return Held(**values)
