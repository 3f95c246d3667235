"""One list of ops against the rows of an account, inside a transaction that somebody else begins and ends.

A list takes one MODSEQ. What it did to each mailbox is gathered and written at its end: counters to the mailbox's row,
UIDs to the change log. A StoreRefusal leaves half-done rows behind; the caller rolls back to its savepoint.
"""

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, compress

from mailward.model.ids import MailboxId, Uid
from mailward.store import deliveries
from mailward.store.blocks import Blocks, Cell
from mailward.store.changelog import pack_ranges
from mailward.store.clauses import number_clause, uid_clause
from mailward.store.flags import DELETED, SEEN, FlagChange, bits_of, how_many, mask_of, names_of
from mailward.store.ops import MAX_MESSAGES, Append, Copy, Expunge, OpResult, SetFlags, Undelete
from mailward.store.packing import count_in
from mailward.store.packs import Locator
from mailward.store.refusals import MailboxFull, NoSuchMailbox
from mailward.store.rendered import COLUMNS, Rendered, values_of
from mailward.store.threads import thread_of
from mailward.store.uids import Box, Numbers

Stored = tuple[Rendered, Locator | None]
"""A message parsed and written to a pack; no locator when its Append will be refused or is a duplicate."""

Entry = tuple[int, int, int, int, int, str | None]
"""UID, flags, message, size, email, POP3 UIDL."""

ROWS_OCTETS = 1024
"""What a message takes beside its own octets, about."""
LOG_ROW_OCTETS = 64
"""The same of a row of the log."""

_INSERT_MESSAGE = f"INSERT INTO message VALUES ({', '.join('?' * (6 + len(COLUMNS)))})"  # noqa: S608 - our own words


class OpList:
    """The state of one list. `changed`: mailboxes to tell about afterwards."""

    def __init__(self, connection: sqlite3.Connection, numbers: Numbers, now_s: int, appended: Iterator[Stored]) -> None:
        self.connection = connection
        self.numbers = numbers
        self.now_s = now_s
        self._appended = appended
        self._modseq = 0
        self._blocks = Blocks(connection)
        self._boxes: dict[MailboxId, Box] = {}
        self._had: dict[MailboxId, int] = {}  # messages before the list
        self._touched: defaultdict[MailboxId, list[Sequence[int]]] = defaultdict(list)  # UIDs, by parts
        self._gone: defaultdict[MailboxId, list[tuple[int, int]]] = defaultdict(list)  # (uid, added_modseq)
        self.changed: set[MailboxId] = set()

    @property
    def modseq(self) -> int:
        """This list's MODSEQ, taken when the first change needs it."""
        if not self._modseq:
            self._modseq = self.numbers.next_modseq()
        return self._modseq

    def box(self, mailbox: MailboxId) -> Box:
        """The mailbox's row, kept until `finish`. Raises NoSuchMailbox."""
        if mailbox not in self._boxes:
            box = self._boxes[mailbox] = Box.load(self.connection, mailbox)
            self._had.setdefault(mailbox, box.n_exists)
        return self._boxes[mailbox]

    def touch(self, box: Box) -> None:
        """The list changes this mailbox."""
        box.modseq = self.modseq
        self.changed.add(box.id)

    def forget(self, mailbox: MailboxId) -> None:
        """The mailbox was deleted."""
        for kept in (self._boxes, self._touched, self._gone):
            kept.pop(mailbox, None)

    def append(self, op: Append) -> OpResult:
        rendered, locator = next(self._appended)
        if known := deliveries.find(self.connection, op.delivery_key):
            return OpResult(known[0], uids=(known[1],), duplicate=True)
        box = self.box(op.mailbox)
        if locator is None:
            raise NoSuchMailbox("The mailbox is gone")
        bits, box.keywords = bits_of(op.flags, box.keywords, make=True)
        uid, message, execute = box.take_uid(op.uid), self.numbers.next_message(), self.connection.execute
        if op.delivery_key is not None:
            execute("INSERT INTO delivery VALUES (?, ?, ?, ?, ?)", (op.delivery_key, box.id, uid, self.now_s, message))
        execute(
            _INSERT_MESSAGE,
            (
                *(message, locator.pack, locator.offset, locator.record, locator.size_octets),
                *values_of(rendered),
                thread_of(self.connection, self.numbers, rendered.ids),
            ),
        )
        execute("INSERT INTO header VALUES (?, ?)", (message, rendered.headers))
        execute("INSERT INTO common_field VALUES (?, ?, ?)", (message, rendered.common_fields, locator.size_octets))
        count_in(self.connection, locator.pack, 1)
        self.numbers.note_written(locator.size_octets + ROWS_OCTETS)
        self._insert(box, [(uid, bits, message, locator.size_octets, self.numbers.next_email(), self._unused(op.pop3_uidl))])
        return OpResult(box.id, box.uidvalidity, (uid,))

    def _unused(self, pop3_uidl: str | None) -> str | None:
        """It, now taken; None where it was before: POP3 clients would take one message for another."""
        taken = self.connection.execute("INSERT OR IGNORE INTO past_pop3_uidl SELECT ?1 WHERE ?1 IS NOT NULL", (pop3_uidl,))
        return pop3_uidl if taken.rowcount else None

    def _insert(self, box: Box, entries: Sequence[Entry]) -> None:
        """Entries whose UIDs have been taken."""
        if not entries:
            return
        modseq, now_s = self.modseq, self.now_s
        self.connection.executemany(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (box.id, uid, modseq, message, size_octets, email, now_s, pop3_uidl)
                for uid, _, message, size_octets, email, pop3_uidl in entries
            ),
        )
        self._blocks.put(box.id, (Cell(uid, bits, modseq, message) for uid, bits, message, *_ in entries))
        box.n_exists += len(entries)
        box.n_unseen += sum(not entry[1] & SEEN for entry in entries)
        box.n_deleted += sum(bool(entry[1] & DELETED) for entry in entries)
        box.size_octets += sum(entry[3] for entry in entries)
        self._touched[box.id].append([entry[0] for entry in entries])
        self.touch(box)

    def set_flags(self, op: SetFlags) -> OpResult:
        box = self.box(op.mailbox)
        bits, keywords = bits_of(op.flags, box.keywords, make=op.mode != "remove")
        kept = mask_of(op.kept, box.keywords)
        change = FlagChange.of(op.mode, bits, kept)
        before, modseq = box.modseq, self._modseq or self.numbers.following_modseq
        found: list[Sequence[int]] = []
        changed: list[Sequence[int]] = []
        refused: list[int] = []
        for block, uids, places in self._blocks.parts(box.id, op.uids if isinstance(op.uids, range) else sorted(set(op.uids))):
            if op.unchanged_since is not None:
                is_older = [block.modseqs[place] <= op.unchanged_since for place in places]
                refused += [uid for uid, older in zip(uids, is_older, strict=True) if not older]
                uids, places = [*compress(uids, is_older)], [*compress(places, is_older)]
            found.append(uids)
            differs, old, new = block.set_flags(places, change, modseq)
            if 1 in differs:
                changed.append([*compress(uids, differs)] if 0 in differs else uids)
            if change.concerns(SEEN):
                box.n_unseen += how_many(old, SEEN) - how_many(new, SEEN)
            if change.concerns(DELETED):
                box.n_deleted += how_many(new, DELETED) - how_many(old, DELETED)
        if changed:
            box.keywords = keywords
            self._touched[box.id] += changed
            self.touch(box)
        all_there = isinstance(op.uids, range) and sum(map(len, found)) == len(op.uids)
        there = op.uids if all_there else tuple(chain.from_iterable(found))  # numbers in a tuple take time, when they are all
        return OpResult(box.id, box.uidvalidity, there, refused=tuple(refused), modseqs=(before, box.modseq))

    def expunge(self, op: Expunge) -> OpResult:
        box = self.box(op.mailbox)
        uids = sorted(set(op.uids))
        self._keep(box.id, *uid_clause(uids), final=op.final)
        return OpResult(box.id, box.uidvalidity, self._remove(box, uids))

    def _keep(self, mailbox: MailboxId, clause: str, values: Sequence[int | str], *, final: bool = False) -> None:
        """Note where messages lie that are about to be expunged."""
        rows = self.connection.execute(
            f"SELECT uid, message, email FROM entry WHERE mailbox = ? AND {clause} ORDER BY uid",  # noqa: S608
            (mailbox, *values),
        ).fetchall()
        flags = self._blocks.flags(mailbox, [row[0] for row in rows])
        self.connection.executemany(
            "INSERT OR REPLACE INTO expunged VALUES (?, ?, ?, ?, ?)",
            ((message, self.now_s, 0 if final else mailbox, flags[uid], email) for uid, message, email in rows),
        )

    def undelete(self, op: Undelete) -> OpResult:
        box = self.box(op.mailbox)
        clause, values = number_clause("expunged.message", sorted(set(op.messages)))
        rows = self.connection.execute(
            "SELECT mailbox, flags, expunged.message, size_octets, email FROM expunged JOIN message ON id = expunged.message"  # noqa: S608
            f" WHERE mailbox <> 0 AND {clause} AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = expunged.message)"
            " ORDER BY expunged.message",
            values,
        ).fetchall()
        self.connection.executemany("DELETE FROM expunged WHERE message = ?", [(row[2],) for row in rows])
        flags = {(row[0], row[1]): 0 for row in rows}
        for mailbox, bits in flags:
            flags[mailbox, bits] = self._in_keywords_of(box, self._keywords(mailbox), bits & ~DELETED)
        uids = tuple(box.take_uids(len(rows)))
        self._insert(box, [(uid, flags[row[:2]], *row[2:], None) for uid, row in zip(uids, rows, strict=True)])
        return OpResult(box.id, box.uidvalidity, uids)

    def _keywords(self, mailbox: MailboxId) -> tuple[str, ...]:
        """Of a mailbox that may have been deleted."""
        row = self.connection.execute("SELECT keywords FROM past_mailbox WHERE id = ?", (mailbox,)).fetchone()
        return tuple(row[0].split()) if row else self.box(mailbox).keywords

    def _remove(self, box: Box, uids: Sequence[int]) -> tuple[int, ...]:
        """Delete entries; the UIDs there were."""
        clause, values = uid_clause(uids)
        rows = self.connection.execute(
            f"SELECT uid, added_modseq, size_octets FROM entry WHERE mailbox = ? AND {clause} ORDER BY uid",  # noqa: S608
            (box.id, *values),
        ).fetchall()
        flags = self._blocks.drop(box.id, [row[0] for row in rows])
        self.connection.execute(f"DELETE FROM entry WHERE mailbox = ? AND {clause}", (box.id, *values))  # noqa: S608
        box.n_exists -= len(rows)
        box.n_unseen -= sum(not bits & SEEN for bits in flags)
        box.n_deleted -= sum(bool(bits & DELETED) for bits in flags)
        box.size_octets -= sum(row[2] for row in rows)
        self._gone[box.id] += [row[:2] for row in rows]
        if rows:
            self.touch(box)
        return tuple(row[0] for row in rows)

    def copy(self, op: Copy) -> OpResult:
        source, target = self.box(op.mailbox), self.box(op.target)
        clause, values = uid_clause(sorted(set(op.uids)))
        found = self.connection.execute(
            f"SELECT uid, message, size_octets, email, pop3_uidl FROM entry WHERE mailbox = ? AND {clause} ORDER BY uid",  # noqa: S608
            (source.id, *values),
        ).fetchall()
        flags = self._blocks.flags(source.id, [row[0] for row in found])
        rows: list[Entry] = [(row[0], flags[row[0]], *row[1:]) for row in found]
        if not op.move:
            rows = [(*row[:4], self.numbers.next_email(), None) for row in rows]
        if target.keywords[: len(source.keywords)] != source.keywords:
            bits = {bits: self._in_keywords_of(target, source.keywords, bits) for bits in {row[1] for row in rows}}
            rows = [(row[0], bits[row[1]], *row[2:]) for row in rows]
        sources, uids = tuple(row[0] for row in rows), tuple(target.take_uids(len(rows)))
        self._insert(target, [(uid, *row[1:]) for uid, row in zip(uids, rows, strict=True)])
        if op.move:
            self._remove(source, sources)
        return OpResult(target.id, target.uidvalidity, uids, sources=sources)

    def _in_keywords_of(self, target: Box, keywords: tuple[str, ...], bits: int) -> int:
        """The same flags as the target has them."""
        translated, target.keywords = bits_of(names_of(bits, keywords), target.keywords, make=True)
        return translated

    def remove_all(self, mailbox: MailboxId) -> None:
        """Every message of a mailbox that is about to be deleted."""
        self._keep(mailbox, "true", ())
        self._blocks.drop_all(mailbox)
        for table in ("entry", "change"):
            self.connection.execute(f"DELETE FROM {table} WHERE mailbox = ?", (mailbox,))  # noqa: S608

    def move_all(self, source: MailboxId, target: MailboxId) -> None:
        """Every message of one mailbox to the other."""
        rows = self.connection.execute("SELECT uid FROM entry WHERE mailbox = ?", (source,)).fetchall()
        self.copy(Copy(source, tuple(Uid(uid) for (uid,) in rows), target, move=True))

    def check_sizes(self) -> None:
        """Raises MailboxFull for a list that has left a mailbox with more than it had, and more than any may have."""
        for box in self._boxes.values():
            if box.n_exists > max(MAX_MESSAGES, self._had[box.id]):
                raise MailboxFull(f"A mailbox has {MAX_MESSAGES} messages at most; move some to another")

    def finish(self) -> None:
        """Write counters and log. Nothing may follow."""
        changes: list[tuple[MailboxId, int, int, bytes, bytes]] = []
        for mailbox, parts in self._touched.items():
            if parts:
                changes.append((mailbox, self.modseq, 0, pack_ranges(parts), b""))
        for mailbox, gone in self._gone.items():
            if gone:
                gone.sort()
                gone_uids, added_modseqs = array("I", [uid for uid, _ in gone]), array("Q", [added for _, added in gone])
                changes.append((mailbox, self.modseq, 1, gone_uids.tobytes(), added_modseqs.tobytes()))
        self.connection.executemany("INSERT INTO change VALUES (?, ?, ?, ?, ?)", changes)
        self.numbers.note_written(sum(LOG_ROW_OCTETS + len(uids) + len(added) for *_, uids, added in changes))
        self._blocks.save()
        for box in self._boxes.values():
            if box.id in self.changed:
                box.save(self.connection)
