"""The embedded store of decision records, one SQLite file that all processes write.

A record of accepted mail stands in the synced queue item until it is synced here, so it outlives a power cut; refusals, whose
senders keep the mail, and what happened to a message after its record came may lose the last half minute.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from mailward.database import Database
from mailward.decisions.marks import FROM_RECORDS, SCHEMA, Mark, add_marks, found_by, marks_of, marks_of_calls, take_marks
from mailward.model.decision import DecisionRecord, LaterEvent, Looked, utc_text
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.model.receipt import Receipt

_VERSION = 4
_LOOKED = "CREATE TABLE looked (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;"
"""What the plugins in shadow found, beside the record: it may come before the record does, which another process may write."""
_RECEIPT = "CREATE TABLE receipt (id TEXT PRIMARY KEY, octets BLOB NOT NULL) WITHOUT ROWID;"
"""By what the plugins can be run again, beside the record for the same reason."""
_SCHEMA = """
CREATE TABLE record (id TEXT PRIMARY KEY, received_at TEXT NOT NULL, message_id TEXT NOT NULL, json TEXT NOT NULL,
  marks TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX record_by_time ON record (received_at);
CREATE INDEX record_by_message_id ON record (message_id) WHERE message_id != '';
CREATE TABLE event (id TEXT NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (id, number)) WITHOUT ROWID;
"""
_UPGRADES = {1: _LOOKED, 2: SCHEMA + FROM_RECORDS, 3: _RECEIPT}


class DecisionStore:
    """All calls block for a moment and are safe from any thread. They raise StorageError."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, schema=_SCHEMA + _LOOKED + _RECEIPT + SCHEMA, version=_VERSION, upgrades=_UPGRADES)

    def close(self) -> None:
        self._database.close()

    def add(self, record: DecisionRecord, events: tuple[LaterEvent, ...] = ()) -> None:
        """Keep a record and what is already known to have happened. A record that is here already stays as it is."""
        self.add_all([(record, events)])

    def add_all(self, happened: Sequence[tuple[DecisionRecord, tuple[LaterEvent, ...]]]) -> None:
        """The same for many, all of them or none. Records are synced, and events that come with a new one."""
        known = self._known([record.id for record, _ in happened])
        new = {record.id: record.to_json() for record, _ in happened if record.id not in known}
        writing = self._database.write if new else self._database.write_unsynced
        with writing() as connection:
            for record, _ in happened:
                if record.id in new:
                    _insert(connection, record, new[record.id])
            added = [(record.id, e.at, e.recipient, e.text, record.id) for record, events in happened for e in events]
            connection.executemany(_ADD_EVENT, added)

    def add_refused(self, record: DecisionRecord) -> None:
        """Keep the record of mail that was not taken; a power cut may cost it."""
        written = record.to_json()
        with self._database.write_unsynced() as connection:
            _insert(connection, record, written)

    def _known(self, ids: Sequence[QueueId]) -> frozenset[QueueId]:
        """Those whose records are here: writing one as JSON takes as long as all the rest of adding an event to it."""
        with self._database.read() as connection:
            return frozenset(id for (id,) in connection.execute(_KNOWN, (json.dumps(ids),)))

    def add_event(self, id: QueueId, event: LaterEvent) -> None:
        """Note what happened to a message later."""
        with self._database.write_unsynced() as connection:
            connection.execute(_ADD_EVENT, (id, event.at, event.recipient, event.text, id))

    def add_looked(self, id: QueueId, looked: Looked) -> None:
        """Keep what the plugins in shadow found after the reply, whether or not the record is here yet; the first one stays."""
        written = looked.to_json()
        with self._database.write_unsynced() as connection:
            if connection.execute("INSERT OR IGNORE INTO looked VALUES (?, ?)", (id, written)).rowcount:
                add_marks(connection, id, marks_of_calls(looked.calls))

    def add_receipts(self, receipts: Sequence[tuple[QueueId, Receipt]]) -> None:
        """Keep what plugins can be run again by, whether or not the records are here yet; a later one has more in it."""
        written = [(id, receipt.to_octets()) for id, receipt in receipts]
        with self._database.write_unsynced() as connection:
            connection.executemany("INSERT OR REPLACE INTO receipt VALUES (?, ?)", written)

    def receipt(self, id: QueueId) -> Receipt | None:
        """The receipt of this message, None when there is none."""
        with self._database.read() as connection:
            found = connection.execute("SELECT octets FROM receipt WHERE id = ?", (id,)).fetchone()
        try:
            return None if found is None else Receipt.from_octets(found[0])
        except ValueError as error:
            raise StorageError(f"decisions: {id}: {error}", permanent=True) from error

    def get(self, id: QueueId) -> DecisionRecord | None:
        """The record of this id, None when there is none."""
        return next(iter(self._select("WHERE id = ?", (id,))), None)

    def last(self) -> DecisionRecord | None:
        """The newest record of what somebody sent; where there is none, of what the server wrote itself: reports, answers."""
        newest = "ORDER BY received_at DESC, id DESC LIMIT 1"
        found = self._select(f"WHERE json_extract(json, '$.direction') <> 'outbound' {newest}", ()) or self._select(newest, ())
        return next(iter(found), None)

    def find(
        self,
        *,
        message_id: str | None = None,
        marks: Collection[Mark] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> tuple[DecisionRecord, ...]:
        """Records that meet all of what is given, the newest first. since, until: aware, the end is not included."""
        times = (utc_text(since) if since else "", utc_text(until) if until else _LAST_MOMENT)
        conditions, values = ["received_at >= ?", "received_at < ?"], [*times]
        if message_id is not None:
            conditions.append("message_id = ?")
            values.append(message_id)
        if marks:
            with self._database.read() as connection:
                few = found_by(connection, marks, *times, limit=limit if message_id is None else MOST_OF_A_MESSAGE_ID)
            conditions.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(few))
        return self._select(
            f"WHERE {' AND '.join(conditions)} ORDER BY received_at DESC, id DESC LIMIT {int(limit)}", tuple(values)
        )

    def forget(self, before: datetime, limit: int) -> int:
        """Delete the oldest records of before that moment (aware), at most so many, with all that is kept of them; how many."""
        with self._database.write_unsynced() as connection:
            rows = connection.execute(_OLDEST, (utc_text(before), limit)).fetchall()
            take_marks(connection, rows)
            ids = json.dumps([id for id, _, _ in rows])
            for table in ("event", "looked", "receipt", "record"):
                connection.execute(f"DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))", (ids,))  # noqa: S608
        return len(rows)

    def count(self, since: datetime) -> int:
        """How many records there are since then (aware)."""
        with self._database.read() as connection:
            found: int = connection.execute("SELECT count(*) FROM record WHERE received_at >= ?", (utc_text(since),)).fetchone()[
                0
            ]
            return found

    def outcomes(self, since: datetime) -> Iterator[DecisionRecord]:
        """Every record since then (aware), the newest first; what comes meanwhile is not among them.

        They are without their calls and facts, which are most of a record, and without what happened later.
        """
        return self._walk(_OUTCOMES, since)

    def evidence(self, since: datetime) -> Iterator[DecisionRecord]:
        """The same with calls and facts."""
        return self._walk(_EVIDENCE, since)

    def _walk(self, what: str, since: datetime) -> Iterator[DecisionRecord]:
        place = (_LAST_MOMENT, "")
        while True:
            with self._database.read() as connection:
                rows = connection.execute(f"{what} {_PORTION}", (utc_text(since), *place)).fetchall()
            for _, _, text, looked in rows:
                yield _read(text, looked)
            if not rows:
                return
            place = rows[-1][:2]

    def _select(self, clause: str, values: tuple[str, ...]) -> tuple[DecisionRecord, ...]:
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT} {clause}", values).fetchall()
            events = {
                id: tuple(LaterEvent(*row) for row in connection.execute(_EVENTS, (id,)))
                for id, _, _ in rows
            }  # fmt: skip
        return tuple(_read(text, looked).with_events(events[id]) for id, text, looked in rows)


def _read(text: str, looked: str | None) -> DecisionRecord:
    try:
        record = DecisionRecord.from_json(text)
        return record if looked is None else record.looked_at(Looked.from_json(looked))
    except ValueError as error:
        raise StorageError(f"decisions: {error}", permanent=True) from error


def _insert(connection: sqlite3.Connection, record: DecisionRecord, written: str) -> None:
    row = (record.id, record.received_at, record.message_id, written, "[]")
    if connection.execute("INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?)", row).rowcount:
        looked = connection.execute("SELECT json FROM looked WHERE id = ?", (record.id,)).fetchone()
        later = frozenset() if looked is None else marks_of_calls(Looked.from_json(looked[0]).calls)
        add_marks(connection, record.id, marks_of(record) | later)


_LAST_MOMENT = "9999"
_OLDEST = "SELECT id, received_at, marks FROM record WHERE received_at < ? ORDER BY received_at LIMIT ?"
MOST_OF_A_MESSAGE_ID = 10_000
"""Records that meet the marks, among which those of a Message-ID are looked for."""
_OUTCOMES = """
SELECT received_at, id, json_set(json, '$.calls', json('[]'), '$.facts', json('{}')),
  (SELECT json_set(json, '$.calls', json('[]'), '$.facts', json('{}')) FROM looked WHERE looked.id = record.id)
"""
_EVIDENCE = "SELECT received_at, id, json, (SELECT json FROM looked WHERE looked.id = record.id)"
_PORTION = "FROM record WHERE received_at >= ? AND (received_at, id) < (?, ?) ORDER BY received_at DESC, id DESC LIMIT 500"
_SELECT = "SELECT id, json, (SELECT json FROM looked WHERE looked.id = record.id) FROM record"
_KNOWN = "SELECT id FROM record WHERE id IN (SELECT value FROM json_each(?))"
_ADD_EVENT = "INSERT INTO event SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM event WHERE id = ?"
_EVENTS = "SELECT at, recipient, text FROM event WHERE id = ? ORDER BY number"
