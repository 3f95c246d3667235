"""Large mailboxes packed as their arrays, so that the first look at one need not read an entry for each message.

A snapshot is a view of some moment and nothing depends on it: what came after is read from the log of changes, as for a view that
a process still has. It lies in the database, so that whatever sets that back sets its snapshots back.
"""

import sqlite3
from array import array

from mailward.database import transaction
from mailward.model.ids import MailboxId
from mailward.store.base import MailboxView

LEAST_MESSAGES = 20_000
"""Smaller mailboxes are read as fast without."""

Columns = tuple["array[int]", "array[int]", "array[int]", "array[int]"]
"""uids, flags, modseqs, messages, as `MailboxView` has them."""


def load_snapshot(connection: sqlite3.Connection, mailbox: MailboxId) -> tuple[int, Columns] | None:
    """The MODSEQ it is of, and the arrays."""
    row = connection.execute(
        "SELECT modseq, uids, flags, modseqs, messages FROM snapshot WHERE mailbox = ?", (mailbox,)
    ).fetchone()
    if row is None:
        return None
    columns = array("I"), array("Q"), array("Q"), array("Q")
    for column, octets in zip(columns, row[1:], strict=True):
        column.frombytes(octets)
    return row[0], columns


def save_snapshot(connection: sqlite3.Connection, view: MailboxView) -> None:
    """Under the account's lock, in place of an older one."""
    columns = (view.uids, view.flags, view.modseqs, view.messages)
    with transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO snapshot SELECT ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM mailbox WHERE id = ?)",
            (view.mailbox.id, view.mailbox.highest_modseq, *[column.tobytes() for column in columns], view.mailbox.id),
        )
