"""A large mailbox is read from its snapshot and the log, and is what its entries say."""

import sqlite3
from array import array
from pathlib import Path

import pytest

from mailward.model.ids import Uid
from mailward.store import embedded, views
from mailward.store.base import MailboxView
from mailward.store.embedded import EmbeddedAccount
from mailward.store.ops import DeleteMailbox, Expunge, SetFlags
from support import stores
from support.stores import append


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedAccount:
    for module in (embedded, views):
        monkeypatch.setattr(module, "LEAST_MESSAGES", 10)
    return stores.account(tmp_path)


def _append(account: EmbeddedAccount, count: int, name: str = "INBOX") -> None:
    mailbox = account.mailbox(name).id
    account.apply([append(mailbox, b"Subject: %d\r\n\r\n" % n) for n in range(count)])


def _view(account: EmbeddedAccount, name: str = "INBOX") -> MailboxView:
    """As a process that has not seen it reads it."""
    account.rest()
    return account.view(account.mailbox(name).id)


def _entries(account: EmbeddedAccount, view: MailboxView) -> list[tuple[int, ...]]:
    with account._index.reading() as connection:
        rows = connection.execute(
            "SELECT uid, flags, modseq, message FROM entry WHERE mailbox = ? ORDER BY uid", (view.mailbox.id,)
        )
        return [tuple(row) for row in rows]


def _rows(view: MailboxView) -> list[tuple[int, ...]]:
    return list(zip(view.uids, view.flags, view.modseqs, view.messages, strict=True))


def _snapshots(account: EmbeddedAccount) -> list[tuple[int, int]]:
    with account._index.reading() as connection:
        return connection.execute("SELECT mailbox, modseq FROM snapshot").fetchall()


def test_what_came_after_the_snapshot_is_in_the_view(account: EmbeddedAccount) -> None:
    _append(account, 12)
    first = _view(account)
    assert _snapshots(account) == [(first.mailbox.id, first.mailbox.highest_modseq)]
    inbox = first.mailbox.id
    account.apply([Expunge(inbox, (Uid(1), Uid(5), Uid(12)))])
    _append(account, 3)
    account.apply([SetFlags(inbox, (Uid(2), Uid(14)), "add", ("\\Seen", "$Junk")), Expunge(inbox, (Uid(13),))])
    then = _view(account)
    assert _rows(then) == _entries(account, then)
    assert list(then.uids) == [2, 3, 4, 6, 7, 8, 9, 10, 11, 14, 15]
    assert then.keywords == ("$Junk",)
    assert _snapshots(account) == [(inbox, first.mailbox.highest_modseq)], "so little was not worth another"


def test_it_is_made_anew_when_much_has_changed(account: EmbeddedAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_MOST_MERGED", 3)
    _append(account, 12)
    _view(account)
    _append(account, 5)
    view = _view(account)
    assert _rows(view) == _entries(account, view)
    assert _snapshots(account) == [(view.mailbox.id, view.mailbox.highest_modseq)]


def test_none_is_kept_of_small_or_deleted_mailboxes(account: EmbeddedAccount) -> None:
    _append(account, 9)
    _append(account, 11, "Archive")
    _view(account)
    archive = _view(account, "Archive")
    assert [mailbox for mailbox, _ in _snapshots(account)] == [archive.mailbox.id]
    account.apply([DeleteMailbox("Archive")])
    assert _snapshots(account) == []


def test_views_of_one_process_do_not_share_arrays(account: EmbeddedAccount) -> None:
    _append(account, 12)
    first, second = account.view(account.mailbox("INBOX").id), account.view(account.mailbox("INBOX").id)
    del first.uids[0]
    first.flags[:] = array("Q")
    assert _rows(second) == _entries(account, second) == _rows(account.view(second.mailbox.id))


def test_a_snapshot_that_cannot_be_saved_hurts_nobody(account: EmbeddedAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(connection: sqlite3.Connection, view: MailboxView) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(embedded, "save_snapshot", fails)
    _append(account, 12)
    assert len(_view(account).uids) == 12
