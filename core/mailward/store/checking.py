"""Is an account's mail as it should be? Counters, references, and every octet of its packs.

SQLite finds a broken structure, not a wrong value; so what can be worked out in another way is: counters are counted, what was
made of a message is made of it again, MODSEQs stand in the log (docs/decisions/0044-checking-a-store.md: what this cannot find).
"""

import mmap
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress

from mailward.formats.mailbox_names import INBOX
from mailward.model.errors import StorageError
from mailward.store.blocks import PER_MAILBOX, load_columns, unreadable
from mailward.store.changelog import TOUCHED, damaged, merged, unpack_ranges
from mailward.store.flags import DELETED, SEEN
from mailward.store.ops import RIGHTS, SERVER
from mailward.store.packs import HEADER_OCTETS, Locator, Packs
from mailward.store.packscan import Found, read_record
from mailward.store.planes import WIDTH
from mailward.store.rendered import COLUMNS, render, values_of

COUNTERS = f"""
    SELECT mailbox.id, mailbox.name, n_exists, n_unseen, n_deleted, mailbox.size_octets,
           count(uid), total(flags & {SEEN} = 0 AND uid IS NOT NULL), total(flags & {DELETED} <> 0), total(entry.size_octets)
    FROM mailbox LEFT JOIN (entry JOIN cell USING (mailbox, uid)) ON mailbox = mailbox.id GROUP BY mailbox.id
"""  # noqa: S608 - our own words
_CELL = """
    CREATE TEMPORARY TABLE IF NOT EXISTS cell (
        mailbox INTEGER, uid INTEGER, flags INTEGER, modseq INTEGER, message INTEGER, PRIMARY KEY (mailbox, uid)
    ) WITHOUT ROWID
"""
"""What blocks have, as rows."""
OTHER_CELLS = """
    SELECT mailbox, uid, coalesce(flags, 0), coalesce(modseq, added_modseq), entry.message
    FROM entry LEFT JOIN cell USING (mailbox, uid) WHERE cell.message IS NOT entry.message
"""
LOST_CELLS = "SELECT mailbox, uid FROM cell LEFT JOIN entry USING (mailbox, uid) WHERE entry.message IS NULL"
_GIVEN = """
    (31 | (((1 << (length(keywords) - length(replace(keywords, ' ', '')) + (keywords <> ''))) - 1) << 8))
"""
"""The bits of all flags that a mailbox has."""
UNKNOWN_FLAGS = f"""
    SELECT mailbox, cell.uid, flags & {_GIVEN}, cell.modseq, message FROM cell JOIN mailbox ON mailbox.id = mailbox
    WHERE flags & ~{_GIVEN}
"""  # noqa: S608 - our own words

OTHER_SIZES = "common_field JOIN message ON message.id = message WHERE message_octets <> size_octets"

FORGOTTEN = "message WHERE id NOT IN (SELECT message FROM entry) AND id NOT IN (SELECT message FROM expunged)"
LOST = "expunged WHERE message NOT IN (SELECT id FROM message)"
OF_NOWHERE = """
    expunged WHERE mailbox <> 0 AND mailbox NOT IN (SELECT id FROM mailbox) AND mailbox NOT IN (SELECT id FROM past_mailbox)
"""

GRANTS = f"mailbox_grant WHERE mailbox NOT IN (SELECT id FROM mailbox) OR rights = '' OR rights GLOB '*[^{RIGHTS}]*'"  # noqa: S608
ANNOTATIONS = f"annotation WHERE owner = '' AND mailbox <> {SERVER} AND mailbox NOT IN (SELECT id FROM mailbox)"  # noqa: S608

DAMAGED = "is missing or damaged"
"""What is said of a message whose octets cannot be read."""
_ASSERTIONS = (
    ("no INBOX", f"account WHERE NOT EXISTS (SELECT 1 FROM mailbox WHERE name = '{INBOX}')"),  # noqa: S608
    ("a UID that its mailbox has yet to give", "entry JOIN mailbox ON mailbox.id = mailbox WHERE uid >= uidnext OR uid < 1"),
    ("an entry of no mailbox", "entry WHERE mailbox NOT IN (SELECT id FROM mailbox)"),
    ("an entry without a message", "entry WHERE message NOT IN (SELECT id FROM message)"),
    (
        "an entry with the size of another message",
        "entry JOIN message ON message.id = message WHERE entry.size_octets <> message.size_octets",
    ),
    ("an entry of another message than its block has", f"({OTHER_CELLS})"),
    ("flags of no entry", f"({LOST_CELLS})"),
    ("flags that their mailbox does not have", f"({UNKNOWN_FLAGS})"),
    ("a MODSEQ above its mailbox's", "cell JOIN mailbox ON mailbox.id = mailbox WHERE cell.modseq > mailbox.modseq"),
    (
        "a MODSEQ below the one it was added at",
        "entry JOIN cell USING (mailbox, uid) WHERE added_modseq > modseq OR added_modseq < 1",
    ),
    ("a MODSEQ above the account's", "mailbox, account WHERE mailbox.modseq > last_modseq"),
    ("a UIDVALIDITY above the account's", "mailbox, account WHERE uidvalidity > last_uidvalidity OR uidvalidity < 1"),
    ("a number of a message above the account's", "message, account WHERE message.id > last_message"),
    ("a number of an email above the account's", "entry, account WHERE email > last_email OR email < 1"),
    ("a number of an email given twice", "(SELECT email FROM entry GROUP BY email HAVING count(*) > 1)"),
    ("a message without its header", "message WHERE id NOT IN (SELECT message FROM header)"),
    ("a message without its common fields", "message WHERE id NOT IN (SELECT message FROM common_field)"),
    ("a message with the size of another among its common fields", OTHER_SIZES),
    ("a message of an unknown pack", "message WHERE pack NOT IN (SELECT id FROM pack)"),
    ("an expunged message that nobody would ever drop", FORGOTTEN),
    ("an expunged message that is not there", LOST),
    ("an expunged message of a mailbox that nobody knows", OF_NOWHERE),
    ("rights in no mailbox, or that there are not", GRANTS),
    ("annotations of no mailbox", ANNOTATIONS),
    ("a message in another thread than its identifier", "message WHERE thread < 1 OR thread > (SELECT last_thread FROM account)"),
)
"""What must be found nowhere: (what, FROM and WHERE)."""

PACKS = """
    SELECT pack.id, pack.messages, count(message.id) FROM pack LEFT JOIN message ON message.pack = pack.id GROUP BY pack.id
"""
_MADE = f"""
    SELECT message.id, message.pack, pack_offset, record, size_octets, {", ".join(COLUMNS)}, headers, common_fields
    FROM message JOIN header ON header.message = message.id JOIN common_field ON common_field.message = message.id
    ORDER BY message.pack, pack_offset
"""  # noqa: S608 - our own words


def check(connection: sqlite3.Connection, packs: Packs) -> Iterator[str]:
    """Every problem in words, of a database whose structure is sound. Under the account's lock."""
    if count := sum(1 for _ in unreadable(connection)):
        yield f"flags and MODSEQs of up to {WIDTH} messages, which cannot be read: {count}"
        return  # the rest is worked out from them
    yield from wrong_counters(connection)
    for what, where in _ASSERTIONS:
        count = connection.execute(f"SELECT count(*) FROM {where}").fetchone()[0]  # noqa: S608 - our own words
        if count:
            yield f"{what}: {count}"
    yield from _check_log(connection)
    for pack, messages, counted in connection.execute(PACKS):
        if messages != counted:
            yield f"pack {pack}: {messages} messages are noted, {counted} are in it"
    yield from _check_records(connection, packs)


def wrong_counters(connection: sqlite3.Connection) -> list[str]:
    """Mailboxes whose counters are not what a recount finds."""
    lay_out(connection)
    return [
        f"mailbox {name}: its counters say {said}, its entries {counted}"
        for _, name, *numbers in connection.execute(COUNTERS)
        if (said := numbers[:4]) != (counted := [int(number) for number in numbers[4:]])
    ]


def lay_out(connection: sqlite3.Connection) -> None:
    """Put what blocks have into the rows of `cell`, which the queries read."""
    connection.execute(_CELL)
    connection.execute("DELETE FROM cell")
    for (mailbox,) in connection.execute("SELECT DISTINCT id / ? FROM block", (PER_MAILBOX,)).fetchall():
        rows = zip(*load_columns(connection, mailbox), strict=True)
        connection.executemany("INSERT INTO cell VALUES (?, ?, ?, ?, ?)", ((mailbox, *row) for row in rows))


def _check_log(connection: sqlite3.Connection) -> Iterator[str]:
    """Every entry's MODSEQs stand in the log, above what has been dropped of it."""
    bad = {row for row in damaged(connection)}
    for _, modseq, _ in sorted(bad):
        yield f"the log at MODSEQ {modseq} is damaged"
    floor: int = connection.execute("SELECT log_floor FROM account").fetchone()[0]
    logged = {
        (mailbox, modseq): merged(unpack_ranges(uids))
        for mailbox, modseq, uids in connection.execute("SELECT mailbox, modseq, uids FROM change WHERE gone = 0")
        if (mailbox, modseq, TOUCHED) not in bad
    }
    entries = connection.execute("SELECT mailbox, uid, modseq, added_modseq FROM entry JOIN cell USING (mailbox, uid)")
    lost = sum(
        modseq > floor and not _names(logged.get((mailbox, modseq), ()), uid)
        for mailbox, uid, *modseqs in entries
        for modseq in modseqs
    )
    if lost:
        yield f"MODSEQs that are not in the log: {lost}"


def _names(ranges: Sequence[range], uid: int) -> bool:
    """ranges: in order and apart."""
    place = bisect_right(ranges, uid, key=lambda some: some.start) - 1
    return place >= 0 and uid in ranges[place]


def _check_records(connection: sqlite3.Connection, packs: Packs) -> Iterator[str]:
    for message, locator, found, is_other in records(connection, packs):
        if found is None:
            yield f"message {message}: its record in pack {locator.pack} at {locator.offset} {DAMAGED}"
        elif is_other:
            yield f"message {message}: the database says something else of it than its octets"


def records(connection: sqlite3.Connection, packs: Packs) -> Iterator[tuple[int, Locator, Found | None, bool]]:
    """Every message with its record, where that is sound, and whether something else is made of it than the database has."""
    pack = 0
    octets: bytes | mmap.mmap = b""
    for message, *where_and_made in connection.execute(_MADE):
        locator, made = Locator(*where_and_made[:4]), where_and_made[4:]
        if pack != locator.pack:
            pack = locator.pack
            octets = b""
            with suppress(StorageError, OSError):
                octets = packs.whole(pack)
        found = read_record(pack, octets, locator.offset)
        if found is None or found.locator != locator:
            yield message, locator, None, False
            continue
        start = locator.offset + HEADER_OCTETS
        again = render(octets[start : start + locator.size_octets], found.internal_date, locator.record)
        yield message, locator, found, [*values_of(again), again.headers, again.common_fields] != made
