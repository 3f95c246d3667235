"""The policies by which was decided: every version that the server has loaded, so that it can be read and brought back.

A record names its policy by hash. Of a version the file itself is kept; its preset belongs to the release, and lists lie in files
of their own or in the database. They change without a reload and then give another hash, which is no version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NewType

from mailward.database import Database
from mailward.model.decision import utc_text
from mailward.policy import Direction, Policy

MOST_KEPT = 1000
"""Versions of a direction; of more the oldest are forgotten."""

VersionNumber = NewType("VersionNumber", int)

_SCHEMA = """
CREATE TABLE version (number INTEGER PRIMARY KEY, direction TEXT NOT NULL, hash TEXT NOT NULL, loaded_at TEXT NOT NULL,
  file BLOB NOT NULL);
CREATE INDEX version_by_direction ON version (direction, number);
"""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One policy that has been in force. loaded_at: ISO 8601 in UTC. file: its octets, b"" where the preset alone held."""

    number: VersionNumber
    direction: Direction
    hash: str
    loaded_at: str
    file: bytes


class PolicyVersions:
    """Kept in one SQLite file. All calls block for a moment; they raise StorageError."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, schema=_SCHEMA, version=1)

    def close(self) -> None:
        self._database.close()

    def note(self, policies: Mapping[Direction, Policy], now: datetime) -> None:
        """They are in force from now on (aware). What already was, stays one version."""
        with self._database.write() as connection:
            for direction, policy in policies.items():
                last = connection.execute(_LAST, (direction,)).fetchone()
                if last == (policy.hash, policy.file):
                    continue
                connection.execute(
                    "INSERT INTO version (direction, hash, loaded_at, file) VALUES (?, ?, ?, ?)",
                    (direction, policy.hash, utc_text(now), policy.file),
                )
                connection.execute(_FORGET, (direction, direction, MOST_KEPT))

    def of(self, direction: Direction) -> tuple[PolicyVersion, ...]:
        """All of a direction, the newest first."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL, (direction,)).fetchall()
        return tuple(PolicyVersion(VersionNumber(number), direction, *rest) for number, *rest in rows)


_LAST = "SELECT hash, file FROM version WHERE direction = ? ORDER BY number DESC LIMIT 1"
_ALL = "SELECT number, hash, loaded_at, file FROM version WHERE direction = ? ORDER BY number DESC"
_FORGET = """
DELETE FROM version WHERE direction = ? AND number NOT IN (
  SELECT number FROM version WHERE direction = ? ORDER BY number DESC LIMIT ?)
"""
