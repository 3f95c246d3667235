"""By what are records found? Who it was from and to, and the rules, symbols, plugins and verdicts in it.

A mark is a row beside the record, in the order of time: the newest records with a mark are read without looking at others. The
record keeps a list of its marks, so that they go with it whatever a later release would make of it.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from mailward.model.decision import DecisionRecord
from mailward.model.evidence import HookCall
from mailward.model.ids import QueueId

Kind = Literal["from", "to", "rule", "symbol", "plugin", "verdict"]


class Mark(NamedTuple):
    """from, to: an address, or a domain as "@example.org", in lower case. plugin: one that found something or failed."""

    kind: Kind
    value: str


SCHEMA = """
CREATE TABLE mark (kind TEXT NOT NULL, value TEXT NOT NULL, received_at TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (kind, value, received_at, id)) WITHOUT ROWID;
"""
FROM_RECORDS = """
INSERT OR IGNORE INTO mark SELECT 'to', address, received_at, id FROM recipient;
INSERT OR IGNORE INTO mark SELECT 'to', substr(address, instr(address, '@')), received_at, id FROM recipient
  WHERE instr(address, '@');
INSERT OR IGNORE INTO mark SELECT 'from', lower(json ->> '$.reverse_path'), received_at, id FROM record;
INSERT OR IGNORE INTO mark SELECT 'from', substr(value, instr(value, '@')), received_at, id FROM mark
  WHERE kind = 'from' AND instr(value, '@') > 1;
INSERT OR IGNORE INTO mark SELECT 'verdict', r.value ->> '$.verdict', received_at, record.id
  FROM record, json_each(record.json, '$.recipients') r;
INSERT OR IGNORE INTO mark SELECT 'rule', r.value ->> '$.source_name', received_at, record.id
  FROM record, json_each(record.json, '$.recipients') r WHERE r.value ->> '$.source_kind' = 'rule';
INSERT OR IGNORE INTO mark SELECT 'plugin', c.value ->> '$.plugin', received_at, record.id
  FROM record, json_each(record.json, '$.calls') c
  WHERE c.value ->> '$.error' IS NOT NULL OR json_array_length(c.value, '$.findings');
INSERT OR IGNORE INTO mark SELECT 'symbol', f.value ->> '$.symbol', received_at, record.id
  FROM record, json_each(record.json, '$.calls') c, json_each(c.value, '$.findings') f WHERE f.value ->> '$.symbol' IS NOT NULL;
DROP TABLE recipient;
ALTER TABLE record ADD COLUMN marks TEXT NOT NULL DEFAULT '[]';
CREATE INDEX mark_by_id ON mark (id);
UPDATE record SET marks = (SELECT json_group_array(json_array(kind, value)) FROM mark WHERE mark.id = record.id);
DROP INDEX mark_by_id;
"""
"""Makes those of the records of form 2."""
_COUNTED = 5000
"""Rows of a mark that are counted before it is called frequent."""


def marks_of(record: DecisionRecord) -> frozenset[Mark]:
    """All of one record."""
    found = {Mark("from", one) for one in _address(record.reverse_path)}
    for decision in record.recipients:
        found |= {Mark("to", one) for one in _address(decision.recipient)}
        found.add(Mark("verdict", decision.verdict))
        if decision.source_kind == "rule":
            found.add(Mark("rule", decision.source_name))
    return frozenset(found) | marks_of_calls(record.calls)


def marks_of_calls(calls: Sequence[HookCall]) -> frozenset[Mark]:
    """The symbols and plugins among them."""
    found = {Mark("plugin", call.plugin) for call in calls if call.findings or call.error is not None}
    found |= {Mark("symbol", finding.symbol) for call in calls for finding in call.findings if finding.symbol is not None}
    return frozenset(found)


def add_marks(connection: sqlite3.Connection, id: QueueId, marks: frozenset[Mark]) -> None:
    """Note further ones of a record; nothing where there is no such record."""
    row = connection.execute("SELECT received_at, marks FROM record WHERE id = ?", (id,)).fetchone()
    if row is None:
        return
    received_at, listed = row[0], json.loads(row[1])
    connection.executemany("INSERT OR IGNORE INTO mark VALUES (?, ?, ?, ?)", [(*mark, received_at, id) for mark in marks])
    whole = [*listed, *(mark for mark in sorted(marks) if list(mark) not in listed)]
    connection.execute("UPDATE record SET marks = ? WHERE id = ?", (json.dumps(whole, separators=(",", ":")), id))


def take_marks(connection: sqlite3.Connection, records: Iterable[tuple[str, str, str]]) -> None:
    """Forget those of records. records: id, time and list of each."""
    rows = [(*mark, received_at, id) for id, received_at, listed in records for mark in json.loads(listed)]
    connection.executemany("DELETE FROM mark WHERE kind = ? AND value = ? AND received_at = ? AND id = ?", rows)


def found_by(connection: sqlite3.Connection, marks: Collection[Mark], since: str, until: str, *, limit: int) -> list[str]:
    """Ids of the newest records that have all of these marks. since, until: ISO 8601 in UTC."""
    rarest, *others = sorted(marks, key=lambda mark: _count(connection, mark, since, until) if len(marks) > 1 else 0)
    query = _WITH_IT + _AND_IT * len(others) + _NEWEST
    values = [*rarest, since, until, *(text for mark in others for text in mark), limit]
    return [id for (id,) in connection.execute(query, values)]


def _count(connection: sqlite3.Connection, mark: Mark, since: str, until: str) -> int:
    counted: int = connection.execute(_COUNT, (*mark, since, until, _COUNTED)).fetchone()[0]
    return counted


def _address(text: str) -> tuple[str, ...]:
    """An address, and its domain where it has one."""
    local_part, at, domain = text.lower().rpartition("@")
    return (text.lower(), f"@{domain}") if at and local_part else (text.lower(),)


_COUNT = """
SELECT count(*) FROM (SELECT 1 FROM mark WHERE kind = ? AND value = ? AND received_at >= ? AND received_at < ? LIMIT ?)
"""
_WITH_IT = "SELECT id FROM mark AS m WHERE kind = ? AND value = ? AND received_at >= ? AND received_at < ?"
_AND_IT = """
  AND EXISTS (SELECT 1 FROM mark WHERE kind = ? AND value = ? AND received_at = m.received_at AND id = m.id)
"""
_NEWEST = " ORDER BY received_at DESC, id DESC LIMIT ?"
