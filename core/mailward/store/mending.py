"""Messages whose octets the disk has damaged: found, and made whole from another copy of the account, as a backup has one.

A record has a random id, which stays with it wherever it is written to: a sound one of the same id and size has the same octets.
So the message gets it in its place, and keeps UID, flags, MODSEQ and all its numbers.
"""

import mmap
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from mailward.database import transaction
from mailward.formats.octets import Octets
from mailward.model.errors import StorageError
from mailward.store.compaction import in_portions, rewrite, rows_of
from mailward.store.index import Index
from mailward.store.packs import Locator, Packs
from mailward.store.packscan import read_record

_PLACES = """
    SELECT mailbox.name, uid
    FROM message JOIN entry ON entry.message = message.id JOIN mailbox ON mailbox.id = entry.mailbox
    WHERE pack = ? AND pack_offset = ? AND record = ? AND message.size_octets = ? ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Mended:
    """messages: how many are whole again. left: mailbox and UID of each that the other copy does not have sound, too."""

    messages: int
    left: tuple[str, ...]


def records_noted(connection: sqlite3.Connection) -> Iterator[Locator]:
    """Where the record of each message is to be found, in the order of packs and of octets in them."""
    rows = connection.execute("SELECT pack, pack_offset, record, size_octets FROM message ORDER BY pack, pack_offset")
    return map(Locator._make, rows)


def damaged_in(pack: int, octets: Octets, noted: Iterable[Locator]) -> list[Locator]:
    """Those of a pack that are missing or have a wrong bit. octets: the whole pack."""
    found = ((locator, read_record(pack, octets, locator.offset)) for locator in noted)
    return [locator for locator, record in found if record is None or record.locator != locator]


def mend(index: Index, packs: Packs, kept_index: Index, kept_packs: Packs) -> Mended:
    """Give each damaged message the record that another copy of the account has. Reads all packs. Raises StorageError.

    Only what is written waits for the account's lock, so a server may be running.
    """
    with index.reading() as connection:
        noted = [*records_noted(connection)]
    damaged = [*_damaged(packs, noted)]
    if not damaged:
        return Mended(0, ())
    wanted = {locator.record for locator in damaged}
    with kept_index.reading() as connection:
        sound = {locator.record: locator for locator in records_noted(connection) if locator.record in wanted}
    with index.writing() as connection:
        mended = [*_replaced(connection, packs, damaged, sound, kept_packs)]
        left = [place for locator in damaged if locator not in mended for place in _places(connection, locator)]
    return Mended(len(mended), tuple(left))


def _damaged(packs: Packs, noted: Sequence[Locator]) -> Iterator[Locator]:
    for pack, locators in groupby(noted, key=lambda locator: locator.pack):
        octets: bytes | mmap.mmap = b""
        with suppress(StorageError, OSError):
            octets = packs.whole(pack)
        yield from damaged_in(pack, octets, locators)


def _replaced(
    connection: sqlite3.Connection, packs: Packs, damaged: Sequence[Locator], sound: dict[int, Locator], kept: Packs
) -> Iterator[Locator]:
    """What has a new record now. What has been expunged or moved to another pack since is not touched."""
    still = set(damaged)
    for pack in sorted({locator.pack for locator in damaged}):
        rows = [row for row in rows_of(connection, pack) if row.locator(pack) in still and row.record in sound]
        for portion in in_portions(rows):
            with transaction(connection):
                found = [*kept.many([sound[row.record] for row in portion])]
                rewrite(connection, packs, pack, portion, found)
            yield from (
                row.locator(pack) for row, octets in zip(portion, found, strict=True) if not isinstance(octets, StorageError)
            )


def _places(connection: sqlite3.Connection, locator: Locator) -> list[str]:
    """Where its message lies; one that has been expunged lies nowhere, and is missed by nobody."""
    return [f"{name} UID {uid}" for name, uid in connection.execute(_PLACES, locator)]
