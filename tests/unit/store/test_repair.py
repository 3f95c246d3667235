"""A store that lost its database, or has wrong bits in it or in its packs, is found out and mended; nothing is deleted."""

import random
import sqlite3
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId, MailboxId, QueueId, Uid
from mailward.store import annotations
from mailward.store.account import EmbeddedAccount
from mailward.store.base import Column
from mailward.store.blocks import PER_MAILBOX
from mailward.store.ops import (
    SERVER,
    ActivateScript,
    Copy,
    CreateMailbox,
    Expunge,
    PutScript,
    RenameMailbox,
    SetAnnotations,
    SetFlags,
    SetRights,
)
from mailward.store.repair import Report, check_account
from support.storecheck import COLUMNS, assert_whole, flag_names, message
from support.stores import ALICE, account, append, embedded

BOB = AccountId("bob")
LATER_S = 1_900_000_000
ALL: tuple[Column, ...] = (*COLUMNS, "bodystructure", "body", "sent_date", "from_key", "to_key", "common_fields")


def filled(folder: Path) -> EmbeddedAccount:
    """A store of some age: copies, moves, expunged mail, keywords, a script, mailboxes made and renamed."""
    store = embedded(folder)
    alice = store.open(ALICE)
    alice.apply([CreateMailbox("Work/Räksmörgås"), PutScript("mine", b"keep;"), ActivateScript("mine")])
    inbox, trash, work = (alice.mailbox(name).id for name in ("INBOX", "Trash", "Work/Räksmörgås"))
    for number in range(60):
        alice.apply([append(inbox, message(number), f"q{number}:0", ("\\Seen", "$Junk") if number % 3 else ())])
    alice.apply([append(work, b"Subject: large\r\n\r\n" + b"z" * 300_000, None, ("\\Flagged",))])
    alice.apply([Copy(inbox, tuple(map(Uid, range(1, 9))), work), Copy(inbox, (Uid(9), Uid(10)), trash, move=True)])
    alice.apply([SetFlags(inbox, (Uid(20), Uid(21)), "add", ("\\Deleted",)), Expunge(inbox, (Uid(20),))])
    alice.apply([RenameMailbox("Work", "Projects")])
    store.close()
    return alice


def state(store: EmbeddedAccount) -> object:
    """All that the store says of its mail."""
    boxes = []
    for info in store.mailboxes():
        view = store.view(info.id)
        entries = [*zip(view.uids, [flag_names(f, view.keywords) for f in view.flags], view.modseqs, strict=True)]
        texts = [bytes(store.octets(number)) for number in view.messages]
        boxes.append((info, entries, texts, [*store.meta(view.messages, ALL)], store.delta(info.id, 5)))
    return boxes, store.grants(), store.scripts(), store.delivered(QueueId("q3"))


def check(folder: Path, *, repair: bool = False) -> Report:
    return check_account(folder / ALICE, Disk(), LATER_S, repair=repair)


def scribble_in(index: Path, table: str) -> None:
    """Into the root page of a table, or of an index."""
    with sqlite3.connect(index) as connection:
        page, size = connection.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
    octets = bytearray(index.read_bytes())
    octets[page * size - 40 : page * size] = b"\x55" * 40
    index.write_bytes(octets)


def test_a_sound_store_has_no_problems(tmp_path: Path) -> None:
    before = state(filled(tmp_path))
    assert check(tmp_path) == check(tmp_path, repair=True) == Report(())
    assert state(account(tmp_path)) == before
    assert check_account(tmp_path / "nobody", Disk(), LATER_S, repair=True) == Report(())


def lose(index: Path) -> None:
    index.unlink()


def scribble(index: Path) -> None:
    index.write_bytes(b"x" * 4096 + index.read_bytes()[4096:])


def halve(index: Path) -> None:
    index.write_bytes(index.read_bytes()[: index.stat().st_size // 8 * 4 // 4096 * 4096])


@pytest.mark.parametrize("damage", [lose, scribble, halve])
def test_t_q_13_a_lost_database_is_made_from_the_packs(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = filled(tmp_path)
    before = {info.name: info for info in store.mailboxes()}
    store.rest()
    damage(tmp_path / ALICE / "index.sqlite")
    if damage is lose:
        with pytest.raises(StorageError, match="store check --repair"):
            account(tmp_path)
    report = check(tmp_path)
    assert report.problems == report.left and not report.done
    report = check(tmp_path, repair=True)
    assert report.problems and not report.left
    assert check(tmp_path) == Report(())
    again = account(tmp_path)
    assert_whole(again)
    inbox, work = again.mailbox("INBOX"), again.mailbox("Work/Räksmörgås")
    assert (inbox.exists, inbox.unseen, work.exists) == (60, 20, 1)  # what was moved or expunged is where it came first
    assert min(info.uidvalidity for info in again.mailboxes()) > max(info.uidvalidity for info in before.values())
    assert min(info.highest_modseq for info in again.mailboxes()) > max(info.highest_modseq for info in before.values())
    view = again.view(inbox.id)
    assert [again.read(number) for number in view.messages] == [message(number) for number in range(60)]
    assert flag_names(view.flags[1], view.keywords) == {"\\Seen", "$Junk"}
    if damage is not lose:
        assert (tmp_path / ALICE / f"index.sqlite.damaged-{LATER_S}").exists()
    again.apply([append(inbox.id, message(99))])
    assert check(tmp_path) == Report(())


def test_t_q_13_a_broken_index_leaves_uids_and_flags_as_they_were(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before = state(store)
    store.rest()
    scribble_in(tmp_path / ALICE / "index.sqlite", "entry_by_message")
    report = check(tmp_path, repair=True)
    assert report.problems and report.done[0].startswith("every row") and not report.left
    assert state(account(tmp_path)) == before


def test_t_q_13_what_is_noted_about_mailboxes_is_known_when_they_were_made_from_the_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    store.apply([SetAnnotations(store.mailbox("INBOX").id, (("/private/comment", b"mine"),))])
    store.apply([SetAnnotations(SERVER, (("/private/a", b"1"),)), SetAnnotations(MailboxId(7), (("/private/b", b"2"),), BOB)])
    monkeypatch.setattr(annotations, "MAX_PRIVATE", 2)  # of a release that allowed more
    store.rest()
    scribble_in(tmp_path / ALICE / "index.sqlite", "entry")
    assert not check(tmp_path, repair=True).left
    again = account(tmp_path)
    assert again.annotations(again.mailbox("INBOX").id) == {"/private/comment": b"mine"}
    assert again.annotations(SERVER) == {"/private/a": b"1"} and again.annotations(MailboxId(7), BOB) == {"/private/b": b"2"}


def test_t_q_13_who_shares_a_mailbox_shares_it_when_it_was_made_from_the_packs(tmp_path: Path) -> None:
    store = filled(tmp_path)
    rights = {"INBOX": "lrs", "Projects/Räksmörgås": "lr", "Archive": "l"}
    store.apply([SetRights(store.mailbox(name).id, "account:bob", "add", letters) for name, letters in rights.items()])
    store.rest()
    scribble_in(tmp_path / ALICE / "index.sqlite", "entry")
    report = check(tmp_path, repair=True)
    assert not report.left
    assert [line.split(",")[0] for line in report.done if "shared" in line] == [
        "mailbox Archive is shared as it was",
        "mailbox INBOX is shared as it was",
    ]
    stores = embedded(tmp_path)
    again = stores.open(ALICE)
    names = {info.id: info.name for info in again.mailboxes()}
    assert {names[mailbox]: some for mailbox, some in again.grants().items()} == {
        "INBOX": {"account:bob": "lrs"},
        "Archive": {"account:bob": "l"},
    }
    assert stores.sharing_with(["account:bob"]) == (ALICE,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mailbox SET n_unseen = n_unseen + 1",
        "UPDATE mailbox SET size_octets = 0",
        "UPDATE pack SET messages = 3",
        "UPDATE message SET envelope = x'00' WHERE id = 7",
        "UPDATE message SET internal_date = 5 WHERE id = 8",
        "UPDATE header SET headers = x'00' WHERE message = 9",
        "DELETE FROM header WHERE message = 9",
        "DELETE FROM common_field WHERE message = 9",
        "UPDATE common_field SET message_octets = 0 WHERE message = 9",
        "DELETE FROM expunged",
        "UPDATE expunged SET mailbox = 99",
        "INSERT INTO expunged VALUES (999, 1, 1, 0, 1)",
        "INSERT INTO mailbox_grant VALUES (99, 'account:b', 'lr')",
        "INSERT INTO mailbox_grant VALUES (1, 'account:b', 'lq')",
        "INSERT INTO annotation VALUES ('', 99, '/private/a', x'00')",
        "UPDATE block SET messages = zeroblob(9)",
        "UPDATE block SET messages = x'00'",
    ],
)
def test_what_can_be_worked_out_anew_is_mended(tmp_path: Path, statement: str) -> None:
    store = filled(tmp_path)
    before = state(store)
    store.rest()
    with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
        connection.execute(statement)
    assert check(tmp_path).problems
    report = check(tmp_path, repair=True)
    assert report.problems and report.done and not report.left
    assert state(account(tmp_path)) == before


DAMAGED_ROWS = (
    "uids = x'010203' WHERE gone = 0",
    "uids = x'0900000002000000' WHERE gone = 0",  # from 9 to 2
    "uids = x'0100000000093d00' WHERE gone = 0 AND modseq = 9",  # of four million messages, which there may be
    "uids = x'010203' WHERE gone = 1",
    "uids = x'', added_modseqs = x'' WHERE gone = 1",
    "added_modseqs = x'01' WHERE gone = 1",
    "gone = 2, uids = x'01' WHERE gone = 1",
)


@pytest.mark.parametrize("damage", DAMAGED_ROWS)
def test_t_q_13_a_damaged_log_hides_no_change_and_is_mended(tmp_path: Path, damage: str) -> None:
    store = filled(tmp_path)
    infos = store.mailboxes()
    wanted = {(info.id, since): store.delta(info.id, since) for info in infos for since in range(1, info.highest_modseq)}
    store.rest()
    with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
        connection.execute(f"UPDATE change SET {damage}")

    def assert_same(again: EmbeddedAccount) -> None:
        for (mailbox, since), delta in wanted.items():
            found = again.delta(mailbox, since)
            here = set(again.view(mailbox).uids)
            assert [*zip(found.uids, found.flags, found.modseqs, strict=True)] == [
                *zip(delta.uids, delta.flags, delta.modseqs, strict=True)
            ]
            told = {*found.gone, *found.passed, *(uid for first, last in found.long_gone for uid in range(first, last + 1))}
            assert told >= {*delta.gone, *delta.passed} and not told & here
        assert_whole(again)

    account(tmp_path).rest()
    again = account(tmp_path)
    assert_same(again)
    again.rest()
    if "093d00" not in damage:
        assert any("the log at MODSEQ" in problem for problem in check(tmp_path).problems)
        report = check(tmp_path, repair=True)
        assert report.done and not report.left
    assert check(tmp_path) == Report(())
    assert_same(account(tmp_path))


def test_t_dos_06_a_check_takes_no_memory_that_a_client_can_make_as_much_as_it_likes(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, b"x")] * 2000)
    for number in range(50):
        store.apply([SetFlags(inbox, tuple(map(Uid, range(1, 2001))), ("add", "remove")[number % 2], ("\\Flagged",))])
    store.rest()
    tracemalloc.start()
    try:
        assert check(tmp_path) == Report(())
        assert tracemalloc.get_traced_memory()[1] < 5_000_000, "a tuple for each UID of each row would be 10 MB"
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("column", ["flags", "modseqs"])
def test_t_q_13_where_flags_cannot_be_read_the_messages_stay_with_their_uids(tmp_path: Path, column: str) -> None:
    store = filled(tmp_path)
    uids = {info.name: list(store.view(info.id).uids) for info in store.mailboxes()}
    inbox = store.mailbox("INBOX").id
    store.rest()
    with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
        connection.execute(f"UPDATE block SET {column} = x'0102' WHERE id / {PER_MAILBOX} = {inbox}")
    with pytest.raises(StorageError, match="store check --repair"):
        account(tmp_path).view(inbox)
    report = check(tmp_path, repair=True)
    assert "cannot be read: 1" in report.problems[0] and report.done and not report.left
    again = account(tmp_path)
    assert {info.name: list(again.view(info.id).uids) for info in again.mailboxes()} == uids
    assert not any(again.view(inbox).flags) and any(again.view(again.mailbox("Trash").id).flags)
    assert_whole(again)


def test_t_q_13_a_flipped_bit_of_a_record_is_found_wherever_it_is(tmp_path: Path) -> None:
    filled(tmp_path).rest()
    pack = tmp_path / ALICE / "packs" / "00000001.pack"
    octets = pack.read_bytes()
    end = octets.index(b"Subject: large")
    places = [*random.Random(13).sample(range(end), 100), *random.Random(14).sample(range(end, len(octets) - 10), 10)]
    large = octets.rindex(b"\x8cMWP")
    in_gap = range(len(octets[:large].rstrip(b"\0")), large)
    for place in places:
        if place in in_gap:
            continue
        pack.write_bytes(octets[:place] + bytes([octets[place] ^ 1 << place % 8]) + octets[place + 1 :])
        assert check(tmp_path).problems, place
    pack.write_bytes(octets)
    assert check(tmp_path) == Report(())


def test_t_q_13_a_flipped_bit_of_a_page_is_found_or_changes_no_mail(tmp_path: Path) -> None:
    """Four in each page. (Decision 0044 says which few values nothing else tells of.)"""
    store = filled(tmp_path)
    before = state(store)
    store.rest()
    index = tmp_path / ALICE / "index.sqlite"
    octets = index.read_bytes()
    randomness = random.Random(13)
    found = 0
    for page in range(0, len(octets), 1024):
        place = page + randomness.randrange(1024)
        index.write_bytes(octets[:place] + bytes([octets[place] ^ 1 << randomness.randrange(8)]) + octets[place + 1 :])
        for companion in ("-wal", "-shm"):
            index.with_name(index.name + companion).unlink(missing_ok=True)
        if check(tmp_path).problems:
            found += 1
        else:
            assert state(account(tmp_path)) == before, place
    assert found > 30
