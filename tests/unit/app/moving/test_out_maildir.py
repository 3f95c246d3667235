"""A Maildir is one account's: an export goes on in its own, and writes nothing into another's."""

from pathlib import Path

import pytest

from mailward.app.moving.into import Move
from mailward.app.moving.maildir import MaildirSource
from mailward.app.moving.out import ExportRefused
from mailward.app.moving.out_maildir import export_maildir
from mailward.model.ids import AccountId
from mailward.store.base import AccountStore
from mailward.store.ops import CreateMailbox, DeleteMailbox
from support.stores import ALICE, account, append

DORA = AccountId("dora")


def written(store: AccountStore, folder: Path, owner: AccountId = ALICE) -> dict[str, int]:
    return {one.name: one.messages for one in export_maildir(store, folder, lambda *_: None, owner)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mailbox_of(folder: Path, now_s: float = 1_900_000_000.0) -> AccountStore:
    """An account with one message. now_s: by it, UIDVALIDITY."""
    store = account(folder, now_s=now_s)
    store.apply([append(store.mailbox("INBOX").id, b"A: 1\r\n\r\n")])
    return store


def test_nothing_is_written_into_another_account_s_maildir_although_uidvalidity_is_the_same(tmp_path: Path) -> None:
    alice, dora = mailbox_of(tmp_path / "alice"), mailbox_of(tmp_path / "dora")
    assert alice.mailbox("INBOX").uidvalidity == dora.mailbox("INBOX").uidvalidity
    written(dora, tmp_path / "out", DORA)
    first = files(tmp_path / "out")
    with pytest.raises(ExportRefused, match=r"/out holds the mail of another account; nothing was written\. Name another folder"):
        written(alice, tmp_path / "out")
    assert files(tmp_path / "out") == first


@pytest.mark.parametrize("killed_first", [False, True], ids=["whole", "before its lists"])
def test_nothing_is_written_beside_other_mail_that_does_not_say_whose_it_is(tmp_path: Path, killed_first: bool) -> None:
    written(mailbox_of(tmp_path / "dora", 1_800_000_000.0), tmp_path / "out", DORA)
    (tmp_path / "out/mailward-origin").unlink()
    if killed_first:
        for path in (tmp_path / "out").rglob("dovecot-uidlist"):
            path.unlink()
    first = files(tmp_path / "out")
    why = "was not written by such an export" if killed_first else "dovecot-uidlist says UIDVALIDITY"
    with pytest.raises(ExportRefused, match=f"{why}.*nothing was written"):
        written(mailbox_of(tmp_path / "alice"), tmp_path / "out")
    assert files(tmp_path / "out") == first


def test_nothing_is_written_beside_mail_that_no_export_wrote(tmp_path: Path) -> None:
    (tmp_path / "out/new").mkdir(parents=True)
    (tmp_path / "out/new/1.M1P1.host").write_bytes(b"A: 1\n\n")
    with pytest.raises(ExportRefused, match=r"new/1\.M1P1\.host was not written by such an export"):
        written(mailbox_of(tmp_path / "alice"), tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"new/1.M1P1.host"}


def test_an_export_goes_on_where_its_lists_are_not_there_yet_and_where_its_new_server_delivered(tmp_path: Path) -> None:
    alice = mailbox_of(tmp_path / "alice")
    written(alice, tmp_path / "out")
    (tmp_path / "out/new/1.M1P1.host").write_bytes(b"A: 2\n\n")
    assert written(alice, tmp_path / "out")["INBOX"] == 1
    (tmp_path / "out/new/1.M1P1.host").unlink()
    for name in ("dovecot-uidlist", "mailward-origin"):
        (tmp_path / "out" / name).unlink()
    assert written(alice, tmp_path / "out")["INBOX"] == 1
    assert len([name for name in files(tmp_path / "out") if name.startswith("cur/")]) == 1


def test_what_mailboxes_are_for_comes_back_whatever_they_are_called(tmp_path: Path) -> None:
    alice = mailbox_of(tmp_path / "alice")
    alice.apply([DeleteMailbox("Sent"), CreateMailbox("Sent_Items", "\\Sent"), CreateMailbox("Spam")])
    written(alice, tmp_path / "out")
    again = account(tmp_path / "again")
    assert not any(one.problems for one in Move(MaildirSource(tmp_path / "out"), again, lambda *_: None).run())
    assert {one.name: one.special_use for one in again.mailboxes()} == {one.name: one.special_use for one in alice.mailboxes()}


@pytest.mark.parametrize("text", ["", "1", "2 alice\n\\Sent Lists\n", "1 alice\n\\Nonsense Lists\n\\Sent\n\\Seen Lists\n"])
def test_an_origin_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    for name in ("cur", "new", ".Lists/cur", ".Lists/new"):
        (tmp_path / "out" / name).mkdir(parents=True)
    (tmp_path / "out/mailward-origin").write_text(text)
    assert {one.name: one.special_use for one in MaildirSource(tmp_path / "out").folders()} == {"INBOX": None, "Lists": None}
