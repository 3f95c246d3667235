"""What the log tells of UIDs that were expunged long ago, where it has grown long: one UID a mailbox, the highest of them.

Who comes from before that row is told of every UID up to that one but those of the messages that are there, which are more than
have gone since: RFC 7162 section 3.2.6 asks just that of a server that does not remember so far back.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId

EXPUNGED = 1
"""What rows of UIDs that were expunged have as `gone`, each with the MODSEQ at which it had been added."""
MERGED = 2
"""What the one row of a mailbox's long past has."""

Range = tuple[int, int]
"""First and last."""


@dataclass(frozen=True, slots=True)
class LongGone:
    """All UIDs up to `last` that are not `here`: array('I') in order, which may go on. As ranges, in order, that are made one by
    one: there may be as many as messages. False when there are no such UIDs to tell of."""

    last: int = 0
    here: "array[int]" = field(default_factory=lambda: array("I"))

    def __bool__(self) -> bool:
        return self.last > 0

    def __iter__(self) -> Iterator[Range]:
        first = 1
        for uid in self.here:
            if uid > self.last:
                break
            if first < uid:
                yield first, uid - 1
            first = uid + 1
        if first <= self.last:
            yield first, self.last


def merge(connection: sqlite3.Connection, modseq: int) -> None:
    """What went up to this MODSEQ, in all mailboxes."""
    where = "gone > 0 AND modseq <= ?"
    boxes = connection.execute(f"SELECT mailbox, max(modseq) FROM change WHERE {where} GROUP BY mailbox", (modseq,)).fetchall()  # noqa: S608
    for mailbox, latest in boxes:
        query = f"SELECT gone, uids, added_modseqs FROM change WHERE {where} AND mailbox = ?"  # noqa: S608
        last = _last_of(connection, mailbox, connection.execute(query, (modseq, mailbox)).fetchall())
        connection.execute(f"DELETE FROM change WHERE {where} AND mailbox = ?", (modseq, mailbox))  # noqa: S608
        put_merged(connection, mailbox, latest, last)


def put_merged(connection: sqlite3.Connection, mailbox: MailboxId, modseq: int, last: int | None = None) -> None:
    """All UIDs up to the last one that are not there had gone by then. last: None for the highest that the mailbox has given."""
    last = _last_given(connection, mailbox) if last is None else last
    row = (mailbox, modseq, MERGED, array("I", (last,)).tobytes())
    connection.execute("INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?, x'')", row)


def _last_of(connection: sqlite3.Connection, mailbox: MailboxId, rows: Iterable[tuple[int, bytes, bytes]]) -> int:
    """The highest UID of these rows, or a higher one where they are damaged."""
    try:
        return max(unpack_merged(uids) if kind == MERGED else max(unpack_expunged(uids, added)[0]) for kind, uids, added in rows)
    except StorageError:
        return _last_given(connection, mailbox)


def _last_given(connection: sqlite3.Connection, mailbox: MailboxId) -> int:
    """0 for a mailbox that is gone."""
    row = connection.execute("SELECT uidnext - 1 FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    return row[0] if row else 0


def unpack_expunged(uids: bytes, added_modseqs: bytes) -> tuple["array[int]", "array[int]"]:
    """The UIDs of a row, one at least, and the MODSEQ at which each had been added. Raises StorageError for a damaged row."""
    if not uids or len(uids) % 4 or len(added_modseqs) != 2 * len(uids):
        raise StorageError("a row of the log is damaged; mend it: mailward store check --repair", permanent=True)
    return array("I", uids), array("Q", added_modseqs)


def unpack_merged(uids: bytes) -> int:
    """The highest UID of a merged row. Raises StorageError for a damaged row."""
    if len(uids) != 4:
        raise StorageError("a row of the log is damaged; mend it: mailward store check --repair", permanent=True)
    return array("I", uids)[0]
