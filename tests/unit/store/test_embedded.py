"""The embedded store by example: names, UIDVALIDITY, modes, damage, newer files, grace periods."""

import os
import sqlite3
import stat
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailward.disk import Disk
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import AccountId, MailboxId, QueueId, Uid
from mailward.store import annotations, changelog, past_names, tidy, views
from mailward.store.base import EXPUNGED_KEPT_S, AccountStore, Delivered, Place
from mailward.store.blocks import Blocks
from mailward.store.embedded import EmbeddedStore
from mailward.store.flags import SEEN
from mailward.store.mailboxes import DEFAULT_MAILBOXES
from mailward.store.ops import (
    Copy,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    RenameMailbox,
    Renumber,
    SetAnnotations,
    SetFlags,
    Subscribe,
)
from mailward.store.packs import HEADER_OCTETS
from mailward.store.refusals import MailboxExists, NoSuchMailbox, NotPermitted, SpecialUseRefused, TooManyAnnotations
from mailward.store.repair import check_account
from support.storecheck import NOW_S, message
from support.stores import ALICE, NoHints, account, append, embedded


def test_a_new_account_has_the_default_mailboxes(tmp_path: Path) -> None:
    infos = account(tmp_path).mailboxes()
    assert [(info.name, info.special_use) for info in infos] == [
        ("INBOX", ""),
        ("Archive", "\\Archive"),
        ("Drafts", "\\Drafts"),
        ("Junk", "\\Junk"),
        ("Sent", "\\Sent"),
        ("Trash", "\\Trash"),
    ]
    assert all(info.subscribed and info.highest_modseq >= 1 and info.uidnext == 1 for info in infos)


def test_inbox_is_found_in_any_case(tmp_path: Path) -> None:
    store = account(tmp_path)
    assert store.mailbox("inBox") == store.mailbox("INBOX")
    with pytest.raises(MailboxExists):
        store.apply([CreateMailbox("Inbox")])


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a\0b", "a\nb", "a*", "a%", "x" * 300, "/".join("a" * 40)])
def test_impossible_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotPermitted):
        account(tmp_path).apply([CreateMailbox(name)])


def test_names_are_kept_in_nfc(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("Ra\u0308ksmo\u0308rga\u030as")])
    assert store.mailbox("R\u00e4ksm\u00f6rg\u00e5s").name == "R\u00e4ksm\u00f6rg\u00e5s"


@pytest.mark.parametrize("bad", ["../x", "a/b", "", ".", "A", "x" * 65, "a\0"])
def test_an_account_id_cannot_leave_the_folder(tmp_path: Path, bad: str) -> None:
    with pytest.raises(LocalError):
        embedded(tmp_path).open(AccountId(bad))


def test_t_imap_16_uidvalidity_rises_when_a_deleted_mailbox_is_made_again_and_the_clock_goes_back(tmp_path: Path) -> None:
    store = account(tmp_path, now_s=1_800_000_000.0)
    first = store.apply([CreateMailbox("a")])[0].uidvalidity
    store.apply([DeleteMailbox("a")])
    later = account(tmp_path, now_s=1_000_000_000.0)
    assert later.apply([CreateMailbox("a")])[0].uidvalidity > first


def test_t_imap_16_uidvalidity_rises_when_an_older_mailbox_is_renamed_over_a_deleted_name(tmp_path: Path) -> None:
    store = account(tmp_path)
    old = store.apply([CreateMailbox("old")])[0].uidvalidity
    young = store.apply([CreateMailbox("young")])[0].uidvalidity
    store.apply([DeleteMailbox("young")])
    assert old < young
    store.apply([RenameMailbox("old", "young")])
    assert store.mailbox("young").uidvalidity > young


def test_t_dos_05_names_of_long_ago_are_forgotten_and_no_uidvalidity_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_names, "MAX_PAST_NAMES", 20)
    store = account(tmp_path)
    old = store.apply([CreateMailbox("old"), CreateMailbox("arrived")])[0].uidvalidity
    had: dict[str, int] = {}
    for n in range(60):
        (made,) = store.apply([CreateMailbox(f"n{n}")])
        store.apply([RenameMailbox(f"n{n}", f"m{n}"), DeleteMailbox(f"m{n}")])
        had[f"n{n}"] = had[f"m{n}"] = made.uidvalidity
        with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
            assert connection.execute("SELECT count(*) FROM past_name").fetchone()[0] <= 20
    store.apply([RenameMailbox("old", "n0")])
    assert store.mailbox("n0").uidvalidity > had["n0"] > old
    with pytest.raises(NotPermitted):
        store.apply([Renumber(store.mailbox("arrived").id, had["m1"]), RenameMailbox("arrived", "m1")])
    for name in reversed(had):
        if name != "n0":
            store.apply([RenameMailbox("arrived", name)])
            assert store.mailbox(name).uidvalidity > had[name]
            store.apply([RenameMailbox(name, "arrived")])


@pytest.mark.parametrize("above", ["d" * 200 + "/" + "e" * 200, "/".join("abcdefghijklmnopqrs")])
def test_t_imap_13_14_a_rename_is_refused_that_gives_a_mailbox_below_an_impossible_name(tmp_path: Path, above: str) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("Work/" + "c" * 120 + "/x")])
    names = [info.name for info in store.mailboxes()]
    with pytest.raises(NotPermitted):
        store.apply([RenameMailbox("Work", above)])
    assert [info.name for info in store.mailboxes()] == names
    store.apply([RenameMailbox("Work", "Play")])
    assert store.mailbox("Play/" + "c" * 120 + "/x")


def test_t_imap_16_uids_are_not_reused_after_all_messages_are_gone(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    (first,) = store.apply([append(inbox, message(1))])
    store.apply([Expunge(inbox, (Uid(first.uids[0]),))])
    (second,) = account(tmp_path).apply([append(inbox, message(2))])
    assert second.uids[0] > first.uids[0]


def names_in(store: AccountStore) -> set[str]:
    return {info.name for info in store.mailboxes()} - {name for name, _ in DEFAULT_MAILBOXES}


def test_what_is_below_a_deleted_mailbox_stays_and_so_does_the_level(tmp_path: Path) -> None:
    """RFC 3501 section 6.3.4."""
    store = account(tmp_path)
    store.apply([CreateMailbox("a/b")])
    store.apply([DeleteMailbox("a")])
    assert names_in(store) == {"a/b"}
    store.apply([CreateMailbox("a/c/d")])
    assert names_in(store) == {"a/b", "a/c", "a/c/d"}
    with pytest.raises(NoSuchMailbox):
        store.apply([DeleteMailbox("a")])


def test_a_rename_to_a_level_that_was_deleted_takes_no_name_that_is_there(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("a/b"), DeleteMailbox("a"), CreateMailbox("x/b"), CreateMailbox("x/c")])
    with pytest.raises(MailboxExists):
        store.apply([RenameMailbox("x", "a")])
    store.apply([RenameMailbox("x/b", "x/d"), RenameMailbox("x", "a")])
    assert names_in(store) == {"a", "a/b", "a/c", "a/d"}


def test_a_mailbox_is_renamed_to_the_level_above_it(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("a/b/b/b"), DeleteMailbox("a"), RenameMailbox("a/b", "a")])
    assert names_in(store) == {"a", "a/b", "a/b/b"}


def test_a_special_use_belongs_to_one_mailbox(tmp_path: Path) -> None:
    with pytest.raises(SpecialUseRefused):
        account(tmp_path).apply([CreateMailbox("Rubbish", "\\Junk")])


def test_a_subscription_outlives_its_mailbox(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply([CreateMailbox("a"), Subscribe("a", True)])
    store.apply([DeleteMailbox("a")])
    store.apply([CreateMailbox("a")])
    assert store.mailbox("a").subscribed


def test_the_56th_keyword_is_refused_and_the_others_stay(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(1), flags=tuple(f"k{n}" for n in range(55)))])
    with pytest.raises(NotPermitted):
        store.apply([SetFlags(inbox, (Uid(1),), "add", ("one-more",))])
    store.apply([SetFlags(inbox, (Uid(1),), "add", ("K54", "\\seen"))])
    view = store.view(inbox)
    assert len(view.keywords) == 55 and view.flags[0] == (1 << 63) - (1 << 8) + 1


def test_a_view_stays_as_it_was(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(1)), append(inbox, message(2))])
    before = store.view(inbox)
    store.apply([append(inbox, message(3)), SetFlags(inbox, (Uid(1),), "add", ("\\Seen",)), Expunge(inbox, (Uid(2),))])
    assert list(store.view(inbox).uids) == [1, 3] and list(store.view(inbox).flags) == [SEEN, 0]
    assert list(before.uids) == [1, 2] and list(before.flags) == [0, 0]


def test_parts_of_a_message_are_read_by_offset(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    octets = message(1) + bytes(range(256)) * 40
    store.apply([append(inbox, octets)])
    (number,) = store.view(inbox).messages
    for offset, length in ((0, 5), (3, None), (100, 10_000), (10**6, 5), (0, 0), (0, 10**6)):
        end = None if length is None else offset + length
        assert store.read(number, offset, length) == octets[offset:end]


def test_meta_comes_in_the_order_asked_for_and_repeats(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(n)) for n in range(20)])
    numbers = list(store.view(inbox).messages)
    for wanted in (numbers, numbers[::-1], numbers[::3], [numbers[4], numbers[4], numbers[0]]):
        assert [row[0] for row in store.meta(wanted, ("subject_key", "headers"))] == [
            f"NUMBER {numbers.index(n)}" for n in wanted
        ]
    with pytest.raises(StorageError):
        list(store.meta([10**9], ("envelope",)))


_PIECE_OCTETS = 100_000


@pytest.mark.parametrize("order", [[1, 2, 3, 4, 5, 6], [6, 2, 2, 5, 1, 3], [4], [3, 3]])
def test_t_dos_07_meta_holds_few_large_columns_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[int]) -> None:
    """Beyond what may be held goes the one that shows that it is too much."""
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    mail = [f"To: {'x' * _PIECE_OCTETS * number}\r\n\r\n".encode() for number in range(1, 7)]
    store.apply([append(inbox, octets) for octets in mail])
    monkeypatch.setattr(views, "_MOST_HELD_OCTETS", 6 * _PIECE_OCTETS)
    tracemalloc.start()
    try:
        rows = store.meta(order, ("headers",))
        assert all(next(rows) == (mail[number - 1],) for number in order)  # and none is held here
        assert next(rows, None) is None
        _, peak_octets = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_octets < (6 + 6 + 1) * _PIECE_OCTETS


def test_t_priv_04_files_are_0600_and_folders_0700_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = account(tmp_path / "mail")
        store.apply([append(store.mailbox("INBOX").id, message(1))])
        found = {path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "mail").rglob("*")}
    finally:
        os.umask(before)
    assert {path.suffix for path in found} >= {".pack", ".sqlite", ".sqlite-wal", ".sqlite-shm"}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if not path.is_dir()} == {0o600}


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    account(tmp_path).rest()
    with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StorageError, match="newer release") as caught:
        account(tmp_path)
    assert caught.value.permanent


def test_a_delivery_key_is_known_as_long_as_its_message_is_in_a_mailbox(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    store = EmbeddedStore(tmp_path, Disk(), NoHints(), now_s=lambda: now[0]).open(ALICE)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(n), f"q{n}:0") for n in (1, 2)])
    store.apply([Expunge(inbox, (Uid(1),))])
    now[0] += 31 * 86400
    store.apply([Subscribe("INBOX", True)])  # whoever writes next tidies
    assert store.delivered(QueueId("q1")) == ()
    assert store.delivered(QueueId("q2")) == (Delivered("q2:0", 2, (Place(inbox, Uid(2), ()),)),)


@pytest.mark.parametrize("place", ["magic", "size", "octets", "last"])
def test_t_q_13_a_damaged_record_is_found_and_hurts_no_other_message(tmp_path: Path, place: str) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(n)) for n in (1, 2, 3)])
    before, broken, after = store.view(inbox).messages
    (pack,) = (tmp_path / ALICE / "packs").iterdir()
    octets = bytearray(pack.read_bytes())
    start = octets.index(message(2)) - HEADER_OCTETS
    octets[start + {"magic": 0, "size": 16, "octets": HEADER_OCTETS, "last": HEADER_OCTETS + len(message(2)) - 1}[place]] ^= 1
    pack.write_bytes(octets)
    for length in (None, 4):
        with pytest.raises(StorageError) as caught:
            store.read(broken, 0, length)
        assert caught.value.permanent
    assert store.read(before) == message(1) and store.read(after) == message(3)
    assert store.apply([append(inbox, message(4))])[0].uids == (4,)


def test_t_q_13_a_lost_pack_is_a_storage_error(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(1))])
    store.rest()
    (pack,) = (tmp_path / ALICE / "packs").iterdir()
    pack.unlink()
    with pytest.raises(StorageError, match="missing"):
        store.read(store.view(inbox).messages[0])


def test_t_q_13_a_destroyed_database_is_a_storage_error_that_stays(tmp_path: Path) -> None:
    account(tmp_path).rest()
    database = tmp_path / ALICE / "index.sqlite"
    database.write_bytes(b"nothing of SQLite" * 1000)
    with pytest.raises(StorageError) as caught:
        account(tmp_path)
    assert caught.value.permanent


def test_an_expunged_message_can_be_read_for_a_while_and_its_copies_for_ever(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    store = EmbeddedStore(tmp_path, Disk(), NoHints(), now_s=lambda: now[0]).open(ALICE)
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    store.apply([append(inbox, message(n)) for n in (1, 2)])
    gone, copied = store.view(inbox).messages
    store.apply([Copy(inbox, (Uid(2),), trash), Expunge(inbox, (Uid(1), Uid(2)))])
    assert store.read(gone) == message(1) and len(list(store.meta([gone], ("envelope",)))) == 1
    now[0] += EXPUNGED_KEPT_S + 1
    store.apply([Subscribe("INBOX", True)])  # whoever writes next tidies
    with pytest.raises(StorageError):
        store.read(gone)
    assert store.read(copied) == message(2)


def test_t_q_07_a_clock_that_was_ten_years_ahead_once_keeps_nobody_from_tidying(tmp_path: Path) -> None:
    now = [1_800_000_000.0 + 3653 * 86400]
    store = EmbeddedStore(tmp_path, Disk(), NoHints(), now_s=lambda: now[0]).open(ALICE)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(1))])  # and tidies
    now[0] = 1_800_000_000.0
    store.apply([append(inbox, message(2))])
    (_, gone) = store.view(inbox).messages
    store.apply([Expunge(inbox, (Uid(2),))])
    now[0] += 2 * EXPUNGED_KEPT_S
    store.apply([Subscribe("INBOX", True)])
    with pytest.raises(StorageError):
        store.read(gone)


class FailingDisk(Disk):
    """The medium refuses to sync while `fails` is set."""

    fails = False

    def sync(self, fd: int) -> None:
        if self.fails:
            raise OSError(5, "Input/output error")
        super().sync(fd)


def test_what_could_not_be_synced_was_not_stored_and_can_be_tried_again(tmp_path: Path) -> None:
    disk = FailingDisk()
    store = account(tmp_path, disk=disk)
    inbox = store.mailbox("INBOX").id
    disk.fails = True
    with pytest.raises(StorageError):
        store.apply([append(inbox, message(1), "key")])
    assert store.mailbox("INBOX").exists == 0
    disk.fails = False
    assert not store.apply([append(inbox, message(1), "key")])[0].duplicate
    assert store.read(store.view(inbox).messages[0]) == message(1)


def test_mail_that_is_moved_in_keeps_its_uids_and_uidvalidity(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([Renumber(inbox, 1_234_567)])
    kept = replace(append(inbox, message(1)), uid=Uid(40))
    (first, second) = store.apply([kept, append(inbox, message(2))])
    assert (first.uidvalidity, first.uids, second.uids) == (1_234_567, (40,), (41,))
    store.apply([Renumber(inbox, 1_234_567, uidnext=100)])
    assert store.apply([append(inbox, message(3))])[0].uids == (100,)
    store.apply([Renumber(inbox, 1_234_567, uidnext=5)])
    assert store.mailbox("INBOX").uidnext == 101, "it never goes back"


@pytest.mark.parametrize("uid", [0, 1, 39, 40, 2**32 - 1, 2**40])
def test_t_imap_16_a_uid_is_not_taken_twice_nor_below_another(tmp_path: Path, uid: int) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([replace(append(inbox, message(1)), uid=Uid(40))])
    with pytest.raises(NotPermitted):
        store.apply([replace(append(inbox, message(2)), uid=Uid(uid))])
    assert (store.mailbox("INBOX").exists, store.mailbox("INBOX").uidnext) == (1, 41)


def test_t_imap_16_the_uidvalidity_of_elsewhere_is_for_mailboxes_that_never_had_mail(tmp_path: Path) -> None:
    store = account(tmp_path)
    inbox = store.mailbox("INBOX")
    store.apply([append(inbox.id, message(1))])
    store.apply([Expunge(inbox.id, (Uid(1),))])
    with pytest.raises(NotPermitted):
        store.apply([Renumber(inbox.id, inbox.uidvalidity + 7)])
    (old,) = store.apply([CreateMailbox("Old")])
    store.apply([DeleteMailbox("Old")])
    (new,) = store.apply([CreateMailbox("Old")])
    with pytest.raises(NotPermitted):
        store.apply([Renumber(new.mailbox, old.uidvalidity)])
    with pytest.raises(NotPermitted):
        store.apply([Renumber(new.mailbox, 2**32 - 2)])
    (renewed,) = store.apply([Renumber(inbox.id)])
    assert renewed.uidvalidity > new.uidvalidity
    assert store.mailbox("INBOX").uidvalidity == renewed.uidvalidity


def test_mailboxes_made_after_a_high_uidvalidity_from_elsewhere_have_higher_ones(tmp_path: Path) -> None:
    store = account(tmp_path, now_s=1_000_000.0)
    store.apply([Renumber(store.mailbox("Archive").id, 3_000_000_000)])
    assert store.apply([CreateMailbox("Next")])[0].uidvalidity == 3_000_000_001


def test_delivery_keys_that_are_known(tmp_path: Path) -> None:
    store = account(tmp_path)
    store.apply(
        [append(store.mailbox("INBOX").id, message(1), "import:1"), append(store.mailbox("Sent").id, message(2), "import:2")]
    )
    assert store.known(["import:1", "import:2", "import:3"]) == {"import:1", "import:2"}
    assert store.known([]) == frozenset()


def test_t_dos_16_shared_annotations_have_an_end_over_all_mailboxes_and_renaming_inbox_does_not_pass_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotations, "MAX_SHARED", 5)
    store = account(tmp_path)
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    store.apply([SetAnnotations(inbox, tuple((f"/shared/{n}", b"") for n in range(3)))])
    with pytest.raises(TooManyAnnotations):
        store.apply([SetAnnotations(trash, tuple((f"/shared/{n}", b"") for n in range(3)))])
    with pytest.raises(TooManyAnnotations):
        store.apply([RenameMailbox("INBOX", "Old")])
    store.apply([SetAnnotations(inbox, (("/shared/0", None), ("/private/0", b"1")))])
    store.apply([RenameMailbox("INBOX", "Old")])
    assert store.annotations(store.mailbox("Old").id) == {"/private/0": b"1", "/shared/1": b"", "/shared/2": b""}


def test_t_dos_05_the_log_of_changes_has_an_end_and_who_comes_from_before_it_is_told_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "_UNTIDIED_OCTETS", 2000)
    monkeypatch.setattr(tidy, "_LOGGED_OCTETS", 1000)
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(n)) for n in range(8)])
    uids = tuple(map(Uid, range(1, 9)))
    since = store.mailbox("INBOX").highest_modseq
    store.apply([Expunge(inbox, (Uid(3),))])
    for n in range(60):
        store.apply([SetFlags(inbox, uids[n % 3 :], "remove" if n % 2 else "add", ("\\Seen",))])
        with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
            logged = connection.execute("SELECT total(length(uids) + 64) FROM change WHERE gone = 0").fetchone()[0]
        assert logged <= 1000 + 2000 + 100
    view, delta = store.view(inbox), store.delta(inbox, since)
    changed = [at for at, modseq in enumerate(view.modseqs) if modseq > since]
    assert delta.uids == tuple(view.uids[at] for at in changed) and delta.gone == (3,)
    assert check_account(tmp_path / ALICE, Disk(), int(NOW_S), repair=False).problems == ()


def test_t_dos_05_the_log_of_what_is_gone_has_an_end_and_who_comes_from_before_it_is_told_of_every_uid_that_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "_UNTIDIED_OCTETS", 0)
    monkeypatch.setattr(tidy, "_LOGGED_OCTETS", 500)
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    then = []
    for n in range(40):
        store.apply([append(inbox, message(n)), append(inbox, message(n))])
        then.append(store.view(inbox))
        store.apply([Expunge(inbox, (Uid(2 * n + 1), Uid(n + 1)))])
        with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
            logged = connection.execute("SELECT total(length(uids) + length(added_modseqs) + 64) FROM change WHERE gone > 0")
            assert logged.fetchone()[0] <= 500 + 100 + 64 + 4
    now = store.view(inbox)
    for view in then:
        delta = store.delta(inbox, view.mailbox.highest_modseq)
        went = {*view.uids} - {*now.uids}
        gone = {*delta.gone, *(uid for first, last in delta.long_gone for uid in range(first, last + 1))}
        assert gone >= went and {*gone, *delta.passed}.isdisjoint(now.uids)
        assert not delta.is_exact or {*delta.gone} == went
    assert not store.delta(inbox, then[0].mailbox.highest_modseq).is_exact
    assert store.delta(inbox, then[-1].mailbox.highest_modseq).is_exact
    assert now == account(tmp_path).view(inbox)
    assert check_account(tmp_path / ALICE, Disk(), int(NOW_S), repair=False).problems == ()


def test_t_dos_06_of_very_much_that_went_and_is_still_logged_ranges_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelog, "_MOST_GONE", 3)
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(n)) for n in range(8)])
    since = store.mailbox("INBOX").highest_modseq
    store.apply([append(inbox, message(8))])
    store.apply([Expunge(inbox, (Uid(6), Uid(9)))])
    store.apply([Expunge(inbox, (Uid(2),))])
    delta = store.delta(inbox, since)
    assert delta.is_exact and (delta.gone, delta.passed) == ((2, 6), (9,))
    store.apply([Expunge(inbox, (Uid(3),))])
    delta = store.delta(inbox, since)
    assert (delta.gone, delta.passed, [*delta.long_gone]) == ((), (), [(2, 3), (6, 6), (9, 9)])
    assert store.view(inbox) == account(tmp_path).view(inbox)


def test_t_dos_08_ranges_of_flags_that_were_changed_again_and_again_are_not_looked_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST_MERGED", 20)
    looked_up: list[int] = []
    parts = Blocks.parts

    def counted(blocks: Blocks, mailbox: MailboxId, uids: Sequence[int]) -> Iterator[Any]:
        looked_up.append(len(uids))
        return parts(blocks, mailbox, uids)

    monkeypatch.setattr(Blocks, "parts", counted)
    store = account(tmp_path)
    inbox = store.mailbox("INBOX").id
    store.apply([append(inbox, message(n)) for n in range(8)])
    since = store.mailbox("INBOX").highest_modseq
    for n in range(3):
        store.apply(
            [SetFlags(inbox, (Uid(2), Uid(3), Uid(4), Uid(5), Uid(6), Uid(8)), "remove" if n % 2 else "add", ("\\Seen",))]
        )
        looked_up.clear()
        delta = store.delta(inbox, since)
        assert delta.uids == (2, 3, 4, 5, 6, 8) and {*delta.modseqs} == {since + n + 1}
        assert looked_up == [6]
    for _ in range(10):
        store.apply([SetFlags(inbox, (Uid(2), Uid(3)), "add", ("$A",)), SetFlags(inbox, (Uid(2), Uid(3)), "remove", ("$A",))])
    looked_up.clear()
    delta = store.delta(inbox, since)
    assert delta.uids == (2, 3, 4, 5, 6, 8) and looked_up == []
