"""Check one account's folder, and mend what is wrong with it. Works on files, since a store does not open what is damaged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mailward.database import connect, storage_errors, transaction
from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.store import checking
from mailward.store.blocks import Blocks, Cell, unreadable
from mailward.store.changelog import drop_damaged
from mailward.store.index import FILE, LOCK, locked
from mailward.store.packs import Packs
from mailward.store.rebuild import rebuild
from mailward.store.renewal import renew
from mailward.store.schema import SCHEMA, UPGRADES, UPGRADING, VERSION
from mailward.store.stamp import stamped

_SET_COUNTERS = "UPDATE mailbox SET n_exists = ?, n_unseen = ?, n_deleted = ?, size_octets = ? WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Report:
    """problems: what was wrong. done: what repairing did, () where nothing was tried. left: what is still wrong."""

    problems: tuple[str, ...]
    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def has_damaged_messages(self) -> bool:
        """Some of what is still wrong only a copy from elsewhere mends."""
        return any(checking.DAMAGED in problem for problem in self.left)


def check_account(folder: Path, disk: Disk, now_s: int, *, repair: bool) -> Report:
    """Writers wait meanwhile. repair: only where no server has the account open, since its database may be replaced.

    Raises StorageError where the folder cannot be read or written, or a newer release wrote it.
    """
    if not disk.exists(folder):
        return Report(())
    packs = Packs(folder / "packs", disk)
    with storage_errors(str(folder)), locked(folder / LOCK, disk) as lock, stamped(lock, disk):
        try:
            broken = tuple(_broken(folder, packs, disk))
            problems = broken or _wrong(folder, packs)
            if not problems or not repair:
                return Report(problems, left=problems)
            done = tuple(rebuild(folder, packs, disk, now_s)) if broken else ()
            if _wrong(folder, packs):
                with closing(_open(folder)) as connection:
                    _mend(connection, packs)
                done = (*done, "counters, and what was made of messages, were worked out anew")
            return Report(problems, done, _wrong(folder, packs))
        finally:
            packs.rest()


def _broken(folder: Path, packs: Packs, disk: Disk) -> Iterator[str]:
    """Why the database is of no use, if it is."""
    if not disk.exists(folder / FILE):
        if packs.numbers():
            yield "index.sqlite is missing"
        return
    try:
        with closing(_open(folder)) as connection:
            yield from (f"index.sqlite: {line}" for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok")
            if lacks := _columns_of_this_release() - _columns(connection):
                yield f"index.sqlite: it has no {' '.join(min(lacks))}"
            elif packs.numbers() and connection.execute("SELECT count(*) FROM account").fetchone() != (1,):
                yield "index.sqlite is empty"
    except sqlite3.DatabaseError as error:
        yield f"index.sqlite: {error}"
    except StorageError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
        yield str(error)


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """(table, column); SQLite itself would not miss one."""
    tables = "sqlite_schema AS of, pragma_table_info(of.name) AS its WHERE of.type = 'table'"
    return set(connection.execute(f"SELECT of.name, its.name FROM {tables}"))  # noqa: S608 - our own words


def _columns_of_this_release() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return _columns(connection)


def _wrong(folder: Path, packs: Packs) -> tuple[str, ...]:
    with closing(_open(folder)) as connection:
        return tuple(checking.check(connection, packs))


def _open(folder: Path) -> sqlite3.Connection:
    connection = connect(folder / FILE, schema=SCHEMA, version=VERSION, upgrades=UPGRADES, upgrading=UPGRADING)
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")  # what is no text is no reason to stop
    return connection


def _mend(connection: sqlite3.Connection, packs: Packs) -> None:
    """Work out anew what can be. Nothing is deleted but copies of what stands elsewhere, and what is noted of nothing."""
    with transaction(connection):
        for table, value in (("header", "x''"), ("common_field", "x'', size_octets")):
            missing = f"message WHERE id NOT IN (SELECT message FROM {table})"  # noqa: S608 - our own words
            connection.execute(f"INSERT INTO {table} SELECT id, {value} FROM {missing}")  # noqa: S608
        sizes = f"SELECT id, common_fields, size_octets FROM {checking.OTHER_SIZES}"  # noqa: S608
        connection.execute(f"INSERT OR REPLACE INTO common_field {sizes}")
        drop_damaged(connection)
        _mend_blocks(connection)
        for mailbox, _, *counters in connection.execute(checking.COUNTERS).fetchall():
            connection.execute(_SET_COUNTERS, (*map(int, counters[4:]), mailbox))
        for pack, _, counted in connection.execute(checking.PACKS).fetchall():
            connection.execute("UPDATE pack SET messages = ? WHERE id = ?", (counted, pack))
        connection.execute(f"DELETE FROM {checking.LOST}")  # noqa: S608 - our own words
        connection.execute(f"DELETE FROM {checking.GRANTS}")  # noqa: S608 - our own words
        connection.execute(f"DELETE FROM {checking.ANNOTATIONS}")  # noqa: S608 - our own words
        connection.execute(f"UPDATE expunged SET mailbox = 0 WHERE message IN (SELECT message FROM {checking.OF_NOWHERE})")  # noqa: S608
        connection.execute(f"INSERT INTO expunged SELECT id, (SELECT tidied_at FROM account), 0, 0, 0 FROM {checking.FORGOTTEN}")  # noqa: S608
        for message, _, found, is_other in [*checking.records(connection, packs)]:
            if found is not None and is_other:
                connection.execute("UPDATE message SET internal_date = ? WHERE id = ?", (found.internal_date, message))
    renew(connection, packs)


def _mend_blocks(connection: sqlite3.Connection) -> None:
    readable = [(*columns, id) for id, columns in unreadable(connection)]
    connection.executemany("UPDATE block SET flags = ?, modseqs = ?, messages = ? WHERE id = ?", readable)
    checking.lay_out(connection)
    blocks = Blocks(connection)
    for query in (checking.UNKNOWN_FLAGS, checking.OTHER_CELLS):
        for mailbox, *cell in connection.execute(query).fetchall():
            blocks.put(mailbox, [Cell(*cell)])
    for mailbox, uid in connection.execute(checking.LOST_CELLS).fetchall():
        blocks.drop(mailbox, (uid,))
    blocks.save()
    checking.lay_out(connection)
