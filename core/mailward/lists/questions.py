"""What is on kept lists at one moment? For whoever asks about some values, and does not want the whole list.

The connection is opened at the first question and serves all that follow: opening it costs a hundred times what a question does.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import cast

from mailward.database import Database
from mailward.policy.entries import ListType, entries_holding

_AT_ONCE = 512
"""Entries of one query."""


class ListQuestions:
    """opened: the lists, None while there are none. Used by one thread, and closed by it. All raise StorageError."""

    def __init__(self, opened: Callable[[], Database | None], at: datetime) -> None:
        self._opened = opened
        self._at_s = at.timestamp()
        self._database: Database | None = None
        self._types: dict[str, ListType | None] = {}

    def type(self, name: str) -> ListType | None:
        """As it was when it was asked first; None for a list that is not there."""
        if name not in self._types:
            rows = self._column("SELECT type FROM list WHERE name = ?", name)
            self._types[name] = cast(ListType, rows[0]) if rows else None
        return self._types[name]

    def held(self, name: str, values: Iterable[str]) -> frozenset[str]:
        """Those of the values that are on a list, as conditions of policies ask it. An entry itself is.

        Nothing is on a list that is not there.
        """
        type = self.type(name)
        if type is None:
            return frozenset()
        entries = {value: entries_holding(type, value) for value in values}
        there = self._there(name, list(dict.fromkeys(entry for some in entries.values() for entry in some if _is_text(entry))))
        return frozenset(value for value, some in entries.items() if not there.isdisjoint(some))

    def newest(self, name: str, most: int) -> tuple[str, ...]:
        """So many entries at most."""
        asked = "SELECT value FROM entry WHERE list = ? AND expires_at > ? ORDER BY changed_at DESC, value LIMIT ?"
        return tuple(self._column(asked, name, self._at_s, most))

    def close(self) -> None:
        """No further use."""
        if self._database is not None:
            self._database.close()

    def _there(self, name: str, entries: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(entries), _AT_ONCE):
            some = entries[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            asked = f"SELECT value FROM entry WHERE list = ? AND expires_at > ? AND value IN ({marks})"  # noqa: S608
            found.update(self._column(asked, name, self._at_s, *some))
        return found

    def _column(self, asked: str, *values: str | float) -> list[str]:
        if self._database is None:
            self._database = self._opened()
        if self._database is None:
            return []
        with self._database.read() as connection:
            return [value for (value,) in connection.execute(asked, values)]


def _is_text(value: str) -> bool:
    """Not so with a lone surrogate, which stands for an octet that is not UTF-8: SQLite takes none, and no entry has one."""
    return value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
