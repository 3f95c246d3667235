"""The embedded quarantine: one synced file a message, with a name for each recipient, and an index in SQLite.

The file is durable before the index names it, and the index takes a delivery key only once; so a delivery that is done again
after a crash changes nothing, and a file without an entry is only left over. An entry that was released or dropped stays for a
while without its file, so that such a delivery does not bring it back either.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import astuple
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from mailward.database import Database
from mailward.disk import Disk
from mailward.model.decision import utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine.digests import Digests
from mailward.quarantine.held import COLUMNS, MARKS, Held, held_of
from mailward.quarantine.schema import SCHEMA, UPGRADES, VERSION

_REMEMBERED = timedelta(days=30)
"""Longer than any queue keeps a message."""
_OF_KEYS = "delivery_key IN (SELECT value FROM json_each(?))"
_INSERT = f"""
INSERT OR IGNORE INTO held ({COLUMNS}, arrival) VALUES ({MARKS},
  1 + max(coalesce((SELECT max(arrival) FROM held), 0), coalesce((SELECT upto FROM digest_round), 0)))
"""  # noqa: S608 - our own names
"""An arrival is never given twice, though the last entry may be gone: digests have told of all before."""


class Quarantine:
    """All calls block and are safe from any thread. They raise StorageError."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        disk.mkdir(folder)
        self._database = Database(folder / "index.sqlite", schema=SCHEMA, version=VERSION, upgrades=UPGRADES)
        self.digests = Digests(self._database)

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
            return connection.execute(_INSERT, astuple(held)).rowcount == 1

    def list(
        self,
        *,
        recipient: str | None = None,
        account: AccountId | None = None,
        cause: str | None = None,
        since: datetime | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> tuple[Held, ...]:
        """What is kept and meets all of what is given, the newest first. recipient: compared without case. since: aware.

        after: the delivery key of the last one of the page before, which `knows` knows.
        """
        conditions, values = ["ended = ''"], []
        if recipient is not None:
            conditions.append("recipient = ? COLLATE NOCASE")
            values.append(recipient)
        if account is not None:
            conditions.append("account = ?")
            values.append(account)
        if cause is not None:
            # Of one person there is less than of one cause, which SQLite cannot know; "+" keeps it from that index.
            conditions.append("cause = ?" if recipient is None and account is None else "+cause = ?")
            values.append(cause)
        if since is not None:
            conditions.append("held_at >= ?")
            values.append(utc_text(since))
        if after is not None:
            conditions.append("(held_at, delivery_key) < (SELECT held_at, delivery_key FROM held WHERE delivery_key = ?)")
            values.append(after)
        order = f"ORDER BY held_at DESC, delivery_key DESC LIMIT {int(limit)}"
        return self._select(f"{' AND '.join(conditions)} {order}", *values)

    def knows(self, delivery_key: str) -> bool:
        """Is there such an entry, or was there lately?"""
        return bool(self._select("delivery_key = ?", delivery_key))

    def oldest(self, before: datetime, limit: int) -> tuple[Held, ...]:
        """What has been kept since before that moment (aware), the longest first; nothing whose release has begun."""
        return self._select(
            "ended = '' AND releasing = '' AND kept_at < ? ORDER BY kept_at, delivery_key LIMIT ?", utc_text(before), limit
        )

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

        So one that was cut short can only be brought to its end, never to another place as well. Raises StorageError when it is
        kept no longer.
        """
        with self._database.write() as connection:
            kept = "delivery_key = ? AND ended = ''"
            connection.execute(f"UPDATE held SET releasing = ? WHERE {kept} AND releasing = ''", (target, delivery_key))  # noqa: S608
            row = connection.execute(f"SELECT releasing FROM held WHERE {kept}", (delivery_key,)).fetchone()  # noqa: S608
        if row is None:
            raise StorageError(f"nothing is in quarantine as {delivery_key}", permanent=True)
        return str(row[0])

    def led_to(self, delivery_key: str) -> str:
        """Where its release leads, or led; "" when none has begun, or nobody knows."""
        with self._database.read() as connection:
            row = connection.execute("SELECT releasing FROM held WHERE delivery_key = ?", (delivery_key,)).fetchone()
        return "" if row is None else str(row[0])

    def led_into(self, id: QueueId) -> tuple[tuple[Held, AccountId], ...]:
        """The copies of one message whose release leads, or led, into a mailbox, and whose it is."""
        asked = f"SELECT {COLUMNS}, releasing FROM held WHERE id = ? AND releasing LIKE 'mailbox %'"  # noqa: S608 - our own names
        with self._database.read() as connection:
            rows = connection.execute(asked, (id,)).fetchall()
        return tuple((held_of(row[:-1]), AccountId(row[-1].removeprefix("mailbox "))) for row in rows)

    @contextlib.contextmanager
    def claimed(self, held: Held) -> Iterator[None]:
        """Nobody else releases this message meanwhile, in any process. Raises StorageError when somebody does already.

        The lock is on the file, so it guards the copies of a message that share one, too, and ends with the process.
        """
        path = self._path(held)
        try:
            fd = self._disk.open_read(path)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}", permanent=isinstance(error, FileNotFoundError)) from error
        try:
            if not self._disk.lock(fd):
                raise StorageError(f"{held.delivery_key} is being released by somebody else; look again in a moment")
            yield
        finally:
            self._disk.close(fd)

    def end(self, *delivery_keys: str, how: Literal["released", "dropped"], now: datetime) -> None:
        """Messages are kept no longer; their octets are deleted. now: aware; entries of long ago that ended are forgotten."""
        keys = json.dumps(delivery_keys)
        with self._database.write() as connection:
            connection.execute(f"UPDATE held SET ended = ? WHERE {_OF_KEYS}", (how, keys))  # noqa: S608 - our own
        old = utc_text(now - _REMEMBERED)
        forgotten = self._select("ended != '' AND kept_at < ?", old)
        for held in (*self._select(_OF_KEYS, keys), *forgotten):
            self._remove(self._path(held))
        with self._database.write() as connection:
            connection.execute("DELETE FROM held WHERE ended != '' AND kept_at < ?", (old,))

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
            rows = connection.execute(f"SELECT {COLUMNS} FROM held WHERE {clause}", values).fetchall()  # noqa: S608 - our own
        return tuple(held_of(row) for row in rows)

    def _remove(self, path: Path) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(path)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error

    def _path(self, held: Held) -> Path:
        return self._folder / f"{held.id}-{held.index}.eml"
