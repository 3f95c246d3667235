"""What is kept is durable, kept once, and given back octet for octet; what was released or dropped does not come back."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId
from mailward.quarantine import Held, Quarantine
from support.faulty_disk import FaultyDisk

NOW = datetime(2026, 11, 3, tzinfo=UTC)
OCTETS = b"Subject: x\r\n\r\n\x00\xff body\r\n"


def _held(index: int = 0) -> Held:
    return Held(f"a1:{index}", QueueId("a1"), index, "bob@example.org", "rule infected", "2026-11-02T10:00:00.000Z", len(OCTETS))


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine", Disk())


def test_a_message_comes_back_octet_for_octet(quarantine: Quarantine) -> None:
    assert quarantine.add(_held(), OCTETS) is True
    assert quarantine.read("a1:0") == OCTETS
    assert quarantine.list() == (_held(),)


def test_a_delivery_done_again_changes_nothing(quarantine: Quarantine) -> None:
    quarantine.add(_held(), OCTETS)
    assert quarantine.add(_held(), b"other") is False
    assert quarantine.read("a1:0") == OCTETS


def test_recipients_of_one_message_are_kept_apart(quarantine: Quarantine) -> None:
    quarantine.add(_held(0), OCTETS)
    quarantine.add(_held(1), b"edited")
    assert quarantine.read("a1:1") == b"edited"
    assert len(quarantine.list()) == 2


def test_t_q_12_a_message_is_on_the_disk_once_however_many_it_is_kept_for(quarantine: Quarantine, tmp_path: Path) -> None:
    (tmp_path / "quarantine/a1-7.eml").write_bytes(b"left by a crash before the index took it")
    for index in range(50):
        assert quarantine.add(_held(index), OCTETS) is True
    files = {(path.stat().st_ino, path.stat().st_nlink) for path in (tmp_path / "quarantine").glob("*.eml")}
    assert [names for _, names in files] == [50]
    quarantine.end("a1:0", "released", NOW)
    quarantine.end("a1:49", "dropped", NOW)
    assert [quarantine.read(held.delivery_key) for held in quarantine.find(QueueId("a1"))] == [OCTETS] * 48
    for index in range(1, 49):
        quarantine.end(f"a1:{index}", "dropped", NOW)
    assert list((tmp_path / "quarantine").glob("*.eml")) == []


def test_what_differs_by_recipient_is_not_shared(quarantine: Quarantine) -> None:
    quarantine.add(_held(0), OCTETS)
    quarantine.add(_held(1), OCTETS[::-1])
    assert (quarantine.read("a1:0"), quarantine.read("a1:1")) == (OCTETS, OCTETS[::-1])


def test_where_a_file_can_have_no_second_name_each_recipient_has_one(tmp_path: Path) -> None:
    class OneName(Disk):
        def link(self, old: Path, new: Path) -> None:
            raise OSError(1, "Operation not permitted")

    quarantine = Quarantine(tmp_path / "quarantine", OneName())
    assert quarantine.add(_held(0), OCTETS) and quarantine.add(_held(1), OCTETS)
    quarantine.end("a1:0", "dropped", NOW)
    assert quarantine.read("a1:1") == OCTETS


def test_a_draft_left_by_a_crash_is_no_obstacle(quarantine: Quarantine, tmp_path: Path) -> None:
    (tmp_path / "quarantine/a1-0.eml.new").write_bytes(b"half")
    assert quarantine.add(_held(), OCTETS) is True
    assert quarantine.read("a1:0") == OCTETS


def test_an_unknown_key_is_an_error(quarantine: Quarantine) -> None:
    with pytest.raises(StorageError, match="nothing is in quarantine"):
        quarantine.read("none")


def test_t_q_04_a_failed_sync_keeps_nothing(tmp_path: Path) -> None:
    class NoSync(Disk):
        def sync(self, fd: int) -> None:
            raise OSError(5, "Input/output error")

    quarantine = Quarantine(tmp_path / "quarantine", NoSync())
    with pytest.raises(StorageError, match="Input/output error"):
        quarantine.add(_held(), OCTETS)
    assert quarantine.list() == ()


def test_what_the_disk_cannot_read_is_an_error_of_storage(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine", Disk())
    quarantine.add(_held(), OCTETS)
    failing = Quarantine(tmp_path / "quarantine", FaultyDisk(fail_at=1))
    with pytest.raises(StorageError, match="Input/output error"):
        failing.read("a1:0")


def test_t_priv_04_nobody_else_can_read_it(quarantine: Quarantine, tmp_path: Path) -> None:
    quarantine.add(_held(), OCTETS)
    folder = tmp_path / "quarantine"
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_all_that_a_release_needs_is_kept(quarantine: Quarantine) -> None:
    held = replace(
        _held(),
        route="relay",
        reverse_path="a@example.net",
        subject="x",
        infected=True,
        origin="submission",
        user="b",
        smtputf8=True,
    )
    quarantine.add(held, OCTETS)
    assert quarantine.list() == (held,)


def test_copies_are_found_by_id_recipient_and_time(quarantine: Quarantine) -> None:
    other = replace(_held(1), recipient="Ann@Example.org", held_at="2026-11-02T11:00:00.000Z")
    for held in (_held(0), other):
        quarantine.add(held, OCTETS)
    assert quarantine.find(QueueId("a1")) == (_held(0), other)
    assert quarantine.find(QueueId("a1"), 1) == (other,)
    assert quarantine.find(QueueId("a1"), 2) == quarantine.find(QueueId("b2")) == ()
    assert quarantine.list() == (other, _held(0))
    assert quarantine.list(recipient="ann@example.ORG") == (other,)
    assert quarantine.list(since=datetime(2026, 11, 2, 10, 30, tzinfo=UTC)) == (other,)


def test_t_q_10_what_has_ended_is_gone_and_a_delivery_made_again_does_not_bring_it_back(
    quarantine: Quarantine, tmp_path: Path
) -> None:
    quarantine.add(_held(), OCTETS)
    quarantine.end("a1:0", "released", NOW)
    assert quarantine.add(_held(), OCTETS) is False
    assert quarantine.list() == quarantine.find(QueueId("a1")) == ()
    assert not (tmp_path / "quarantine/a1-0.eml").exists()
    with pytest.raises(StorageError, match="nothing is in quarantine"):
        quarantine.read("a1:0")


def test_ends_are_forgotten_after_a_month_with_files_that_a_crash_left(quarantine: Quarantine, tmp_path: Path) -> None:
    for index in (0, 1):
        quarantine.add(_held(index), OCTETS)
    quarantine.end("a1:0", "dropped", NOW)
    (tmp_path / "quarantine/a1-0.eml").write_bytes(OCTETS)
    quarantine.end("a1:1", "dropped", datetime(2026, 12, 3, tzinfo=UTC))
    assert not list((tmp_path / "quarantine").glob("*.eml"))
    assert quarantine.add(_held(), OCTETS) is True


def test_the_first_word_on_where_a_release_leads_stands(quarantine: Quarantine) -> None:
    quarantine.add(_held(), OCTETS)
    assert quarantine.begin_release("a1:0", "mailbox ann") == "mailbox ann"
    assert quarantine.begin_release("a1:0", "mailbox bob") == "mailbox ann"
    with pytest.raises(StorageError, match="nothing is in quarantine"):
        quarantine.begin_release("none", "mailbox ann")


FORM_1 = """
CREATE TABLE held (
  delivery_key TEXT PRIMARY KEY, id TEXT NOT NULL, number INTEGER NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL,
  held_at TEXT NOT NULL, size_octets INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX held_by_time ON held (held_at);
INSERT INTO held VALUES ('a1:0', 'a1', 0, 'bob@example.org', 'rule infected', '2026-11-02T10:00:00.000Z', 22);
INSERT INTO held VALUES ('a2:0', 'a2', 0, 'bob@example.org', 'quarantine by limit', '2026-11-02T10:00:00.000Z', 22);
PRAGMA user_version = 1;
"""
"""What the release before wrote."""


def test_t_q_14_the_form_of_the_release_before_is_brought_up(tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.executescript(FORM_1)
    connection.close()
    (folder / "a1-0.eml").write_bytes(OCTETS)
    quarantine = Quarantine(folder, Disk())
    assert quarantine.read("a1:0") == OCTETS
    assert {held.delivery_key: (held.route, held.infected) for held in quarantine.list()} == {
        "a1:0": ("mailbox", True),
        "a2:0": ("mailbox", False),
    }
    assert (folder / "index.sqlite.form-1").exists()


FORM_2 = """
CREATE TABLE held (
  delivery_key TEXT PRIMARY KEY, id TEXT NOT NULL, number INTEGER NOT NULL, recipient TEXT NOT NULL, reason TEXT NOT NULL,
  held_at TEXT NOT NULL, size_octets INTEGER NOT NULL, route TEXT NOT NULL DEFAULT 'mailbox',
  reverse_path TEXT NOT NULL DEFAULT '', subject TEXT NOT NULL DEFAULT '', infected INTEGER NOT NULL DEFAULT 0,
  origin TEXT NOT NULL DEFAULT 'inbound', user TEXT NOT NULL DEFAULT '', smtputf8 INTEGER NOT NULL DEFAULT 0,
  releasing TEXT NOT NULL DEFAULT '', ended TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX held_by_time ON held (held_at);
INSERT INTO held (delivery_key, id, number, recipient, reason, held_at, size_octets)
  VALUES ('a1:1', 'a1', 1, 'bob@example.org', 'rule infected', '2026-11-02T10:00:00.000Z', 22);
PRAGMA user_version = 2;
"""


def test_t_q_14_an_entry_of_form_2_is_read_and_new_ones_stand_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.executescript(FORM_2)
    (folder / "a1-1.eml").write_bytes(OCTETS)
    quarantine = Quarantine(folder, Disk())
    assert quarantine.find(QueueId("a1"), 1) == (replace(_held(1), size_octets=22),)
    assert quarantine.read("a1:1") == OCTETS
    assert (folder / "index.sqlite.form-2").exists()
    quarantine.add(replace(_held(7), require_tls=True), OCTETS)
    assert [held.require_tls for held in quarantine.find(QueueId("a1"))] == [False, True]
    rows = connection.execute("SELECT delivery_key, number FROM held ORDER BY number").fetchall()
    assert rows == [("a1:1", 1), ("a1:7", 7)] and (folder / "a1-7.eml").exists()
    connection.close()


def test_t_q_14_an_entry_of_form_3_is_one_of_a_sender_who_asked_for_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.executescript(FORM_2)
    connection.executescript(
        "ALTER TABLE held ADD COLUMN require_tls INTEGER NOT NULL DEFAULT 0; UPDATE held SET require_tls = 1; PRAGMA user_version = 3;"
    )
    quarantine = Quarantine(folder, Disk())
    assert quarantine.find(QueueId("a1"), 1) == (replace(_held(1), size_octets=22, require_tls=True),)
    assert (folder / "index.sqlite.form-3").exists()
    asked = replace(
        _held(7), ret="FULL", notify="SUCCESS,DELAY", original_recipient="rfc822;x@y", by_mode="N", priority=-9, by_trace=True
    )
    quarantine.add(asked, OCTETS)
    assert quarantine.find(QueueId("a1"), 7) == (asked,)
    connection.close()
