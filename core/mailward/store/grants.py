"""Who else may do what in a mailbox (RFC 4314): kept by the mailbox's number, so that it stays with it and ends with it.

Who a grantee is, and what a right allows, is for whoever lets people in; here they are words.
"""

import sqlite3
from collections.abc import Mapping

from mailward.model.ids import MailboxId
from mailward.store.oplist import OpList
from mailward.store.ops import RIGHTS, OpResult, SetRights
from mailward.store.refusals import NotPermitted

MAX_GRANTEES = 200
"""Of one mailbox."""


def load(connection: sqlite3.Connection) -> Mapping[MailboxId, Mapping[str, str]]:
    """Of each mailbox that is shared, what each grantee may do."""
    found: dict[MailboxId, dict[str, str]] = {}
    rows = "SELECT mailbox, grantee, rights FROM mailbox_grant ORDER BY mailbox, grantee"
    for mailbox, grantee, rights in connection.execute(rows):
        found.setdefault(MailboxId(mailbox), {})[grantee] = rights
    return found


def grantees(connection: sqlite3.Connection) -> frozenset[str]:
    """Of any mailbox."""
    return frozenset(grantee for (grantee,) in connection.execute("SELECT DISTINCT grantee FROM mailbox_grant"))


def change(ops: OpList, op: SetRights) -> OpResult:
    """Sessions in the mailbox are told, so that they look again at what they may."""
    box, execute = ops.box(op.mailbox), ops.connection.execute
    now: dict[str, str] = dict(execute("SELECT grantee, rights FROM mailbox_grant WHERE mailbox = ?", (box.id,)))
    before, given = frozenset(now.get(op.grantee, "")), frozenset(op.rights)
    after = {"add": before | given, "remove": before - given, "replace": given}[op.mode]
    if after and op.grantee not in now and len(now) >= MAX_GRANTEES:
        raise NotPermitted(f"A mailbox is shared with at most {MAX_GRANTEES}")
    execute("DELETE FROM mailbox_grant WHERE mailbox = ? AND grantee = ?", (box.id, op.grantee))
    if after:
        rights = "".join(letter for letter in RIGHTS if letter in after)
        execute("INSERT INTO mailbox_grant VALUES (?, ?, ?)", (box.id, op.grantee, rights))
    ops.changed.add(box.id)
    return OpResult(box.id, box.uidvalidity)


def share_alike(connection: sqlite3.Connection, mailbox: MailboxId, other: str) -> None:
    """A new mailbox begins with what is granted in the one of this name; with nothing where there is none."""
    connection.execute(
        "INSERT INTO mailbox_grant SELECT ?, grantee, rights FROM mailbox_grant JOIN mailbox ON id = mailbox WHERE name = ?",
        (mailbox, other),
    )


def end(connection: sqlite3.Connection, mailbox: MailboxId) -> None:
    """The mailbox is deleted."""
    connection.execute("DELETE FROM mailbox_grant WHERE mailbox = ?", (mailbox,))
