"""What is noted about mailboxes, and about the account as a whole (RFC 5464): kept by a mailbox's number, so that it stays with
it and ends with it.

What names mean, and who may read or change what, is for whoever lets people in.
"""

import sqlite3
from collections.abc import Mapping

from mailward.model.ids import MailboxId
from mailward.store.oplist import OpList
from mailward.store.ops import MAX_ANNOTATION_OCTETS, SERVER, OpResult, SetAnnotations
from mailward.store.refusals import AnnotationTooLong, TooManyAnnotations

MAX_ANNOTATIONS = 1000
MAX_OCTETS = 1024 * 1024
"""Of an account, names and values together: they are in no quota."""


def load(connection: sqlite3.Connection, mailbox: MailboxId, owner: str) -> Mapping[str, bytes]:
    """Values by name, in order."""
    return dict(
        connection.execute("SELECT name, value FROM annotation WHERE owner = ? AND mailbox = ? ORDER BY name", (owner, mailbox))
    )


def change(ops: OpList, op: SetAnnotations) -> OpResult:
    """Of a mailbox elsewhere only who asks can know that it is there."""
    if op.mailbox != SERVER and not op.owner:
        ops.box(op.mailbox)
    execute = ops.connection.execute
    for name, value in op.entries:
        if value is None:
            execute("DELETE FROM annotation WHERE owner = ? AND mailbox = ? AND name = ?", (op.owner, op.mailbox, name))
        elif len(value) > MAX_ANNOTATION_OCTETS:
            raise AnnotationTooLong(f"An annotation has {MAX_ANNOTATION_OCTETS} octets at most")
        else:
            execute("INSERT OR REPLACE INTO annotation VALUES (?, ?, ?, ?)", (op.owner, op.mailbox, name, value))
    count, octets = execute("SELECT count(*), total(length(CAST(name AS BLOB)) + length(value)) FROM annotation").fetchone()
    if any(value is not None for _, value in op.entries) and (count > MAX_ANNOTATIONS or octets > MAX_OCTETS):
        raise TooManyAnnotations(f"An account has {MAX_ANNOTATIONS} annotations at most, of {MAX_OCTETS} octets together")
    return OpResult(op.mailbox)


def copy(connection: sqlite3.Connection, source: MailboxId, target: MailboxId) -> None:
    """A mailbox takes the place of another that stays (RFC 5464 section 4.1: a renamed INBOX)."""
    connection.execute(
        "INSERT INTO annotation SELECT owner, ?, name, value FROM annotation WHERE owner = '' AND mailbox = ?", (target, source)
    )


def end(connection: sqlite3.Connection, mailbox: MailboxId) -> None:
    """The mailbox is deleted."""
    connection.execute("DELETE FROM annotation WHERE owner = '' AND mailbox = ?", (mailbox,))
