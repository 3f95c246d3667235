"""What the log tells of UIDs that were expunged long ago, where it has grown long: ranges of them in one row a mailbox, without
the MODSEQs at which each came and went.

Who comes from before that row is told of all of them, which are more than have gone since: RFC 7162 section 3.2.6 asks just that
of a server that does not remember so far back. Between two ranges lies a message that is there, or that went later.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence

MERGED = 2
"""What such a row has as `gone`."""

Range = tuple[int, int]
"""First and last."""


def merge(connection: sqlite3.Connection, modseq: int) -> None:
    """What went up to this MODSEQ, in all mailboxes."""
    where = "gone > 0 AND modseq <= ?"
    boxes = connection.execute(f"SELECT mailbox, max(modseq) FROM change WHERE {where} GROUP BY mailbox", (modseq,)).fetchall()  # noqa: S608
    for mailbox, last in boxes:
        rows = connection.execute(f"SELECT gone, uids FROM change WHERE {where} AND mailbox = ?", (modseq, mailbox))  # noqa: S608
        found = sorted(one for kind, uids in rows for one in (ranges(uids) if kind == MERGED else _singles(uids)))
        connection.execute(f"DELETE FROM change WHERE {where} AND mailbox = ?", (modseq, mailbox))  # noqa: S608
        packed = array("I", [number for one in _joined(found) for number in one]).tobytes()
        connection.execute("INSERT INTO change VALUES (?, ?, ?, ?, x'')", (mailbox, last, MERGED, packed))


def ranges(uids: bytes) -> Iterator[Range]:
    """As such a row has them."""
    numbers = array("I", uids)
    return zip(numbers[::2], numbers[1::2], strict=True)


def _singles(uids: bytes) -> Iterator[Range]:
    return ((uid, uid) for uid in array("I", uids))


def _joined(found: Iterable[Range]) -> Sequence[Range]:
    joined: list[Range] = []
    for first, last in found:
        if joined and first == joined[-1][1] + 1:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return joined
