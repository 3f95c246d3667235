"""What the log tells of UIDs that were expunged long ago, where it has grown long: one UID a mailbox, the highest of them.

Who comes from before that row is told of every UID up to that one but those of the messages that are there, which are more than
have gone since: RFC 7162 section 3.2.6 asks just that of a server that does not remember so far back.
"""

import sqlite3
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

MERGED = 2
"""What such a row has as `gone`."""

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
        rows = connection.execute(f"SELECT uids FROM change WHERE {where} AND mailbox = ?", (modseq, mailbox))  # noqa: S608
        last = max(max(array("I", uids)) for (uids,) in rows)
        connection.execute(f"DELETE FROM change WHERE {where} AND mailbox = ?", (modseq, mailbox))  # noqa: S608
        connection.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?, x'')", (mailbox, latest, MERGED, array("I", (last,)).tobytes())
        )
