"""Reading a mailbox: its counters, all its entries as arrays, what changed since a MODSEQ. Each in one read transaction."""

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

from mailward.formats.mailbox_names import INBOX
from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.store.base import Column, Delta, EntryColumn, Expunged, MailboxInfo, MailboxView
from mailward.store.blocks import Blocks, Cell, load_columns
from mailward.store.changelog import count_since, read_since
from mailward.store.clauses import number_clause, uid_clause
from mailward.store.flags import names_of
from mailward.store.gone import LongGone
from mailward.store.packs import Locator
from mailward.store.refusals import NoSuchMailbox

_Row = tuple[Any, ...]

_INFO = """
    SELECT id, mailbox.name, special_use, subscription.name IS NOT NULL, uidvalidity, uidnext, modseq,
           n_exists, n_unseen, n_deleted, size_octets, keywords
    FROM mailbox LEFT JOIN subscription ON subscription.name = mailbox.name
"""
_EXPUNGED = """
    SELECT message, coalesce(mailbox.name, past_mailbox.name), flags, coalesce(mailbox.keywords, past_mailbox.keywords), at
    FROM expunged LEFT JOIN mailbox ON mailbox.id = expunged.mailbox LEFT JOIN past_mailbox ON past_mailbox.id = expunged.mailbox
    WHERE expunged.mailbox <> 0 AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = expunged.message)
    ORDER BY at, message
"""
_TABLES = {"headers": "header", "common_fields": "common_field"}
"""Where columns are that are not in the table message."""
_LISTED = frozenset[Column](("common_fields", "size_octets"))
"""What the table of common fields has by itself."""
_LARGE = frozenset[Column](("envelope", "bodystructure", "body", "headers", "common_fields", "ids", "subject_key"))
"""Columns in which a message has as much as its sender likes."""
_MOST_HELD_OCTETS = 4 * 1024 * 1024
_MOST_MERGED = 1000
_SHARE_MERGED = 50
"""Or a fiftieth of the mailbox."""


def _info(row: tuple[int, str, str, int, int, int, int, int, int, int, int, str]) -> MailboxInfo:
    return MailboxInfo(MailboxId(row[0]), row[1], row[2], bool(row[3]), *row[4:11])


def load_mailboxes(connection: sqlite3.Connection) -> tuple[MailboxInfo, ...]:
    """All mailboxes in name order, INBOX first."""
    return tuple(_info(row) for row in connection.execute(f"{_INFO} ORDER BY mailbox.name <> '{INBOX}', mailbox.name"))


def load_mailbox(connection: sqlite3.Connection, name: str) -> MailboxInfo:
    """By its normalised name. Raises NoSuchMailbox."""
    row = connection.execute(f"{_INFO} WHERE mailbox.name = ?", (name,)).fetchone()
    if row is None:
        raise NoSuchMailbox(f"There is no mailbox {name}")
    return _info(row)


def _load_by_id(connection: sqlite3.Connection, mailbox: MailboxId) -> tuple[MailboxInfo, tuple[str, ...]]:
    row = connection.execute(f"{_INFO} WHERE id = ?", (mailbox,)).fetchone()
    if row is None:
        raise NoSuchMailbox("The mailbox is gone")
    return _info(row), tuple(row[11].split())


def load_view(connection: sqlite3.Connection, mailbox: MailboxId, known: MailboxView | None) -> MailboxView:
    """The mailbox now, made from an earlier view where that is less work; `known` is not changed. Raises NoSuchMailbox."""
    info, keywords = _load_by_id(connection, mailbox)
    if known is not None:
        if known.mailbox.highest_modseq == info.highest_modseq:
            return replace(known, mailbox=info)
        most = _most_merged(info)
        if count_since(connection, mailbox, known.mailbox.highest_modseq, most) <= most:
            delta = load_delta(connection, mailbox, known.mailbox.highest_modseq)
            if delta.is_exact:
                return replace(_merge(known, delta), mailbox=info, keywords=keywords)
    return MailboxView(info, keywords, *load_columns(connection, mailbox))


def _most_merged(info: MailboxInfo) -> int:
    """Of more changes it is less work to read all."""
    return max(_MOST_MERGED, info.exists // _SHARE_MERGED)


def _merge(view: MailboxView, delta: Delta) -> MailboxView:
    """Another view, with the changes."""
    stays = bytearray(b"\1" * len(view.uids))
    for uid in delta.gone:
        stays[bisect_left(view.uids, uid)] = 0
    uids, flags, modseqs, messages = (
        array(column.typecode, compress(column, stays)) if delta.gone else column[:]
        for column in (view.uids, view.flags, view.modseqs, view.messages)
    )
    last = uids[-1] if uids else 0
    for uid, value, modseq, message in zip(delta.uids, delta.flags, delta.modseqs, delta.messages, strict=True):
        if uid > last:
            uids.append(uid)
            flags.append(value)
            modseqs.append(modseq)
            messages.append(message)
        else:
            index = bisect_left(uids, uid)
            flags[index], modseqs[index] = value, modseq
    return replace(view, uids=uids, flags=flags, modseqs=modseqs, messages=messages)


def load_delta(connection: sqlite3.Connection, mailbox: MailboxId, since: int) -> Delta:
    """What changed after MODSEQ `since`. Raises NoSuchMailbox."""
    info, keywords = _load_by_id(connection, mailbox)
    if info.highest_modseq == since:
        return Delta(since, info.uidnext, keywords, (), (), (), (), (), ())
    logged = read_since(connection, mailbox, since, last_uid=info.uidnext - 1, most_touched=_most_merged(info))
    (log_floor,) = connection.execute("SELECT log_floor FROM account").fetchone()
    if logged.touched is None or since < log_floor:  # more than is worth to look up one by one, or old rows are dropped
        cells: Iterator[Cell] = map(Cell._make, zip(*load_columns(connection, mailbox), strict=True))
    else:
        cells = Blocks(connection).cells(mailbox, sorted(logged.touched))
    # Columns, and not a list of cells: of many objects that stay the collector would look at all, while everybody waits.
    columns = array("I"), array("Q"), array("Q"), array("Q")
    for cell in cells:
        if cell.modseq > since:
            for column, value in zip(columns, cell, strict=True):
                column.append(value)
    uids, flags, modseqs, messages = (tuple([value for value in column]) for column in columns)
    long_gone = LongGone(logged.merged_last, load_columns(connection, mailbox)[0]) if logged.merged_last else LongGone()
    went = tuple(sorted(logged.gone)), tuple(sorted(logged.passed)), long_gone
    return Delta(info.highest_modseq, info.uidnext, keywords, uids, flags, modseqs, messages, *went)


def locators_of(connection: sqlite3.Connection, messages: Sequence[int]) -> dict[int, Locator]:
    """Where the octets of these messages are; those that are gone are left out."""
    where, values = number_clause("id", sorted(messages))
    rows = connection.execute(f"SELECT id, pack, pack_offset, record, size_octets FROM message WHERE {where}", values)  # noqa: S608
    return {row[0]: Locator._make(row[1:]) for row in rows}


def load_entries(
    connection: sqlite3.Connection, mailbox: MailboxId, uids: Sequence[int], columns: Sequence[EntryColumn]
) -> list[tuple[int | str | None, ...] | None]:
    """One tuple a UID in the order of `uids`; None for one that is not there."""
    where, values = uid_clause(sorted(set(uids)))
    names = ", ".join(columns)  # names of `EntryColumn`, never a client's words
    rows = connection.execute(f"SELECT uid, {names} FROM entry WHERE mailbox = ? AND {where}", (mailbox, *values))  # noqa: S608
    found = {row[0]: row[1:] for row in rows}
    return [found.get(uid) for uid in uids]


def load_expunged(connection: sqlite3.Connection) -> tuple[Expunged, ...]:
    """What can be put back, in the order in which it was expunged."""
    rows = connection.execute(_EXPUNGED)
    return tuple(Expunged(message, name, names_of(bits, keywords.split()), at) for message, name, bits, keywords, at in rows)


def load_meta(connection: sqlite3.Connection, messages: Sequence[int], columns: Sequence[Column]) -> list[_Row]:
    """One tuple a message in the order of `messages`; of the first of them where all would take too much memory.

    Raises StorageError when there is none.
    """
    names = ", ".join(columns)  # names of `Column`, never a client's words
    beside = [_TABLES[column] for column in columns if column in _TABLES]
    source = " ".join(["message", *[f"JOIN {table} ON {table}.message = id" for table in beside]])
    if len(columns) == len(beside) == 1:
        source = f"(SELECT message AS id, {columns[0]} FROM {beside[0]})"  # noqa: S608
    elif _LISTED.issuperset(columns):
        source = "(SELECT message AS id, common_fields, message_octets AS size_octets FROM common_field)"
    large = [at for at, column in enumerate(columns) if column in _LARGE]
    first, last = messages[0], messages[-1]
    rows: list[_Row] | None = []
    if last - first + 1 == len(messages):
        # Usually a mailbox's messages were stored one after another: one scan, and the rows as they come.
        query = f"SELECT {names} FROM {source} WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608
        rows = _held(connection.execute(query, (first, last)), large)
        if rows is not None and len(rows) == len(messages) and [*messages] == [*range(first, last + 1)]:
            return rows
    if rows is not None:
        wanted = f"[{','.join(map(str, messages))}]"
        query = f"SELECT {names}, id FROM {source} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608
        rows = _held(connection.execute(query, (wanted,)), large)
    if rows is None:
        return load_meta(connection, messages[: len(messages) // 2], columns)
    found = {row[-1]: row[:-1] for row in rows}
    try:
        return [found[message] for message in messages]
    except KeyError as missing:
        raise StorageError(f"there is no message {missing}", permanent=True) from missing


def _held(rows: sqlite3.Cursor, large: Sequence[int]) -> list[_Row] | None:
    """All of them; None where they are several and take more memory than one look into the database may."""
    if not large:
        return rows.fetchall()
    found: list[_Row] = []
    octets = 0
    for row in rows:
        found.append(row)
        for at in large:
            octets += len(row[at])
        if octets > _MOST_HELD_OCTETS and len(found) > 1:
            return None
    return found
