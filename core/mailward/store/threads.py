"""Which messages of an account belong together (RFC 8474 section 5.2), decided once, when a message is stored.

A message joins the thread of its own identifier, which a reply may have named before it came, else of the nearest one that it
refers to and that is known. Two threads are never joined by what comes later: the number that a client has been told stays
(docs/decisions/0041-threads-that-stay.md).
"""

import sqlite3
from array import array

from mailward.store.uids import Numbers


def thread_of(connection: sqlite3.Connection, numbers: Numbers, ids: bytes) -> int:
    """The thread of a message with these `ids` (see `store.base.Column`); whoever names one of them later joins it."""
    own, *references = array("Q", ids)
    wanted = f"[{','.join(map(str, (own, *references)))}]"
    known: dict[int, int] = dict(
        connection.execute("SELECT id, thread FROM thread_id WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    )
    thread = next((known[id] for id in (own, *reversed(references)) if id in known), None)
    if thread is None:
        thread = numbers.next_thread()
    new = {own, *references} - known.keys()
    connection.executemany("INSERT INTO thread_id VALUES (?, ?)", [(id, thread) for id in sorted(new)])
    return thread


def forget(connection: sqlite3.Connection, thread: int) -> None:
    """A message of this thread was dropped; when it was the last one, nothing leads to the thread any more."""
    if connection.execute("SELECT 1 FROM message WHERE thread = ?", (thread,)).fetchone() is None:
        connection.execute("DELETE FROM thread_id WHERE thread = ?", (thread,))
