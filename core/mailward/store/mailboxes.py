"""The ops that make, rename, delete and subscribe mailboxes (RFC 9051 sections 6.3.4 to 6.3.8)."""

import sqlite3

from mailward.database import transaction
from mailward.formats.mailbox_names import INBOX, SEPARATOR, SPECIAL_USES
from mailward.model.ids import MailboxId
from mailward.store import annotations, grants, past_names
from mailward.store.names import normalise_name, parents
from mailward.store.oplist import OpList
from mailward.store.ops import (
    NO_MAILBOX,
    CreateMailbox,
    DeleteMailbox,
    Named,
    OpResult,
    RenameMailbox,
    Renumber,
    SetSpecialUse,
    Subscribe,
)
from mailward.store.refusals import MailboxExists, NoSuchMailbox, NotPermitted, SpecialUseRefused, TooMany
from mailward.store.rendered import RENDERING
from mailward.store.uids import MAX_FOREIGN_UID, Numbers

DEFAULT_MAILBOXES = (
    (INBOX, ""),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)

MAX_MAILBOXES = 10_000
"""Of an account; every LIST and every piece of news looks at all of them."""
MAX_SUBSCRIPTIONS = 10_000
"""Of an account."""

_IT_AND_BELOW = "FROM mailbox WHERE name = ? OR (name > ? AND name < ?)"
"""With what `_range` gives."""


def check_name(ops: OpList, op: Named) -> OpResult:
    if find(ops.connection, normalise_name(op.name)) != op.mailbox:
        raise NoSuchMailbox(f"There is no mailbox {op.name}")
    return OpResult(op.mailbox)


def create(ops: OpList, op: CreateMailbox) -> OpResult:
    name = normalise_name(op.name)
    if find(ops.connection, name):
        raise MailboxExists(f"The mailbox {name} exists")
    _check_use(ops.connection, op.special_use)
    _make_parents(ops, name, inherit=op.inherit)
    mailbox, uidvalidity = _insert(ops, name, op.special_use, grants_of=_above(name) if op.inherit else "")
    return OpResult(mailbox, uidvalidity)


def rename(ops: OpList, op: RenameMailbox) -> OpResult:
    name, new_name = normalise_name(op.name), normalise_name(op.new_name)
    mailbox, there = find(ops.connection, name), _with_all_below(ops.connection, name)
    if not there:
        raise NoSuchMailbox(f"There is no mailbox {name}")
    if find(ops.connection, new_name):
        raise MailboxExists(f"The mailbox {new_name} exists")
    if new_name.startswith(name + SEPARATOR) and name != INBOX:
        raise NotPermitted("A mailbox cannot be moved below itself")
    if mailbox is not None and name == INBOX:  # RFC 9051 section 6.3.6: its messages move, the mailboxes below it stay
        _make_parents(ops, new_name)
        target, uidvalidity = _insert(ops, new_name, grants_of=INBOX)
        ops.move_all(mailbox, target)
        annotations.copy(ops.connection, mailbox, target)
        return OpResult(target, uidvalidity)
    below = [(each, old, normalise_name(new_name + old[len(name) :])) for each, old in there]
    free = {None, *(each for each, _, _ in below)}
    for _, _, new in below:  # there may be some below the new name already
        if find(ops.connection, new) not in free:
            raise MailboxExists(f"The mailbox {new} exists")
    _make_parents(ops, new_name)
    for each, old, new in below:
        _set_name(ops, each, old, new)
    past_names.bound(ops.connection)
    return OpResult(NO_MAILBOX) if mailbox is None else OpResult(mailbox, ops.box(mailbox).uidvalidity)


def delete(ops: OpList, op: DeleteMailbox) -> OpResult:
    name = normalise_name(op.name)
    mailbox = find(ops.connection, name)
    if mailbox is None:
        raise NoSuchMailbox(f"There is no mailbox {name}")
    if name == INBOX:
        raise NotPermitted("INBOX cannot be deleted")
    box = ops.box(mailbox)
    if op.only_unused and box.uidnext > 1:
        raise NotPermitted(f"The mailbox {name} has been used")
    ops.remove_all(mailbox)
    grants.end(ops.connection, mailbox)
    annotations.end(ops.connection, mailbox)
    ops.connection.execute("DELETE FROM mailbox WHERE id = ?", (mailbox,))
    ops.connection.execute(
        "INSERT INTO past_mailbox SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM expunged WHERE mailbox = ?)",
        (mailbox, name, " ".join(box.keywords), mailbox),
    )
    past_names.remember(ops.connection, name, box.uidvalidity)
    past_names.bound(ops.connection)
    ops.forget(mailbox)
    ops.changed.add(mailbox)
    return OpResult(mailbox)


def set_special_use(ops: OpList, op: SetSpecialUse) -> OpResult:
    """So that mail programs and deliveries of now on find this one."""
    box = ops.box(op.mailbox)
    if box.name == INBOX and op.special_use:
        raise SpecialUseRefused("INBOX is what it is")
    _check_use(ops.connection, op.special_use, other_than=box.id)
    ops.connection.execute("UPDATE mailbox SET special_use = ? WHERE id = ?", (op.special_use, box.id))
    ops.touch(box)
    return OpResult(box.id, box.uidvalidity)


def renumber(ops: OpList, op: Renumber) -> OpResult:
    """A UIDVALIDITY from elsewhere only while no UID has been given under this one (RFC 9051 section 2.3.1.1)."""
    box = ops.box(op.mailbox)
    if op.uidnext > MAX_FOREIGN_UID:
        raise NotPermitted(f"UIDs from elsewhere are at most {MAX_FOREIGN_UID}, so that some are left")
    if op.uidvalidity is None:
        box.uidvalidity = ops.numbers.next_uidvalidity(ops.now_s)
    elif op.uidvalidity != box.uidvalidity:
        if box.uidnext > 1 or op.uidvalidity <= past_names.highest_before(ops.connection, box.name):
            raise NotPermitted(f"UIDs have been given in the mailbox {box.name}, or in one of that name before")
        ops.numbers.note_uidvalidity(op.uidvalidity)
        box.uidvalidity = op.uidvalidity
    box.uidnext = max(box.uidnext, op.uidnext)
    ops.connection.execute("UPDATE mailbox SET uidvalidity = ? WHERE id = ?", (box.uidvalidity, box.id))
    ops.touch(box)
    return OpResult(box.id, box.uidvalidity)


def subscribe(ops: OpList, op: Subscribe) -> OpResult:
    """By name: a subscription outlives its mailbox (RFC 9051 section 6.3.7)."""
    name = normalise_name(op.name)
    if op.subscribed:
        if ops.connection.execute("INSERT OR IGNORE INTO subscription VALUES (?)", (name,)).rowcount:
            _check_number(ops.connection, "subscription", MAX_SUBSCRIPTIONS)
    else:
        ops.connection.execute("DELETE FROM subscription WHERE name = ?", (name,))
    mailbox = find(ops.connection, name) or NO_MAILBOX
    ops.changed.add(mailbox)  # whoever asked is told of subscriptions, too (RFC 5465 section 5.5)
    return OpResult(mailbox)


def make_defaults(ops: OpList) -> None:
    """What a new account has."""
    for name, special_use in DEFAULT_MAILBOXES:
        create(ops, CreateMailbox(name, special_use))
        subscribe(ops, Subscribe(name, True))


def make_account(connection: sqlite3.Connection, now_s: int, above: int = 0) -> None:
    """The rows of a new account. above: no number that clients may keep, and no UIDVALIDITY, is this one or lower."""
    with transaction(connection):
        connection.execute(
            "INSERT INTO account VALUES (?, ?, 0, 1, ?, ?, ?, ?, ?, ?, 0)",
            (above, above, above, now_s, above, above, RENDERING, above),
        )
        connection.execute("INSERT INTO sqlite_sequence VALUES ('mailbox', ?)", (above,))
        numbers = Numbers(connection)
        ops = OpList(connection, numbers, now_s, iter(()))
        make_defaults(ops)
        ops.finish()
        numbers.save()


def find(connection: sqlite3.Connection, name: str) -> MailboxId | None:
    """The mailbox of this (normalised) name."""
    return _one(connection, "SELECT id FROM mailbox WHERE name = ?", name)


def _one(connection: sqlite3.Connection, query: str, value: str) -> MailboxId | None:
    row = connection.execute(query, (value,)).fetchone()
    return MailboxId(row[0]) if row else None


def _check_use(connection: sqlite3.Connection, use: str, other_than: MailboxId | None = None) -> None:
    """Raises SpecialUseRefused."""
    if not use:
        return
    if use not in SPECIAL_USES:
        raise SpecialUseRefused(f"{use} is no special use")
    if _one(connection, "SELECT id FROM mailbox WHERE special_use = ?", use) not in (None, other_than):
        raise SpecialUseRefused(f"Another mailbox is {use} already")


def _with_all_below(connection: sqlite3.Connection, name: str) -> list[tuple[MailboxId, str]]:
    rows = connection.execute(f"SELECT id, name {_IT_AND_BELOW} ORDER BY name", _range(name))
    return [(MailboxId(row[0]), row[1]) for row in rows]


def is_level(connection: sqlite3.Connection, name: str) -> bool:
    """Whether there is a mailbox of this name, or one below it."""
    query = f"SELECT EXISTS (SELECT 1 {_IT_AND_BELOW})"
    return bool(connection.execute(query, _range(name)).fetchone()[0])


def _range(name: str) -> tuple[str, str, str]:
    # "0" follows "/" in ASCII: the range holds exactly the names that begin with name and "/".
    return name, name + SEPARATOR, f"{name}0"


def _make_parents(ops: OpList, name: str, *, inherit: bool = True) -> None:
    """But for those that have been deleted, and are a level still for what is below them."""
    for parent in parents(name):
        if not is_level(ops.connection, parent):
            _insert(ops, parent, grants_of=_above(parent) if inherit else "")


def _above(name: str) -> str:
    return name.rpartition(SEPARATOR)[0]


def _insert(ops: OpList, name: str, special_use: str = "", *, grants_of: str) -> tuple[MailboxId, int]:
    """grants_of: the mailbox that is shared alike, "" for none."""
    uidvalidity = ops.numbers.next_uidvalidity(ops.now_s)
    cursor = ops.connection.execute(
        "INSERT INTO mailbox VALUES (NULL, ?, ?, ?, 1, ?, '', 0, 0, 0, 0)",
        (name, special_use, uidvalidity, ops.modseq),
    )
    _check_number(ops.connection, "mailbox", MAX_MAILBOXES)
    mailbox = MailboxId(cursor.lastrowid or 0)
    grants.share_alike(ops.connection, mailbox, grants_of)
    ops.changed.add(mailbox)
    return mailbox, uidvalidity


def _check_number(connection: sqlite3.Connection, table: str, most: int) -> None:
    """Raises TooMany when one more has been put in than there may be."""
    if connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > most:  # noqa: S608 - our own words
        raise TooMany(f"There are {most} already, and more cannot be")


def _set_name(ops: OpList, mailbox: MailboxId, old_name: str, name: str) -> None:
    box = ops.box(mailbox)
    past_names.remember(ops.connection, old_name, box.uidvalidity)
    if past_names.highest_before(ops.connection, name) >= box.uidvalidity:
        # Another mailbox had this name and the clients that remember it must not take these UIDs for its.
        box.uidvalidity = ops.numbers.next_uidvalidity(ops.now_s)
    ops.connection.execute("UPDATE mailbox SET name = ?, uidvalidity = ? WHERE id = ?", (name, box.uidvalidity, mailbox))
    box.name = name
    ops.touch(box)
