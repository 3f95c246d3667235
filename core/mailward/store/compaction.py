"""Packs of which most is dead: what lives is written anew, to the pack of now, and the old pack goes a round of tidying later.

The copies are synced before the rows point to them, so a crash leaves a message in its old place or in both. Rescue fields are
written anew, with the mailbox and the flags of the day. What cannot be read stays where it is.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import structlog

from mailward.database import transaction
from mailward.formats.octets import Octets
from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.store.blocks import Blocks
from mailward.store.flags import names_of
from mailward.store.packing import append_records, count_in
from mailward.store.packs import HEADER_OCTETS, Locator, Packs, Record

_log = structlog.get_logger()

_MOST_PACKS = 8
_TOGETHER_OCTETS = 8 * 1024 * 1024

_LIVE = """
    SELECT pack.id, total(message.size_octets + ?) FROM pack JOIN message ON message.pack = pack.id
    WHERE pack.id < (SELECT pack FROM account) GROUP BY pack.id
"""
_MESSAGES = """
    SELECT message.id, pack_offset, record, message.size_octets, internal_date,
           coalesce(mailbox.name, ''), coalesce(mailbox.keywords, ''), coalesce(mailbox.id, 0), coalesce(entry.uid, 0)
    FROM message LEFT JOIN entry ON entry.message = message.id LEFT JOIN mailbox ON mailbox.id = entry.mailbox
    WHERE pack = ? GROUP BY message.id ORDER BY pack_offset
"""


class Row(NamedTuple):
    """A message of a pack; what has been expunged is in no mailbox."""

    message: int
    offset: int
    record: int
    size_octets: int
    internal_date: int
    mailbox_name: str
    keywords: str
    mailbox: MailboxId
    uid: int

    def locator(self, pack: int) -> Locator:
        return Locator(pack, self.offset, self.record, self.size_octets)


def compact(connection: sqlite3.Connection, packs: Packs) -> None:
    """Under the account's lock. Full packs that are dead for more than a half, a few of them at a time."""
    live = connection.execute(_LIVE, (HEADER_OCTETS,)).fetchall()
    wasteful = [pack for pack, octets in live if 2 * octets < packs.size(pack)]
    for pack in wasteful[:_MOST_PACKS]:
        for rows in in_portions(rows_of(connection, pack)):
            with transaction(connection):
                rewrite(connection, packs, pack, rows, packs.many([row.locator(pack) for row in rows]))


def rows_of(connection: sqlite3.Connection, pack: int) -> list[Row]:
    """All messages of the pack."""
    return [Row._make(row) for row in connection.execute(_MESSAGES, (pack,))]


def in_portions(messages: Sequence[Row]) -> Iterator[list[Row]]:
    """So many as are held in memory at once."""
    portion: list[Row] = []
    octets = 0
    for row in messages:
        if portion and octets + row.size_octets > _TOGETHER_OCTETS:
            yield portion
            portion, octets = [], 0
        portion.append(row)
        octets += row.size_octets
    if portion:
        yield portion


def rewrite(
    connection: sqlite3.Connection, packs: Packs, pack: int, rows: Sequence[Row], found: Iterable[Octets | StorageError]
) -> None:
    """Give messages of a pack new records. found: the octets of each, or why there are none: then it stays where it is.

    Within a transaction, under the account's lock.
    """
    blocks = Blocks(connection)
    moved: list[tuple[int, Record]] = []
    for row, octets in zip(rows, found, strict=True):
        if isinstance(octets, StorageError):
            _log.error("unreadable message", message=row.message, error=str(octets))
            continue
        bits = blocks.flags(row.mailbox, (row.uid,))[row.uid] if row.uid else 0
        flags = names_of(bits, row.keywords.split())
        moved.append((row.message, Record(row.record, bytes(octets), row.internal_date, row.mailbox_name, flags)))
    locators = append_records(connection, packs, [record for _, record in moved])
    for (message, _), locator in zip(moved, locators, strict=True):
        connection.execute("UPDATE message SET pack = ?, pack_offset = ? WHERE id = ?", (locator.pack, locator.offset, message))
        count_in(connection, locator.pack, 1)
    count_in(connection, pack, -len(moved))
