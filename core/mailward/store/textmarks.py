"""Which messages may hold a text? Marks of what they hold, in a file of its own, so that a search need not read all of them.

Of each message the groups of three octets of its texts are kept as bits of a filter (a Bloom filter with one function), about one
octet for each different group. A text is in a message only when all its groups are: "no" is sure, "yes" has to be looked at. So
any part of a word is found, in any script, and no word is ever split wrongly (docs/decisions/0043-marks-of-texts.md).
What is in the file can be made again: a damaged one is thrown away, and a power cut may cost the last marks.
"""

import sqlite3
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import structlog

from mailward.database import Database, files_of
from mailward.model.errors import StorageError

_log = structlog.get_logger()

FILE = "search.sqlite"
"""In the account's folder; it can be lost, and is no part of a backup."""
VERSION = 2
"""Raise it when the texts that a search looks in are made otherwise: then all marks are made anew."""
_SCHEMA = "CREATE TABLE mark (message INTEGER PRIMARY KEY, bits BLOB NOT NULL) STRICT"
_SIZES = tuple(round(64 * 2 ** (quarter / 4)) for quarter in range(41))
"""Octets a filter may have, 64 to 65,536: few sizes, so that what is asked is worked out once for each."""
_MUCH_TEXT = b""
"""The filter of a message with more text than pays, which may hold anything."""
_BEGUN = b"\xff"
"""In place of the filter of a message whose texts are being read, or whose reading has never ended. No filter is as short."""
_MOST_CHARACTERS = 1024 * 1024
_PIECE_CHARACTERS = 16 * 1024
"""What is looked at together, so that the groups of a long text are never all in memory."""
_MOST_GROUPS_ASKED = 24
_TOGETHER = 512


class TextMarks:
    """See `marks.Marks`. Where the file fails there are no marks: every message may hold every text.

    filed: the messages above a number that are in mailboxes, the latest first.
    """

    def __init__(self, path: Path, filed: Callable[[int], Sequence[int]]) -> None:
        self._path = path
        self._filed = filed
        self._lock = threading.Lock()
        self._database: Database | None = None

    def may_hold(self, messages: Sequence[int], text: str) -> Sequence[bool | None]:
        groups = list(islice({*_groups(text)}, _MOST_GROUPS_ASKED))
        asked: dict[int, list[tuple[int, int]]] = {}
        found: dict[int, bool] = {}
        try:
            for message, bits in self._filters(messages):
                if bits == _BEGUN:
                    continue
                places = asked.get(len(bits))
                if places is None:
                    places = asked[len(bits)] = [_place(group, len(bits)) for group in groups] if bits else []
                found[message] = all(bits[at] & bit for at, bit in places)
        except StorageError as error:
            self._give_up(error)
            return [None] * len(messages)
        return [found.get(message) for message in messages]

    def _filters(self, messages: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        for start in range(0, len(messages), _TOGETHER):
            some = f"[{','.join(map(str, messages[start : start + _TOGETHER]))}]"
            with self._opened().read() as connection:
                rows = connection.execute(
                    "SELECT message, bits FROM mark WHERE message IN (SELECT value FROM json_each(?))", (some,)
                ).fetchall()
            yield from rows

    def unmarked(self, after: int = 0) -> Sequence[int]:
        messages = self._filed(after)
        if not messages:
            return ()
        query = "SELECT message FROM mark WHERE message BETWEEN ? AND ?"
        try:
            with self._opened().read() as connection:
                marked = {row[0] for row in connection.execute(query, (messages[-1], messages[0]))}
        except StorageError as error:
            self._give_up(error)
            return ()
        return [message for message in messages if message not in marked]

    def begin(self, message: int) -> None:
        try:
            with self._opened().write_unsynced() as connection:
                connection.execute("INSERT OR IGNORE INTO mark VALUES (?, ?)", (message, _BEGUN))
        except StorageError as error:
            self._give_up(error)
            raise

    def begun(self) -> Sequence[int]:
        try:
            with self._opened().read() as connection:
                rows = connection.execute("SELECT message FROM mark WHERE bits = ? ORDER BY message", (_BEGUN,)).fetchall()
            return [row[0] for row in rows]
        except StorageError as error:
            self._give_up(error)
            return ()

    def add(self, texts: Mapping[int, Iterable[str] | None]) -> None:
        rows = [(message, _MUCH_TEXT if of_one is None else _filter(of_one)) for message, of_one in texts.items()]
        try:
            with self._opened().write_unsynced() as connection:
                connection.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", rows)
        except StorageError as error:
            self._give_up(error)

    def keep_only(self, messages: Iterable[int]) -> None:
        """Drop the marks of all other messages."""
        kept = set(messages)
        try:
            with self._opened().write_unsynced() as connection:
                gone = [row for row in connection.execute("SELECT message FROM mark") if row[0] not in kept]
                connection.executemany("DELETE FROM mark WHERE message = ?", gone)
        except StorageError as error:
            self._give_up(error)

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _opened(self) -> Database:
        with self._lock:
            if self._database is None:
                self._database = Database(self._path, schema=_SCHEMA, version=VERSION)
            return self._database

    def _give_up(self, error: StorageError) -> None:
        """What is damaged, or of another form, is begun anew; the rest is tried again by the next search."""
        _log.warning("search marks unusable", path=str(self._path), error=str(error))
        with suppress(sqlite3.Error):
            self.close()
        if error.permanent:
            for file in files_of(self._path):
                with suppress(OSError):
                    file.unlink()


def _groups(text: str) -> Iterable[tuple[int, int, int]]:
    octets = text.encode("utf-8", "surrogatepass")
    return zip(octets, octets[1:], octets[2:], strict=False)


def _filter(texts: Iterable[str]) -> bytes:
    groups: set[tuple[int, int, int]] = set()
    largest = bytearray()
    characters = 0
    for text in texts:
        characters += len(text)
        if characters > _MOST_CHARACTERS:
            return _MUCH_TEXT
        for start in range(0, len(text), _PIECE_CHARACTERS):
            groups.update(_groups(text[start : start + _PIECE_CHARACTERS + 2]))  # with the groups that begin in it
            if len(groups) > _SIZES[-1]:
                largest = largest or bytearray(_SIZES[-1])
                _put(groups, largest)
                groups.clear()
    bits = largest or bytearray(_SIZES[bisect_left(_SIZES, len(groups))])
    _put(groups, bits)
    return bytes(bits)


def _put(groups: Iterable[tuple[int, int, int]], bits: bytearray) -> None:
    size = len(bits)
    for group in groups:
        at, bit = _place(group, size)
        bits[at] |= bit


def _place(group: tuple[int, int, int], size: int) -> tuple[int, int]:
    """Which bit of which octet of a filter of so many octets. Any mixing does that spreads letters."""
    mixed = (group[0] << 16 | group[1] << 8 | group[2]) * 0x9E3779B1 & 0xFFFFFFFF
    return (mixed >> 3 ^ mixed >> 15) % size, 1 << (mixed >> 28 & 7)
