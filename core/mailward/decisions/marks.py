"""By what are records found? Who it was from and to, and the rules, symbols, plugins and verdicts in it.

A mark is a row beside the record, in the order of time: the newest records with a mark are read without looking at others.
"""

import sqlite3
from collections.abc import Collection
from typing import Literal, NamedTuple

from mailward.model.decision import DecisionRecord

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
    for call in record.calls:
        if call.findings or call.error is not None:
            found.add(Mark("plugin", call.plugin))
        found |= {Mark("symbol", finding.symbol) for finding in call.findings if finding.symbol is not None}
    return frozenset(found)


def add_marks(connection: sqlite3.Connection, record: DecisionRecord) -> None:
    """Note those of a new record."""
    rows = [(*mark, record.received_at, record.id) for mark in marks_of(record)]
    connection.executemany("INSERT OR IGNORE INTO mark VALUES (?, ?, ?, ?)", rows)


def take_marks(connection: sqlite3.Connection, record: DecisionRecord) -> None:
    """Forget those of a record."""
    rows = [(*mark, record.received_at, record.id) for mark in marks_of(record)]
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
