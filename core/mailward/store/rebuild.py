"""An account's database made anew: from its own rows where all of them can be read, else from the packs.

Records say which mailbox, flags and date a message had when they were written. Nothing is deleted: the damaged database is kept
beside the new one. Where UIDs cannot be known to be the same every mailbox has a new UIDVALIDITY, above all that the account has
given, and so are all numbers that clients keep.
"""

import mmap
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mailward.database import connect, files_of, read_only, transaction
from mailward.disk import Disk
from mailward.formats.mailbox_names import INBOX
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId
from mailward.store import annotations, grants
from mailward.store.checking import wrong_counters
from mailward.store.index import FILE
from mailward.store.mailboxes import create, find, make_account
from mailward.store.names import normalise_name
from mailward.store.oplist import OpList, Stored
from mailward.store.ops import Append, CreateMailbox, SetRights
from mailward.store.packs import HEADER_OCTETS, Packs
from mailward.store.packscan import Found, scan
from mailward.store.refusals import NotPermitted, TooMany
from mailward.store.rendered import render
from mailward.store.schema import SCHEMA, VERSION
from mailward.store.uids import MAX_FOREIGN_UIDVALIDITY, Numbers

Rows = dict[str, list[tuple[str | bytes | int, ...]]]
_BATCH = 200
_KEPT = ("subscription", "sieve_script")
"""Tables that stand for themselves: what can be read of them is taken over."""


@dataclass
class Remains:
    """What can be read of the old database.

    highest: the highest number that the account has given. rows: of `_KEPT`. granted: mailbox, grantee, rights. noted: owner, the
    mailbox's name ("" of another account's, and of none), its number, entry, value.
    """

    highest: int = 0
    rows: Rows = field(default_factory=dict)
    granted: list[tuple[str, str, str]] = field(default_factory=list)
    noted: list[tuple[AccountId, str, MailboxId, str, bytes]] = field(default_factory=list)


def rebuild(folder: Path, packs: Packs, disk: Disk, now_s: int) -> Iterator[str]:
    """Under the account's lock, and with no process that has the database open; says what it did."""
    database, draft = folder / FILE, folder / f"{FILE}.new"
    _forget(draft, disk)
    if disk.exists(database) and _salvage(database, draft):
        yield "every row of the database could be read; its indexes were made anew"
    else:
        _forget(draft, disk)
        yield from _from_packs(draft, packs, now_s, _remains(database))
    fd = disk.open_existing(draft)
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)
    for file, aside in zip(files_of(database), files_of(folder / f"{FILE}.damaged-{now_s}"), strict=True):
        if disk.exists(file):
            disk.rename(file, aside)
            yield f"what was there is kept as {aside.name}"
    disk.rename(draft, database)
    disk.sync_folder(folder)


def _forget(draft: Path, disk: Disk) -> None:
    """What an earlier attempt has left."""
    for file in files_of(draft):
        with suppress(FileNotFoundError):
            disk.unlink(file)


def _salvage(database: Path, draft: Path) -> bool:
    """Whether every row could be copied, and the counters say that these are all."""
    try:
        with closing(connect(draft, schema=SCHEMA, version=VERSION)) as connection:
            connection.execute("ATTACH ? AS old", (str(database),))
            tables = [row[0] for row in connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")]
            with transaction(connection):
                for table in tables:
                    columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
                    # Behind the unary plus, which keeps SQLite from copying pages, and with them what is broken in indexes.
                    rows = f"SELECT {columns} FROM old.{table} NOT INDEXED WHERE +1"  # noqa: S608 - our own words
                    connection.execute(f"INSERT INTO main.{table} ({columns}) {rows}")
            return not wrong_counters(connection) and connection.execute("SELECT count(*) FROM account").fetchone() == (1,)
    except (sqlite3.Error, StorageError):
        return False


def _from_packs(draft: Path, packs: Packs, now_s: int, remains: Remains) -> Iterator[str]:
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    with closing(connect(draft, schema=SCHEMA, version=VERSION)) as connection:
        make_account(connection, now_s, max(now_s, remains.highest))
        for pack in packs.numbers():
            octets = packs.whole(pack)
            found = [one for one in scan(pack, octets) if one.locator.record not in seen]  # a compaction leaves two of one
            seen |= {one.locator.record for one in found}
            for start in range(0, len(found), _BATCH):
                _take(connection, found[start : start + _BATCH], octets, now_s, counts)
            connection.execute("UPDATE account SET pack = ?", (pack,))
        with transaction(connection):
            for table, kept in remains.rows.items():
                for row in kept:
                    marks = ", ".join("?" * len(row))
                    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own words
        shared = _put_back(connection, now_s, remains)
    yield from (f"mailbox {name}: {count} messages brought back" for name, count in sorted(counts.items()))
    yield "every mailbox has a new UIDVALIDITY, so mail programs fetch their mail again; what had been expunged may be back"
    yield from (f"mailbox {name} is shared as it was, with what was moved or deleted from it and may be back" for name in shared)


def _put_back(connection: sqlite3.Connection, now_s: int, remains: Remains) -> Sequence[str]:
    """Grants and annotations, by the names of mailboxes, since their numbers are new. Those that are shared, in order."""
    shared: set[str] = set()
    with transaction(connection):
        numbers = Numbers(connection)
        ops = OpList(connection, numbers, now_s, iter(()))
        for name, grantee, rights in remains.granted:
            mailbox = find(connection, name)
            if mailbox is not None:
                grants.change(ops, SetRights(mailbox, grantee, "replace", rights))
                shared.add(name)
        for owner, name, number, entry, value in remains.noted:
            mailbox = number if owner or not name else find(connection, name)
            if mailbox is not None:
                annotations.put(connection, mailbox, owner, entry, value)
        ops.finish()
        numbers.save()
    return sorted(shared)


def _remains(database: Path) -> Remains:
    found = Remains()
    with suppress(StorageError), read_only(database) as connection:
        for table in _KEPT:
            with suppress(sqlite3.Error):
                found.rows[table] = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our own words
        with suppress(sqlite3.Error):
            found.granted = connection.execute(
                "SELECT name, grantee, rights FROM mailbox_grant JOIN mailbox ON mailbox.id = mailbox ORDER BY name, grantee"
            ).fetchall()
        with suppress(sqlite3.Error):
            found.noted = connection.execute(
                "SELECT owner, coalesce(mailbox.name, ''), mailbox, annotation.name, value FROM annotation"
                " LEFT JOIN mailbox ON mailbox.id = mailbox AND owner = ''"
                " WHERE owner <> '' OR mailbox = 0 OR mailbox.id IS NOT NULL"
            ).fetchall()
        for query in ("SELECT last_uidvalidity FROM account", "SELECT max(uidvalidity) FROM mailbox"):
            with suppress(sqlite3.Error, TypeError):
                found.highest = max(found.highest, min(connection.execute(query).fetchone()[0], MAX_FOREIGN_UIDVALIDITY))
    return found


def _take(
    connection: sqlite3.Connection, found: Sequence[Found], octets: bytes | mmap.mmap, now_s: int, counts: Counter[str]
) -> None:
    """One message a record, in the mailbox of its rescue fields; INBOX where there is none."""
    with transaction(connection):
        numbers = Numbers(connection)
        stored: list[Stored] = []
        ops = OpList(connection, numbers, now_s, iter(stored))
        for one in found:
            start = one.locator.offset + HEADER_OCTETS
            text = octets[start : start + one.locator.size_octets]
            stored.append((render(text, one.internal_date, one.locator.record), one.locator))
            name, mailbox = _mailbox(ops, one.mailbox_name)
            at = datetime.fromtimestamp(one.internal_date, UTC)
            ops.append(Append(mailbox, text, at, one.flags))
            counts[name] += 1
        ops.finish()
        numbers.save()


def _mailbox(ops: OpList, name: str) -> tuple[str, MailboxId]:
    try:
        name = normalise_name(name)
        return name, find(ops.connection, name) or create(ops, CreateMailbox(name)).mailbox
    except (NotPermitted, TooMany):
        return INBOX, find(ops.connection, INBOX) or create(ops, CreateMailbox(INBOX)).mailbox
