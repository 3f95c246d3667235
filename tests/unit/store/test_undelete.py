"""Expunged mail can be put back for a while, as new messages of its mailbox with all that they had."""

import sqlite3
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.model.ids import QueueId, Uid
from mailward.model.limits import MailLimits
from mailward.store import tidy
from mailward.store.account import EmbeddedAccount
from mailward.store.base import Expunged
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Copy, CreateMailbox, DeleteMailbox, Expunge, RenameMailbox, SetFlags, Subscribe, Undelete
from mailward.store.refusals import OverQuota
from mailward.store.repair import check_account
from support.storecheck import NOW_S, message
from support.stores import ALICE, NoHints, account, append

WEEK_S = 7 * 86400


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedAccount:
    """INBOX has three messages; the second is unlike the others."""
    made = account(tmp_path)
    inbox = made.mailbox("INBOX").id
    made.apply([append(inbox, message(n), f"q{n}:0") for n in (1, 2, 3)])
    made.apply([SetFlags(inbox, (Uid(2),), "add", ("\\Seen", "\\Deleted", "work"))])
    return made


def contents(store: EmbeddedAccount, name: str) -> list[tuple[int, bytes]]:
    view = store.view(store.mailbox(name).id)
    return [(uid, store.read(number)) for uid, number in zip(view.uids, view.messages, strict=True)]


def test_t_imap_16_what_is_put_back_has_a_new_uid_and_all_else_that_it_had(store: EmbeddedAccount) -> None:
    inbox = store.mailbox("INBOX").id
    (before,) = store.entry_meta(inbox, (2,), ("email",))
    store.apply([Expunge(inbox, (Uid(2),))])
    modseq = store.mailbox("INBOX").highest_modseq
    (left,) = store.expunged()
    assert left == Expunged(2, "INBOX", ("\\Seen", "\\Deleted", "work"), int(NOW_S))
    (result,) = store.apply([Undelete(inbox, (left.message, 3, 99))])
    assert result.uids == (4,) and store.expunged() == ()
    assert contents(store, "INBOX") == [(1, message(1)), (3, message(3)), (4, message(2))]
    assert list(store.entry_meta(inbox, (4,), ("email",))) == [before]
    assert store.delivered(QueueId("q2"))[0].places[0].flags == ("\\Seen", "work")
    delta = store.delta(inbox, modseq)
    assert (delta.uids, delta.gone) == ((4,), ())
    assert store.mailbox("INBOX").deleted == 0


def test_what_lies_elsewhere_is_not_put_back(store: EmbeddedAccount) -> None:
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    store.apply([Copy(inbox, (Uid(1),), trash, move=True), Copy(inbox, (Uid(2),), trash)])
    store.apply([Expunge(inbox, (Uid(2),))])
    assert store.expunged() == ()
    store.apply([Expunge(trash, (Uid(2),)), Expunge(trash, (Uid(1),)), Expunge(inbox, (Uid(3),), final=True)])
    assert [(left.message, left.mailbox_name) for left in store.expunged()] == [(1, "Trash"), (2, "Trash")]


def test_a_mailbox_that_was_renamed_or_deleted_is_known_by_the_name_it_had_last(store: EmbeddedAccount) -> None:
    inbox = store.mailbox("INBOX").id
    (made,) = store.apply([CreateMailbox("a")])
    store.apply([SetFlags(inbox, (Uid(1),), "add", ("other",)), Copy(inbox, (Uid(1), Uid(2)), made.mailbox, move=True)])
    store.apply([Expunge(made.mailbox, (Uid(1),)), RenameMailbox("a", "b")])
    store.apply([SetFlags(made.mailbox, (Uid(2),), "add", ("late",)), DeleteMailbox("b")])
    assert [(left.mailbox_name, left.flags) for left in store.expunged()] == [
        ("b", ("other",)),
        ("b", ("\\Seen", "\\Deleted", "work", "late")),
    ]
    (again,) = store.apply([CreateMailbox("b")])
    assert again.uidvalidity > made.uidvalidity
    store.apply([Undelete(again.mailbox, (1, 2))])
    assert contents(store, "b") == [(1, message(1)), (2, message(2))]
    assert [place.flags for n in (1, 2) for place in store.delivered(QueueId(f"q{n}"))[0].places] == [
        ("other",),
        ("\\Seen", "work", "late"),
    ]


def test_it_counts_against_the_quota_again(tmp_path: Path, store: EmbeddedAccount) -> None:
    inbox = store.mailbox("INBOX").id
    store.apply([Expunge(inbox, (Uid(1), Uid(2)))])
    limited = EmbeddedStore(tmp_path, Disk(), NoHints(), limits_of=lambda _: MailLimits(messages=2)).open(ALICE)
    with pytest.raises(OverQuota):
        limited.apply([Undelete(inbox, (1, 2))])
    assert len(limited.expunged()) == 2
    limited.apply([Undelete(inbox, (2,))])
    assert limited.quota().messages == 2


def test_after_a_while_it_is_gone(tmp_path: Path, store: EmbeddedAccount) -> None:
    inbox = store.mailbox("INBOX").id
    (made,) = store.apply([CreateMailbox("a")])
    store.apply([Copy(inbox, (Uid(1),), made.mailbox, move=True), Expunge(inbox, (Uid(2),))])
    store.apply([DeleteMailbox("a")])
    later = account(tmp_path, now_s=NOW_S + WEEK_S - 1)
    later.apply([Subscribe("INBOX", True)])  # whoever writes tidies
    assert len(later.expunged()) == 2
    later = account(tmp_path, now_s=NOW_S + 2 * WEEK_S)
    later.apply([Subscribe("INBOX", True)])
    assert later.expunged() == () and later.apply([Undelete(inbox, (1, 2))])[0].uids == ()
    with pytest.raises(StorageError):
        later.read(2)
    with sqlite3.connect(tmp_path / ALICE / "index.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM past_mailbox").fetchone() == (0,)
    assert check_account(tmp_path / ALICE, Disk(), int(NOW_S), repair=False).problems == ()


def test_t_dos_05_it_is_no_more_than_the_quota_the_oldest_goes_first_and_nobody_waits_a_day_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = MailLimits(octets=100_000)
    store = EmbeddedStore(tmp_path, Disk(), NoHints(), limits_of=lambda _: limits, now_s=lambda: NOW_S).open(ALICE)
    inbox = store.mailbox("INBOX").id
    monkeypatch.setattr(tidy, "_UNTIDIED_OCTETS", 50_000)
    for n in range(20):
        (made,) = store.apply([append(inbox, b"%d\r\n" % n + b"x" * 20_000)])
        store.apply([Expunge(inbox, (Uid(made.uids[0]),))])
        assert len(store.expunged()) <= 4 + 3  # as much as the quota, and what has come since
    kept = [left.message for left in store.expunged()]
    assert kept == [*range(21 - len(kept), 21)] and len(kept) >= 4
    with pytest.raises(StorageError):
        store.read(1)
    assert check_account(tmp_path / ALICE, Disk(), int(NOW_S), repair=False).problems == ()


def test_t_dos_05_where_there_is_no_quota_it_has_a_bound_too_and_what_lies_in_mailboxes_stays(
    tmp_path: Path, store: EmbeddedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, trash = store.mailbox("INBOX").id, store.mailbox("Trash").id
    store.apply([Copy(inbox, (Uid(1),), trash), Expunge(inbox, (Uid(1), Uid(2)))])
    monkeypatch.setattr(tidy, "MAX_EXPUNGED_OCTETS", 0)
    later = account(tmp_path, now_s=NOW_S + 86400)
    later.apply([Subscribe("INBOX", True)])
    assert (
        later.expunged() == () and contents(later, "Trash") == [(1, message(1))] and contents(later, "INBOX") == [(3, message(3))]
    )
    assert check_account(tmp_path / ALICE, Disk(), int(NOW_S), repair=False).problems == ()


def test_a_check_finds_nothing_wrong_with_what_can_be_put_back(tmp_path: Path, store: EmbeddedAccount) -> None:
    (made,) = store.apply([CreateMailbox("a")])
    store.apply([Copy(store.mailbox("INBOX").id, (Uid(1), Uid(2)), made.mailbox, move=True), DeleteMailbox("a")])
    store.rest()
    assert check_account(tmp_path / ALICE, Disk(), int(NOW_S), repair=False).problems == ()
