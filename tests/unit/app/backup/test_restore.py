"""What is restored gives no number that has been given before, whoever remembers it."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path

import pytest

from mailward.access.imap.carrying import carry
from mailward.access.imap.reach import Reached
from mailward.access.imap.rights import EVERY
from mailward.app.backup.restore import restore
from mailward.app.backup.take import take_snapshot
from mailward.app.config import Config
from mailward.app.config_file import load_config
from mailward.disk import Disk
from mailward.model.ids import AccountId, Uid
from mailward.store.account import EmbeddedAccount
from mailward.store.base import AccountStore
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append, CreateMailbox, SetRights
from mailward.store.uids import Given
from support.installation import installation
from support.storecheck import RECEIVED_AT
from support.stores import NoHints

ALICE, BOB = AccountId("alice"), AccountId("bob")
ABOVE_THE_CLOCK = 4_000_000_000


@contextmanager
def accounts(config: Config) -> Iterator[tuple[EmbeddedAccount, EmbeddedAccount]]:
    """Alice's and Bob's mail."""
    with closing(EmbeddedStore(config.data / "accounts", Disk(), NoHints())) as store:
        yield store.open(ALICE), store.open(BOB)


def move_to_alice(alice: AccountStore, bob: AccountStore, octets: bytes) -> None:
    """A message that Bob gets, and at once gives to Alice."""
    inbox = bob.mailbox("INBOX")
    (got,) = bob.apply([Append(inbox.id, octets, RECEIVED_AT)])
    mine = Reached(BOB, bob, inbox, EVERY, inbox.name)
    hers = Reached(ALICE, alice, alice.mailbox("INBOX"), EVERY, "INBOX", is_own=False)
    carry(mine, [Uid(uid) for uid in got.uids], hers, move=True)


def numbers_of_one_more(store: EmbeddedAccount) -> Given:
    """What a message in a new mailbox is given."""
    (made,) = store.apply([CreateMailbox("New")])
    (got,) = store.apply([Append(made.mailbox, b"Subject: one more\r\n\r\n", RECEIVED_AT)])
    ((email,),) = [row for row in store.entry_meta(made.mailbox, got.uids, ("email",)) if row is not None]
    (message,) = store.view(made.mailbox).messages
    ((thread,),) = store.meta([message], ("thread",))
    return Given(made.uidvalidity, message, int(email or 0), int(thread), made.mailbox)


@pytest.mark.parametrize("what", ["as it was", "high", "unreadable"])
def test_t_q_21_what_was_moved_to_another_account_before_a_restore_costs_nothing_moved_after_it(
    tmp_path: Path, what: str
) -> None:
    config = load_config(installation(tmp_path))
    with accounts(config):
        pass
    (tmp_path / "backup").mkdir()
    snapshot = take_snapshot(config, tmp_path / "backup", {BOB: "bob@example.test"}, is_all=False, progress=lambda *_: None)
    with accounts(config) as (alice, bob):
        if what == "high":
            bob.pass_over(Given().and_all_below(ABOVE_THE_CLOCK))
        move_to_alice(alice, bob, b"Subject: first\r\n\r\n")
        before = numbers_of_one_more(bob)
    if what == "unreadable":
        (config.data / "accounts" / BOB / "index.sqlite").write_bytes(b"no database" * 1000)
    restore(config, snapshot, BOB, replace=True)
    with accounts(config) as (alice, bob):
        move_to_alice(alice, bob, b"Subject: second\r\n\r\n")
        view = alice.view(alice.mailbox("INBOX").id)
        assert [octets[9:15].strip() for octets in map(alice.read, view.messages)] == [b"first", b"second"]
        assert bob.mailbox("INBOX").exists == 0
        after = numbers_of_one_more(bob)
        assert all(new > old for new, old in zip(astuple(after), astuple(before), strict=True)), (before, after)


def test_who_was_granted_a_mailbox_finds_it_after_a_restore_before_its_owner_comes(tmp_path: Path) -> None:
    config = load_config(installation(tmp_path))
    with accounts(config) as (_, bob):
        bob.apply([SetRights(bob.mailbox("INBOX").id, "account:alice", "add", "lr")])
    (tmp_path / "backup").mkdir()
    snapshot = take_snapshot(config, tmp_path / "backup", {BOB: "bob@example.test"}, is_all=False, progress=lambda *_: None)
    shutil.rmtree(config.data / "accounts")
    restore(config, snapshot, None, replace=False)
    with closing(EmbeddedStore(config.data / "accounts", Disk(), NoHints())) as store:
        assert store.sharing_with({"account:alice"}) == (BOB,)
