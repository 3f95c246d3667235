"""Accounts of earlier releases are brought to the present form, with all their mail."""

import os
import shutil
import sqlite3
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from mailward.model.ids import QueueId, Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.base import Delivered, EntryColumn, Place
from support.faults import library
from support.storecheck import assert_whole
from support.stores import ALICE, account, append

ROOT = Path(__file__).parents[2]
OF_FORM_2 = Path(__file__).parent / "store-2"
"""Written by the release before threads: 1, a reply to it that was moved to Trash, one without Message-ID, a reply to the reply;
a copy of 1 is in Archive."""

ENTRY: tuple[EntryColumn, ...] = ("email", "saved_at", "pop3_uidl")


TO_FORM_1 = "ALTER TABLE delivery DROP COLUMN message; PRAGMA user_version = 1;"


def lay(folder: Path, *, then: str = "", damaged: bytes = b"") -> None:
    """The account of form 2. then: what makes its database older still. damaged: octets of a pack."""
    shutil.copytree(OF_FORM_2 / "packs", folder / ALICE / "packs")
    (pack,) = (folder / ALICE / "packs").iterdir()
    pack.write_bytes(pack.read_bytes().replace(damaged, damaged.upper()))
    with sqlite3.connect(folder / ALICE / "index.sqlite") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((OF_FORM_2 / "index.sql").read_text() + then)
    connection.close()


def place(folder: Path, *, then: str = "", damaged: bytes = b"") -> EmbeddedAccount:
    """The same, opened by this release."""
    lay(folder, then=then, damaged=damaged)
    return account(folder)


def test_t_q_14_an_account_of_form_2_is_brought_up(tmp_path: Path) -> None:
    store = place(tmp_path)
    assert (tmp_path / ALICE / "index.sqlite.form-2").exists()
    assert_whole(store)
    inbox, trash, archive = (store.mailbox(name).id for name in ("INBOX", "Trash", "Archive"))
    assert list(store.entry_meta(inbox, (1, 3, 4), ENTRY)) == [
        (1, 1770026401, None),
        (2, 1770026403, None),
        (3, 1770026404, None),
    ]
    assert list(store.entry_meta(archive, (1,), ENTRY)) == [(4, 1770026401, None)]
    assert list(store.entry_meta(trash, (1,), ENTRY)) == [(5, 1770026402, None)]
    found = list(store.meta((1, 2, 3, 4), ("preview", "thread")))
    assert found == [("hello 1", 1), ("hello 2", 1), ("hello 3", 2), ("hello 4", 1)]
    ids = [array("Q", octets) for (octets,) in store.meta((1, 2, 3, 4), ("ids",)) if isinstance(octets, bytes)]
    assert (ids[1][1], ids[3][1]) == (ids[0][0], ids[1][0]) and list(map(len, ids)) == [1, 2, 1, 2]
    (result,) = store.apply([append(inbox, b"References: <9@example.net>\r\n <4@example.net>\r\n\r\nnew\r\n")])
    (number,) = store.view(inbox).messages[-1:]
    assert list(store.meta((number,), ("thread",))) == [(1,)]
    assert [row[0] for row in store.entry_meta(inbox, result.uids, ENTRY) if row] == [6]


def test_t_q_14_an_upgraded_account_is_as_a_new_one(tmp_path: Path) -> None:
    def shape(folder: Path) -> list[tuple[str, list[tuple[object, ...]]]]:
        with sqlite3.connect(folder / ALICE / "index.sqlite") as connection:
            tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
            return [(name, connection.execute(f"PRAGMA table_xinfo({name})").fetchall()) for (name,) in tables]

    place(tmp_path / "old").rest()
    account(tmp_path / "new").rest()
    assert shape(tmp_path / "old") == shape(tmp_path / "new")


def test_t_q_14_a_message_that_cannot_be_read_keeps_what_was_made_of_it(tmp_path: Path) -> None:
    store = place(tmp_path, damaged=b"hello 2")
    assert list(store.meta((1, 2, 3), ("preview", "subject_key"))) == [("hello 1", "OLD 1"), ("", "old 2"), ("hello 3", "OLD 3")]
    assert len({thread for (thread,) in store.meta((1, 2, 3), ("thread",))}) == 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize("then", ["", TO_FORM_1], ids=["form 2", "form 1"])
def test_t_q_14_an_upgrade_killed_at_any_file_call_is_done_by_the_next(tmp_path: Path, then: str) -> None:
    lay(tmp_path / "old", then=then)
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    done = subprocess.run(
        [sys.executable, "-m", "support.upgrade_kills", str(tmp_path / "old" / ALICE), str(tmp_path / "new")],
        env={**os.environ, "PYTHONPATH": path, "LD_PRELOAD": str(library())}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    assert int(done.stdout) > 80, "so many calls there are at least"


def test_what_was_delivered_before_form_2_is_found_where_it_had_not_been_moved(tmp_path: Path) -> None:
    store = place(tmp_path, then=TO_FORM_1)
    inbox = store.mailbox("INBOX").id
    assert store.delivered(QueueId("q1"))[0].places[0] == Place(inbox, Uid(1), ("\\Seen",))
    assert store.delivered(QueueId("q2")) == (Delivered("q2:0", 0, ()),)
    (result,) = store.apply([append(inbox, b"Subject: again\r\n\r\n", "q2:0")])
    assert result.duplicate
