"""What is noted about mailboxes, and about the account as a whole (RFC 5464): kept by a mailbox's number, so that it stays with
it and ends with it.

What names mean, and who may read or change what, is for whoever lets people in; here it matters that others may write what is
below `/shared`: no mailbox takes away from others, nor from what the owner notes for himself.
"""

import sqlite3
from collections.abc import Mapping

from mailward.model.ids import AccountId, MailboxId
from mailward.store.oplist import OpList
from mailward.store.ops import MAX_ANNOTATION_OCTETS, SERVER, OpResult, SetAnnotations
from mailward.store.refusals import AnnotationTooLong, TooManyAnnotations

MAX_PRIVATE = 1000
MAX_PRIVATE_OCTETS = 1024 * 1024
"""Of an account, names and values together, as all of these: they are in no quota. What it notes about others' mailboxes is
among it."""
MAX_SHARED_OF_MAILBOX = 100
MAX_SHARED_OF_MAILBOX_OCTETS = 128 * 1024
MAX_SHARED = 10_000
MAX_SHARED_OCTETS = 10 * 1024 * 1024
"""Of all mailboxes of an account."""

_SHARED = "/shared/"
_IS_SHARED = f"owner = '' AND name GLOB '{_SHARED}*'"


def load(connection: sqlite3.Connection, mailbox: MailboxId, owner: str) -> Mapping[str, bytes]:
    """Values by name, in order."""
    return dict(
        connection.execute("SELECT name, value FROM annotation WHERE owner = ? AND mailbox = ? ORDER BY name", (owner, mailbox))
    )


def elsewhere(connection: sqlite3.Connection) -> frozenset[tuple[AccountId, MailboxId]]:
    """Others' mailboxes about which something is noted."""
    rows = connection.execute("SELECT DISTINCT owner, mailbox FROM annotation WHERE owner <> ''")
    return frozenset((AccountId(owner), MailboxId(mailbox)) for owner, mailbox in rows)


def change(ops: OpList, op: SetAnnotations) -> OpResult:
    """Of a mailbox elsewhere only who asks can know that it is there."""
    if op.mailbox != SERVER and not op.owner:
        ops.box(op.mailbox)
    for name, value in op.entries:
        if value is None:
            where = "owner = ? AND mailbox = ? AND name = ?"
            ops.connection.execute(f"DELETE FROM annotation WHERE {where}", (op.owner, op.mailbox, name))  # noqa: S608 - our own words
        elif len(value) > MAX_ANNOTATION_OCTETS:
            raise AnnotationTooLong(f"An annotation has {MAX_ANNOTATION_OCTETS} octets at most")
        else:
            put(ops.connection, op.mailbox, op.owner, name, value)
    for is_shared in {name.startswith(_SHARED) for name, value in op.entries if value is not None}:
        _check(ops.connection, op.mailbox, is_shared=is_shared)
    return OpResult(op.mailbox)


def put(connection: sqlite3.Connection, mailbox: MailboxId, owner: str, name: str, value: bytes) -> None:
    """However many there are."""
    connection.execute("INSERT OR REPLACE INTO annotation VALUES (?, ?, ?, ?)", (owner, mailbox, name, value))


def copy(connection: sqlite3.Connection, source: MailboxId, target: MailboxId) -> None:
    """A mailbox takes the place of another that stays (RFC 5464 section 4.1: a renamed INBOX). Raises TooManyAnnotations."""
    query = "INSERT INTO annotation SELECT owner, ?, name, value FROM annotation WHERE owner = '' AND mailbox = ?"
    connection.execute(query, (target, source))
    for is_shared in (True, False):
        _check(connection, target, is_shared=is_shared)


def end(connection: sqlite3.Connection, mailbox: MailboxId) -> None:
    """The mailbox is deleted."""
    connection.execute("DELETE FROM annotation WHERE owner = '' AND mailbox = ?", (mailbox,))


def _check(connection: sqlite3.Connection, mailbox: MailboxId, *, is_shared: bool) -> None:
    """Raises TooManyAnnotations when there are more now than there may be, after some have been put in for this mailbox."""
    if is_shared:
        of_mailbox = f"{_IS_SHARED} AND mailbox = {mailbox}"
        _check_those(
            connection, of_mailbox, "A mailbox has {} shared annotations", MAX_SHARED_OF_MAILBOX, MAX_SHARED_OF_MAILBOX_OCTETS
        )
        _check_those(connection, _IS_SHARED, "An account has {} shared annotations", MAX_SHARED, MAX_SHARED_OCTETS)
    else:
        _check_those(connection, f"NOT ({_IS_SHARED})", "An account has {} private annotations", MAX_PRIVATE, MAX_PRIVATE_OCTETS)


def _check_those(connection: sqlite3.Connection, where: str, text: str, most: int, most_octets: int) -> None:
    lengths = "count(*), total(length(CAST(name AS BLOB)) + length(value))"
    count, octets = connection.execute(f"SELECT {lengths} FROM annotation WHERE {where}").fetchone()  # noqa: S608 - our own words
    if count > most or octets > most_octets:
        raise TooManyAnnotations(f"{text.format(most)} at most, of {most_octets} octets together")
