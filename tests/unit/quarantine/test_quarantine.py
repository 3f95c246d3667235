"""What is kept is durable, kept once, and given back octet for octet; what was released or dropped does not come back."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held, Quarantine
from mailward.quarantine.schema import UPGRADES
from support.faulty_disk import FaultyDisk

NOW = datetime(2026, 11, 3, tzinfo=UTC)
AT = "2026-11-02T10:00:00.000Z"
OCTETS = b"Subject: x\r\n\r\n\x00\xff body\r\n"


def _held(index: int = 0) -> Held:
    return Held(f"a1:{index}", QueueId("a1"), index, "bob@example.org", "rule infected", AT, len(OCTETS), kept_at=AT)


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


@pytest.mark.parametrize(
    ("asked", "names", "judged_as"),
    [
        ("", {"bob@example.org", "eve@example.org"}, "bob@example.org"),  # ORCPT is what the client wrote
        ("team@example.org", {"team@example.org", "eve@example.org"}, "team@example.org"),
        ("", {"eve@example.org"}, "eve@example.org"),  # kept before `asked` was
        ("", set(), "bob@example.org"),
    ],
)
def test_what_a_client_says_of_the_original_recipient_is_not_who_was_judged(asked: str, names: set[str], judged_as: str) -> None:
    held = replace(_held(), asked=asked, original_recipient="rfc822;eve@example.org")
    assert held.judged_as(names) == judged_as


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
    quarantine.end("a1:0", how="released", now=NOW)
    quarantine.end("a1:49", how="dropped", now=NOW)
    assert [quarantine.read(held.delivery_key) for held in quarantine.find(QueueId("a1"))] == [OCTETS] * 48
    for index in range(1, 49):
        quarantine.end(f"a1:{index}", how="dropped", now=NOW)
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
    quarantine.end("a1:0", how="dropped", now=NOW)
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
    quarantine.end("a1:0", how="released", now=NOW)
    assert quarantine.add(_held(), OCTETS) is False
    assert quarantine.list() == quarantine.find(QueueId("a1")) == ()
    assert not (tmp_path / "quarantine/a1-0.eml").exists()
    with pytest.raises(StorageError, match="nothing is in quarantine"):
        quarantine.read("a1:0")


def test_ends_are_forgotten_after_a_month_with_files_that_a_crash_left(quarantine: Quarantine, tmp_path: Path) -> None:
    for index in (0, 1):
        quarantine.add(_held(index), OCTETS)
    quarantine.end("a1:0", how="dropped", now=NOW)
    (tmp_path / "quarantine/a1-0.eml").write_bytes(OCTETS)
    quarantine.end("a1:1", how="dropped", now=datetime(2026, 12, 3, tzinfo=UTC))
    assert not list((tmp_path / "quarantine").glob("*.eml"))
    assert quarantine.add(_held(), OCTETS) is True


def test_no_release_begins_of_what_has_ended_and_what_is_being_released_does_not_expire(quarantine: Quarantine) -> None:
    for index in (0, 1):
        quarantine.add(_held(index), OCTETS)
    quarantine.begin_release("a1:0", "relay b2")
    assert quarantine.oldest(NOW, 9) == (_held(1),)
    quarantine.end("a1:0", how="released", now=NOW)
    with pytest.raises(StorageError, match="nothing is in quarantine"):
        quarantine.begin_release("a1:0", "relay c3")
    assert [quarantine.led_to(key) for key in ("a1:0", "a1:1", "none")] == ["relay b2", "", ""]


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


def test_t_q_14_of_an_entry_of_form_5_nobody_knows_whose_it_is_or_what_decided(tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.executescript(FORM_2)
    connection.executescript("; ".join(UPGRADES[form] for form in (2, 3, 4)) + "; PRAGMA user_version = 5")
    (folder / "a1-1.eml").write_bytes(OCTETS)
    quarantine = Quarantine(folder, Disk())
    (old,) = quarantine.list(recipient="bob@example.org")
    assert (old.account, old.author, old.verdict, old.cause) == ("", "", "", "")
    assert (folder / "index.sqlite.form-5").exists()
    assert quarantine.add(replace(_held(7), account="b0b", verdict="quarantine", cause="limits"), OCTETS)
    assert [held.index for held in quarantine.list(account=AccountId("b0b"))] == [7]
    assert [row for row in connection.execute("SELECT number, arrival FROM held ORDER BY number")] == [(1, 0), (7, 1)]
    connection.close()


def test_t_q_14_of_an_entry_of_form_6_nobody_knows_all_that_it_was_kept_by(tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    folder.mkdir(mode=0o700)
    with sqlite3.connect(folder / "index.sqlite") as connection:
        connection.executescript(FORM_2)
        connection.executescript("; ".join(UPGRADES[form] for form in (2, 3, 4, 5)))
        connection.executescript("UPDATE held SET cause = 'rule:odd'; PRAGMA user_version = 6")
    quarantine = Quarantine(folder, Disk())
    (old,) = quarantine.list(cause="rule:odd")
    assert (old.grounds, old.kept_at) == ("", old.held_at) and (folder / "index.sqlite.form-6").exists()


def _some(quarantine: Quarantine, count: int) -> list[Held]:
    """Of three causes, for two accounts, many of one moment; the newest first."""
    made = [
        replace(
            _held(),
            delivery_key=f"m{number}:0",
            id=QueueId(f"m{number}"),
            held_at=f"2026-11-02T10:{number // 10:02}:00.000Z",
            kept_at=f"2026-11-02T10:{number // 10:02}:00.000Z",
            account="b0b" if number % 2 else "a11",
            cause=("limits", "rule:odd", "rule:other")[number % 3],
        )
        for number in range(count)
    ]
    for held in made:
        quarantine.add(held, OCTETS)
    return sorted(made, key=lambda held: (held.held_at, held.delivery_key), reverse=True)


def test_t_dos_18_pages_follow_each_other_by_key_though_entries_go_and_come_between(quarantine: Quarantine) -> None:
    made = _some(quarantine, 45)
    seen: list[Held] = []
    while page := quarantine.list(after=seen[-1].delivery_key if seen else None, limit=7):
        seen += page
        quarantine.end(page[-1].delivery_key, how="dropped", now=NOW)  # where the next page begins
        quarantine.add(replace(_held(len(seen)), held_at="2026-11-02T23:00:00.000Z"), OCTETS)
    assert seen == made


def test_pages_of_one_account_and_one_cause_hold_nothing_else(quarantine: Quarantine) -> None:
    made = [held for held in _some(quarantine, 60) if held.account == "b0b" and held.cause == "rule:odd"]
    bob = AccountId("b0b")
    first = quarantine.list(account=bob, cause="rule:odd", limit=4)
    rest = quarantine.list(account=bob, cause="rule:odd", after=first[-1].delivery_key)
    assert [*first, *rest] == made and len(made) == 10
    assert quarantine.knows(first[-1].delivery_key) and not quarantine.knows("none")


@pytest.mark.parametrize("asked", [{}, {"recipient": "b@c"}, {"account": "b0b"}, {"cause": "limits"}, {"since": NOW}])
def test_t_dos_18_a_page_is_read_in_the_order_of_an_index_and_nothing_is_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    quarantine = Quarantine(tmp_path / "quarantine", Disk())
    _some(quarantine, 3)
    said: list[str] = []
    with sqlite3.connect(tmp_path / "quarantine/index.sqlite") as connection:
        select = Quarantine._select

        def explained(self: Quarantine, clause: str, *values: str | int) -> tuple[Held, ...]:
            rows = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM held WHERE {clause}", values).fetchall()
            said.extend(row[3] for row in rows)
            return select(self, clause, *values)

        monkeypatch.setattr(Quarantine, "_select", explained)
        quarantine.list(after="m1:0", limit=2, **asked)
    assert "USING INDEX held_by_" in said[0] and "(" in said[0], said
    assert not any("TEMP B-TREE" in line for line in said)


def test_the_oldest_come_first_to_be_dropped(quarantine: Quarantine) -> None:
    made = _some(quarantine, 30)
    found = quarantine.oldest(datetime(2026, 11, 2, 10, 2, tzinfo=UTC), 15)
    assert list(found) == made[::-1][:15]
    assert quarantine.oldest(datetime(2026, 11, 2, 10, tzinfo=UTC), 15) == ()


def test_what_came_late_is_dropped_by_when_it_came_and_remembered_since(quarantine: Quarantine) -> None:
    late = replace(_held(), held_at="2026-06-01T10:00:00.000Z")
    quarantine.add(late, OCTETS)
    assert quarantine.oldest(datetime(2026, 11, 1, tzinfo=UTC), 10) == ()
    assert quarantine.oldest(NOW, 10) == (late,)
    quarantine.end("a1:0", how="dropped", now=NOW)
    assert quarantine.add(late, OCTETS) is False
