"""Flags, MODSEQs and messages are found as they were put, wherever blocks of UIDs begin and end."""

import gc
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import compress
from pathlib import Path
from unittest.mock import patch

import pytest

from mailward.model.errors import StorageError
from mailward.model.ids import MailboxId, Uid
from mailward.store.blocks import Blocks, Cell, load_columns
from mailward.store.flags import FlagChange
from mailward.store.ops import Copy, DeleteMailbox, Expunge, SetFlags
from mailward.store.planes import WIDTH
from mailward.store.schema import SCHEMA
from support import stores
from support.stores import append

A, B = MailboxId(7), MailboxId(8)
BORDERS = (1, WIDTH, WIDTH + 1, 2 * WIDTH, 2 * WIDTH + 1, 2**32 - 2)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        yield connection


def everything(connection: sqlite3.Connection, mailbox: MailboxId) -> list[tuple[int, ...]]:
    return [*zip(*load_columns(connection, mailbox), strict=True)]


def rows(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM block").fetchone()[0]
    return count


def test_uids_at_the_borders_of_blocks(connection: sqlite3.Connection) -> None:
    cells = [Cell(uid, uid % 7, uid + 1, uid + 2) for uid in BORDERS]
    blocks = Blocks(connection)
    blocks.put(A, cells)
    blocks.put(B, cells[:1])
    blocks.save()
    assert everything(connection, A) == cells and everything(connection, B) == cells[:1]
    assert [*Blocks(connection).cells(A, BORDERS)] == cells
    assert [*Blocks(connection).cells(A, (2, WIDTH, 3 * WIDTH, 2**32 - 2))] == [cells[1], cells[5]]
    assert everything(connection, MailboxId(6)) == everything(connection, MailboxId(9)) == []


def test_t_dos_08_of_many_messages_that_are_copied_no_object_stays(tmp_path: Path) -> None:
    """The collector would look at all of them at once, and nothing else would run."""
    store = stores.account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"Subject: s\r\n\r\n") for _ in range(600)])
    made, alive, put = 0, list[int](), Blocks.put

    def counted(blocks: Blocks, mailbox: MailboxId, cells: Iterable[Cell]) -> None:
        def watched() -> Iterator[Cell]:
            nonlocal made
            for cell in cells:
                made += 1
                yield cell
            alive.append(sum(isinstance(one, Cell) for one in gc.get_objects()))

        put(blocks, mailbox, watched())

    gc.collect()
    with patch.object(Blocks, "put", counted):
        store.apply([Copy(inbox, tuple(map(Uid, range(1, 601))), inbox)])
    assert made == 600 and max(alive) < 10


def test_who_asks_for_flags_of_a_message_that_has_none_hears_how_to_mend_it(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection)
    blocks.put(A, [Cell(1, 3, 1, 1)])
    assert blocks.flags(A, (1,)) == {1: 3}
    with pytest.raises(StorageError, match="store check --repair"):
        blocks.flags(A, (1, 2))


def test_a_block_that_holds_nothing_is_dropped(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection)
    blocks.put(A, [Cell(uid, 1, 1, uid) for uid in range(1, WIDTH + 2)])
    blocks.save()
    assert rows(connection) == 2
    assert blocks.drop(A, range(1, WIDTH + 1)) == [1] * WIDTH
    blocks.save()
    assert rows(connection) == 1 and everything(connection, A) == [(WIDTH + 1, 1, 1, WIDTH + 1)]
    blocks.put(A, [Cell(WIDTH + 2, 0, 2, 9)])
    blocks.drop_all(A)
    blocks.save()
    assert rows(connection) == 0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_done_blocks_hold_what_a_table_would(connection: sqlite3.Connection, seed: int) -> None:
    chance = random.Random(seed)
    there: dict[int, Cell] = {}
    uidnext = 1
    for modseq in range(1, 30):
        blocks = Blocks(connection)
        new = [
            Cell(uid, chance.choice((0, 1, 1 << 62)), modseq, 1000 + uid)
            for uid in range(uidnext, uidnext + chance.randrange(90))
        ]
        uidnext += len(new) + chance.choice((0, 0, WIDTH))
        blocks.put(A, new)
        there |= {cell.uid: cell for cell in new}
        start = chance.randrange(uidnext)
        some = [uid for uid in range(start, uidnext) if chance.random() < 0.1 or seed % 2]
        uids = [uid for uid in some if uid > 0][: chance.choice((3, 500))]
        keep, put = chance.choice(((-1, 4), (~4, 0), (0, 8)))
        expected = [uid for uid in uids if uid in there and there[uid].flags & keep | put != there[uid].flags]
        changed: list[int] = []
        for block, present, places in blocks.parts(A, uids):
            assert [*present] == [uid for uid in uids if uid in there and 0 <= uid - block.first < WIDTH]
            assert [uid - block.first for uid in present] == [*places]
            differs, was, now = block.set_flags(places, FlagChange(keep, put), modseq)
            changed += compress(present, differs)
            assert [*was] == [there[uid].flags for uid in present] and [*now] == [value & keep | put for value in was]
        assert changed == expected
        there |= {uid: there[uid]._replace(flags=there[uid].flags & keep | put, modseq=modseq) for uid in expected}
        gone = [uid for uid in range(1, uidnext) if chance.random() < 0.02]
        assert blocks.drop(A, gone) == [there.pop(uid).flags for uid in gone if uid in there]
        blocks.save()
        assert everything(connection, A) == [there[uid] for uid in sorted(there)]


def test_a_mailbox_of_several_blocks(tmp_path: Path) -> None:
    account = stores.account(tmp_path)
    inbox = account.mailbox("INBOX").id
    account.apply([append(inbox, b"Subject: %d\r\n\r\n" % n) for n in range(2 * WIDTH + 9)])
    first, second = account.view(inbox), account.view(inbox)
    every = tuple(map(Uid, first.uids))
    (result,) = account.apply([SetFlags(inbox, every, "add", ("\\Seen", "$Junk"))])
    assert result.uids == every and account.mailbox("INBOX").unseen == 0
    (result,) = account.apply([SetFlags(inbox, every[::2], "replace", ("$Junk",), unchanged_since=first.mailbox.highest_modseq)])
    assert result.refused == every[::2] and result.uids == () and account.mailbox("INBOX").unseen == 0
    account.apply([Expunge(inbox, every[3 : WIDTH + 5])])
    account.rest()  # what is read anew is what was kept
    for view in (account.view(inbox), account.view(inbox)):
        assert list(view.uids) == [*every[:3], *every[WIDTH + 5 :]] and set(view.flags) == {1 | 1 << 8}
        assert set(view.modseqs) == {second.mailbox.highest_modseq + 1}
        assert [account.read(message) for message in view.messages] == [b"Subject: %d\r\n\r\n" % (uid - 1) for uid in view.uids]
    account.apply([Copy(inbox, every, account.mailbox("Trash").id), DeleteMailbox("Trash")])
    with account._index.reading() as connection:
        assert rows(connection) == 3
