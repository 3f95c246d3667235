"""Flags, MODSEQ and message of each UID of a mailbox, packed in blocks of UIDs.

So a mailbox is opened, and the flags of all its messages are changed, by a row for many messages: with a row each, SQLite took
most of the time of both. What never changes of a message in a mailbox stands in `entry`.
"""

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.store.clauses import number_clause
from mailward.store.flags import FlagChange
from mailward.store.planes import WIDTH, pack, unpack

PER_MAILBOX = 1 << 26
"""Numbers of blocks of a mailbox, which are enough for all UIDs: the id of one is PER_MAILBOX * mailbox + (uid - 1) // WIDTH."""

_NOTHING = pack(array("Q", bytes(8 * WIDTH)))

Columns = tuple["array[int]", "array[int]", "array[int]", "array[int]"]
"""uids, flags, modseqs, messages, as `MailboxView` has them."""


class Cell(NamedTuple):
    """What is known of a UID."""

    uid: int
    flags: int
    modseq: int
    message: int


@dataclass(slots=True)
class Block:
    """first: the UID at place 0. flags, modseqs, messages: array('Q') of WIDTH; MODSEQ 0 where there is no such UID."""

    first: int
    flags: "array[int]"
    modseqs: "array[int]"
    messages: "array[int]"
    is_changed: bool = False

    @classmethod
    def of_row(cls, id: int, flags: bytes, modseqs: bytes, messages: bytes) -> "Block":
        return cls(id % PER_MAILBOX * WIDTH + 1, unpack(flags), unpack(modseqs), unpack(messages))

    def present(self, uids: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Those of these UIDs of the block that are there, and their places. uids: ascending."""
        start, end = uids[0] - self.first, uids[-1] - self.first + 1
        if end - start == len(uids) and 0 not in self.modseqs[start:end]:
            return uids, range(start, end)
        there = [uid for uid in uids if self.modseqs[uid - self.first]]
        return there, [uid - self.first for uid in there]

    def set_flags(self, places: Sequence[int], change: FlagChange, modseq: int) -> tuple[bytes, "array[int]", "array[int]"]:
        """See `FlagChange.apply`."""
        differs, old, new = change.apply(self.flags, self.modseqs, places, modseq)
        self.is_changed = self.is_changed or 1 in differs
        return differs, old, new


class Blocks:
    """Those of an account within one transaction, kept once they have been read; `save` writes what was changed in them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[int, Block | None] = {}

    def parts(self, mailbox: MailboxId, uids: Sequence[int]) -> Iterator[tuple[Block, Sequence[int], Sequence[int]]]:
        """The blocks of these UIDs, each with those in it that are there, and their places, which are a range where that can be.

        uids: ascending.
        """
        pieces: list[tuple[int, int, int]] = []
        at = 0
        while at < len(uids):
            number = (uids[at] - 1) // WIDTH
            end = bisect_left(uids, (number + 1) * WIDTH + 1, at)
            pieces.append((mailbox * PER_MAILBOX + number, at, end))
            at = end
        self._read([id for id, _, _ in pieces])
        for id, at, end in pieces:
            if (block := self._known[id]) is not None:
                yield block, *block.present(uids[at:end])

    def cells(self, mailbox: MailboxId, uids: Sequence[int]) -> Iterator[Cell]:
        """Of the UIDs that are there. uids: ascending."""
        for block, there, places in self.parts(mailbox, uids):
            for uid, place in zip(there, places, strict=True):
                yield Cell(uid, block.flags[place], block.modseqs[place], block.messages[place])

    def flags(self, mailbox: MailboxId, uids: Sequence[int]) -> dict[int, int]:
        """By UID. uids: ascending. Raises StorageError for one that is not there."""
        found = {cell.uid: cell.flags for cell in self.cells(mailbox, uids)}
        if len(found) < len(uids):
            raise StorageError(
                f"mailbox {mailbox}: messages without flags; mend it: mailward store check --repair", permanent=True
            )
        return found

    def put(self, mailbox: MailboxId, cells: Iterable[Cell]) -> None:
        """UIDs that are there from now on. Many best come out of a generator: the collector would look at all of a list."""
        for cell in cells:
            id = mailbox * PER_MAILBOX + (cell.uid - 1) // WIDTH
            self._read([id])
            block = self._known[id]
            if block is None:
                block = self._known[id] = Block.of_row(id, _NOTHING, _NOTHING, _NOTHING)
            place = cell.uid - block.first
            block.flags[place], block.modseqs[place], block.messages[place] = cell[1:]
            block.is_changed = True

    def drop(self, mailbox: MailboxId, uids: Sequence[int]) -> list[int]:
        """The flags of those that were there and are not any more. uids: ascending."""
        flags: list[int] = []
        for block, _, places in self.parts(mailbox, uids):
            for place in places:
                flags.append(block.flags[place])
                block.flags[place] = block.modseqs[place] = block.messages[place] = 0
                block.is_changed = True
        return flags

    def drop_all(self, mailbox: MailboxId) -> None:
        first, last = _ids(mailbox)
        self._connection.execute("DELETE FROM block WHERE id BETWEEN ? AND ?", (first, last))
        self._known = {id: block for id, block in self._known.items() if not first <= id <= last}

    def save(self) -> None:
        for id, block in self._known.items():
            if block is None or not block.is_changed:
                continue
            if any(block.modseqs):
                self._connection.execute(
                    "INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?)",
                    (id, pack(block.flags), pack(block.modseqs), pack(block.messages)),
                )
            else:
                self._connection.execute("DELETE FROM block WHERE id = ?", (id,))
            block.is_changed = False

    def _read(self, ids: Sequence[int]) -> None:
        """ids: ascending."""
        new = [id for id in ids if id not in self._known]
        if not new:
            return
        where, values = number_clause("id", new)
        self._known |= dict.fromkeys(new)
        for row in self._connection.execute(f"SELECT id, flags, modseqs, messages FROM block WHERE {where}", values):  # noqa: S608
            self._known[row[0]] = Block.of_row(*row)


def _ids(mailbox: MailboxId) -> tuple[int, int]:
    """The first and the last that a block of the mailbox may have."""
    return mailbox * PER_MAILBOX, (mailbox + 1) * PER_MAILBOX - 1


def load_columns(connection: sqlite3.Connection, mailbox: MailboxId) -> Columns:
    """All of a mailbox, in the order of UIDs."""
    columns = array("I"), array("Q"), array("Q"), array("Q")
    rows = connection.execute(
        "SELECT id, flags, modseqs, messages FROM block WHERE id BETWEEN ? AND ? ORDER BY id", _ids(mailbox)
    )
    for row in rows:
        block = Block.of_row(*row)
        uids = range(block.first, block.first + WIDTH)
        is_full = 0 not in block.modseqs
        for column, values in zip(columns, (uids, block.flags, block.modseqs, block.messages), strict=True):
            column.extend(values if is_full else compress(values, block.modseqs))
    return columns


def unreadable(connection: sqlite3.Connection) -> Iterator[tuple[int, list[bytes]]]:
    """Blocks of which something is damaged: the id of each, and its columns, with nothing in place of the damaged ones."""
    for id, *columns in connection.execute("SELECT id, flags, modseqs, messages FROM block"):
        if (sound := [*map(_sound, columns)]) != columns:
            yield id, sound


def _sound(column: bytes) -> bytes:
    try:
        unpack(column)
    except StorageError:
        return _NOTHING
    return column


class PackedCells:
    """An aggregate function for SQLite, of UID and value: what a block has in one column. For what rows an earlier form has."""

    def __init__(self) -> None:
        self._values = array("Q", bytes(8 * WIDTH))

    def step(self, uid: int, value: int) -> None:
        self._values[(uid - 1) % WIDTH] = value

    def finalize(self) -> bytes:
        return pack(self._values)
