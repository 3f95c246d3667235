"""The log of changes: rows of what one list of ops did to one mailbox, how they are packed, and what they tell since a MODSEQ.

UIDs that were touched are ranges, since most lists touch one message or all. The log saves work and is no truth of its own: what
cannot be read of it is as if it had been too much to look up.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId
from mailward.store.gone import EXPUNGED, MERGED, put_merged, unpack_expunged, unpack_merged

TOUCHED = 0
"""What rows of UIDs that were added or changed have as `gone`."""
_MOST_GONE = 500_000
"""UIDs of the log that are told one by one, of some 100 octets each while they are; of more it is as if they had been merged
(`store.gone`): somebody who copies and expunges for some minutes makes a log of millions (T-DOS-06)."""

_log = structlog.get_logger()


@dataclass(slots=True)
class Logged:
    """touched: UIDs that were added or changed, None for all there may be. gone, passed: UIDs that went, of messages that were
    there at the MODSEQ asked from, and of later ones. merged_last: all UIDs up to this one that are not there went, too; 0 for
    none."""

    touched: set[int] | None = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    passed: set[int] = field(default_factory=set)
    merged_last: int = 0


def read_since(connection: sqlite3.Connection, mailbox: MailboxId, since: int, *, last_uid: int, most_touched: int) -> Logged:
    """What the log has of a mailbox after a MODSEQ. last_uid: the highest that the mailbox has given. most_touched: of more UIDs
    none is told by itself."""
    logged = Logged()
    n_touched = n_gone = 0
    for kind, uids, added_modseqs in _rows(connection, mailbox, since):
        try:
            if kind == TOUCHED:
                for some in unpack_ranges(uids):
                    n_touched += len(some)
                    if logged.touched is not None and n_touched <= most_touched:
                        logged.touched.update(some)
                    else:
                        logged.touched = None
                continue
            if kind == MERGED:
                logged.merged_last = max(logged.merged_last, unpack_merged(uids))
                continue
            expunged, added = unpack_expunged(uids, added_modseqs)
            n_gone += len(expunged)
            if n_gone <= _MOST_GONE:
                for uid, modseq in zip(expunged, added, strict=True):
                    (logged.gone if modseq <= since else logged.passed).add(uid)
        except StorageError as error:
            _log.error("store log damaged", mailbox=mailbox, error=str(error))
            if kind == TOUCHED:
                logged.touched = None
            else:
                n_gone = _MOST_GONE + 1
    if n_gone > _MOST_GONE:
        logged.gone, logged.passed, logged.merged_last = set(), set(), last_uid
    return logged


def count_since(connection: sqlite3.Connection, mailbox: MailboxId, since: int, most: int) -> int:
    """How many changes of a message the log has after a MODSEQ. Counted up to `most`, and somewhat beyond it."""
    count = 0
    for kind, uids, _ in _rows(connection, mailbox, since):
        try:
            count += len(uids) // 4 if kind else sum(map(len, unpack_ranges(uids)))
        except StorageError:  # `read_since` tells
            return most + 1
        if count > most:
            break
    return count


def _rows(connection: sqlite3.Connection, mailbox: MailboxId, since: int) -> Iterator[tuple[int, bytes, bytes]]:
    query = "SELECT gone, uids, added_modseqs FROM change WHERE mailbox = ? AND modseq > ?"
    yield from connection.execute(query, (mailbox, since))


def damaged(connection: sqlite3.Connection) -> Iterator[tuple[MailboxId, int, int]]:
    """Mailbox, MODSEQ and kind of each row that cannot be read."""
    for mailbox, modseq, kind, uids, added_modseqs in connection.execute("SELECT * FROM change"):
        try:
            if kind == TOUCHED:
                unpack_ranges(uids)
            elif kind == EXPUNGED:
                unpack_expunged(uids, added_modseqs)
            else:
                unpack_merged(uids)
        except StorageError:
            yield mailbox, modseq, kind


def drop_damaged(connection: sqlite3.Connection) -> None:
    """As if they had been dropped long ago: who comes from before them is told of everything that is there, or is not."""
    for mailbox, modseq, kind in [*damaged(connection)]:
        connection.execute("DELETE FROM change WHERE mailbox = ? AND modseq = ? AND gone = ?", (mailbox, modseq, kind))
        if kind == TOUCHED:
            connection.execute("UPDATE account SET log_floor = max(log_floor, ?)", (modseq,))
        else:
            put_merged(connection, mailbox, modseq)


def pack_ranges(parts: Iterable[Sequence[int]]) -> bytes:
    """parts: UIDs, best in order. The first and the last of each range, packed as native 32 bit integers."""
    ends = array("I")
    for uids in parts:
        if isinstance(uids, range):
            _add(ends, uids[0], uids[-1])
        else:
            for uid in uids:
                _add(ends, uid, uid)
    return ends.tobytes()


def _add(ends: "array[int]", first: int, last: int) -> None:
    if ends and ends[-1] + 1 == first:
        ends[-1] = last
    else:
        ends.append(first)
        ends.append(last)


def unpack_ranges(octets: bytes) -> Iterator[range]:
    """Raises StorageError for what `pack_ranges` does not make, before any range of it."""
    ends = array("I", octets[: len(octets) // 8 * 8])
    ranges = [range(first, last + 1) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    if len(octets) % 8 or not all(ranges):
        raise StorageError("a row of the log is damaged; mend it: mailward store check --repair", permanent=True)
    return iter(ranges)


def merged(ranges: Iterable[range]) -> list[range]:
    """The same numbers, in order and apart."""
    found: list[range] = []
    for some in sorted(ranges, key=lambda some: some.start):
        if found and some.start <= found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, some.stop))
        else:
            found.append(some)
    return found
